package store

import "time"

// Operator is the one row of operators: who runs this installation.
type Operator struct {
	Name      string
	PolicyArc string // the object identifier under which the operator's policies live
	BaseURL   string // where CRLs and authority certificates are served, without a final slash
	Created   time.Time
}

// Authority is one row of authorities.
type Authority struct {
	ID          string
	Name        string // in addresses: /crl/NAME.crl
	Kind        string // root or issuing
	ParentID    string // empty for a root
	KeyURI      string
	Certificate []byte
	CRLNumber   int64 // of the last CRL
	Created     time.Time
}

// CRL is one row of crls.
type CRL struct {
	AuthorityID string
	Number      int64
	ThisUpdate  time.Time
	NextUpdate  time.Time
	DER         []byte
}

// InsertOperator writes who runs this installation, once.
func (tx *Tx) InsertOperator(o Operator) error {
	return tx.exec("operator", `INSERT INTO operators (id, name, policy_arc, base_url, created_at)
		VALUES (1, $1, $2, $3, $4) ON CONFLICT DO NOTHING`, o.Name, o.PolicyArc, o.BaseURL, unix(o.Created))
}

// Operator reads who runs this installation.
func (tx *Tx) Operator() (Operator, error) {
	return one(tx, "operator", func(s scanner) (o Operator, err error) {
		return o, s.Scan(&o.Name, &o.PolicyArc, &o.BaseURL, seconds{&o.Created})
	}, `SELECT name, policy_arc, base_url, created_at FROM operators WHERE id = 1`)
}

// InsertAuthority writes a new authority.
func (tx *Tx) InsertAuthority(a Authority) error {
	var parent any
	if a.ParentID != "" {
		parent = a.ParentID
	}
	return tx.exec("new authority", `INSERT INTO authorities
		(id, name, kind, parent_id, key_uri, certificate, crl_number, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		a.ID, a.Name, a.Kind, parent, a.KeyURI, a.Certificate, a.CRLNumber, unix(a.Created))
}

// Authorities lists all authorities, roots first.
func (tx *Tx) Authorities() ([]Authority, error) {
	return all(tx, "authorities", func(s scanner) (a Authority, err error) {
		return a, s.Scan(&a.ID, &a.Name, &a.Kind, &a.ParentID, &a.KeyURI, &a.Certificate, &a.CRLNumber, seconds{&a.Created})
	}, `SELECT id, name, kind, coalesce(parent_id, ''), key_uri, certificate, crl_number, created_at
		FROM authorities ORDER BY kind DESC, created_at, id`)
}

// NextCRLNumber takes the next number of an authority's CRLs. It rises in the
// transaction that stores the CRL, so that no number is used twice or skipped.
func (tx *Tx) NextCRLNumber(authorityID string) (int64, error) {
	return one(tx, "next CRL number", func(s scanner) (n int64, err error) { return n, s.Scan(&n) },
		`UPDATE authorities SET crl_number = crl_number + 1 WHERE id = $1 RETURNING crl_number`, authorityID)
}

// InsertCRL stores a signed CRL.
func (tx *Tx) InsertCRL(c CRL) error {
	return tx.exec("store CRL", `INSERT INTO crls (authority_id, number, this_update, next_update, der)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		c.AuthorityID, c.Number, unix(c.ThisUpdate), unix(c.NextUpdate), c.DER)
}

// LastCRL reads the CRL with the highest number.
func (tx *Tx) LastCRL(authorityID string) (CRL, error) {
	return one(tx, "CRL", func(s scanner) (c CRL, err error) {
		return c, s.Scan(&c.AuthorityID, &c.Number, seconds{&c.ThisUpdate}, seconds{&c.NextUpdate}, &c.DER)
	}, `SELECT authority_id, number, this_update, next_update, der
		FROM crls WHERE authority_id = $1 ORDER BY number DESC LIMIT 1`, authorityID)
}
