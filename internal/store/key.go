package store

import "time"

// KeyStanding is what is known of a public key beside what it is.
type KeyStanding string

// The standings, the worst first.
const (
	KeyDistrusted  KeyStanding = "distrusted"  // somebody said that it is compromised
	KeyCompromised KeyStanding = "compromised" // a certificate was revoked for it
	KeyForeign     KeyStanding = "foreign"     // somebody else has a certificate with it
	KeyFree        KeyStanding = "free"
)

// StandingOfKey tells whether the order's person may have a certificate for the
// key (SHA-256 of its SubjectPublicKeyInfo).
func (tx *Tx) StandingOfKey(keyHash []byte, orderID string) (KeyStanding, error) {
	return one(tx, "standing of the key", func(s scanner) (k KeyStanding, err error) { return k, s.Scan(&k) },
		`SELECT CASE
			WHEN EXISTS (SELECT 1 FROM distrusted_keys WHERE key_hash = $1) THEN 'distrusted'
			WHEN EXISTS (SELECT 1 FROM certificates WHERE key_hash = $1 AND revoked_for = 1) THEN 'compromised'
			WHEN EXISTS (SELECT 1 FROM certificates c LEFT JOIN orders o ON o.id = c.order_id
				WHERE c.key_hash = $1 AND c.state <> 'refused'
				AND o.person_id IS DISTINCT FROM (SELECT person_id FROM orders WHERE id = $2)) THEN 'foreign'
			ELSE 'free' END`, keyHash, orderID)
}

// DistrustKey writes down that a key is never certified. ErrConflict: it is
// there already.
func (tx *Tx) DistrustKey(keyHash []byte, reason string, now time.Time) error {
	return tx.owe(ActKeyDistrusted, tx.exec("distrust key", `INSERT INTO distrusted_keys (key_hash, reason, added_at)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, keyHash, reason, unix(now)))
}
