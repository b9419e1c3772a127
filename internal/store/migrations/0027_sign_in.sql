-- Second factors, invitations, tokens for programs, and the sessions of people
-- who hold certificates.

-- +goose Up

-- A removed account leaves its row, because others name it; what it said of a
-- person is gone.
ALTER TABLE administrators ADD COLUMN removed_at BIGINT;

-- RFC 6238. last_step is the time step of the last number that was taken: none
-- up to it is taken again. Not confirmed: its holder has not shown a number yet.
CREATE TABLE totp_secrets (
    administrator_id TEXT   PRIMARY KEY REFERENCES administrators (id),
    secret           BYTEA  NOT NULL,
    last_step        BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    confirmed_at     BIGINT
);

-- Codes for whoever lost the second factor; a row goes when its code is used.
CREATE TABLE recovery_codes (
    administrator_id TEXT  NOT NULL REFERENCES administrators (id),
    code_hash        BYTEA NOT NULL,
    PRIMARY KEY (administrator_id, code_hash)
);

CREATE TABLE passkeys (
    id               BYTEA  PRIMARY KEY,
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    name             TEXT   NOT NULL,
    public_key       BYTEA  NOT NULL, -- SubjectPublicKeyInfo
    sign_count       BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    used_at          BIGINT
);
CREATE INDEX passkeys_account ON passkeys (administrator_id);

-- Whom an OpenID Connect provider means.
CREATE TABLE openid_subjects (
    issuer           TEXT   NOT NULL,
    subject          TEXT   NOT NULL,
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    linked_at        BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX openid_subjects_account ON openid_subjects (administrator_id);

-- A sign-in that has begun and waits for its next step. token_hash is of what
-- the browser holds, or of the challenge that was given to it.
CREATE TABLE sign_in_steps (
    token_hash       BYTEA  PRIMARY KEY,
    kind             TEXT   NOT NULL,
    administrator_id TEXT   NOT NULL, -- empty: not known yet
    address          TEXT   NOT NULL, -- that a code was asked for, or empty
    language         TEXT   NOT NULL, -- likewise
    detail           BYTEA  NOT NULL, -- what the kind needs; of a code its hash, once it was mailed
    wrong            BIGINT NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX sign_in_steps_ended ON sign_in_steps (expires_at);

CREATE TABLE invitations (
    id              TEXT   PRIMARY KEY,
    email           TEXT   NOT NULL,
    email_key       TEXT   NOT NULL,
    role            TEXT   NOT NULL,
    organization_id TEXT   NOT NULL,
    language        TEXT   NOT NULL,
    invited_by      TEXT   NOT NULL,
    code_hash       BYTEA, -- NULL until the mail has left
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX invitations_code ON invitations (code_hash);
CREATE INDEX invitations_organization ON invitations (organization_id);

-- Only SHA-256 of a token's 256 random bits is kept.
CREATE TABLE api_tokens (
    id               TEXT   PRIMARY KEY,
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    name             TEXT   NOT NULL,
    secret_hash      BYTEA  NOT NULL,
    scopes           TEXT   NOT NULL, -- separated by spaces
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    used_at          BIGINT,
    revoked_at       BIGINT
);
CREATE INDEX api_tokens_account ON api_tokens (administrator_id);

CREATE TABLE person_sessions (
    token_hash BYTEA  PRIMARY KEY,
    person_id  TEXT   NOT NULL REFERENCES people (id),
    method     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
