-- +goose Up

-- Whose certificates were revoked, without looking at any other.
DROP INDEX certificates_withdrawn;
CREATE INDEX certificates_withdrawn ON certificates (organization_id, revoked_at, person_id)
    WHERE organization_id IS NOT NULL AND revoked_at IS NOT NULL;
CREATE INDEX certificates_foreign_withdrawn ON certificates_foreign (organization_id, person_id) WHERE revoked_at IS NOT NULL;
