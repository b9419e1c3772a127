-- Keys that their holders seal themselves come with a request for a certificate.

-- +goose Up

-- The order that the key came with; empty where the server made it. What an
-- order brought before, and got no certificate for, gives way.
ALTER TABLE recovery_escrows ADD COLUMN order_id TEXT NOT NULL DEFAULT '';
CREATE INDEX recovery_escrows_order ON recovery_escrows (order_id) WHERE order_id <> '';
