package store

import "time"

// Acts that the log must say of accounts.
const (
	ActInvited        = "account.invited"
	ActAccountRemoved = "account.removed"
	ActAccountReset   = "account.reset"
)

// Invitation is one row of invitations.
type Invitation struct {
	ID             string
	Email          string
	EmailKey       string
	Role           string
	OrganizationID string
	Language       string
	InvitedBy      string // as the audit log names who did
	CodeHash       []byte // nil until the mail has left
	Created        time.Time
	Expires        time.Time
	Confirmed      bool // by a second member of the organization
}

const invitationColumns = `id, email, email_key, role, organization_id, language, invited_by, code_hash, created_at, expires_at, confirmed`

func scanInvitation(s scanner) (i Invitation, err error) {
	return i, s.Scan(&i.ID, &i.Email, &i.EmailKey, &i.Role, &i.OrganizationID, &i.Language, &i.InvitedBy, &i.CodeHash,
		seconds{&i.Created}, seconds{&i.Expires}, &i.Confirmed)
}

// InsertInvitation writes a new invitation, and drops those that ended. The log
// must say so.
func (tx *Tx) InsertInvitation(i Invitation) error {
	if _, err := tx.execCount("forget invitations", `DELETE FROM invitations WHERE expires_at <= $1`, unix(i.Created)); err != nil {
		return err
	}
	return tx.owe(ActInvited, tx.exec("new invitation", `INSERT INTO invitations (`+invitationColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		i.ID, i.Email, i.EmailKey, i.Role, i.OrganizationID, i.Language, i.InvitedBy, i.CodeHash, unix(i.Created), unix(i.Expires), flag(i.Confirmed)))
}

// Invitation reads one.
func (tx *Tx) Invitation(id string) (Invitation, error) {
	return one(tx, "invitation", scanInvitation, `SELECT `+invitationColumns+` FROM invitations WHERE id = $1`, id)
}

// InvitationByCode reads the one whose mail had a code, if it has not ended.
func (tx *Tx) InvitationByCode(hash []byte, now time.Time) (Invitation, error) {
	return one(tx, "invitation", scanInvitation, `SELECT `+invitationColumns+` FROM invitations
		WHERE code_hash = $1 AND expires_at > $2`, hash, unix(now))
}

// SetInvitationCode writes the code that is about to leave; an older one is void.
func (tx *Tx) SetInvitationCode(id string, hash []byte) error {
	return tx.exec("code of the invitation", `UPDATE invitations SET code_hash = $2 WHERE id = $1`, id, hash)
}

// TakeInvitation ends an invitation; ErrConflict when it is gone.
func (tx *Tx) TakeInvitation(id string) error {
	return tx.exec("invitation", `DELETE FROM invitations WHERE id = $1`, id)
}

// Invitations lists those of an organization, or of the whole installation when
// it is empty, that have not ended.
func (tx *Tx) Invitations(organizationID string, now time.Time) ([]Invitation, error) {
	return all(tx, "invitations", scanInvitation, `SELECT `+invitationColumns+` FROM invitations
		WHERE organization_id = $1 AND expires_at > $2 ORDER BY created_at, id`, organizationID, unix(now))
}
