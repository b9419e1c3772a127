package store

import (
	"strings"
	"time"
)

// AuthorityRequest is one row of authority_requests: a key of an authority that
// waits for its certificate.
type AuthorityRequest struct {
	ID         string
	Name       string // that it will have
	Line       string
	Generation int64
	Domains    []string
	Types      []string
	Partitions int // of its CRL; 0: one
	KeyURI     string
	Request    []byte // DER
	Created    time.Time
}

// InsertAuthorityRequest writes a new one. ErrConflict: one of that name or
// generation waits already.
func (tx *Tx) InsertAuthorityRequest(r AuthorityRequest) error {
	return tx.owe(ActAuthorityRequested, tx.exec("request of an authority", `INSERT INTO authority_requests
		(id, name, line, generation, domains, types, crl_partitions, key_uri, request, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		r.ID, r.Name, r.Line, r.Generation, strings.Join(r.Domains, " "), strings.Join(r.Types, " "), max(r.Partitions, 1),
		r.KeyURI, r.Request, unix(r.Created)))
}

// AuthorityRequests lists those that wait.
func (tx *Tx) AuthorityRequests() ([]AuthorityRequest, error) {
	return all(tx, "requests of authorities", func(s scanner) (r AuthorityRequest, err error) {
		var domains, types string
		err = s.Scan(&r.ID, &r.Name, &r.Line, &r.Generation, &domains, &types, &r.Partitions, &r.KeyURI, &r.Request, seconds{&r.Created})
		r.Domains, r.Types = strings.Fields(domains), strings.Fields(types)
		return r, err
	}, `SELECT id, name, line, generation, domains, types, crl_partitions, key_uri, request, created_at
		FROM authority_requests ORDER BY created_at, line, generation`)
}

// DeleteAuthorityRequest ends the waiting.
func (tx *Tx) DeleteAuthorityRequest(id string) error {
	return tx.exec("request of an authority", `DELETE FROM authority_requests WHERE id = $1`, id)
}

// AuthorityCertificate is one row of authority_certificates: what an authority
// certified an authority with.
type AuthorityCertificate struct {
	ID          string
	IssuerID    string
	Serial      []byte // big endian, no leading zero octets
	Kind        string // authority or cross
	Certificate []byte
	SHA256      []byte
	NotAfter    time.Time
	Issued      time.Time
	Revoked     time.Time // zero: not revoked
	RevokedFor  int       // CRLReason of RFC 5280 §5.3.1
}

// InsertAuthorityCertificate writes a new one. ErrConflict: it is there already,
// or its serial number is taken.
func (tx *Tx) InsertAuthorityCertificate(c AuthorityCertificate) error {
	return tx.owe(ActAuthorityCertified, tx.exec("certificate of an authority", `INSERT INTO authority_certificates
		(id, issuer_id, serial, kind, certificate, sha256, not_after, issued_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		c.ID, c.IssuerID, c.Serial, c.Kind, c.Certificate, c.SHA256, unix(c.NotAfter), unix(c.Issued)))
}

// AuthorityCertificates lists them in the order of their making.
func (tx *Tx) AuthorityCertificates() ([]AuthorityCertificate, error) {
	return all(tx, "certificates of authorities", func(s scanner) (c AuthorityCertificate, err error) {
		return c, s.Scan(&c.ID, &c.IssuerID, &c.Serial, &c.Kind, &c.Certificate, &c.SHA256, seconds{&c.NotAfter}, seconds{&c.Issued},
			seconds{&c.Revoked}, &c.RevokedFor)
	}, `SELECT id, issuer_id, serial, kind, certificate, sha256, not_after, issued_at, revoked_at, coalesce(revoked_for, 0)
		FROM authority_certificates ORDER BY issued_at, id`)
}

// RevokeAuthorityCertificate marks one as revoked, once; the issuer's CRLs name
// it from then on, see [Tx.EachRevocation].
func (tx *Tx) RevokeAuthorityCertificate(issuerID string, serial []byte, at time.Time, reason int) error {
	return tx.owe(ActAuthorityRevoked, tx.exec("revoke the certificate of an authority", `UPDATE authority_certificates SET revoked_at = $3, revoked_for = $4
		WHERE issuer_id = $1 AND serial = $2 AND revoked_at IS NULL`, issuerID, serial, unix(at), reason))
}
