package store

import "time"

// SignInStep is one row of sign_in_steps.
type SignInStep struct {
	TokenHash       []byte
	Kind            string
	AdministratorID string
	Address         string
	Language        string
	Detail          []byte
	Wrong           int
	Created         time.Time
	Expires         time.Time
}

const signInStepColumns = `token_hash, kind, administrator_id, address, language, detail, wrong, created_at, expires_at`

// InsertSignInStep writes a new step, and drops those that ended.
func (tx *Tx) InsertSignInStep(s SignInStep) error {
	if _, err := tx.execCount("forget steps", `DELETE FROM sign_in_steps WHERE expires_at <= $1`, unix(s.Created)); err != nil {
		return err
	}
	detail := s.Detail
	if detail == nil {
		detail = []byte{}
	}
	return tx.exec("sign-in step", `INSERT INTO sign_in_steps (`+signInStepColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		s.TokenHash, s.Kind, s.AdministratorID, s.Address, s.Language, detail, s.Wrong, unix(s.Created), unix(s.Expires))
}

// SignInStep reads a step that has not ended.
func (tx *Tx) SignInStep(tokenHash []byte, kind string, now time.Time) (SignInStep, error) {
	return one(tx, "sign-in step", func(s scanner) (r SignInStep, err error) {
		return r, s.Scan(&r.TokenHash, &r.Kind, &r.AdministratorID, &r.Address, &r.Language, &r.Detail, &r.Wrong,
			seconds{&r.Created}, seconds{&r.Expires})
	}, `SELECT `+signInStepColumns+` FROM sign_in_steps
		WHERE token_hash = $1 AND kind = $2 AND expires_at > $3`, tokenHash, kind, unix(now))
}

// SetSignInDetail replaces what a step needs; ErrConflict when it is gone.
func (tx *Tx) SetSignInDetail(tokenHash, detail []byte) error {
	return tx.exec("sign-in step", `UPDATE sign_in_steps SET detail = $2 WHERE token_hash = $1`, tokenHash, detail)
}

// WrongSignInStep counts a wrong answer.
func (tx *Tx) WrongSignInStep(tokenHash []byte) error {
	return tx.exec("sign-in step", `UPDATE sign_in_steps SET wrong = wrong + 1 WHERE token_hash = $1`, tokenHash)
}

// TakeSignInStep ends a step, which only one does; ErrConflict for the others.
func (tx *Tx) TakeSignInStep(tokenHash []byte) error {
	return tx.exec("sign-in step", `DELETE FROM sign_in_steps WHERE token_hash = $1`, tokenHash)
}

// LinkOpenIDSubject writes whom a provider means; ErrConflict when it is known.
func (tx *Tx) LinkOpenIDSubject(issuer, subject, administratorID string, now time.Time) error {
	return tx.exec("OpenID subject", `INSERT INTO openid_subjects (issuer, subject, administrator_id, linked_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, issuer, subject, administratorID, unix(now))
}

// AdministratorOfSubject reads the account that a provider means.
func (tx *Tx) AdministratorOfSubject(issuer, subject string) (Administrator, error) {
	return one(tx, "account of the OpenID subject", scanAdministrator, `SELECT `+administratorColumns+` FROM administrators
		WHERE id = (SELECT administrator_id FROM openid_subjects WHERE issuer = $1 AND subject = $2)`, issuer, subject)
}

// CountOpenIDSubjects says how many sign an account in.
func (tx *Tx) CountOpenIDSubjects(administratorID string) (int, error) {
	return one(tx, "OpenID subjects", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM openid_subjects WHERE administrator_id = $1`, administratorID)
}

// UnlinkOpenIDSubjects drops those of an account.
func (tx *Tx) UnlinkOpenIDSubjects(administratorID string) error {
	_, err := tx.execCount("OpenID subjects", `DELETE FROM openid_subjects WHERE administrator_id = $1`, administratorID)
	return err
}
