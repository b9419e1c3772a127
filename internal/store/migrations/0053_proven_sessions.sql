-- When a session last showed more than a password, for acts that ask for it again.

-- +goose Up

ALTER TABLE administrator_sessions ADD COLUMN proven_at BIGINT; -- NULL: never, or before this column
