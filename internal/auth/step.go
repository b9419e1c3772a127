package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// The kinds of steps of a sign-in that has begun.
const (
	stepSecondFactor = "second-factor" // a password was right
	stepPasskey      = "passkey"       // a challenge was given to whoever has a passkey
	stepNewPasskey   = "new-passkey"   // a challenge was given to an account, or to who was invited
	stepOpenID       = "openid"        // somebody went to the provider
	stepCode         = "code"          // a code was asked for by mail
)

// Limits of steps.
const (
	stepLife      = 10 * time.Minute
	codeStepLife  = 30 * time.Minute // a mail takes a while
	maxWrongSteps = 5                // wrong answers until a step is void
	// FactorTriesPerHour bounds wrong numbers of an account: with three of a
	// million that are right at a time, one in half a year of trying.
	FactorTriesPerHour = 60
)

// Entered is how far a sign-in has come.
type Entered struct {
	Session Session
	Token   string // opens the session; or, when Second, goes to [Service.SecondFactor]
	Second  bool   // a second factor is asked for first
}

// enter lets an account in whose first factor was right, at the time proven: with a
// session, or with the question for its second factor.
func (s *Service) enter(ctx context.Context, tx *store.Tx, a store.Administrator, method string, strong bool, proven time.Time) (Entered, error) {
	if !strong {
		second, err := hasTOTP(tx, a.ID)
		if err != nil {
			return Entered{}, err
		}
		if second {
			token, err := s.begin(tx, store.SignInStep{Kind: stepSecondFactor, AdministratorID: a.ID, Detail: []byte(method)}, stepLife)
			return Entered{Token: token, Second: true}, err
		}
	}
	session, token, err := s.openProven(ctx, tx, a, method, strong, proven)
	return Entered{Session: session, Token: token}, err
}

func hasTOTP(tx *store.Tx, id string) (bool, error) {
	t, err := tx.TOTP(id)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && !t.Confirmed.IsZero(), err
}

// begin writes a step and returns the token that goes on with it.
func (s *Service) begin(tx *store.Tx, step store.SignInStep, life time.Duration) (string, error) {
	token, err := s.newToken()
	if err != nil {
		return "", err
	}
	step.TokenHash = hashStep(token)
	step.Created = s.clock()
	step.Expires = step.Created.Add(life)
	return token, tx.InsertSignInStep(step)
}

func hashStep(token string) []byte {
	sum := sha256.Sum256([]byte("sign-in step " + token))
	return sum[:]
}

// step reads a step that may still be answered, or says [ErrNoSession].
func (s *Service) step(tx *store.Tx, token, kind string) (store.SignInStep, error) {
	step, err := tx.SignInStep(hashStep(token), kind, s.clock())
	if errors.Is(err, store.ErrNotFound) || err == nil && step.Wrong >= maxWrongSteps {
		return step, ErrNoSession
	}
	return step, err
}

// SecondFactor goes on with a sign-in whose password was right: code is a number
// of the authenticator app, or a recovery code. A number works once.
func (s *Service) SecondFactor(ctx context.Context, client, token, code string) (Session, string, error) {
	code = typed(code)
	var session Session
	var opened string
	var wrong error
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		wrong = nil
		step, err := s.step(tx, token, stepSecondFactor)
		if err != nil {
			return err
		}
		if err := s.admitFactor(tx, client, step.AdministratorID); err != nil {
			return err
		}
		method, err := s.takeFactor(tx, step.AdministratorID, code)
		if errors.Is(err, ErrCredentials) {
			wrong = err // the try must be counted: the transaction goes on
			return s.wrongFactor(ctx, tx, step)
		}
		if err != nil {
			return err
		}
		if err := tx.TakeSignInStep(step.TokenHash); err != nil {
			return err
		}
		a, err := tx.Administrator(step.AdministratorID)
		if err != nil {
			return err
		}
		session, opened, err = s.open(ctx, tx, a, string(step.Detail)+"+"+method, true)
		return err
	})
	if err = errors.Join(err, wrong); err != nil {
		return Session{}, "", err
	}
	return session, opened, nil
}

// typed is a number or code without the spaces that people put into it.
func typed(code string) string { return strings.Join(strings.Fields(code), "") }

// admitFactor counts a try at the second factor of an account.
func (s *Service) admitFactor(tx *store.Tx, client, account string) error {
	if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
		return err
	}
	return s.admit(tx, "second factor "+account, time.Hour, FactorTriesPerHour)
}

func (s *Service) wrongFactor(ctx context.Context, tx *store.Tx, step store.SignInStep) error {
	if err := tx.WrongSignInStep(step.TokenHash); err != nil {
		return err
	}
	return audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: "nobody", Act: audit.ActSignInFailed, Object: step.AdministratorID,
		Details: map[string]string{"step": stepSecondFactor}})
}

// takeFactor uses up what was shown as the second factor of an account, and says
// what it was.
func (s *Service) takeFactor(tx *store.Tx, id, code string) (method string, err error) {
	if len(code) == totpDigits {
		return byTOTP, s.takeNumber(tx, id, code)
	}
	err = tx.TakeRecoveryCode(id, hashSecret("recovery code", code))
	if errors.Is(err, store.ErrConflict) {
		err = ErrCredentials
	}
	return byRecoveryCode, err
}

func (s *Service) takeNumber(tx *store.Tx, id, number string) error {
	t, err := tx.TOTP(id)
	if errors.Is(err, store.ErrNotFound) {
		return ErrCredentials
	}
	if err != nil {
		return err
	}
	secret, err := s.secretOf(t)
	if err != nil {
		return err
	}
	step, ok := totpStep(secret, number, s.clock(), t.LastStep)
	if !ok {
		return ErrCredentials
	}
	err = tx.TakeTOTPStep(id, step)
	if errors.Is(err, store.ErrConflict) {
		return ErrCredentials
	}
	return err
}
