-- +goose Up

-- Public keys that are never certified, by SHA-256 of their
-- SubjectPublicKeyInfo: known to be compromised, from wherever that is known.
-- Keys of certificates that were revoked for it need no row.
CREATE TABLE distrusted_keys (
    key_hash BYTEA  PRIMARY KEY,
    reason   TEXT   NOT NULL,
    added_at BIGINT NOT NULL
);

-- One key has many certificates; who else had it is asked at each issuing.
CREATE INDEX certificates_key ON certificates (key_hash);
