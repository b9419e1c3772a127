-- +goose Up

-- Lists of people that were checked and wait for a yes, until they expire. Each
-- account has one in an organization. The content is what the check found,
-- compressed.
CREATE TABLE run_previews (
    id              TEXT   PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id),
    account_id      TEXT   NOT NULL,
    content         BYTEA  NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    UNIQUE (organization_id, account_id)
);
CREATE INDEX run_previews_over ON run_previews (expires_at);
