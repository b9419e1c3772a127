package store

import "time"

// StatusChange is one row of status_changes: a certificate's standing became
// another one. Seq rises in the order of commits.
type StatusChange struct {
	Seq         int64
	AuthorityID string
	Partition   int // of the CRL
	Serial      []byte
}

func scanStatusChange(s scanner) (c StatusChange, err error) {
	return c, s.Scan(&c.Seq, &c.AuthorityID, &c.Partition, &c.Serial)
}

// AddStatusChange writes that a certificate's standing has changed, drops what
// was signed about it and makes its OCSP response due.
func (tx *Tx) AddStatusChange(authorityID string, serial []byte, at time.Time) (c StatusChange, err error) {
	seq, err := one(tx, "status change", scanInt, `UPDATE status_counter SET seq = seq + 1 WHERE id = 1 RETURNING seq`)
	if err != nil {
		return c, err
	}
	partition, err := one(tx, "status change", scanInt, `UPDATE certificates SET ocsp_due = 0
		WHERE authority_id = $1 AND serial = $2 RETURNING crl_partition`, authorityID, serial)
	if err != nil {
		return c, err
	}
	c = StatusChange{seq, authorityID, int(partition), serial}
	if err := tx.exec("status change", `INSERT INTO status_changes (seq, authority_id, crl_partition, serial, at)
		VALUES ($1, $2, $3, $4, $5)`, c.Seq, c.AuthorityID, c.Partition, c.Serial, unix(at)); err != nil {
		return c, err
	}
	_, err = tx.execCount("drop OCSP response", `DELETE FROM ocsp_responses WHERE authority_id = $1 AND serial = $2`, authorityID, serial)
	return c, err
}

func scanInt(s scanner) (n int64, err error) { return n, s.Scan(&n) }

// LastStatusChange is the number of the newest change, 0 when there was none.
func (tx *Tx) LastStatusChange() (int64, error) {
	return one(tx, "last status change", scanInt, `SELECT seq FROM status_counter WHERE id = 1`)
}

// LastStatusChangeIn is the same for one partition of an authority's CRL.
func (tx *Tx) LastStatusChangeIn(authorityID string, partition int) (int64, error) {
	return one(tx, "last status change", scanInt, `SELECT coalesce(max(seq), 0) FROM status_changes
		WHERE authority_id = $1 AND crl_partition = $2`, authorityID, partition)
}

// StatusChanges lists the changes after seq, oldest first, at most limit of them.
func (tx *Tx) StatusChanges(seq int64, limit int) ([]StatusChange, error) {
	return all(tx, "status changes", scanStatusChange, `SELECT seq, authority_id, crl_partition, serial
		FROM status_changes WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
}
