package store

import "time"

// Acts that the log must say of tokens.
const (
	ActTokenMade    = "token.made"
	ActTokenRevoked = "token.revoked"
)

// APIToken is one row of api_tokens.
type APIToken struct {
	ID              string
	AdministratorID string
	Name            string
	SecretHash      []byte
	Scopes          string // separated by spaces
	Created         time.Time
	Expires         time.Time
	Used            time.Time // zero: never
	Revoked         time.Time // zero: not
}

const apiTokenColumns = `id, administrator_id, name, secret_hash, scopes, created_at, expires_at, used_at, revoked_at`

func scanAPIToken(s scanner) (t APIToken, err error) {
	return t, s.Scan(&t.ID, &t.AdministratorID, &t.Name, &t.SecretHash, &t.Scopes,
		seconds{&t.Created}, seconds{&t.Expires}, seconds{&t.Used}, seconds{&t.Revoked})
}

// InsertAPIToken writes a new token. The log must say so.
func (tx *Tx) InsertAPIToken(t APIToken) error {
	return tx.owe(ActTokenMade, tx.exec("new token", `INSERT INTO api_tokens (`+apiTokenColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		t.ID, t.AdministratorID, t.Name, t.SecretHash, t.Scopes, unix(t.Created), unix(t.Expires), unix(t.Used), unix(t.Revoked)))
}

// APIToken reads one.
func (tx *Tx) APIToken(id string) (APIToken, error) {
	return one(tx, "token", scanAPIToken, `SELECT `+apiTokenColumns+` FROM api_tokens WHERE id = $1`, id)
}

// APITokens lists those of an account, the newest first.
func (tx *Tx) APITokens(administratorID string) ([]APIToken, error) {
	return all(tx, "tokens", scanAPIToken, `SELECT `+apiTokenColumns+` FROM api_tokens
		WHERE administrator_id = $1 ORDER BY created_at DESC, id`, administratorID)
}

// TouchAPIToken writes that a token was just used.
func (tx *Tx) TouchAPIToken(id string, now time.Time) error {
	return tx.exec("token", `UPDATE api_tokens SET used_at = $2 WHERE id = $1`, id, unix(now))
}

// RevokeAPIToken ends a token; ErrConflict when it has ended. The log must say so.
func (tx *Tx) RevokeAPIToken(id string, now time.Time) error {
	return tx.owe(ActTokenRevoked, tx.exec("revoke token", `UPDATE api_tokens SET revoked_at = $2
		WHERE id = $1 AND revoked_at IS NULL`, id, unix(now)))
}
