-- Recovery officers are named by two, where two decide.

-- +goose Up

-- The officers that a change names, as JSON; empty: it names none.
ALTER TABLE pending_changes ADD COLUMN officers TEXT NOT NULL DEFAULT '';

-- A second member of the organization has confirmed the proposal. One that was
-- made before two decided there has to be made again.
ALTER TABLE recovery_quorums ADD COLUMN seconded BIGINT NOT NULL DEFAULT 0;
