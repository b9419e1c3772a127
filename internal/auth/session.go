package auth

import (
	"errors"
	"time"
)

// Account is one account that may sign in: of an administrator of any role.
type Account struct {
	ID      string // 128 random bits, lower-case base32
	Email   string // the sign-in name: a mailbox, as it was entered
	Name    string
	Created time.Time
}

// Session is one signed-in browser. The token that opens it is known to the
// browser alone; the store holds its SHA-256.
type Session struct {
	Account  Account
	Grants   []Grant // what the account may do, in this session
	Withheld []Grant // what it may do once it was signed in by more than a password
	Method   string  // how it was opened
	Strong   bool    // by more than a password
	Fresh    bool    // the strongest that the account has was shown within FreshTime
	Created  time.Time
	LastSeen time.Time
	Expires  time.Time // absolute end; it also ends after IdleTime without a request
}

// The ways to open a session.
const (
	byPassword     = "password"
	byCertificate  = "certificate"
	byPasskey      = "passkey"
	byTOTP         = "totp"
	byRecoveryCode = "recovery-code"
	byOpenID       = "openid"
	byCode         = "code"
)

// Actor is who acts in this session.
func (s Session) Actor() Actor {
	return Actor{Kind: KindAccount, ID: s.Account.ID, Grants: s.Grants, Strong: s.Strong, Fresh: s.Fresh}
}

// The ways in which somebody is not let in.
var (
	// ErrClaimed: the first administrator exists already.
	ErrClaimed = errors.New("auth: the first administrator was already claimed")
	// ErrCode: not the one-time code of the first administrator.
	ErrCode = errors.New("auth: wrong one-time code")
	// ErrCredentials: unknown address or wrong password; the two look alike.
	ErrCredentials = errors.New("auth: wrong address or password")
	// ErrPassword: the new password is too short or too long.
	ErrPassword = errors.New("auth: password not accepted")
	// ErrEmail: the address of the new administrator is not a mailbox.
	ErrEmail = errors.New("auth: address not accepted")
	// ErrNoSession: no such session, or it has ended.
	ErrNoSession = errors.New("auth: not signed in")
	// ErrTooMany: too many tries at this account or from this network
	// address; wait a minute.
	ErrTooMany = errors.New("auth: too many tries, wait a minute")
)

// Limits of sessions and passwords.
const (
	IdleTime        = 15 * time.Minute // a session ends after this long without a request
	SessionLife     = 12 * time.Hour   // and in any case after this long
	MinPassword     = 12               // characters
	MaxPassword     = 1024             // bytes
	FirstCodeLength = 35               // characters of the first administrator's code, hyphens included
)
