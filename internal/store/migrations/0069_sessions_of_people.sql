-- +goose Up
-- The sessions of a person end when somebody else proves the mailbox.
CREATE INDEX person_sessions_person ON person_sessions (person_id);
