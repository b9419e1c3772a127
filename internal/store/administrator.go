package store

import "time"

// Administrator is one row of administrators.
type Administrator struct {
	ID       string
	Email    string
	EmailKey string // mailbox.Mailbox.Key, unique
	Name     string
	Password string // Argon2id in PHC form
	Created  time.Time
}

// AdministratorSession is one row of administrator_sessions.
type AdministratorSession struct {
	TokenHash       []byte
	AdministratorID string
	Method          string    // how it was opened
	Strong          bool      // by more than a password
	Proven          time.Time // when the strongest was last shown; zero: never
	Created         time.Time
	Seen            time.Time
	Expires         time.Time
}

// CountAdministrators says how many there are.
func (tx *Tx) CountAdministrators() (int, error) {
	return one(tx, "count administrators", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM administrators`)
}

// InsertAdministrator writes a new administrator.
func (tx *Tx) InsertAdministrator(a Administrator) error {
	return tx.exec("new administrator", `INSERT INTO administrators (id, email, email_key, name, password, created_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		a.ID, a.Email, a.EmailKey, a.Name, a.Password, unix(a.Created))
}

const administratorColumns = `id, email, email_key, name, password, created_at`

func scanAdministrator(s scanner) (a Administrator, err error) {
	return a, s.Scan(&a.ID, &a.Email, &a.EmailKey, &a.Name, &a.Password, seconds{&a.Created})
}

// AdministratorByEmail reads the account of a sign-in name.
func (tx *Tx) AdministratorByEmail(key string) (Administrator, error) {
	return one(tx, "administrator", scanAdministrator,
		`SELECT `+administratorColumns+` FROM administrators WHERE email_key = $1`, key)
}

// Administrator reads one account.
func (tx *Tx) Administrator(id string) (Administrator, error) {
	return one(tx, "administrator", scanAdministrator,
		`SELECT `+administratorColumns+` FROM administrators WHERE id = $1`, id)
}

// SetPassword replaces the password hash of an account.
func (tx *Tx) SetPassword(id, password string) error {
	return tx.exec("set password", `UPDATE administrators SET password = $2 WHERE id = $1`, id, password)
}

// SetFirstCode replaces the one-time code of the first administrator.
func (tx *Tx) SetFirstCode(hash []byte, now time.Time) error {
	return tx.exec("first code", `INSERT INTO first_codes (id, code_hash, made_at) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET code_hash = excluded.code_hash, made_at = excluded.made_at`, hash, unix(now))
}

// FirstCode reads the hash of the one-time code.
func (tx *Tx) FirstCode() ([]byte, error) {
	return one(tx, "first code", func(s scanner) (hash []byte, err error) { return hash, s.Scan(&hash) },
		`SELECT code_hash FROM first_codes WHERE id = 1`)
}

// TakeFirstCode uses the one-time code up; ErrConflict when it is another one.
func (tx *Tx) TakeFirstCode(hash []byte) error {
	return tx.exec("first code", `DELETE FROM first_codes WHERE id = 1 AND code_hash = $1`, hash)
}

// InsertAdministratorSession writes a new session.
func (tx *Tx) InsertAdministratorSession(s AdministratorSession) error {
	return tx.exec("new session", `INSERT INTO administrator_sessions
		(token_hash, administrator_id, method, strong, proven_at, created_at, seen_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		s.TokenHash, s.AdministratorID, s.Method, flag(s.Strong), unix(s.Proven), unix(s.Created), unix(s.Seen), unix(s.Expires))
}

// AdministratorSession reads the session of a token.
func (tx *Tx) AdministratorSession(tokenHash []byte) (AdministratorSession, error) {
	return one(tx, "session", func(s scanner) (r AdministratorSession, err error) {
		return r, s.Scan(&r.TokenHash, &r.AdministratorID, &r.Method, &r.Strong, seconds{&r.Proven},
			seconds{&r.Created}, seconds{&r.Seen}, seconds{&r.Expires})
	}, `SELECT token_hash, administrator_id, method, strong, proven_at, created_at, seen_at, expires_at
		FROM administrator_sessions WHERE token_hash = $1`, tokenHash)
}

// TouchAdministratorSession writes that the session was just used.
func (tx *Tx) TouchAdministratorSession(tokenHash []byte, now time.Time) error {
	return tx.exec("session", `UPDATE administrator_sessions SET seen_at = $2 WHERE token_hash = $1`, tokenHash, unix(now))
}

// DeleteAdministratorSession ends a session; one that is gone is no error.
func (tx *Tx) DeleteAdministratorSession(tokenHash []byte) error {
	_, err := tx.execCount("end session", `DELETE FROM administrator_sessions WHERE token_hash = $1`, tokenHash)
	return err
}

// ForgetAdministratorSessions drops those that ended before now.
func (tx *Tx) ForgetAdministratorSessions(now, seenBefore time.Time) error {
	_, err := tx.execCount("forget sessions", `DELETE FROM administrator_sessions
		WHERE expires_at <= $1 OR seen_at <= $2`, unix(now), unix(seenBefore))
	return err
}

// AddAdministratorCertificate lets a certificate sign an account in; ErrConflict
// when it signs one in already.
func (tx *Tx) AddAdministratorCertificate(sha256 []byte, administratorID string, now time.Time) error {
	return tx.exec("certificate of an administrator", `INSERT INTO administrator_certificates (sha256, administrator_id, added_at)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, sha256, administratorID, unix(now))
}

// AdministratorOfCertificate reads the account that a certificate signs in.
func (tx *Tx) AdministratorOfCertificate(sha256 []byte) (Administrator, error) {
	return one(tx, "administrator of the certificate", scanAdministrator, `SELECT `+administratorColumns+` FROM administrators
		WHERE id = (SELECT administrator_id FROM administrator_certificates WHERE sha256 = $1)`, sha256)
}

// AccountRow is an account with how it may sign in.
type AccountRow struct {
	Administrator
	HasPassword  bool
	HasTOTP      bool
	Passkeys     int
	Certificates int
	Seen         time.Time // of the newest session; zero: none is open
}

// Accounts lists those that were not removed, by address; of an organization,
// those that have a role in it.
func (tx *Tx) Accounts(organizationID string) ([]AccountRow, error) {
	return all(tx, "accounts", func(s scanner) (r AccountRow, err error) {
		return r, s.Scan(&r.ID, &r.Email, &r.EmailKey, &r.Name, seconds{&r.Created},
			&r.HasPassword, &r.HasTOTP, &r.Passkeys, &r.Certificates, seconds{&r.Seen})
	}, `SELECT a.id, a.email, a.email_key, a.name, a.created_at,
			CASE WHEN a.password <> '' THEN 1 ELSE 0 END,
			(SELECT count(*) FROM totp_secrets t WHERE t.administrator_id = a.id AND t.confirmed_at IS NOT NULL),
			(SELECT count(*) FROM passkeys p WHERE p.administrator_id = a.id),
			(SELECT count(*) FROM administrator_certificates c WHERE c.administrator_id = a.id),
			(SELECT max(s.seen_at) FROM administrator_sessions s WHERE s.administrator_id = a.id)
		FROM administrators a
		WHERE a.removed_at IS NULL AND ($1 = '' OR EXISTS
			(SELECT 1 FROM role_grants g WHERE g.administrator_id = a.id AND g.organization_id = $1))
		ORDER BY a.email_key`, organizationID)
}

// Tables whose rows sign an account in, and others whose rows go with it.
var (
	signsIn = []string{
		"administrator_sessions", "sign_in_steps", "administrator_certificates", "totp_secrets", "recovery_codes", "passkeys", "openid_subjects",
	}
	ownedByAccount = append([]string{"api_tokens", "role_grants"}, signsIn...)
)

// ResetAdministrator takes away all that signs an account in; its roles and
// tokens stay, of which the caller revokes those. ErrConflict when there is none. The log must say so.
func (tx *Tx) ResetAdministrator(id string) error {
	for _, table := range signsIn {
		if _, err := tx.execCount("reset account", `DELETE FROM `+table+` WHERE administrator_id = $1`, id); err != nil {
			return err
		}
	}
	return tx.owe(ActAccountReset, tx.exec("reset account", `UPDATE administrators SET password = ''
		WHERE id = $1 AND removed_at IS NULL`, id))
}

// RemoveAdministrator ends an account and all that signs it in. Its id stays,
// for those who look up what it did; its name and address go. ErrConflict when
// there is none. The log must say so.
func (tx *Tx) RemoveAdministrator(id string, now time.Time) error {
	for _, table := range ownedByAccount {
		if _, err := tx.execCount("remove account", `DELETE FROM `+table+` WHERE administrator_id = $1`, id); err != nil {
			return err
		}
	}
	return tx.owe(ActAccountRemoved, tx.exec("remove account", `UPDATE administrators
		SET email = '', email_key = 'removed ' || id, name = '', password = '', removed_at = $2
		WHERE id = $1 AND removed_at IS NULL`, id, unix(now)))
}

// DeleteOtherAdministratorSessions ends all sessions of an account but one.
func (tx *Tx) DeleteOtherAdministratorSessions(id string, keep []byte) error {
	_, err := tx.execCount("end sessions", `DELETE FROM administrator_sessions
		WHERE administrator_id = $1 AND token_hash <> $2`, id, keep)
	return err
}

// CountAdministratorCertificates says how many sign an account in.
func (tx *Tx) CountAdministratorCertificates(id string) (int, error) {
	return one(tx, "certificates of an administrator", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM administrator_certificates WHERE administrator_id = $1`, id)
}
