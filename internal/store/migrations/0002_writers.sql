-- +goose Up

-- The one row that a transaction locks before it changes anything where the
-- engine lets several write at once: writers of all nodes queue here.
CREATE TABLE writers (
    id BIGINT PRIMARY KEY CHECK (id = 1)
);
INSERT INTO writers (id) VALUES (1);
