-- What is published about certificates: CRLs in partitions, OCSP responses.

-- +goose Up

-- In how many partitions an authority's CRL is published. Its certificates name
-- theirs, so that the number is fixed with the key.
ALTER TABLE authorities ADD COLUMN crl_partitions BIGINT NOT NULL DEFAULT 1;
ALTER TABLE certificates ADD COLUMN crl_partition BIGINT NOT NULL DEFAULT 0;

-- When the OCSP response has to be signed anew; NULL: never, because the
-- certificate has expired.
ALTER TABLE certificates ADD COLUMN ocsp_due BIGINT DEFAULT 0;
CREATE INDEX certificates_ocsp_due ON certificates (ocsp_due) WHERE state = 'issued' AND ocsp_due IS NOT NULL;

-- All that a CRL says of a certificate, in the order of the CRL: a list of a
-- million entries is read from this index alone.
DROP INDEX certificates_revoked;
CREATE INDEX certificates_revoked ON certificates
    (authority_id, crl_partition, serial, revoked_at, revoked_for, not_after) WHERE revoked_at IS NOT NULL;

-- Every change of standing has a number that rises in the order of commits;
-- nodes find by it what they must no longer say.
CREATE TABLE status_counter (
    id  BIGINT PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL
);
INSERT INTO status_counter (id, seq) VALUES (1, 0);
CREATE TABLE status_changes (
    seq           BIGINT PRIMARY KEY,
    authority_id  TEXT   NOT NULL REFERENCES authorities (id),
    crl_partition BIGINT NOT NULL,
    serial        BYTEA  NOT NULL,
    at            BIGINT NOT NULL
);
CREATE INDEX status_changes_partition ON status_changes (authority_id, crl_partition, seq);

-- The octets of a list lie beside it in pieces, and only those of the last
-- lists; that a list was signed, and its digest, stays.
CREATE TABLE crl_pieces (
    authority_id TEXT   NOT NULL,
    number       BIGINT NOT NULL,
    position     BIGINT NOT NULL,
    octets       BYTEA  NOT NULL,
    PRIMARY KEY (authority_id, number, position),
    FOREIGN KEY (authority_id, number) REFERENCES crls (authority_id, number)
);
INSERT INTO crl_pieces (authority_id, number, position, octets) SELECT authority_id, number, 0, der FROM crls;
ALTER TABLE crls DROP COLUMN der;
ALTER TABLE crls ADD COLUMN crl_partition BIGINT NOT NULL DEFAULT 0;
-- The last change of standing that is in the list for sure.
ALTER TABLE crls ADD COLUMN covers BIGINT NOT NULL DEFAULT 0;
ALTER TABLE crls ADD COLUMN sha256 BYTEA;
CREATE INDEX crls_partition ON crls (authority_id, crl_partition, number);

-- Keys that sign OCSP responses for an authority, or timestamps.
CREATE TABLE delegates (
    id           TEXT   PRIMARY KEY,
    authority_id TEXT   NOT NULL REFERENCES authorities (id),
    purpose      TEXT   NOT NULL CHECK (purpose IN ('ocsp', 'timestamp')),
    key_uri      TEXT   NOT NULL,
    certificate  BYTEA  NOT NULL,
    not_after    BIGINT NOT NULL,
    created_at   BIGINT NOT NULL
);
CREATE INDEX delegates_newest ON delegates (authority_id, purpose, not_after);

CREATE TABLE ocsp_responses (
    authority_id TEXT   NOT NULL REFERENCES authorities (id),
    serial       BYTEA  NOT NULL,
    this_update  BIGINT NOT NULL,
    next_update  BIGINT NOT NULL,
    der          BYTEA  NOT NULL,
    PRIMARY KEY (authority_id, serial)
);
