-- +goose Up

-- Mails that carry a code. None is kept: its text, and with it the code, is made
-- when it is about to leave, and made anew when it has to leave again.
CREATE TABLE mails (
    id         TEXT   PRIMARY KEY,
    order_id   TEXT   NOT NULL REFERENCES orders (id),
    number     BIGINT NOT NULL,
    address    TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('waiting', 'sent', 'refused', 'bounced', 'void')),
    tries      BIGINT NOT NULL,
    reason     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    ended_at   BIGINT,
    UNIQUE (order_id, number)
);
CREATE INDEX mails_waiting ON mails (next_at) WHERE state = 'waiting';
