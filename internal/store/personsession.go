package store

import "time"

// PersonSession is one row of person_sessions.
type PersonSession struct {
	TokenHash []byte
	PersonID  string
	Method    string // how it was opened
	Created   time.Time
	Seen      time.Time
	Expires   time.Time
}

// InsertPersonSession writes a new session, and drops those that ended: after
// their time, or because nobody used them since seenBefore.
func (tx *Tx) InsertPersonSession(s PersonSession, seenBefore time.Time) error {
	if _, err := tx.execCount("forget sessions", `DELETE FROM person_sessions
		WHERE expires_at <= $1 OR seen_at <= $2`, unix(s.Created), unix(seenBefore)); err != nil {
		return err
	}
	return tx.exec("new session", `INSERT INTO person_sessions (token_hash, person_id, method, created_at, seen_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		s.TokenHash, s.PersonID, s.Method, unix(s.Created), unix(s.Seen), unix(s.Expires))
}

// PersonSession reads the session of a token.
func (tx *Tx) PersonSession(tokenHash []byte) (PersonSession, error) {
	return one(tx, "session", func(s scanner) (r PersonSession, err error) {
		return r, s.Scan(&r.TokenHash, &r.PersonID, &r.Method, seconds{&r.Created}, seconds{&r.Seen}, seconds{&r.Expires})
	}, `SELECT token_hash, person_id, method, created_at, seen_at, expires_at
		FROM person_sessions WHERE token_hash = $1`, tokenHash)
}

// TouchPersonSession writes that the session was just used.
func (tx *Tx) TouchPersonSession(tokenHash []byte, now time.Time) error {
	return tx.exec("session", `UPDATE person_sessions SET seen_at = $2 WHERE token_hash = $1`, tokenHash, unix(now))
}

// DeletePersonSession ends a session; one that is gone is no error.
func (tx *Tx) DeletePersonSession(tokenHash []byte) error {
	_, err := tx.execCount("end session", `DELETE FROM person_sessions WHERE token_hash = $1`, tokenHash)
	return err
}

// PersonOfCertificate reads who asked for a certificate of ours that is not
// revoked, by its SHA-256.
func (tx *Tx) PersonOfCertificate(sha256 []byte) (Person, error) {
	return one(tx, "person of the certificate", scanPerson, `SELECT p.id, p.name, p.given_name, p.surname, p.local_name, p.language, p.created_at
		FROM certificates c JOIN orders o ON o.id = c.order_id JOIN people p ON p.id = o.person_id
		WHERE c.sha256 = $1 AND c.state = 'issued' AND c.revoked_at IS NULL`, sha256)
}
