package store

import "time"

// CountEnding counts an organization's unrevoked certificates that end in a span
// of time.
func (tx *Tx) CountEnding(organizationID string, from, before time.Time) (int64, error) {
	return one(tx, "certificates that end", scanInt, `SELECT
		(SELECT count(*) FROM certificates WHERE organization_id = $1 AND state = 'issued' AND revoked_at IS NULL
			AND not_after >= $2 AND not_after < $3)
		+ (SELECT count(*) FROM certificates_foreign WHERE organization_id = $1 AND revoked_at IS NULL
			AND not_after >= $2 AND not_after < $3)`, organizationID, unix(from), unix(before))
}
