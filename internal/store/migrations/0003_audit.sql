-- +goose Up

-- What was done, in order: seq counts from 1 without gaps, and hash covers the
-- row and the hash before it (docs/audit.md has the encoding). Rows are only
-- ever added. No personal data: ids, and digests under audit_salts.
CREATE TABLE audit_entries (
    seq     BIGINT NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    act     TEXT   NOT NULL,
    object  TEXT   NOT NULL,
    details TEXT   NOT NULL,
    hash    BYTEA  NOT NULL
);

-- Where the private keys are that sign checkpoints; the public keys are in the
-- entries that brought them in.
CREATE TABLE audit_keys (
    seq     BIGINT NOT NULL PRIMARY KEY REFERENCES audit_entries (seq),
    key_uri TEXT   NOT NULL
);

CREATE TABLE audit_checkpoints (
    seq  BIGINT NOT NULL PRIMARY KEY REFERENCES audit_entries (seq),
    note TEXT   NOT NULL
);

-- A digest of personal data can be compared only as long as its salt is here.
CREATE TABLE audit_salts (
    month TEXT  NOT NULL PRIMARY KEY,
    salt  BYTEA NOT NULL
);
