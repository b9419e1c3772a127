package store

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"
)

// CRL is one row of crls.
type CRL struct {
	AuthorityID string
	Partition   int
	Number      int64
	ThisUpdate  time.Time
	NextUpdate  time.Time
	Covers      int64  // the last change of standing that is in it for sure
	DER         []byte // nil where only the row was asked for
}

const (
	// pieceSize is how much of a list one row holds.
	pieceSize = 1 << 20
	// keptLists is how many lists of a partition keep their octets: somebody may
	// still be reading the last but one.
	keptLists = 2
)

// CRLNumber is the number of the last of an authority's CRLs.
func (tx *Tx) CRLNumber(authorityID string) (int64, error) {
	return one(tx, "CRL number", scanInt, `SELECT crl_number FROM authorities WHERE id = $1`, authorityID)
}

// TakeCRLNumber takes the next number of an authority's CRLs for the list that
// the transaction stores. ErrConflict: it is not the next one.
func (tx *Tx) TakeCRLNumber(authorityID string, number int64) error {
	return tx.exec("CRL number", `UPDATE authorities SET crl_number = $2 WHERE id = $1 AND crl_number = $2 - 1`, authorityID, number)
}

// InsertCRL stores a signed CRL. ErrConflict: its partition has one of that
// number or a higher one.
func (tx *Tx) InsertCRL(c CRL) error {
	sum := sha256.Sum256(c.DER)
	err := tx.owe(ActCRL, tx.exec("store CRL", `INSERT INTO crls (authority_id, number, this_update, next_update, crl_partition, covers, sha256)
		SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS
		(SELECT 1 FROM crls WHERE authority_id = $1 AND crl_partition = $5 AND number >= $2) ON CONFLICT DO NOTHING`,
		c.AuthorityID, c.Number, unix(c.ThisUpdate), unix(c.NextUpdate), c.Partition, c.Covers, sum[:]))
	if err != nil {
		return err
	}
	for i, at := 0, 0; at < len(c.DER); i, at = i+1, at+pieceSize {
		piece := c.DER[at:min(at+pieceSize, len(c.DER))]
		if err := tx.exec("store CRL", `INSERT INTO crl_pieces (authority_id, number, position, octets)
			VALUES ($1, $2, $3, $4)`, c.AuthorityID, c.Number, i, piece); err != nil {
			return err
		}
	}
	return tx.forgetPieces(c)
}

// forgetPieces drops the octets of the lists that nobody is given any more.
func (tx *Tx) forgetPieces(c CRL) error {
	_, err := tx.execCount("forget CRLs", `DELETE FROM crl_pieces WHERE authority_id = $1 AND number IN
		(SELECT number FROM crls WHERE authority_id = $1 AND crl_partition = $2 ORDER BY number DESC LIMIT $4 OFFSET $3)`,
		c.AuthorityID, c.Partition, keptLists, forgottenAtOnce)
	return err
}

// forgottenAtOnce bounds the look back for lists whose octets are still there.
const forgottenAtOnce = 8

// LastCRL reads the row with the highest number, without the list itself.
func (tx *Tx) LastCRL(authorityID string, partition int) (CRL, error) {
	return one(tx, "CRL", func(s scanner) (c CRL, err error) {
		return c, s.Scan(&c.AuthorityID, &c.Partition, &c.Number, seconds{&c.ThisUpdate}, seconds{&c.NextUpdate}, &c.Covers)
	}, `SELECT authority_id, crl_partition, number, this_update, next_update, covers
		FROM crls WHERE authority_id = $1 AND crl_partition = $2 ORDER BY number DESC LIMIT 1`, authorityID, partition)
}

// CRLSize is how many octets of a list are stored.
func (tx *Tx) CRLSize(authorityID string, number int64) (int, error) {
	n, err := one(tx, "size of the CRL", scanInt, `SELECT coalesce(sum(length(octets)), 0) FROM crl_pieces
		WHERE authority_id = $1 AND number = $2`, authorityID, number)
	return int(n), err
}

// CRLOctets reads a list itself.
func (tx *Tx) CRLOctets(authorityID string, number int64) ([]byte, error) {
	size, err := tx.CRLSize(authorityID, number)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, fmt.Errorf("CRL %d: %w", number, ErrNotFound)
	}
	der := make([]byte, 0, size)
	err = stream(tx, "CRL", func(s scanner) (b sql.RawBytes, err error) { return b, s.Scan(&b) },
		func(b sql.RawBytes, err error) error {
			der = append(der, b...)
			return err
		}, `SELECT octets FROM crl_pieces WHERE authority_id = $1 AND number = $2 ORDER BY position`, authorityID, number)
	return der, err
}

// Revocation is what a CRL says of one certificate.
type Revocation struct {
	Serial []byte // until the next one is read
	At     time.Time
	Reason int
}

// EachRevocation reads what a partition of an authority's CRL holds, in the
// order of serial numbers, until each returns an error: the revoked ones whose
// notAfter is not before since, all of them when since is zero. RFC 5280 §3.3:
// an entry stays until it has appeared on one CRL issued beyond the
// certificate's validity. What an authority certified authorities with is in
// every partition; only roots do that, and their list is whole.
func (tx *Tx) EachRevocation(authorityID string, partition int, since time.Time, each func(Revocation) error) error {
	if err := tx.eachRevocation(each, `SELECT serial, revoked_at, revoked_for FROM certificates
		WHERE authority_id = $1 AND crl_partition = $2 AND revoked_at IS NOT NULL AND not_after >= coalesce($3, CAST(0 AS BIGINT))
		ORDER BY serial`, authorityID, partition, unix(since)); err != nil {
		return err
	}
	return tx.eachRevocation(each, `SELECT serial, revoked_at, revoked_for FROM authority_certificates
		WHERE issuer_id = $1 AND revoked_at IS NOT NULL AND not_after >= coalesce($2, CAST(0 AS BIGINT))
		ORDER BY serial`, authorityID, unix(since))
}

// eachRevocation reads all rows into the same memory: there may be a million.
func (tx *Tx) eachRevocation(each func(Revocation) error, query string, args ...any) error {
	var r Revocation
	into := []any{(*sql.RawBytes)(&r.Serial), seconds{&r.At}, number{&r.Reason}}
	return stream(tx, "revocations", func(s scanner) (struct{}, error) { return struct{}{}, s.Scan(into...) },
		func(_ struct{}, err error) error {
			if err != nil {
				return err
			}
			return each(r)
		}, query, args...)
}
