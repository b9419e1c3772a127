-- What one member of an organization asked for and another has yet to confirm.

-- +goose Up

CREATE TABLE pending_changes (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL,
    kind            TEXT   NOT NULL, -- approval-off, invite, give, take
    role            TEXT   NOT NULL, -- that is given or taken back, or empty
    account_id      TEXT   NOT NULL, -- whose role, or empty
    email           TEXT   NOT NULL, -- who is invited, or empty
    language        TEXT   NOT NULL, -- of the mail that invites, or empty
    asked_by        TEXT   NOT NULL, -- id of the account
    asked_at        BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL
);
CREATE INDEX pending_changes_organization ON pending_changes (organization_id);
