-- The same text runs on SQLite and PostgreSQL: times are BIGINT seconds since
-- 1970 in UTC, binary values are BYTEA (SQLite stores a blob there as it is),
-- identifiers are made by the program, and nothing counts by itself. What is
-- checked for each certificate is compared with =: of a list behind IN, SQLite
-- makes a table anew in every statement.

-- +goose Up

-- The one operator of this installation. What stands in every certificate
-- (the policy arc, the public address of CRLs) is fixed when it is made.
CREATE TABLE operators (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    name       TEXT   NOT NULL,
    policy_arc TEXT   NOT NULL,
    base_url   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE authorities (
    id          TEXT   PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    kind        TEXT   NOT NULL CHECK (kind IN ('root', 'issuing')),
    parent_id   TEXT   REFERENCES authorities (id),
    key_uri     TEXT   NOT NULL,
    certificate BYTEA  NOT NULL,
    crl_number  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE crls (
    authority_id TEXT   NOT NULL REFERENCES authorities (id),
    number       BIGINT NOT NULL,
    this_update  BIGINT NOT NULL,
    next_update  BIGINT NOT NULL,
    der          BYTEA  NOT NULL,
    PRIMARY KEY (authority_id, number)
);

CREATE TABLE people (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    language   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Who holds a mailbox is a dated relation: the next holder gets a new row.
CREATE TABLE mailbox_holders (
    mailbox_key TEXT   NOT NULL,
    address     TEXT   NOT NULL,
    person_id   TEXT   NOT NULL REFERENCES people (id),
    held_since  BIGINT NOT NULL,
    held_until  BIGINT,
    PRIMARY KEY (mailbox_key, person_id, held_since)
);
CREATE UNIQUE INDEX mailbox_holders_now ON mailbox_holders (mailbox_key) WHERE held_until IS NULL;

-- Every profile that was ever used, as it was: its hash stands in the orders.
CREATE TABLE profiles (
    hash       BYTEA  PRIMARY KEY,
    config     TEXT   NOT NULL,
    first_used BIGINT NOT NULL
);

CREATE TABLE orders (
    id           TEXT   PRIMARY KEY,
    state        TEXT   NOT NULL CHECK (state = 'applied' OR state = 'proven' OR state = 'issued' OR state = 'refused'),
    name         TEXT   NOT NULL,
    language     TEXT   NOT NULL,
    secret_hash  BYTEA  NOT NULL,
    person_id    TEXT   REFERENCES people (id),
    profile_hash BYTEA  NOT NULL REFERENCES profiles (hash),
    key_hash     BYTEA,
    reason       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX orders_created ON orders (created_at);
CREATE INDEX orders_unproven ON orders (expires_at) WHERE person_id IS NULL;

CREATE TABLE order_mailboxes (
    order_id    TEXT   NOT NULL REFERENCES orders (id),
    position    BIGINT NOT NULL,
    address     TEXT   NOT NULL,
    PRIMARY KEY (order_id, position),
    UNIQUE (order_id, address)
);

CREATE TABLE challenges (
    id         TEXT   PRIMARY KEY,
    order_id   TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    code_hash  BYTEA  NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('open', 'used', 'void')),
    wrong      BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    FOREIGN KEY (order_id, address) REFERENCES order_mailboxes (order_id, address)
);
CREATE UNIQUE INDEX challenges_open ON challenges (order_id, address) WHERE state = 'open';

CREATE TABLE proofs (
    order_id   TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    evidence   TEXT   NOT NULL,
    proven_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (order_id, address),
    FOREIGN KEY (order_id, address) REFERENCES order_mailboxes (order_id, address)
);

CREATE TABLE certificates (
    id           TEXT   PRIMARY KEY,
    authority_id TEXT   NOT NULL REFERENCES authorities (id),
    serial       BYTEA  NOT NULL,
    state        TEXT   NOT NULL CHECK (state = 'prepared' OR state = 'issued' OR state = 'refused'),
    order_id     TEXT   REFERENCES orders (id),
    profile_hash BYTEA  NOT NULL REFERENCES profiles (hash),
    key_hash     BYTEA  NOT NULL,
    tbs          BYTEA,
    der          BYTEA,
    sha256       BYTEA  UNIQUE,
    not_after    BIGINT,
    reserved_at  BIGINT NOT NULL,
    issued_at    BIGINT,
    revoked_at   BIGINT,
    revoked_for  BIGINT,
    note         TEXT   NOT NULL,
    UNIQUE (authority_id, serial)
);
-- An order has at most one certificate, or one on its way.
CREATE UNIQUE INDEX certificates_order ON certificates (order_id) WHERE state <> 'refused';
CREATE INDEX certificates_open ON certificates (state) WHERE state = 'prepared';
CREATE INDEX certificates_issued ON certificates (issued_at) WHERE state = 'issued';
CREATE INDEX certificates_revoked ON certificates (authority_id, revoked_at) WHERE revoked_at IS NOT NULL;

-- What happened how often, for rate limits: one row for each event.
CREATE TABLE rate_events (
    id        TEXT   PRIMARY KEY,
    limit_key BYTEA  NOT NULL,
    at        BIGINT NOT NULL
);
CREATE INDEX rate_events_key ON rate_events (limit_key, at);
CREATE INDEX rate_events_at ON rate_events (at);

CREATE TABLE administrators (
    id         TEXT   PRIMARY KEY,
    email      TEXT   NOT NULL,
    email_key  TEXT   NOT NULL UNIQUE,
    name       TEXT   NOT NULL,
    password   TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- The one-time code of the first administrator; one row, gone when claimed.
CREATE TABLE first_codes (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    code_hash BYTEA  NOT NULL,
    made_at   BIGINT NOT NULL
);

CREATE TABLE administrator_sessions (
    token_hash       BYTEA  PRIMARY KEY,
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    created_at       BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
