-- +goose Up

-- Certificates that their holders have said may sign them in, by SHA-256.
CREATE TABLE administrator_certificates (
    sha256           BYTEA  PRIMARY KEY,
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    added_at         BIGINT NOT NULL
);
