-- What accounts may do. A role is of one organization, or of the whole
-- installation where organization_id is empty.

-- +goose Up

CREATE TABLE role_grants (
    administrator_id TEXT   NOT NULL REFERENCES administrators (id),
    role             TEXT   NOT NULL CHECK (role IN ('operator', 'validator', 'auditor', 'administrator', 'approver', 'recovery-officer')),
    organization_id  TEXT   NOT NULL,
    granted_by       TEXT   NOT NULL, -- as the audit log names who did; empty: this migration
    granted_at       BIGINT NOT NULL,
    PRIMARY KEY (administrator_id, role, organization_id)
);
CREATE INDEX role_grants_organization ON role_grants (organization_id, role);

-- Separation of duties: who has role gets no other. Each pair stands here both
-- ways round.
CREATE TABLE role_conflicts (
    role  TEXT NOT NULL,
    other TEXT NOT NULL,
    PRIMARY KEY (role, other)
);
INSERT INTO role_conflicts (role, other) VALUES
    ('auditor', 'operator'), ('operator', 'auditor'),
    ('auditor', 'validator'), ('validator', 'auditor'),
    ('auditor', 'administrator'), ('administrator', 'auditor'),
    ('auditor', 'approver'), ('approver', 'auditor'),
    ('auditor', 'recovery-officer'), ('recovery-officer', 'auditor'),
    ('operator', 'recovery-officer'), ('recovery-officer', 'operator');

-- Until now every administrator was an operator.
INSERT INTO role_grants (administrator_id, role, organization_id, granted_by, granted_at)
    SELECT id, 'operator', '', '', created_at FROM administrators;

-- How a session was opened, and whether that took more than a password.
ALTER TABLE administrator_sessions ADD COLUMN method TEXT NOT NULL DEFAULT 'password';
ALTER TABLE administrator_sessions ADD COLUMN strong BIGINT NOT NULL DEFAULT 0;
