package store

import (
	"fmt"
	"time"
)

// Organization is one row of organizations. Standings: applied, active,
// suspended, closed.
type Organization struct {
	ID         string
	Name       string // the legal name in Latin letters
	LocalName  string // in its own script; may be empty
	Country    string // ISO 3166-1
	State      string
	Locality   string
	Identifier string // organizationIdentifier, or empty
	Standing   string
	Settings   string // JSON, see internal/registration
	CreatedBy  string
	Created    time.Time
}

// InsertOrganization writes a new organization.
func (tx *Tx) InsertOrganization(o Organization) error {
	return tx.owe(ActOrganization, tx.exec("new organization", `INSERT INTO organizations
		(id, name, local_name, country, state, locality, identifier, standing, settings, created_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		o.ID, o.Name, o.LocalName, o.Country, o.State, o.Locality, o.Identifier, o.Standing, o.Settings, o.CreatedBy, unix(o.Created)))
}

const organizationColumns = `id, name, local_name, country, state, locality, identifier, standing, settings, created_by, created_at`

func scanOrganization(s scanner) (o Organization, err error) {
	return o, s.Scan(&o.ID, &o.Name, &o.LocalName, &o.Country, &o.State, &o.Locality, &o.Identifier, &o.Standing,
		&o.Settings, &o.CreatedBy, seconds{&o.Created})
}

// Organization reads one organization.
func (tx *Tx) Organization(id string) (Organization, error) {
	return one(tx, "organization", scanOrganization, `SELECT `+organizationColumns+` FROM organizations WHERE id = $1`, id)
}

// Organizations reads up to limit organizations in the order of their making,
// those after the one of that time and name. Standing "": of any.
func (tx *Tx) Organizations(standing string, after time.Time, afterID string, limit int) ([]Organization, error) {
	return all(tx, "organizations", scanOrganization, `SELECT `+organizationColumns+` FROM organizations
		WHERE (created_at, id) > ($1, $2) AND ($3 = '' OR standing = $3) ORDER BY created_at, id LIMIT $4`,
		after.Unix(), afterID, standing, limit)
}

// SetOrganizationNames changes what an organization is called; what was proven
// about the old names is not about the new ones.
func (tx *Tx) SetOrganizationNames(o Organization) error {
	return tx.owe(ActOrganizationChanged, tx.exec("names of an organization", `UPDATE organizations
		SET name = $2, local_name = $3, country = $4, state = $5, locality = $6, identifier = $7 WHERE id = $1`,
		o.ID, o.Name, o.LocalName, o.Country, o.State, o.Locality, o.Identifier))
}

// SetOrganizationSettings replaces the settings.
func (tx *Tx) SetOrganizationSettings(id, settings string) error {
	return tx.owe(ActOrganizationChanged, tx.exec("settings of an organization",
		`UPDATE organizations SET settings = $2 WHERE id = $1`, id, settings))
}

// SetOrganizationStanding moves an organization from one standing to another.
func (tx *Tx) SetOrganizationStanding(id, from, to string) error {
	return tx.owe(ActOrganizationChanged, tx.exec("standing of an organization",
		`UPDATE organizations SET standing = $3 WHERE id = $1 AND standing = $2`, id, from, to))
}

// Agreement is one row of agreements.
type Agreement struct {
	Version string
	EN, JA  string
	Since   time.Time
}

// KeepAgreement keeps a text that somebody read; the same one again is no error.
func (tx *Tx) KeepAgreement(a Agreement) error {
	_, err := tx.execCount("agreement", `INSERT INTO agreements (version, en, ja, since) VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, a.Version, a.EN, a.JA, unix(a.Since))
	return err
}

// Agreement reads a text as it was.
func (tx *Tx) Agreement(version string) (Agreement, error) {
	return one(tx, "agreement", func(s scanner) (a Agreement, err error) {
		return a, s.Scan(&a.Version, &a.EN, &a.JA, seconds{&a.Since})
	}, `SELECT version, en, ja, since FROM agreements WHERE version = $1`, version)
}

// AgreementAcceptance is one row of agreement_acceptances.
type AgreementAcceptance struct {
	OrganizationID string
	Version        string
	AccountID      string
	At             time.Time
}

// AcceptAgreement writes that an organization accepted a version, once.
func (tx *Tx) AcceptAgreement(a AgreementAcceptance) error {
	return tx.owe(ActAgreement, tx.exec("accept the agreement", `INSERT INTO agreement_acceptances
		(organization_id, version, account_id, accepted_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		a.OrganizationID, a.Version, a.AccountID, unix(a.At)))
}

// AgreementAcceptances lists those of an organization, the newest first.
func (tx *Tx) AgreementAcceptances(organizationID string) ([]AgreementAcceptance, error) {
	return all(tx, fmt.Sprintf("agreements of organization %s", organizationID), func(s scanner) (a AgreementAcceptance, err error) {
		return a, s.Scan(&a.OrganizationID, &a.Version, &a.AccountID, seconds{&a.At})
	}, `SELECT organization_id, version, account_id, accepted_at FROM agreement_acceptances
		WHERE organization_id = $1 ORDER BY accepted_at DESC, version DESC`, organizationID)
}
