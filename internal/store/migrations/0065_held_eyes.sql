-- Where two decide, one who loses the other is not rid of the second pair of eyes at
-- once.

-- +goose Up

CREATE TABLE held_eyes (
    organization_id TEXT   PRIMARY KEY,
    held_until      BIGINT NOT NULL -- a second one confirms until then, though one is left
);
