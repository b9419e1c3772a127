-- +goose Up

-- What is still to be done, written in the transaction of what asked for it. A
-- job may be taken when due_at has come: at first its run-after time, while a
-- node works on it the end of the node's lease, later the time of the next try.
CREATE TABLE jobs (
    id           TEXT   PRIMARY KEY,
    kind         TEXT   NOT NULL,
    unique_key   TEXT   NOT NULL,
    payload      BYTEA  NOT NULL,
    state        TEXT   NOT NULL CHECK (state = 'open' OR state = 'done' OR state = 'dead'),
    due_at       BIGINT NOT NULL,
    holder       TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    last_error   TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    UNIQUE (kind, unique_key)
);
CREATE INDEX jobs_due ON jobs (kind, due_at) WHERE state = 'open';
CREATE INDEX jobs_held ON jobs (holder) WHERE state = 'open' AND holder <> '';
CREATE INDEX jobs_dead ON jobs (finished_at) WHERE state = 'dead';
CREATE INDEX jobs_done ON jobs (finished_at) WHERE state = 'done';

-- Kinds of jobs that no node takes for now.
CREATE TABLE job_pauses (
    kind      TEXT   PRIMARY KEY,
    paused_at BIGINT NOT NULL
);
