-- An authority has several keys over time: each is a row of authorities with a
-- name, and so addresses, of its own; line is what they have in common. One of
-- them is active and issues, the retired ones answer for what they issued. A key
-- that is elsewhere (an offline root) has an empty key_uri.

-- +goose Up

ALTER TABLE authorities ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE authorities ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE authorities ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired'));
-- Whom it serves, separated by spaces; empty: everybody, every type.
ALTER TABLE authorities ADD COLUMN domains TEXT NOT NULL DEFAULT '';
ALTER TABLE authorities ADD COLUMN types TEXT NOT NULL DEFAULT '';
UPDATE authorities SET line = name WHERE line = '';
CREATE UNIQUE INDEX authorities_generation ON authorities (line, generation);
CREATE UNIQUE INDEX authorities_active ON authorities (line) WHERE state = 'active';

-- A key that was made and waits for its certificate from an offline root.
CREATE TABLE authority_requests (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    line       TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    domains    TEXT   NOT NULL,
    types      TEXT   NOT NULL,
    key_uri    TEXT   NOT NULL,
    request    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (line, generation)
);

-- What authorities certified authorities with: their certificates, and cross
-- certificates. An issuer whose key is elsewhere is in it, too.
CREATE TABLE authority_certificates (
    id          TEXT   PRIMARY KEY,
    issuer_id   TEXT   NOT NULL REFERENCES authorities (id),
    serial      BYTEA  NOT NULL,
    kind        TEXT   NOT NULL CHECK (kind IN ('authority', 'cross')),
    certificate BYTEA  NOT NULL,
    sha256      BYTEA  NOT NULL UNIQUE,
    not_after   BIGINT NOT NULL,
    issued_at   BIGINT NOT NULL,
    revoked_at  BIGINT,
    revoked_for BIGINT,
    UNIQUE (issuer_id, serial)
);
