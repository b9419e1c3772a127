package store

import "time"

// TrustAnchor is one row of trust_anchors: a root that is trusted for
// certificates by others.
type TrustAnchor struct {
	OrganizationID string // empty: the operator's, for everybody
	SHA256         []byte
	DER            []byte
	AddedBy        string
	Added          time.Time
}

// InsertTrustAnchor writes a new one; ErrConflict when it is there.
func (tx *Tx) InsertTrustAnchor(a TrustAnchor) error {
	return tx.owe(ActAnchor, tx.exec("trust anchor", `INSERT INTO trust_anchors (organization_id, sha256, der, added_by, added_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, a.OrganizationID, a.SHA256, a.DER, a.AddedBy, unix(a.Added)))
}

// DeleteTrustAnchor takes one away; ErrConflict when there is none.
func (tx *Tx) DeleteTrustAnchor(organizationID string, sha256 []byte) error {
	return tx.owe(ActAnchorRemoved, tx.exec("trust anchor", `DELETE FROM trust_anchors
		WHERE organization_id = $1 AND sha256 = $2`, organizationID, sha256))
}

// TrustAnchors lists those of an organization, or the operator's ("").
func (tx *Tx) TrustAnchors(organizationID string) ([]TrustAnchor, error) {
	return all(tx, "trust anchors", func(s scanner) (a TrustAnchor, err error) {
		return a, s.Scan(&a.OrganizationID, &a.SHA256, &a.DER, &a.AddedBy, seconds{&a.Added})
	}, `SELECT organization_id, sha256, der, added_by, added_at FROM trust_anchors
		WHERE organization_id = $1 ORDER BY added_at, sha256`, organizationID)
}

// ForeignTrust is where the chain of a certificate by somebody else leads.
type ForeignTrust struct {
	Trust   string // server, organization, or empty: nowhere
	Problem string // a word, where it is empty
	Detail  string
	Checked time.Time // zero: it is to be looked at
}

func (t ForeignTrust) checked() int64 {
	if t.Checked.IsZero() {
		return 0
	}
	return t.Checked.Unix()
}

// SetForeignTrust writes where the chain of one leads, as it was read. It is not
// written where somebody has looked since, or the chain is another by now.
func (tx *Tx) SetForeignTrust(read ForeignCertificate, t ForeignTrust) (written bool, err error) {
	n, err := tx.execCount("trust in a certificate by somebody else", `UPDATE certificates_foreign
		SET trust = $2, trust_problem = $3, trust_detail = $4, trust_checked_at = $5
		WHERE id = $1 AND chain = $6 AND trust = $7 AND trust_checked_at = $8`,
		read.ID, t.Trust, t.Problem, t.Detail, t.checked(), append([]byte{}, read.Chain...), read.Trust, read.checked())
	return n > 0, err
}

// ForeignCertificateBySHA256 reads one of an organization.
func (tx *Tx) ForeignCertificateBySHA256(organizationID string, sha256 []byte) (ForeignCertificate, error) {
	return one(tx, "certificate by somebody else", scanForeign, `SELECT `+foreignColumns+`
		FROM certificates_foreign WHERE organization_id = $1 AND sha256 = $2`, organizationID, sha256)
}

// CompleteForeign gives a certificate that led nowhere the chain that leads
// somewhere. ErrConflict: it is trusted already.
func (tx *Tx) CompleteForeign(id string, chain []byte, t ForeignTrust) error {
	return tx.owe(ActForeign, tx.exec("chain of a certificate by somebody else", `UPDATE certificates_foreign
		SET chain = $2, trust = $3, trust_problem = $4, trust_detail = $5, trust_checked_at = $6 WHERE id = $1 AND trust = ''`,
		id, chain, t.Trust, t.Problem, t.Detail, t.checked()))
}

// DoubtForeign takes back what was found about the chains of an organization's
// certificates, or everybody's (""): they are to be looked at again. Unless all,
// only about those that led nowhere.
func (tx *Tx) DoubtForeign(organizationID string, all bool) error {
	query := `UPDATE certificates_foreign SET trust = '', trust_problem = 'unchecked', trust_detail = '', trust_checked_at = 0
		WHERE ($1 = '' OR organization_id = $1)`
	if !all {
		query += ` AND trust = ''`
	}
	_, err := tx.execCount("certificates by somebody else", query, organizationID)
	return err
}

// ForeignToJudge lists up to limit certificates by others that have not ended and
// whose chains were last looked at before a time, of an organization or of
// everybody ("").
func (tx *Tx) ForeignToJudge(organizationID string, before, now time.Time, limit int) ([]ForeignCertificate, error) {
	return all(tx, "certificates by somebody else", scanForeign, `SELECT `+foreignColumns+` FROM certificates_foreign
		WHERE trust_checked_at < $2 AND not_after > $3 AND ($1 = '' OR organization_id = $1)
		ORDER BY trust_checked_at, id LIMIT $4`, organizationID, unix(before), unix(now), limit)
}
