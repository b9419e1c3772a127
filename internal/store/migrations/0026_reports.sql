-- +goose Up

-- Certificate problem reports (S/MIME BR §4.9.3, §4.9.5): from anybody, about
-- any certificate of ours. Times are when they came, and what became of them.
CREATE TABLE problem_reports (
    id          TEXT   PRIMARY KEY,
    received_at BIGINT NOT NULL,
    problem     TEXT   NOT NULL,
    serial      BYTEA,             -- NULL: the report names none
    reporter    TEXT   NOT NULL,   -- a mail address, or empty
    language    TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    proven      BIGINT NOT NULL,   -- 1: with the key itself, or signed by it
    mailed_at   BIGINT,            -- to the operator
    answered_at BIGINT,            -- to whoever reported
    answer      TEXT   NOT NULL,
    closed_at   BIGINT,
    outcome     TEXT   NOT NULL CHECK (outcome IN ('', 'revoked', 'kept'))
);
CREATE INDEX problem_reports_open ON problem_reports (received_at) WHERE closed_at IS NULL;
CREATE INDEX problem_reports_unmailed ON problem_reports (received_at) WHERE mailed_at IS NULL;
