-- The secrets of authenticator apps are sealed under a key that is not in here.
-- What is here from before is sealed when the server starts.

-- +goose Up

ALTER TABLE totp_secrets ADD COLUMN sealed BIGINT NOT NULL DEFAULT 0;
