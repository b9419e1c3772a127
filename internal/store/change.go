package store

import "time"

// Acts that the log must say of changes that wait for a second member.
const (
	ActChangeAsked     = "change.asked"
	ActChangeConfirmed = "change.confirmed"
	ActChangeRefused   = "change.refused"
)

// PendingChange is one row of pending_changes.
type PendingChange struct {
	ID             string
	OrganizationID string
	Kind           string
	Role           string // empty: it is about none
	AccountID      string // whose role; empty: of nobody who has an account
	Email          string // who is invited; empty: nobody
	Language       string
	Officers       string // JSON: who is named to hold shares; empty: nobody
	AskedBy        string // id of the account
	Asked          time.Time
	Expires        time.Time
}

const pendingChangeColumns = `id, organization_id, kind, role, account_id, email, language, officers, asked_by, asked_at, expires_at`

func scanPendingChange(s scanner) (c PendingChange, err error) {
	return c, s.Scan(&c.ID, &c.OrganizationID, &c.Kind, &c.Role, &c.AccountID, &c.Email, &c.Language, &c.Officers, &c.AskedBy,
		seconds{&c.Asked}, seconds{&c.Expires})
}

// InsertPendingChange writes a new one, and drops those that ended. The log must
// say so.
func (tx *Tx) InsertPendingChange(c PendingChange) error {
	if _, err := tx.execCount("forget changes", `DELETE FROM pending_changes WHERE expires_at <= $1`, unix(c.Asked)); err != nil {
		return err
	}
	return tx.owe(ActChangeAsked, tx.exec("new change", `INSERT INTO pending_changes (`+pendingChangeColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		c.ID, c.OrganizationID, c.Kind, c.Role, c.AccountID, c.Email, c.Language, c.Officers, c.AskedBy, unix(c.Asked), unix(c.Expires)))
}

// PendingChange reads one that has not ended.
func (tx *Tx) PendingChange(id string, now time.Time) (PendingChange, error) {
	return one(tx, "change", scanPendingChange, `SELECT `+pendingChangeColumns+` FROM pending_changes
		WHERE id = $1 AND expires_at > $2`, id, unix(now))
}

// PendingChanges lists those of an organization that have not ended.
func (tx *Tx) PendingChanges(organizationID string, now time.Time) ([]PendingChange, error) {
	return all(tx, "changes", scanPendingChange, `SELECT `+pendingChangeColumns+` FROM pending_changes
		WHERE organization_id = $1 AND expires_at > $2 ORDER BY asked_at, id`, organizationID, unix(now))
}

// PendingChangesAbout lists those of a kind that are about an account and have not
// ended.
func (tx *Tx) PendingChangesAbout(account, kind string, now time.Time) ([]PendingChange, error) {
	return all(tx, "changes about an account", scanPendingChange, `SELECT `+pendingChangeColumns+` FROM pending_changes
		WHERE account_id = $1 AND kind = $2 AND expires_at > $3 ORDER BY asked_at, id`, account, kind, unix(now))
}

// TakePendingChange ends one; ErrConflict when it is gone. The log must say act.
func (tx *Tx) TakePendingChange(id, act string) error {
	return tx.owe(act, tx.exec("change", `DELETE FROM pending_changes WHERE id = $1`, id))
}

// HoldEyes has a second one confirm what one asks for in an organization until
// then, though one is left who decides.
func (tx *Tx) HoldEyes(organizationID string, until time.Time) error {
	return tx.exec("hold eyes", `INSERT INTO held_eyes (organization_id, held_until) VALUES ($1, $2)
		ON CONFLICT (organization_id) DO UPDATE SET held_until = excluded.held_until`, organizationID, unix(until))
}

// EyesHeld tells until when that is so, zero where it is not.
func (tx *Tx) EyesHeld(organizationID string, now time.Time) (until time.Time, err error) {
	list, err := all(tx, "held eyes", func(s scanner) (at time.Time, err error) { return at, s.Scan(seconds{&at}) },
		`SELECT held_until FROM held_eyes WHERE organization_id = $1 AND held_until > $2`, organizationID, unix(now))
	if err == nil && len(list) > 0 {
		until = list[0]
	}
	return until, err
}
