package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// Limits of what an account has.
const (
	MaxPasskeys    = 20
	RecoveryCodes  = 10
	recoveryGroups = 4 // 100 bits
)

// The ways in which a second factor is not set up or taken away.
var (
	// ErrWeak: the act needs a session that was opened by more than a password.
	ErrWeak = errors.New("auth: sign in with the second factor first")
	// ErrState: it is there already, or not there.
	ErrState = errors.New("auth: not in this state")
	// ErrNeeded: a certificate at most would be left, and nobody could show that they
	// are there.
	ErrNeeded = errors.New("auth: without it the account has nothing that somebody can show")
)

// Factors is how an account may sign in.
type Factors struct {
	Password      bool
	TOTP          bool
	TOTPSince     time.Time
	RecoveryCodes int // that are left
	Passkeys      []PasskeyInfo
	Certificates  int
	OpenID        int
	PasswordDoes  bool // a password is enough to show who is in this session
	ByCertificate bool // it was opened by a certificate, without anybody doing anything
	SetsUp        bool // it may set up a first factor without showing another one
}

// any tells whether there is more than a password.
func (f Factors) any() bool { return f.TOTP || len(f.Passkeys) > 0 || f.Certificates > 0 }

// asks tells whether a change of how the account signs in takes a proof first. Who has
// no factor here may have shown one to a provider, which can ask again.
func (f Factors) asks(session Session) bool { return f.any() || session.Strong && f.OpenID > 0 }

// secondToCertificate tells whether what is no second factor by itself is one to the
// certificate that opened a session in some way. Where there is an app or a passkey
// it is not: a browser shows a certificate and fills in a password by itself.
func (f Factors) secondToCertificate(method string) bool {
	return method == byCertificate && !f.TOTP && len(f.Passkeys) == 0
}

// PasskeyInfo is what people see of a passkey.
type PasskeyInfo struct {
	ID      []byte
	Name    string
	Created time.Time
	Used    time.Time // zero: never
}

// Factors lists how the account of a session may sign in.
func (s *Service) Factors(ctx context.Context, token string) (f Factors, err error) {
	session, err := s.Session(ctx, token)
	if err != nil {
		return f, err
	}
	err = s.db.View(ctx, func(tx *store.Tx) (err error) {
		f, err = factors(tx, session.Account.ID)
		f.PasswordDoes, f.ByCertificate = s.passwordDoes(f, session.Method), session.Method == byCertificate
		f.SetsUp = !f.asks(session)
		return err
	})
	return f, err
}

func factors(tx *store.Tx, id string) (f Factors, err error) {
	a, err := tx.Administrator(id)
	if err != nil {
		return f, err
	}
	f.Password = a.Password != ""
	t, err := tx.TOTP(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return f, err
	}
	f.TOTP, f.TOTPSince = !t.Confirmed.IsZero(), t.Confirmed
	if f.RecoveryCodes, err = tx.CountRecoveryCodes(id); err != nil {
		return f, err
	}
	keys, err := tx.Passkeys(id)
	if err != nil {
		return f, err
	}
	for _, k := range keys {
		f.Passkeys = append(f.Passkeys, PasskeyInfo{ID: k.ID, Name: k.Name, Created: k.Created, Used: k.Used})
	}
	if f.Certificates, err = tx.CountAdministratorCertificates(id); err != nil {
		return f, err
	}
	f.OpenID, err = tx.CountOpenIDSubjects(id)
	return f, err
}

// own runs a change of how the account of a session signs in. Whoever has more
// than a password must have signed in with it, and have shown it a moment ago: a
// password that was spied out, or a browser that was left open, adds nothing and
// takes nothing away. Who has nothing but a certificate can show nothing, and is
// let in anew by an operator.
func (s *Service) own(ctx context.Context, token string, change func(tx *store.Tx, session Session, f Factors) error) error {
	session, err := s.Session(ctx, token)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		f, err := factors(tx, session.Account.ID)
		if err != nil {
			return err
		}
		if f.any() && !session.Strong {
			return ErrWeak
		}
		if f.asks(session) && !session.Fresh {
			return ErrAgain
		}
		return change(tx, session, f)
	})
}

// StartTOTP makes a secret for an authenticator app. It counts for nothing
// before [Service.ConfirmTOTP].
func (s *Service) StartTOTP(ctx context.Context, token string) (TOTPSetup, error) {
	secret := make([]byte, totpSecretSize)
	if _, err := io.ReadFull(s.rand, secret); err != nil {
		return TOTPSetup{}, fmt.Errorf("auth: randomness: %w", err)
	}
	var setup TOTPSetup
	err := s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if f.TOTP {
			return ErrState
		}
		if !f.Password { // a second factor to what?
			return ErrState
		}
		row, err := s.sealTOTP(store.TOTP{AdministratorID: session.Account.ID, Secret: secret, Created: s.clock()})
		if err != nil {
			return err
		}
		setup = totpSetup(secret, "mailseal", session.Account.Email)
		return tx.StartTOTP(row)
	})
	return setup, err
}

// PendingTOTP is the secret that waits to be confirmed, for the page that shows
// it again after a wrong number.
func (s *Service) PendingTOTP(ctx context.Context, token string) (TOTPSetup, error) {
	var setup TOTPSetup
	err := s.own(ctx, token, func(tx *store.Tx, session Session, _ Factors) error {
		t, err := tx.TOTP(session.Account.ID)
		if errors.Is(err, store.ErrNotFound) || err == nil && !t.Confirmed.IsZero() {
			return ErrState
		}
		if err != nil {
			return err
		}
		secret, err := s.secretOf(t)
		setup = totpSetup(secret, "mailseal", session.Account.Email)
		return err
	})
	return setup, err
}

// ConfirmTOTP makes the app the second factor of the account, after it has shown
// a number. From here on the session counts as strong, under a new token; the
// codes are for whoever loses the app, and are never shown again.
func (s *Service) ConfirmTOTP(ctx context.Context, token, number string) (Session, string, []string, error) {
	codes := make([]string, RecoveryCodes)
	hashes := make([][]byte, RecoveryCodes)
	for i := range codes {
		var err error
		if codes[i], err = s.newCode(recoveryGroups); err != nil {
			return Session{}, "", nil, err
		}
		hashes[i] = hashSecret("recovery code", codes[i])
	}
	var session Session
	var renewed string
	err := s.own(ctx, token, func(tx *store.Tx, old Session, _ Factors) error {
		id := old.Account.ID
		if err := s.takeNumber(tx, id, typed(number)); err != nil {
			return err
		}
		if err := tx.ConfirmTOTP(id, s.clock()); err != nil {
			return stateOf(err)
		}
		if err := tx.SetRecoveryCodes(id, hashes); err != nil {
			return err
		}
		if err := s.record(ctx, tx, id, audit.ActFactorAdded, "totp"); err != nil {
			return err
		}
		var err error
		session, renewed, err = s.renew(ctx, tx, token, old, old.Method+"+"+byTOTP)
		return err
	})
	if err != nil {
		return Session{}, "", nil, err
	}
	return session, renewed, codes, nil
}

// NewRecoveryCodes voids the old ones.
func (s *Service) NewRecoveryCodes(ctx context.Context, token string) ([]string, error) {
	codes := make([]string, RecoveryCodes)
	err := s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if !f.TOTP {
			return ErrState
		}
		hashes := make([][]byte, len(codes))
		for i := range codes {
			var err error
			if codes[i], err = s.newCode(recoveryGroups); err != nil {
				return err
			}
			hashes[i] = hashSecret("recovery code", codes[i])
		}
		if err := tx.SetRecoveryCodes(session.Account.ID, hashes); err != nil {
			return err
		}
		return s.record(ctx, tx, session.Account.ID, audit.ActFactorAdded, "recovery codes")
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// RemoveTOTP takes the authenticator app away, and with it the recovery codes.
func (s *Service) RemoveTOTP(ctx context.Context, token string) error {
	return s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if !f.TOTP {
			return ErrState
		}
		if err := tx.DeleteTOTP(session.Account.ID); err != nil {
			return err
		}
		if err := tx.SetRecoveryCodes(session.Account.ID, nil); err != nil {
			return err
		}
		return s.lessened(ctx, tx, token, session.Account.ID, "totp")
	})
}

// RemovePasskey takes a passkey away; not the last thing that somebody can show.
func (s *Service) RemovePasskey(ctx context.Context, token string, id []byte) error {
	return s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if !f.Password && len(f.Passkeys) == 1 && bytes.Equal(f.Passkeys[0].ID, id) {
			return ErrNeeded
		}
		if err := tx.DeletePasskey(session.Account.ID, id); err != nil {
			return stateOf(err)
		}
		return s.lessened(ctx, tx, token, session.Account.ID, "passkey")
	})
}

// lessened enters that a factor is gone, and ends the other sessions: whoever
// opened them may be why.
func (s *Service) lessened(ctx context.Context, tx *store.Tx, token, id, factor string) error {
	if err := tx.DeleteOtherAdministratorSessions(id, hashToken(token)); err != nil {
		return err
	}
	return s.record(ctx, tx, id, audit.ActFactorRemoved, factor)
}

// ChangePassword sets the password of the account of a session anew, and ends
// its other sessions and, if so wanted, its tokens. An account without one says ""
// as the old one.
func (s *Service) ChangePassword(ctx context.Context, client, token, old, password string, tokens bool) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	session, err := s.Session(ctx, token)
	if err != nil {
		return err
	}
	a, err := s.tried(ctx, client, session.Account.ID)
	if err != nil {
		return err
	}
	if a.Password != "" {
		ok, _, err := s.compare(ctx, a.Password, old)
		if err != nil {
			return err
		}
		if !ok {
			return ErrCredentials
		}
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.own(ctx, token, func(tx *store.Tx, session Session, _ Factors) error {
		if err := tx.SetPassword(a.ID, hash); err != nil {
			return err
		}
		if err := tx.DeleteOtherAdministratorSessions(a.ID, hashToken(token)); err != nil {
			return err
		}
		if tokens {
			if err := s.revokeTokens(ctx, tx, session.Actor(), a.ID); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, a.ID, audit.ActPassword, "")
	})
}

// tried counts a try at the password of an account and reads the account.
func (s *Service) tried(ctx context.Context, client, id string) (a store.Administrator, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		if a, err = tx.Administrator(id); err != nil {
			return err
		}
		return s.admit(tx, a.EmailKey, time.Minute, TriesPerMinute)
	})
	return a, err
}

// renew opens a strong session in the place of an old one, so that a token which
// somebody planted or saw before is worth nothing.
func (s *Service) renew(ctx context.Context, tx *store.Tx, token string, old Session, method string) (Session, string, error) {
	if err := tx.DeleteAdministratorSession(hashToken(token)); err != nil {
		return Session{}, "", err
	}
	a, err := tx.Administrator(old.Account.ID)
	if err != nil {
		return Session{}, "", err
	}
	return s.open(ctx, tx, a, method, true)
}

func stateOf(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return ErrState
	}
	return err
}
