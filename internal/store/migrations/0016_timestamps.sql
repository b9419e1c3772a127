-- +goose Up

-- How far the clock of the timestamp authority has come, on any node: a clock
-- that stands before it went back.
CREATE TABLE timestamp_clock (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);
