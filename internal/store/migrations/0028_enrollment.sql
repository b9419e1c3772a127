-- +goose Up

-- Where the key is that what lies here for people is sealed with.
CREATE TABLE enrollment_keys (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    key_uri    TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

-- Bulk runs: many people of an organization get certificates. The list of people
-- lies in batches, of which each is work for one job at a time: turn counts its
-- jobs, and only the one of the newest turn may change anything.
CREATE TABLE runs (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    kind            TEXT   NOT NULL CHECK (kind IN ('import', 'renewal')),
    mode            TEXT   NOT NULL CHECK (mode IN ('invite', 'server-keys')),
    state           TEXT   NOT NULL CHECK (state IN ('running', 'paused', 'cancelled', 'done')),
    settings        TEXT   NOT NULL,
    list_hash       BYTEA  NOT NULL,
    total           BIGINT NOT NULL,
    started_by      TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT
);
CREATE UNIQUE INDEX runs_list ON runs (organization_id, list_hash) WHERE state IN ('running', 'paused');
CREATE INDEX runs_organization ON runs (organization_id, created_at, id);

CREATE TABLE run_batches (
    run_id TEXT   NOT NULL REFERENCES runs (id),
    number BIGINT NOT NULL,
    size   BIGINT NOT NULL,
    people BYTEA  NOT NULL,
    state  TEXT   NOT NULL CHECK (state IN ('new', 'ordered', 'done')),
    queued BIGINT NOT NULL CHECK (queued IN (0, 1)),
    turn   BIGINT NOT NULL,
    PRIMARY KEY (run_id, number)
);
CREATE INDEX run_batches_idle ON run_batches (run_id, number) WHERE queued = 0 AND state <> 'done';

-- One row for each person of a batch that has been begun. Orders are the
-- identifiers of the person's orders, with a space between.
CREATE TABLE run_people (
    run_id    TEXT   NOT NULL REFERENCES runs (id),
    position  BIGINT NOT NULL,
    batch     BIGINT NOT NULL,
    line      BIGINT NOT NULL,
    address   TEXT   NOT NULL,
    person_id TEXT   NOT NULL,
    orders    TEXT   NOT NULL,
    state     TEXT   NOT NULL CHECK (state IN ('ordered', 'done', 'failed', 'cancelled')),
    problem   TEXT   NOT NULL,
    pickup_id TEXT   NOT NULL,
    PRIMARY KEY (run_id, position)
);
CREATE INDEX run_people_state ON run_people (run_id, state, position);

-- Private keys, sealed, from when they are made until their certificate has come
-- and the PKCS #12 file is written.
CREATE TABLE kept_keys (
    order_id   TEXT   PRIMARY KEY REFERENCES orders (id),
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);

-- What waits for a person under a link: an invitation to make a key, or a
-- PKCS #12 file. The passphrase is sealed; both are gone once picked up.
CREATE TABLE pickups (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    person_id       TEXT   NOT NULL REFERENCES people (id),
    run_id          TEXT   NOT NULL,
    mode            TEXT   NOT NULL CHECK (mode IN ('invite', 'server-keys')),
    address         TEXT   NOT NULL,
    language        TEXT   NOT NULL,
    orders          TEXT   NOT NULL,
    client          TEXT   NOT NULL,
    file            BYTEA  NOT NULL,
    passphrase      BYTEA  NOT NULL,
    code_hash       BYTEA  NOT NULL,
    wrong           BIGINT NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('waiting', 'taken', 'void', 'expired', 'withdrawn')),
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    taken_at        BIGINT
);
CREATE INDEX pickups_person ON pickups (organization_id, person_id, created_at);
CREATE INDEX pickups_run ON pickups (run_id, id);
CREATE INDEX pickups_ending ON pickups (expires_at) WHERE state = 'waiting';

-- Which reminder that a certificate ends went out, by how many days before.
CREATE TABLE reminders (
    certificate_id TEXT   NOT NULL,
    days           BIGINT NOT NULL,
    queued_at      BIGINT NOT NULL,
    PRIMARY KEY (certificate_id, days)
);

CREATE INDEX certificates_over ON certificates (not_after) WHERE state = 'issued' AND revoked_at IS NULL AND person_id IS NOT NULL;
CREATE INDEX orders_replaces ON orders (replaces) WHERE replaces <> '';
