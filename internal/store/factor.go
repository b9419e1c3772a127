package store

import "time"

// TOTP is one row of totp_secrets.
type TOTP struct {
	AdministratorID string
	Secret          []byte
	Sealed          bool  // Secret is, under a key that is not in here
	LastStep        int64 // of the last number that was taken
	Created         time.Time
	Confirmed       time.Time // zero: its holder has not shown a number yet
}

// Passkey is one row of passkeys.
type Passkey struct {
	ID              []byte
	AdministratorID string
	Name            string
	PublicKey       []byte // SubjectPublicKeyInfo
	SignCount       int64
	Created         time.Time
	Used            time.Time // zero: never
}

// StartTOTP writes a secret that is not confirmed yet, in the place of another
// such one; ErrConflict when the account has a confirmed one.
func (tx *Tx) StartTOTP(t TOTP) error {
	return tx.exec("TOTP secret", `INSERT INTO totp_secrets (administrator_id, secret, sealed, last_step, created_at)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (administrator_id) DO UPDATE
		SET secret = excluded.secret, sealed = excluded.sealed, last_step = excluded.last_step, created_at = excluded.created_at
		WHERE totp_secrets.confirmed_at IS NULL`, t.AdministratorID, t.Secret, flag(t.Sealed), t.LastStep, unix(t.Created))
}

// TOTP reads the secret of an account.
func (tx *Tx) TOTP(administratorID string) (TOTP, error) {
	return one(tx, "TOTP secret", scanTOTP, `SELECT `+totpColumns+` FROM totp_secrets WHERE administrator_id = $1`, administratorID)
}

const totpColumns = `administrator_id, secret, sealed, last_step, created_at, confirmed_at`

func scanTOTP(s scanner) (t TOTP, err error) {
	return t, s.Scan(&t.AdministratorID, &t.Secret, &t.Sealed, &t.LastStep, seconds{&t.Created}, seconds{&t.Confirmed})
}

// OpenTOTP lists the secrets that are not sealed.
func (tx *Tx) OpenTOTP() ([]TOTP, error) {
	return all(tx, "open TOTP secrets", scanTOTP, `SELECT `+totpColumns+` FROM totp_secrets WHERE sealed = 0 ORDER BY administrator_id`)
}

// SealTOTP puts the sealed secret of an account in the place of the open one;
// ErrConflict when it is sealed already.
func (tx *Tx) SealTOTP(administratorID string, sealed []byte) error {
	return tx.exec("seal TOTP secret", `UPDATE totp_secrets SET secret = $2, sealed = 1
		WHERE administrator_id = $1 AND sealed = 0`, administratorID, sealed)
}

// TakeTOTPStep takes the number of a time step; ErrConflict when that one or a
// later one was taken already.
func (tx *Tx) TakeTOTPStep(administratorID string, step int64) error {
	return tx.exec("TOTP number", `UPDATE totp_secrets SET last_step = $2
		WHERE administrator_id = $1 AND last_step < $2`, administratorID, step)
}

// ConfirmTOTP makes the secret a second factor; ErrConflict when it is one.
func (tx *Tx) ConfirmTOTP(administratorID string, now time.Time) error {
	return tx.exec("confirm TOTP", `UPDATE totp_secrets SET confirmed_at = $2
		WHERE administrator_id = $1 AND confirmed_at IS NULL`, administratorID, unix(now))
}

// DeleteTOTP drops the secret of an account; ErrConflict when there is none.
func (tx *Tx) DeleteTOTP(administratorID string) error {
	return tx.exec("TOTP secret", `DELETE FROM totp_secrets WHERE administrator_id = $1`, administratorID)
}

// SetRecoveryCodes replaces the codes of an account.
func (tx *Tx) SetRecoveryCodes(administratorID string, hashes [][]byte) error {
	if _, err := tx.execCount("recovery codes", `DELETE FROM recovery_codes WHERE administrator_id = $1`, administratorID); err != nil {
		return err
	}
	for _, hash := range hashes {
		if err := tx.exec("recovery code", `INSERT INTO recovery_codes (administrator_id, code_hash)
			VALUES ($1, $2) ON CONFLICT DO NOTHING`, administratorID, hash); err != nil {
			return err
		}
	}
	return nil
}

// TakeRecoveryCode uses a code up; ErrConflict when it is none of the account's.
func (tx *Tx) TakeRecoveryCode(administratorID string, hash []byte) error {
	return tx.exec("recovery code", `DELETE FROM recovery_codes
		WHERE administrator_id = $1 AND code_hash = $2`, administratorID, hash)
}

// CountRecoveryCodes says how many are left.
func (tx *Tx) CountRecoveryCodes(administratorID string) (int, error) {
	return one(tx, "recovery codes", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM recovery_codes WHERE administrator_id = $1`, administratorID)
}

const passkeyColumns = `id, administrator_id, name, public_key, sign_count, created_at, used_at`

func scanPasskey(s scanner) (p Passkey, err error) {
	return p, s.Scan(&p.ID, &p.AdministratorID, &p.Name, &p.PublicKey, &p.SignCount, seconds{&p.Created}, seconds{&p.Used})
}

// InsertPasskey writes a new passkey; ErrConflict when its id is taken.
func (tx *Tx) InsertPasskey(p Passkey) error {
	return tx.exec("new passkey", `INSERT INTO passkeys (`+passkeyColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		p.ID, p.AdministratorID, p.Name, p.PublicKey, p.SignCount, unix(p.Created), unix(p.Used))
}

// Passkey reads one.
func (tx *Tx) Passkey(id []byte) (Passkey, error) {
	return one(tx, "passkey", scanPasskey, `SELECT `+passkeyColumns+` FROM passkeys WHERE id = $1`, id)
}

// Passkeys lists those of an account, the oldest first.
func (tx *Tx) Passkeys(administratorID string) ([]Passkey, error) {
	return all(tx, "passkeys", scanPasskey, `SELECT `+passkeyColumns+` FROM passkeys
		WHERE administrator_id = $1 ORDER BY created_at, id`, administratorID)
}

// UsePasskey writes that a passkey signed, and what its counter says then.
func (tx *Tx) UsePasskey(id []byte, count int64, now time.Time) error {
	return tx.exec("passkey", `UPDATE passkeys SET sign_count = $2, used_at = $3 WHERE id = $1`, id, count, unix(now))
}

// DeletePasskey drops a passkey of an account; ErrConflict when it has none such.
func (tx *Tx) DeletePasskey(administratorID string, id []byte) error {
	return tx.exec("passkey", `DELETE FROM passkeys WHERE administrator_id = $1 AND id = $2`, administratorID, id)
}
