-- +goose Up

-- Organizations that vouch for their people under an agreement. The identifier
-- is the organizationIdentifier of certificates (NTRJP-1234567890123), or ''.
-- The settings are JSON, which internal/registration checks.
CREATE TABLE organizations (
    id         TEXT   PRIMARY KEY,
    name       TEXT   NOT NULL,
    local_name TEXT   NOT NULL,
    country    TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    locality   TEXT   NOT NULL,
    identifier TEXT   NOT NULL,
    standing   TEXT   NOT NULL CHECK (standing IN ('applied', 'active', 'suspended', 'closed')),
    settings   TEXT   NOT NULL,
    created_by TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX organizations_created ON organizations (created_at, id);

-- The agreement as it was read: its text belongs to what was accepted.
CREATE TABLE agreements (
    version TEXT   PRIMARY KEY,
    en      TEXT   NOT NULL,
    ja      TEXT   NOT NULL,
    since   BIGINT NOT NULL
);
CREATE TABLE agreement_acceptances (
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    version         TEXT   NOT NULL REFERENCES agreements (version),
    account_id      TEXT   NOT NULL,
    accepted_at     BIGINT NOT NULL,
    PRIMARY KEY (organization_id, version)
);

-- Mail domains (A-labels). A proven one belongs to one organization.
CREATE TABLE domains (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    name            TEXT   NOT NULL,
    state           TEXT   NOT NULL CHECK (state IN ('waiting', 'proven', 'lapsed')),
    token           TEXT   NOT NULL,
    method          TEXT   NOT NULL,
    evidence        TEXT   NOT NULL,
    problem         TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    token_at        BIGINT NOT NULL,
    checked_at      BIGINT,
    proven_at       BIGINT,
    expires_at      BIGINT,
    UNIQUE (organization_id, name)
);
CREATE UNIQUE INDEX domains_proven ON domains (name) WHERE state = 'proven';
CREATE INDEX domains_ending ON domains (expires_at) WHERE state = 'proven';

-- What was asked of the DNS about CAA issuemail (RFC 9495), and what came.
CREATE TABLE caa_checks (
    id          TEXT   PRIMARY KEY,
    domain      TEXT   NOT NULL,
    permitted   BIGINT NOT NULL,
    found       TEXT   NOT NULL,
    checked_at  BIGINT NOT NULL,
    valid_until BIGINT NOT NULL
);
CREATE INDEX caa_checks_domain ON caa_checks (domain, checked_at);

-- Evidence of organizations and of people (then person_id is not ''), which two
-- accounts decide about, none of them who submitted it.
CREATE TABLE evidence (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL,
    person_id       TEXT   NOT NULL,
    kind            TEXT   NOT NULL CHECK (kind IN ('organization', 'individual')),
    method          TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    statement       TEXT   NOT NULL,
    document        BYTEA,
    document_name   TEXT   NOT NULL,
    sha256          BYTEA,
    names           TEXT   NOT NULL,
    submitted_by    TEXT   NOT NULL,
    submitted_at    BIGINT NOT NULL,
    first_by        TEXT   NOT NULL,
    first_at        BIGINT,
    second_by       TEXT   NOT NULL,
    second_at       BIGINT,
    decision        TEXT   NOT NULL CHECK (decision IN ('', 'accepted', 'refused')),
    reason          TEXT   NOT NULL,
    expires_at      BIGINT
);
CREATE INDEX evidence_waiting ON evidence (submitted_at, id) WHERE decision = '';
CREATE INDEX evidence_about ON evidence (organization_id, person_id, decision, expires_at);
CREATE INDEX evidence_person ON evidence (person_id, decision, expires_at) WHERE person_id <> '';

-- What people are called in Latin letters and in their own script; name is what
-- they are shown as.
ALTER TABLE people ADD COLUMN given_name TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN surname TEXT NOT NULL DEFAULT '';
ALTER TABLE people ADD COLUMN local_name TEXT NOT NULL DEFAULT '';
CREATE INDEX mailbox_holders_person ON mailbox_holders (person_id);

-- Who belongs where. The organization vouches for the names since vouched_at.
-- The place is where a list of people has the row: octets, in the same order on
-- every engine.
CREATE TABLE memberships (
    person_id       TEXT   NOT NULL REFERENCES people (id),
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    number          TEXT   NOT NULL,
    department      TEXT   NOT NULL,
    vouched_by      TEXT   NOT NULL,
    vouched_at      BIGINT NOT NULL,
    place           BYTEA  NOT NULL,
    since           BIGINT NOT NULL,
    until           BIGINT,
    PRIMARY KEY (person_id, organization_id, since)
);
CREATE UNIQUE INDEX memberships_now ON memberships (person_id, organization_id) WHERE until IS NULL;
CREATE UNIQUE INDEX memberships_number ON memberships (organization_id, number) WHERE until IS NULL AND number <> '';
CREATE INDEX memberships_list ON memberships (organization_id, place, person_id) WHERE until IS NULL;
CREATE INDEX memberships_left ON memberships (organization_id, place, person_id) WHERE until IS NOT NULL;

-- The mailboxes that an organization says its people have; who holds one, shown
-- by a proof, is in mailbox_holders.
CREATE TABLE member_mailboxes (
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    mailbox_key     TEXT   NOT NULL,
    address         TEXT   NOT NULL,
    person_id       TEXT   NOT NULL REFERENCES people (id),
    position        BIGINT NOT NULL,
    PRIMARY KEY (organization_id, mailbox_key)
);
CREATE UNIQUE INDEX member_mailboxes_person ON member_mailboxes (organization_id, person_id, position);

-- What members are found by: beginnings of folded words, as octets.
CREATE TABLE member_words (
    organization_id TEXT  NOT NULL,
    word            BYTEA NOT NULL,
    person_id       TEXT  NOT NULL,
    PRIMARY KEY (organization_id, word, person_id)
);
CREATE INDEX member_words_person ON member_words (organization_id, person_id);

-- Orders of every kind. Names is a snapshot in JSON of what the certificate is
-- to say; waiting_for tells whose turn it is.
ALTER TABLE orders ADD COLUMN organization_id TEXT REFERENCES organizations (id);
ALTER TABLE orders ADD COLUMN kind TEXT NOT NULL DEFAULT 'self' CHECK (kind = 'self' OR kind = 'organization' OR kind = 'renewal' OR kind = 'import');
ALTER TABLE orders ADD COLUMN profile TEXT NOT NULL DEFAULT 'basic';
ALTER TABLE orders ADD COLUMN issuer TEXT NOT NULL DEFAULT 'local' CHECK (issuer IN ('local', 'external'));
ALTER TABLE orders ADD COLUMN names TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN key_use TEXT NOT NULL DEFAULT 'dual' CHECK (key_use = 'dual' OR key_use = 'signing' OR key_use = 'encryption');
ALTER TABLE orders ADD COLUMN requested_by TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN approved_at BIGINT;
ALTER TABLE orders ADD COLUMN waiting_for TEXT NOT NULL DEFAULT '' CHECK (waiting_for = '' OR waiting_for = 'mailbox' OR waiting_for = 'approval' OR waiting_for = 'person' OR waiting_for = 'issuer');
ALTER TABLE orders ADD COLUMN replaces TEXT NOT NULL DEFAULT '';
CREATE INDEX orders_organization ON orders (organization_id, created_at, id) WHERE organization_id IS NOT NULL;
CREATE INDEX orders_waiting ON orders (organization_id, waiting_for, created_at, id) WHERE organization_id IS NOT NULL AND state IN ('applied', 'proven');
CREATE INDEX orders_person ON orders (person_id, created_at) WHERE person_id IS NOT NULL;
CREATE INDEX proofs_address ON proofs (address, proven_at) WHERE method = '3.2.2.2';

-- Whose certificate it is. Both are those of its order.
ALTER TABLE certificates ADD COLUMN person_id TEXT REFERENCES people (id);
ALTER TABLE certificates ADD COLUMN organization_id TEXT REFERENCES organizations (id);
UPDATE certificates SET person_id = (SELECT o.person_id FROM orders o WHERE o.id = certificates.order_id)
    WHERE order_id IS NOT NULL;
CREATE INDEX certificates_person ON certificates (person_id, organization_id) WHERE person_id IS NOT NULL;
CREATE INDEX certificates_ending ON certificates (organization_id, not_after, person_id)
    WHERE organization_id IS NOT NULL AND state = 'issued' AND revoked_at IS NULL;
CREATE INDEX certificates_withdrawn ON certificates (organization_id, revoked_at)
    WHERE organization_id IS NOT NULL AND revoked_at IS NOT NULL;

-- Certificates by others: those that existed already, and those that an
-- authority outside gave for a request of ours (then order_id is set).
CREATE TABLE certificates_foreign (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    person_id       TEXT   NOT NULL REFERENCES people (id),
    order_id        TEXT   REFERENCES orders (id),
    issuer          TEXT   NOT NULL,
    serial          BYTEA  NOT NULL,
    der             BYTEA  NOT NULL,
    chain           BYTEA  NOT NULL,
    sha256          BYTEA  NOT NULL,
    key_hash        BYTEA  NOT NULL,
    not_before      BIGINT NOT NULL,
    not_after       BIGINT NOT NULL,
    added_by        TEXT   NOT NULL,
    added_at        BIGINT NOT NULL,
    revoked_at      BIGINT,
    revoked_for     BIGINT,
    UNIQUE (organization_id, sha256)
);
CREATE UNIQUE INDEX certificates_foreign_order ON certificates_foreign (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX certificates_foreign_person ON certificates_foreign (person_id, organization_id);
CREATE INDEX certificates_foreign_ending ON certificates_foreign (organization_id, not_after, person_id) WHERE revoked_at IS NULL;

-- Certification requests for an authority outside, as they leave.
CREATE TABLE external_requests (
    order_id   TEXT   PRIMARY KEY REFERENCES orders (id),
    request    BYTEA  NOT NULL,
    created_at BIGINT NOT NULL
);
