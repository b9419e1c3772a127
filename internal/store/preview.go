package store

import "time"

// RunPreview is one row of run_previews.
type RunPreview struct {
	ID             string
	OrganizationID string
	AccountID      string // who made it
	Content        []byte
	Created        time.Time
	Expires        time.Time
}

// KeepRunPreview writes a preview in the place of the account's earlier one in the
// organization, and of the oldest where the organization would have more than most.
func (tx *Tx) KeepRunPreview(p RunPreview, most int) error {
	if _, err := tx.execCount("earlier preview", `DELETE FROM run_previews WHERE organization_id = $1 AND account_id = $2`,
		p.OrganizationID, p.AccountID); err != nil {
		return err
	}
	if _, err := tx.execCount("oldest previews", `DELETE FROM run_previews WHERE organization_id = $1 AND id NOT IN
		(SELECT id FROM run_previews WHERE organization_id = $1 ORDER BY created_at DESC, id LIMIT $2)`, p.OrganizationID, most-1); err != nil {
		return err
	}
	return tx.exec("preview", `INSERT INTO run_previews (id, organization_id, account_id, content, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`, p.ID, p.OrganizationID, p.AccountID, p.Content, unix(p.Created), unix(p.Expires))
}

// RunPreview reads an account's preview that is not over.
func (tx *Tx) RunPreview(organizationID, accountID, id string, now time.Time) (RunPreview, error) {
	return one(tx, "preview", func(s scanner) (p RunPreview, err error) {
		return p, s.Scan(&p.ID, &p.OrganizationID, &p.AccountID, &p.Content, seconds{&p.Created}, seconds{&p.Expires})
	}, `SELECT id, organization_id, account_id, content, created_at, expires_at FROM run_previews
		WHERE id = $3 AND organization_id = $1 AND account_id = $2 AND expires_at > $4`, organizationID, accountID, id, unix(now))
}

// TakeRunPreview uses a preview up. ErrConflict: somebody was faster.
func (tx *Tx) TakeRunPreview(id string) error {
	return tx.exec("take preview", `DELETE FROM run_previews WHERE id = $1`, id)
}

// ForgetRunPreviews erases those that are over.
func (tx *Tx) ForgetRunPreviews(now time.Time) error {
	_, err := tx.execCount("previews that are over", `DELETE FROM run_previews WHERE expires_at <= $1`, unix(now))
	return err
}
