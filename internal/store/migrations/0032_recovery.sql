-- Escrowed encryption keys. Nothing here opens a key: what a key is encrypted
-- with is split among officers, each share encrypted to the certificate of one.

-- +goose Up

-- Who holds shares, of whom threshold together open a key. An organization has
-- at most one active and one proposed quorum.
CREATE TABLE recovery_quorums (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    threshold       BIGINT NOT NULL CHECK (threshold >= 2),
    state           TEXT   NOT NULL CHECK (state IN ('proposed', 'active', 'former', 'dropped')),
    proposed_by     TEXT   NOT NULL,
    proposed_at     BIGINT NOT NULL,
    active_at       BIGINT
);
CREATE UNIQUE INDEX recovery_quorums_active ON recovery_quorums (organization_id) WHERE state = 'active';
CREATE UNIQUE INDEX recovery_quorums_proposed ON recovery_quorums (organization_id) WHERE state = 'proposed';

CREATE TABLE recovery_officers (
    quorum_id    TEXT   NOT NULL REFERENCES recovery_quorums (id),
    position     BIGINT NOT NULL CHECK (position BETWEEN 1 AND 255),
    account_id   TEXT   NOT NULL REFERENCES administrators (id),
    certificate  BYTEA  NOT NULL,
    confirmed_at BIGINT,
    PRIMARY KEY (quorum_id, position),
    UNIQUE (quorum_id, account_id)
);
CREATE INDEX recovery_officers_account ON recovery_officers (account_id);

-- Officers of the active quorum who agree to the proposed one.
CREATE TABLE recovery_approvals (
    quorum_id   TEXT   NOT NULL REFERENCES recovery_quorums (id),
    account_id  TEXT   NOT NULL REFERENCES administrators (id),
    approved_at BIGINT NOT NULL,
    PRIMARY KEY (quorum_id, account_id)
);

CREATE TABLE recovery_escrows (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    person_id       TEXT   NOT NULL REFERENCES people (id),
    key_hash        BYTEA  NOT NULL UNIQUE,
    quorum_id       TEXT   NOT NULL REFERENCES recovery_quorums (id),
    sealed          BYTEA  NOT NULL,
    created_at      BIGINT NOT NULL
);
CREATE INDEX recovery_escrows_person ON recovery_escrows (person_id);
CREATE INDEX recovery_escrows_quorum ON recovery_escrows (quorum_id, id);

-- An officer's share of a key: one envelope, or after a change of officers one
-- from each of the officers before them (origin is their position, else 0).
CREATE TABLE recovery_shares (
    escrow_id TEXT   NOT NULL REFERENCES recovery_escrows (id),
    quorum_id TEXT   NOT NULL REFERENCES recovery_quorums (id),
    position  BIGINT NOT NULL,
    origin    BIGINT NOT NULL,
    envelope  BYTEA  NOT NULL,
    PRIMARY KEY (escrow_id, quorum_id, position, origin)
);

-- What an officer gave towards the shares of the next quorum.
CREATE TABLE recovery_reshares (
    escrow_id TEXT   NOT NULL REFERENCES recovery_escrows (id),
    quorum_id TEXT   NOT NULL REFERENCES recovery_quorums (id),
    origin    BIGINT NOT NULL,
    position  BIGINT NOT NULL,
    envelope  BYTEA  NOT NULL,
    PRIMARY KEY (escrow_id, quorum_id, origin, position)
);

CREATE TABLE recovery_requests (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    person_id       TEXT   NOT NULL REFERENCES people (id),
    quorum_id       TEXT   NOT NULL REFERENCES recovery_quorums (id),
    requester       TEXT   NOT NULL, -- account:ID or person:ID
    recipient       BYTEA  NOT NULL,
    reason          TEXT   NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('open', 'ready', 'released', 'refused', 'withdrawn')),
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    released_at     BIGINT
);
CREATE INDEX recovery_requests_organization ON recovery_requests (organization_id, created_at, id);

CREATE TABLE recovery_request_keys (
    request_id TEXT NOT NULL REFERENCES recovery_requests (id),
    escrow_id  TEXT NOT NULL REFERENCES recovery_escrows (id),
    PRIMARY KEY (request_id, escrow_id)
);
CREATE INDEX recovery_request_keys_escrow ON recovery_request_keys (escrow_id);

CREATE TABLE recovery_decisions (
    request_id TEXT   NOT NULL REFERENCES recovery_requests (id),
    account_id TEXT   NOT NULL REFERENCES administrators (id),
    position   BIGINT NOT NULL,
    given      BIGINT NOT NULL CHECK (given IN (0, 1)),
    decided_at BIGINT NOT NULL,
    PRIMARY KEY (request_id, account_id)
);

-- Shares encrypted to who asked.
CREATE TABLE recovery_contributions (
    request_id TEXT   NOT NULL REFERENCES recovery_requests (id),
    escrow_id  TEXT   NOT NULL REFERENCES recovery_escrows (id),
    position   BIGINT NOT NULL,
    envelope   BYTEA  NOT NULL,
    PRIMARY KEY (request_id, escrow_id, position)
);

-- What an officer's certificate must open before their answer counts.
CREATE TABLE recovery_challenges (
    account_id TEXT   NOT NULL REFERENCES administrators (id),
    kind       TEXT   NOT NULL,
    object_id  TEXT   NOT NULL,
    proof_hash BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind, object_id)
);

-- By its key a certificate is found that must not be of a key that is escrowed.
CREATE INDEX certificates_foreign_key ON certificates_foreign (key_hash);
