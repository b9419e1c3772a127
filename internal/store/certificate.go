package store

import "time"

// Certificate is one row of certificates: prepared (its serial is taken and the
// bytes to be signed are fixed), issued, or refused.
type Certificate struct {
	ID          string
	AuthorityID string
	Serial      []byte // big endian, no leading zero octets
	State       string
	Partition   int    // of the CRL that would name it
	OrderID     string // empty when no order asked for it
	ProfileHash []byte
	KeyHash     []byte // SHA-256 of the SubjectPublicKeyInfo
	TBS         []byte // the bytes that were or will be signed
	DER         []byte
	SHA256      []byte // of DER
	NotAfter    time.Time
	Reserved    time.Time
	Issued      time.Time
	Revoked     time.Time // zero: not revoked
	RevokedFor  int       // CRLReason of RFC 5280 §5.3.1
	Note        string    // why it was refused
}

// PrepareCertificate takes a serial number and fixes the bytes that will be
// signed; person and organization are those of the order. ErrConflict: the
// serial is taken, or the order has a certificate already, or one on its way.
func (tx *Tx) PrepareCertificate(c Certificate) error {
	var order any
	if c.OrderID != "" {
		order = c.OrderID
	}
	return tx.later("store prepared bytes", `INSERT INTO certificates
		(id, authority_id, serial, crl_partition, state, order_id, profile_hash, key_hash, tbs, reserved_at, note, person_id, organization_id)
		VALUES ($1, $2, $3, $4, 'prepared', $5, $6, $7, $8, $9, '',
			(SELECT person_id FROM orders WHERE id = $5), (SELECT organization_id FROM orders WHERE id = $5)) ON CONFLICT DO NOTHING`,
		c.ID, c.AuthorityID, c.Serial, c.Partition, order, c.ProfileHash, c.KeyHash, c.TBS, unix(c.Reserved))
}

// IssueCertificate stores the signed certificate, and when the first OCSP
// response about it is due; zero: never. Nobody answers for a responder's own,
// and the status of some is asked of a CRL alone. ErrConflict: it is not on its
// way any more, or its key has become known as compromised since. That is counted
// and not asked with EXISTS, which PostgreSQL makes a join with the whole table
// of as long as it knows little of it.
func (tx *Tx) IssueCertificate(id string, der, sha256 []byte, notAfter, now, ocsp time.Time) error {
	return tx.owe(ActIssued, tx.later("store certificate", `UPDATE certificates
		SET state = 'issued', der = $2, sha256 = $3, not_after = $4, issued_at = $5, ocsp_due = $6
		WHERE id = $1 AND state = 'prepared'
			AND (SELECT count(*) FROM distrusted_keys d WHERE d.key_hash = certificates.key_hash) = 0
			AND (SELECT count(*) FROM certificates c WHERE c.key_hash = certificates.key_hash AND c.revoked_for = 1) = 0`,
		id, der, sha256, unix(notAfter), unix(now), unix(ocsp)))
}

// RefuseCertificate ends one that was not issued; its serial stays taken.
func (tx *Tx) RefuseCertificate(id, note string) error {
	return tx.owe(ActRefused, tx.exec("refuse certificate", `UPDATE certificates SET state = 'refused', note = $2
		WHERE id = $1 AND state = 'prepared'`, id, note))
}

// RevokeCertificate marks an issued certificate as revoked, once.
func (tx *Tx) RevokeCertificate(authorityID string, serial []byte, at time.Time, reason int) error {
	return tx.owe(ActRevoked, tx.exec("revoke certificate", `UPDATE certificates SET revoked_at = $3, revoked_for = $4
		WHERE authority_id = $1 AND serial = $2 AND state = 'issued' AND revoked_at IS NULL`,
		authorityID, serial, unix(at), reason))
}

const certificateColumns = `id, authority_id, serial, crl_partition, state, coalesce(order_id, ''), profile_hash, key_hash,
	tbs, der, sha256, not_after, reserved_at, issued_at, revoked_at, coalesce(revoked_for, 0), note`

func scanCertificate(s scanner) (c Certificate, err error) {
	return c, s.Scan(&c.ID, &c.AuthorityID, &c.Serial, &c.Partition, &c.State, &c.OrderID, &c.ProfileHash, &c.KeyHash,
		&c.TBS, &c.DER, &c.SHA256, seconds{&c.NotAfter}, seconds{&c.Reserved}, seconds{&c.Issued},
		seconds{&c.Revoked}, &c.RevokedFor, &c.Note)
}

// CertificateOf reads the certificate of an order, issued or on its way.
func (tx *Tx) CertificateOf(orderID string) (Certificate, error) {
	return one(tx, "certificate of the order", scanCertificate, `SELECT `+certificateColumns+`
		FROM certificates WHERE order_id = $1 AND state <> 'refused'`, orderID)
}

// UnfinishedCertificates lists those that are neither issued nor refused.
func (tx *Tx) UnfinishedCertificates() ([]Certificate, error) {
	return all(tx, "unfinished certificates", scanCertificate, `SELECT `+certificateColumns+`
		FROM certificates WHERE state = 'prepared' ORDER BY reserved_at, id`)
}

// CertificateID finds an issued certificate by its serial number.
func (tx *Tx) CertificateID(authorityID string, serial []byte) (string, error) {
	return one(tx, "certificate", scanString,
		`SELECT id FROM certificates WHERE authority_id = $1 AND serial = $2 AND state = 'issued'`, authorityID, serial)
}

// CertificateDER reads the bytes of an issued certificate.
func (tx *Tx) CertificateDER(id string) ([]byte, error) {
	return one(tx, "certificate", func(s scanner) (der []byte, err error) { return der, s.Scan(&der) },
		`SELECT der FROM certificates WHERE id = $1 AND state = 'issued'`, id)
}
