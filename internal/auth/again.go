package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn"
)

// FreshTime is how long a session counts as that of whoever opened it, for grave
// acts: after it they ask for the strongest that the account has, again.
const FreshTime = 10 * time.Minute

// ErrAgain: the act is grave, and whoever is signed in has not shown for a while
// that they are who they were; or a program asks for what takes a person.
var ErrAgain = errors.New("auth: show the second factor again first")

// Again refuses a grave act in a session that is not fresh. A program is not
// asked: its token was made in a session that was.
func (a Actor) Again() error {
	if a.Kind == KindAccount && !a.Fresh {
		return ErrAgain
	}
	return nil
}

// InPerson is [Actor.Again] for what no program does.
func (a Actor) InPerson() error {
	if a.Kind == KindToken {
		return fmt.Errorf("%w: no program does it", ErrAgain)
	}
	return a.Again()
}

// again runs a proof of who is in a session, and makes the session fresh under a
// new token, so that one which somebody saw before is worth nothing. It ends when
// it would have ended. Prove says what was shown, and whether that is more than a
// password; what it refuses with [ErrCredentials] or [ErrPasskey] is counted.
func (s *Service) again(ctx context.Context, token string, prove func(tx *store.Tx, session Session) (how string, strong bool, err error)) (Session, string, error) {
	old, err := s.Session(ctx, token)
	if err != nil {
		return Session{}, "", err
	}
	var session Session
	var renewed string
	var wrong error
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		wrong = nil
		how, strong, err := prove(tx, old)
		if errors.Is(err, ErrCredentials) || errors.Is(err, ErrPasskey) {
			wrong = err // the try must be counted: the transaction goes on
			return audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: "nobody", Act: audit.ActSignInFailed, Object: old.Account.ID,
				Details: map[string]string{"step": "again"}})
		}
		if err != nil {
			return err
		}
		session, renewed, err = s.refresh(ctx, tx, hashToken(token), how, strong, s.clock())
		return err
	})
	if err = errors.Join(err, wrong); err != nil {
		return Session{}, "", err
	}
	return session, renewed, nil
}

// refresh puts a new token in the place of an old one, with the proof of a time.
func (s *Service) refresh(ctx context.Context, tx *store.Tx, hash []byte, how string, strong bool, proven time.Time) (Session, string, error) {
	row, err := tx.AdministratorSession(hash)
	if errors.Is(err, store.ErrNotFound) {
		return Session{}, "", ErrNoSession
	}
	if err != nil {
		return Session{}, "", err
	}
	row.Proven = proven.UTC().Truncate(time.Second)
	if strong && !row.Strong {
		row.Strong, row.Method = true, row.Method+"+"+how
	}
	session, token, err := s.rename(tx, row)
	if err != nil {
		return Session{}, "", err
	}
	return session, token, s.record(ctx, tx, row.AdministratorID, audit.ActProven, how)
}

// rename gives a session another token.
func (s *Service) rename(tx *store.Tx, row store.AdministratorSession) (Session, string, error) {
	token, err := s.newToken()
	if err != nil {
		return Session{}, "", err
	}
	if err := tx.DeleteAdministratorSession(row.TokenHash); err != nil {
		return Session{}, "", err
	}
	row.TokenHash, row.Seen = hashToken(token), s.clock().UTC().Truncate(time.Second)
	if err := tx.InsertAdministratorSession(row); err != nil {
		return Session{}, "", err
	}
	a, err := tx.Administrator(row.AdministratorID)
	if err != nil {
		return Session{}, "", err
	}
	session, err := s.session(tx, row, a)
	return session, token, err
}

// Again takes a number of the authenticator app, or a recovery code, from whoever
// is signed in.
func (s *Service) Again(ctx context.Context, client, token, code string) (Session, string, error) {
	return s.again(ctx, token, func(tx *store.Tx, session Session) (string, bool, error) {
		if err := s.admitFactor(tx, client, session.Account.ID); err != nil {
			return "", false, err
		}
		how, err := s.takeFactor(tx, session.Account.ID, typed(code))
		return how, true, err
	})
}

// AgainByPassword takes the password, where [Factors.PasswordDoes].
func (s *Service) AgainByPassword(ctx context.Context, client, token, password string) (Session, string, error) {
	session, err := s.Session(ctx, token)
	if err != nil {
		return Session{}, "", err
	}
	a, err := s.tried(ctx, client, session.Account.ID)
	if err != nil {
		return Session{}, "", err
	}
	stored := a.Password
	if stored == "" {
		stored = s.decoy()
	}
	ok, _, err := s.compare(ctx, stored, password)
	if err != nil {
		return Session{}, "", err
	}
	return s.again(ctx, token, func(tx *store.Tx, session Session) (string, bool, error) {
		f, err := factors(tx, a.ID)
		if err == nil && (!s.passwordDoes(f, session.Method) || !ok) {
			err = ErrCredentials
		}
		return byPassword, false, err
	})
}

// passwordDoes tells whether a password is enough to show who is in a session that
// was opened in some way: it is the most that the account has, and enough; or it
// comes to a certificate, which says nothing of who sits at the browser.
func (s *Service) passwordDoes(f Factors, method string) bool {
	return f.Password && f.secondToCertificate(method) || s.weak && !f.any()
}

// AgainByPasskey takes the answer of a passkey of the account to what
// [Service.AskPasskey] asked.
func (s *Service) AgainByPasskey(ctx context.Context, token string, answer []byte) (Session, string, error) {
	id, err := webauthn.KeyID(answer)
	if err != nil {
		return Session{}, "", fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return s.again(ctx, token, func(tx *store.Tx, session Session) (string, bool, error) {
		account, err := s.takePasskey(tx, id, answer)
		if err == nil && account != session.Account.ID {
			err = ErrPasskey
		}
		return byPasskey, true, err
	})
}
