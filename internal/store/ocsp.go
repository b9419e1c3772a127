package store

import "time"

// Delegate is one row of delegates: a key that signs for an authority.
type Delegate struct {
	ID          string
	AuthorityID string
	Purpose     string // ocsp or timestamp
	KeyURI      string
	Certificate []byte
	NotAfter    time.Time
	Created     time.Time
}

// InsertDelegate stores a delegate.
func (tx *Tx) InsertDelegate(d Delegate) error {
	return tx.exec("new delegate", `INSERT INTO delegates (id, authority_id, purpose, key_uri, certificate, not_after, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		d.ID, d.AuthorityID, d.Purpose, d.KeyURI, d.Certificate, unix(d.NotAfter), unix(d.Created))
}

// Delegates lists those that are valid after a time, the one that is valid
// longest first.
func (tx *Tx) Delegates(authorityID, purpose string, after time.Time) ([]Delegate, error) {
	return all(tx, "delegates", func(s scanner) (d Delegate, err error) {
		return d, s.Scan(&d.ID, &d.AuthorityID, &d.Purpose, &d.KeyURI, &d.Certificate, seconds{&d.NotAfter}, seconds{&d.Created})
	}, `SELECT id, authority_id, purpose, key_uri, certificate, not_after, created_at FROM delegates
		WHERE authority_id = $1 AND purpose = $2 AND not_after > $3 ORDER BY not_after DESC, id`, authorityID, purpose, unix(after))
}

// OCSPResponse is one row of ocsp_responses.
type OCSPResponse struct {
	AuthorityID string
	Serial      []byte
	ThisUpdate  time.Time
	NextUpdate  time.Time
	DER         []byte
}

// OCSPResponse reads what was signed ahead about a certificate.
func (tx *Tx) OCSPResponse(authorityID string, serial []byte) (OCSPResponse, error) {
	return one(tx, "OCSP response", func(s scanner) (r OCSPResponse, err error) {
		return r, s.Scan(&r.AuthorityID, &r.Serial, seconds{&r.ThisUpdate}, seconds{&r.NextUpdate}, &r.DER)
	}, `SELECT authority_id, serial, this_update, next_update, der FROM ocsp_responses
		WHERE authority_id = $1 AND serial = $2`, authorityID, serial)
}

// Standing is what is known of one certificate. Who was never issued has none.
type Standing struct {
	AuthorityID string
	Serial      []byte
	NotAfter    time.Time
	Revoked     time.Time // zero: not revoked
	RevokedFor  int
}

func scanStanding(s scanner) (c Standing, err error) {
	return c, s.Scan(&c.AuthorityID, &c.Serial, seconds{&c.NotAfter}, seconds{&c.Revoked}, &c.RevokedFor)
}

const standingColumns = `authority_id, serial, not_after, revoked_at, coalesce(revoked_for, 0)`

// Standing reads what is known of an issued certificate.
func (tx *Tx) Standing(authorityID string, serial []byte) (Standing, error) {
	return one(tx, "standing of a certificate", scanStanding, `SELECT `+standingColumns+` FROM certificates
		WHERE authority_id = $1 AND serial = $2 AND state = 'issued'`, authorityID, serial)
}

// ClaimOCSP takes certificates of an authority whose OCSP response is due, at
// most limit of them, and makes them due again at a later time, in case nothing
// comes of it. What has expired is never due again. The authority is asked for in
// a way that no index knows, because SQLite would read all of its certificates.
func (tx *Tx) ClaimOCSP(authorityID string, now, again time.Time, limit int) ([]Standing, error) {
	due, err := all(tx, "due OCSP responses", scanStanding, `SELECT `+standingColumns+` FROM certificates
		WHERE state = 'issued' AND ocsp_due <= $2 AND coalesce(authority_id, '') = $1 ORDER BY ocsp_due LIMIT $3`, authorityID, unix(now), limit)
	if err != nil {
		return nil, err
	}
	live := due[:0]
	for _, c := range due {
		next := unix(again)
		if c.NotAfter.Before(now) {
			next = nil
		} else {
			live = append(live, c)
		}
		if err := tx.exec("claim OCSP response", `UPDATE certificates SET ocsp_due = $3
			WHERE authority_id = $1 AND serial = $2`, c.AuthorityID, c.Serial, next); err != nil {
			return nil, err
		}
	}
	return live, nil
}

// StoreOCSP stores a response about a certificate and says when the next one is
// due. ErrConflict: the certificate's standing is no longer that of which the
// response tells.
func (tx *Tx) StoreOCSP(r OCSPResponse, told Standing, due time.Time) error {
	if err := tx.exec("OCSP response", `UPDATE certificates SET ocsp_due = $3 WHERE authority_id = $1 AND serial = $2
		AND state = 'issued' AND coalesce(revoked_at, -1) = coalesce($4, -1)`,
		r.AuthorityID, r.Serial, unix(due), unix(told.Revoked)); err != nil {
		return err
	}
	return tx.exec("OCSP response", `INSERT INTO ocsp_responses (authority_id, serial, this_update, next_update, der)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (authority_id, serial) DO UPDATE
		SET this_update = excluded.this_update, next_update = excluded.next_update, der = excluded.der`,
		r.AuthorityID, r.Serial, unix(r.ThisUpdate), unix(r.NextUpdate), r.DER)
}
