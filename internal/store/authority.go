package store

import (
	"cmp"
	"strings"
	"time"
)

// Operator is the one row of operators: who runs this installation.
type Operator struct {
	Name      string
	PolicyArc string // the object identifier under which the operator's policies live
	BaseURL   string // where CRLs and authority certificates are served, without a final slash
	Created   time.Time
}

// Authority is one row of authorities: one key of an authority.
type Authority struct {
	ID          string
	Name        string // in addresses: /crl/NAME.crl
	Line        string // what all keys of the authority have in common; empty: Name
	Generation  int64  // which of these keys; 0: the first, 1
	Kind        string // root or issuing
	State       string // active or retired; empty: active
	ParentID    string // empty for a root
	KeyURI      string // empty where the key is elsewhere
	Certificate []byte
	Domains     []string // of mail that it may certify; none: any
	Types       []string // of certificates that it issues; none: any
	Partitions  int      // of its CRL, named in its certificates; 0: one
	CRLNumber   int64    // of the last CRL
	Created     time.Time
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

// InsertAuthority writes a new authority. ErrConflict: its name is taken, or its
// line has an active key.
func (tx *Tx) InsertAuthority(a Authority) error {
	var parent any
	if a.ParentID != "" {
		parent = a.ParentID
	}
	return tx.owe(ActAuthority, tx.exec("new authority", `INSERT INTO authorities
		(id, name, line, generation, kind, state, parent_id, key_uri, certificate, domains, types,
		crl_partitions, crl_number, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`,
		a.ID, a.Name, cmp.Or(a.Line, a.Name), max(a.Generation, 1), a.Kind, cmp.Or(a.State, "active"), parent, a.KeyURI,
		a.Certificate, strings.Join(a.Domains, " "), strings.Join(a.Types, " "), max(a.Partitions, 1),
		a.CRLNumber, unix(a.Created)))
}

// RetireAuthority ends the issuing of the line's active key. ErrConflict: there
// is none.
func (tx *Tx) RetireAuthority(line string) error {
	return tx.owe(ActAuthorityRetired, tx.exec("retire authority", `UPDATE authorities SET state = 'retired'
		WHERE line = $1 AND state = 'active'`, line))
}

// Authorities lists all authorities, roots first, each line from its newest key
// to its oldest.
func (tx *Tx) Authorities() ([]Authority, error) {
	return all(tx, "authorities", func(s scanner) (a Authority, err error) {
		var domains, types string
		err = s.Scan(&a.ID, &a.Name, &a.Line, &a.Generation, &a.Kind, &a.State, &a.ParentID, &a.KeyURI, &a.Certificate,
			&domains, &types, &a.Partitions, &a.CRLNumber, seconds{&a.Created})
		a.Domains, a.Types = strings.Fields(domains), strings.Fields(types)
		return a, err
	}, `SELECT id, name, line, generation, kind, state, coalesce(parent_id, ''), key_uri, certificate,
		domains, types, crl_partitions, crl_number, created_at
		FROM authorities ORDER BY kind DESC, created_at, line, generation DESC, id`)
}

// AdoptCRLNumber says that another place, which has the authority's key, has
// signed lists up to number. ErrConflict: that is not news.
func (tx *Tx) AdoptCRLNumber(authorityID string, number int64) error {
	return tx.exec("CRL number", `UPDATE authorities SET crl_number = $2 WHERE id = $1 AND crl_number < $2`, authorityID, number)
}
