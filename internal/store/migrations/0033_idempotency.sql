-- Answers of the API to requests that carry an Idempotency-Key, for a day.

-- +goose Up

CREATE TABLE api_requests (
    actor        TEXT   NOT NULL,
    request_key  TEXT   NOT NULL,
    request_hash BYTEA  NOT NULL,
    status       BIGINT NOT NULL, -- 0: it is under way, or nobody knows how it ended
    media_type   TEXT   NOT NULL,
    answer       BYTEA  NOT NULL,
    asked_at     BIGINT NOT NULL,
    PRIMARY KEY (actor, request_key)
);
CREATE INDEX api_requests_asked ON api_requests (asked_at);
