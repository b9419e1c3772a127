-- +goose Up

-- A second member of the organization has confirmed that somebody is invited. One
-- that was sent before two decided there waits for that when it is accepted.
ALTER TABLE invitations ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;
