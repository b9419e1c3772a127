package store

import "time"

// KeyState is what is known of a public key beside what it is.
type KeyState string

// The standings, the worst first.
const (
	KeyDistrusted  KeyState = "distrusted"  // somebody said that it is compromised
	KeyCompromised KeyState = "compromised" // a certificate was revoked for it
	KeyForeign     KeyState = "foreign"     // somebody else has a certificate with it
	KeyFree        KeyState = "free"
)

// KeyStanding is what speaks for and against a certificate with a key for an
// order.
type KeyStanding struct {
	State    KeyState // for the order's person
	Escrowed bool     // others can be given the key: it must never sign
	Open     bool     // the order is proven, and for no other key; where it brought one to be kept, for one that is
}

// StandingOfKey tells how a key (SHA-256 of its SubjectPublicKeyInfo) stands with
// an order.
func (tx *Tx) StandingOfKey(keyHash []byte, orderID string) (KeyStanding, error) {
	scan := func(s scanner) (k KeyStanding, err error) { return k, s.Scan(&k.State, &k.Escrowed, &k.Open) }
	return one(tx, "standing of the key", scan, `SELECT CASE
			WHEN EXISTS (SELECT 1 FROM distrusted_keys WHERE key_hash = $1) THEN 'distrusted'
			WHEN EXISTS (SELECT 1 FROM certificates WHERE key_hash = $1 AND revoked_for = 1) THEN 'compromised'
			WHEN EXISTS (SELECT 1 FROM certificates c LEFT JOIN orders o ON o.id = c.order_id
				WHERE c.key_hash = $1 AND c.state <> 'refused'
				AND o.person_id IS DISTINCT FROM (SELECT person_id FROM orders WHERE id = $2)) THEN 'foreign'
			ELSE 'free' END,
		EXISTS (SELECT 1 FROM recovery_escrows WHERE key_hash = $1),
		EXISTS (SELECT 1 FROM orders WHERE id = $2 AND state = 'proven' AND (key_hash IS NULL OR key_hash = $1))
			AND (EXISTS (SELECT 1 FROM recovery_escrows WHERE key_hash = $1)
				OR NOT EXISTS (SELECT 1 FROM recovery_escrows WHERE order_id = $2 AND order_id <> ''))`, keyHash, orderID)
}

// DistrustKey writes down that a key is never certified. ErrConflict: it is
// there already.
func (tx *Tx) DistrustKey(keyHash []byte, reason string, now time.Time) error {
	return tx.owe(ActKeyDistrusted, tx.exec("distrust key", `INSERT INTO distrusted_keys (key_hash, reason, added_at)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, keyHash, reason, unix(now)))
}
