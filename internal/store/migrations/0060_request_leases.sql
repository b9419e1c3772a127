-- +goose Up

-- Until when whoever does the request has said that they are at it. One that is
-- under way and past that was cut off: the process is gone.
ALTER TABLE api_requests ADD COLUMN lease_until BIGINT NOT NULL DEFAULT 0;
