package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn"
)

// ErrPasskey: the authenticator's answer was not accepted.
var ErrPasskey = errors.New("auth: passkey not accepted")

// maxName bounds what people call a passkey, a token or themselves, in letters.
const maxName = 100

// challenge draws what a passkey is to sign, and writes the step that waits for
// it: whoever answers names the challenge.
func (s *Service) challenge(tx *store.Tx, step store.SignInStep) ([]byte, error) {
	challenge := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, challenge); err != nil {
		return nil, fmt.Errorf("auth: randomness: %w", err)
	}
	step.TokenHash = hashStep(string(challenge))
	step.Created = s.clock()
	step.Expires = step.Created.Add(stepLife)
	return challenge, tx.InsertSignInStep(step)
}

// answered takes the step of a challenge, once.
func (s *Service) answered(tx *store.Tx, kind string, answer []byte) (store.SignInStep, []byte, error) {
	challenge, err := webauthn.Challenge(answer)
	if err != nil {
		return store.SignInStep{}, nil, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	step, err := s.step(tx, string(challenge), kind)
	if errors.Is(err, ErrNoSession) {
		return step, nil, fmt.Errorf("%w: no such challenge", ErrPasskey)
	}
	if err != nil {
		return step, nil, err
	}
	return step, challenge, tx.TakeSignInStep(step.TokenHash)
}

// Passkeys tells whether the site can have any: it needs a name.
func (s *Service) Passkeys() bool { return s.site.ID != "" }

// NewPasskey gives the browser the options for a passkey of the account of a
// session, for [Service.AddPasskey].
func (s *Service) NewPasskey(ctx context.Context, token string) (options []byte, err error) {
	if !s.Passkeys() {
		return nil, ErrState
	}
	err = s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if len(f.Passkeys) >= MaxPasskeys {
			return ErrState
		}
		challenge, err := s.challenge(tx, store.SignInStep{Kind: stepNewPasskey, AdministratorID: session.Account.ID})
		if err != nil {
			return err
		}
		known := make([][]byte, len(f.Passkeys))
		for i, k := range f.Passkeys {
			known[i] = k.ID
		}
		options, err = s.site.Creation(challenge, userOf(session.Account), known)
		return err
	})
	return options, err
}

func userOf(a Account) webauthn.User {
	shown := a.Name
	if shown == "" {
		shown = a.Email
	}
	return webauthn.User{Handle: []byte(a.ID), Name: a.Email, Shown: shown}
}

// AddPasskey takes a new passkey for the account of a session, which is strong
// from here on, under a new token.
func (s *Service) AddPasskey(ctx context.Context, token, name string, answer []byte) (Session, string, error) {
	var session Session
	var renewed string
	err := s.own(ctx, token, func(tx *store.Tx, old Session, _ Factors) error {
		step, challenge, err := s.answered(tx, stepNewPasskey, answer)
		if err != nil {
			return err
		}
		if step.AdministratorID != old.Account.ID {
			return ErrPasskey
		}
		if err := s.keepPasskey(ctx, tx, old.Account.ID, name, answer, challenge); err != nil {
			return err
		}
		session, renewed, err = s.renew(ctx, tx, token, old, byPasskey)
		return err
	})
	if err != nil {
		return Session{}, "", err
	}
	return session, renewed, nil
}

func (s *Service) keepPasskey(ctx context.Context, tx *store.Tx, account, name string, answer, challenge []byte) error {
	key, err := s.site.Register(answer, challenge)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	err = tx.InsertPasskey(store.Passkey{
		ID: key.ID, AdministratorID: account, Name: shortName(name), PublicKey: key.PublicKey, SignCount: int64(key.Count), Created: s.clock(),
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrPasskey
	}
	if err != nil {
		return err
	}
	return s.record(ctx, tx, account, audit.ActFactorAdded, "passkey")
}

// shortName is a name as it was typed, within its limit.
func shortName(name string) string {
	name = strings.TrimSpace(strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", ""), ""))
	if utf8.RuneCountInString(name) > maxName {
		name = string([]rune(name)[:maxName])
	}
	return name
}

// AskPasskey gives the browser the options to sign in with any passkey, for
// [Service.SignInByPasskey].
func (s *Service) AskPasskey(ctx context.Context, client string) (options []byte, err error) {
	if !s.Passkeys() {
		return nil, ErrState
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		challenge, err := s.challenge(tx, store.SignInStep{Kind: stepPasskey})
		if err != nil {
			return err
		}
		options, err = s.site.Request(challenge)
		return err
	})
	return options, err
}

// SignInByPasskey opens a session for the account whose passkey has signed the
// challenge. The passkey has verified its user, so that it is two factors in one.
func (s *Service) SignInByPasskey(ctx context.Context, answer []byte) (Session, string, error) {
	id, err := webauthn.KeyID(answer)
	if err != nil {
		return Session{}, "", fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	var session Session
	var token string
	var wrong error
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		wrong = nil
		account, err := s.takePasskey(tx, id, answer)
		if errors.Is(err, ErrPasskey) {
			wrong = err // the challenge is used up all the same
			if account == "" {
				return nil
			}
			return audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: "nobody", Act: audit.ActSignInFailed, Object: account,
				Details: map[string]string{"step": stepPasskey}})
		}
		if err != nil {
			return err
		}
		a, err := tx.Administrator(account)
		if err != nil {
			return err
		}
		session, token, err = s.open(ctx, tx, a, byPasskey, true)
		return err
	})
	if err = errors.Join(err, wrong); err != nil {
		return Session{}, "", err
	}
	return session, token, nil
}

// takePasskey takes the answer to a challenge, once, and says whose passkey gave
// it; with [ErrPasskey], whose it says that it is, if anybody has it.
func (s *Service) takePasskey(tx *store.Tx, id, answer []byte) (account string, err error) {
	_, challenge, err := s.answered(tx, stepPasskey, answer)
	if err != nil {
		return "", err
	}
	key, err := tx.Passkey(id)
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrPasskey
	}
	if err != nil {
		return "", err
	}
	count, err := s.site.Authenticate(answer, challenge, webauthn.Key{ID: key.ID, PublicKey: key.PublicKey, Count: counter(key.SignCount)}, []byte(key.AdministratorID))
	if err != nil {
		return key.AdministratorID, fmt.Errorf("%w: %w", ErrPasskey, err)
	}
	return key.AdministratorID, tx.UsePasskey(key.ID, int64(count), s.clock())
}

// counter is a stored counter as authenticators count, in 32 bits.
func counter(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }
