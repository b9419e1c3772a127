-- +goose Up

-- Where the chain of a certificate by somebody else leads: to a root that this
-- installation trusts (server), to one that only its organization does
-- (organization), or nowhere (then why: a word, and a text for whoever repairs
-- it). Those that are here already are looked at when the server starts.
ALTER TABLE certificates_foreign ADD COLUMN trust TEXT NOT NULL DEFAULT '' CHECK (trust IN ('', 'server', 'organization'));
ALTER TABLE certificates_foreign ADD COLUMN trust_problem TEXT NOT NULL DEFAULT 'unchecked';
ALTER TABLE certificates_foreign ADD COLUMN trust_detail TEXT NOT NULL DEFAULT '';
ALTER TABLE certificates_foreign ADD COLUMN trust_checked_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX certificates_foreign_trust ON certificates_foreign (trust_checked_at, id);

-- Roots that were named as trusted for certificates by others: by the operator
-- for everybody (organization_id is ''), or by an organization for itself.
CREATE TABLE trust_anchors (
    organization_id TEXT   NOT NULL,
    sha256          BYTEA  NOT NULL,
    der             BYTEA  NOT NULL,
    added_by        TEXT   NOT NULL,
    added_at        BIGINT NOT NULL,
    PRIMARY KEY (organization_id, sha256)
);
