package store

import "time"

// Ending is a certificate that ends, of ours or imported, and has no successor.
type Ending struct {
	ID             string
	Serial         []byte
	NotAfter       time.Time
	PersonID       string
	OrganizationID string // empty: nobody's but the person's
	Use            string
	Address        string
	Name           string
	Language       string
}

// The certificates that somebody holds, that are not revoked, end between $1 and
// $2, and that no later one of the same person, for the same use and address,
// has replaced. Who left an organization is not spoken of.
const endings = `SELECT c.id, c.serial, c.not_after, c.person_id, coalesce(c.organization_id, '') AS organization_id,
		coalesce(o.key_use, 'dual') AS key_use, coalesce(a.address, b.address) AS address, p.name, p.language
	FROM (SELECT id, serial, not_after, person_id, organization_id, order_id, revoked_at FROM certificates
			WHERE state = 'issued' AND revoked_at IS NULL AND person_id IS NOT NULL AND not_after > $1 AND not_after <= $2
		UNION ALL SELECT id, serial, not_after, person_id, organization_id, order_id, revoked_at FROM certificates_foreign
			WHERE revoked_at IS NULL AND not_after > $1 AND not_after <= $2) c
	JOIN people p ON p.id = c.person_id
	LEFT JOIN orders o ON o.id = c.order_id
	LEFT JOIN order_mailboxes a ON a.order_id = c.order_id AND a.position = 0
	LEFT JOIN member_mailboxes b ON b.organization_id = c.organization_id AND b.person_id = c.person_id AND b.position = 0
	WHERE coalesce(a.address, b.address) IS NOT NULL
		AND (c.organization_id IS NULL OR EXISTS (SELECT 1 FROM memberships m
			WHERE m.organization_id = c.organization_id AND m.person_id = c.person_id AND m.until IS NULL))
		AND NOT EXISTS (SELECT 1 FROM certificates d JOIN orders q ON q.id = d.order_id
			JOIN order_mailboxes x ON x.order_id = d.order_id AND x.position = 0
			WHERE d.person_id = c.person_id AND d.state = 'issued' AND d.revoked_at IS NULL AND d.not_after > c.not_after
			AND q.key_use = coalesce(o.key_use, 'dual') AND x.address = coalesce(a.address, b.address))`

func scanEnding(s scanner) (e Ending, err error) {
	return e, s.Scan(&e.ID, &e.Serial, seconds{&e.NotAfter}, &e.PersonID, &e.OrganizationID, &e.Use, &e.Address, &e.Name, &e.Language)
}

// EndingCertificates lists those of everybody by their names, after one of them.
func (tx *Tx) EndingCertificates(from, to time.Time, after string, limit int) ([]Ending, error) {
	return all(tx, "certificates that end", scanEnding, endings+` AND c.id > $3 ORDER BY c.id LIMIT $4`, from.Unix(), to.Unix(), after, limit)
}

// EndingCertificate reads one of them, or says ErrNotFound: it was renewed,
// revoked, or is over.
func (tx *Tx) EndingCertificate(id string, now time.Time) (Ending, error) {
	return one(tx, "certificate that ends", scanEnding, endings+` AND c.id = $3`, now.Unix(), now.AddDate(100, 0, 0).Unix(), id)
}

// CertificatesToRenew lists those of an organization that no open order is to
// replace, the next to end first.
func (tx *Tx) CertificatesToRenew(organizationID string, from, to time.Time, limit int) ([]Ending, error) {
	return all(tx, "certificates to renew", scanEnding, endings+` AND c.organization_id = $3
		AND NOT EXISTS (SELECT 1 FROM orders r WHERE r.replaces = c.id AND r.state IN ('applied', 'proven') AND r.expires_at > $1)
		ORDER BY c.not_after, c.id LIMIT $4`, from.Unix(), to.Unix(), organizationID, limit)
}

// OrganizationsWithEnds names the active organizations that have certificates
// which end in a span of time.
func (tx *Tx) OrganizationsWithEnds(from, to time.Time) ([]string, error) {
	return all(tx, "organizations with certificates that end", scanString, `SELECT g.id FROM organizations g WHERE g.standing = 'active' AND
		(EXISTS (SELECT 1 FROM certificates c WHERE c.organization_id = g.id AND c.state = 'issued' AND c.revoked_at IS NULL AND c.not_after > $1 AND c.not_after <= $2)
		OR EXISTS (SELECT 1 FROM certificates_foreign c WHERE c.organization_id = g.id AND c.revoked_at IS NULL AND c.not_after > $1 AND c.not_after <= $2))
		ORDER BY g.id`, from.Unix(), to.Unix())
}

// ValidCertificatesOf names the certificates of a person in an organization that
// are good now. The person is to lead to them, see ofMember.
func (tx *Tx) ValidCertificatesOf(organizationID, personID string, now time.Time) ([]string, error) {
	return all(tx, "valid certificates of a member", scanString, `SELECT id FROM certificates
			WHERE coalesce(organization_id, '') = $1 AND person_id = $2 AND state = 'issued' AND revoked_at IS NULL AND not_after > $3
		UNION ALL SELECT id FROM certificates_foreign
			WHERE coalesce(organization_id, '') = $1 AND person_id = $2 AND revoked_at IS NULL AND not_after > $3`, organizationID, personID, now.Unix())
}

// InsertReminder writes that a reminder was queued. ErrConflict: it was already.
func (tx *Tx) InsertReminder(certificateID string, days int, now time.Time) error {
	return tx.exec("reminder", `INSERT INTO reminders (certificate_id, days, queued_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, certificateID, days, unix(now))
}
