-- +goose Up

-- Jobs of one kind and lane are done a few at a time: the mails to one domain.
-- A job that shares with nobody has its own id there.
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
UPDATE jobs SET lane = id;
CREATE INDEX jobs_lanes ON jobs (kind, lane, due_at) WHERE state = 'open';

-- What became of mails of all kinds. When each is tried next is a matter of its
-- job, whose key is the mail's id. None has a text here: that is made when the
-- mail is about to leave, and made anew when it has to leave again.
DROP INDEX mails_waiting;
ALTER TABLE mails RENAME TO code_mails;
CREATE TABLE mails (
    id         TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    about      TEXT   NOT NULL,  -- the id of an order, of a report
    number     BIGINT NOT NULL,  -- counts the mails of a kind about one thing
    unique_key TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state = 'waiting' OR state = 'sent' OR state = 'refused' OR state = 'bounced' OR state = 'void'),
    reason     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at   BIGINT,
    UNIQUE (about, kind, number),
    UNIQUE (kind, unique_key)
);
INSERT INTO mails (id, kind, about, number, unique_key, address, state, reason, created_at, ended_at)
    SELECT id, 'code', order_id, number, id, address, state, reason, created_at, ended_at FROM code_mails;
INSERT INTO jobs (id, kind, unique_key, payload, state, due_at, holder, attempts, max_attempts, last_error, created_at, lane)
    SELECT id, 'mail code', id, '', 'open', next_at, '', 0, 200, '', created_at, id FROM code_mails WHERE state = 'waiting';
DROP TABLE code_mails;
CREATE INDEX mails_waiting ON mails (kind) WHERE state = 'waiting';
