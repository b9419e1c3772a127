package auth

import (
	"encoding/base32"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

// RFC 6238 appendix B, of which six digits are used.
func TestTOTPVectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := hotp(secret, uint64(at/totpPeriod)); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// number is what an app shows at a time.
func number(t *testing.T, setup TOTPSetup, at time.Time) string {
	t.Helper()
	uri, err := url.Parse(setup.URI)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(uri.Query().Get("secret"))
	if err != nil || len(secret) != totpSecretSize || strings.ReplaceAll(setup.Secret, " ", "") != uri.Query().Get("secret") {
		t.Fatalf("setup %+v, %v", setup, err)
	}
	return hotp(secret, uint64(at.Unix()/totpPeriod))
}

// app sets the second factor of an account up.
func (f *fixture) app(t *testing.T, token string) (TOTPSetup, Session, string, []string) {
	t.Helper()
	setup, err := f.StartTOTP(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	session, renewed, codes, err := f.ConfirmTOTP(t.Context(), token, number(t, setup, f.now))
	if err != nil {
		t.Fatal(err)
	}
	return setup, session, renewed, codes
}

// Who may do most has none of it before more than a password was shown.
func TestWithheld(t *testing.T) {
	f, token := claimed(t)
	f.restart(false)
	s, err := f.Session(t.Context(), token)
	if err != nil || len(s.Grants) != 0 || len(s.Withheld) != 1 || s.Actor().Has(Operator, "") || s.Actor().MayRead("org") {
		t.Fatalf("with a password alone: %+v, %v", s, err)
	}
	_, s, renewed, _ := f.app(t, token)
	if !s.Strong || !s.Actor().Has(Operator, "") || len(s.Withheld) != 0 || renewed == token {
		t.Errorf("with the app set up: %+v", s)
	}
	if _, err := f.Session(t.Context(), token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the token from before: %v", err)
	}
}

// Who decides who an organization is needs more than a password, too.
func TestWithheldFromValidators(t *testing.T) {
	f, operator := claimed(t)
	f.restart(false)
	_, _, operator, _ = f.app(t, operator)
	role := Grant{Validator, ""}
	s, token := f.joins(t, f.actor(t, operator), "one@example.org", role)
	if len(s.Grants) != 0 || !slices.Equal(s.Withheld, []Grant{role}) || s.Actor().Has(Validator, "") {
		t.Fatalf("with a password alone: %+v", s)
	}
	if _, s, _, _ = f.app(t, token); !slices.Equal(s.Grants, []Grant{role}) || !s.Actor().Has(Validator, "") {
		t.Errorf("with the app set up: %+v", s)
	}
}

// An organization's administrator needs more than a password, too, and gets along
// from the invitation to the role; a program with a token made then works on.
func TestWithheldFromAdministrators(t *testing.T) {
	f, operator := claimed(t)
	f.restart(false)
	_, _, operator, _ = f.app(t, operator)
	role := Grant{Administrator, "org"}
	s, token := f.joins(t, f.actor(t, operator), "one@example.org", role)
	if len(s.Grants) != 0 || !slices.Equal(s.Withheld, []Grant{role}) || s.Actor().MayRead("org") {
		t.Fatalf("with a password alone: %+v", s)
	}
	setup, s, _, _ := f.app(t, token)
	if !slices.Equal(s.Grants, []Grant{role}) || len(s.Withheld) != 0 {
		t.Fatalf("with the app set up: %+v", s)
	}
	_, secret, err := f.NewToken(t.Context(), s.Actor(), "script", []Grant{role}, 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(SessionLife)
	e, err := f.SignIn(t.Context(), "", "one@example.org", password)
	if err != nil || !e.Second {
		t.Fatalf("%+v, %v", e, err)
	}
	s, _, err = f.SecondFactor(t.Context(), "", e.Token, number(t, setup, f.now))
	if err != nil || !s.Actor().Has(Administrator, "org") {
		t.Errorf("signed in again: %+v, %v", s, err)
	}
	if a, err := f.Authenticate(t.Context(), secret); err != nil || !a.Has(Administrator, "org") {
		t.Errorf("the program: %+v, %v", a, err)
	}
}

func TestSecondFactor(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	setup, err := f.StartTOTP(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.PendingTOTP(ctx, token); err != nil || again != setup {
		t.Errorf("shown again: %+v, %v", again, err)
	}
	if _, _, _, err := f.ConfirmTOTP(ctx, token, "000000"); !errors.Is(err, ErrCredentials) {
		t.Errorf("confirmed by a wrong number: %v", err)
	}
	if e, err := f.SignIn(ctx, "", email, password); err != nil || e.Second {
		t.Errorf("asked for an app that was not confirmed: %+v, %v", e, err)
	}
	_, strong, codes, err := f.ConfirmTOTP(ctx, token, number(t, setup, f.now))
	if err != nil || len(codes) != RecoveryCodes {
		t.Fatalf("%d codes, %v", len(codes), err)
	}
	step := func() string {
		t.Helper()
		e, err := f.SignIn(ctx, "", email, password)
		if err != nil || !e.Second || e.Session.Account.ID != "" {
			t.Fatalf("the password alone: %+v, %v", e, err)
		}
		if _, err := f.Session(ctx, e.Token); !errors.Is(err, ErrNoSession) {
			t.Fatalf("the step is a session: %v", err)
		}
		return e.Token
	}
	enter := func(code string) error { _, _, err := f.SecondFactor(ctx, "", step(), code); return err }
	used := number(t, setup, f.now)
	if err := enter(used); !errors.Is(err, ErrCredentials) {
		t.Errorf("the number that confirmed: %v", err)
	}
	f.now = f.now.Add(totpPeriod * time.Second)
	next := number(t, setup, f.now)
	if err := enter(" " + next[:3] + " " + next[3:]); err != nil {
		t.Errorf("the next number: %v", err)
	}
	if err := enter(next); !errors.Is(err, ErrCredentials) {
		t.Errorf("the same again: %v", err)
	}
	if err := enter(used); !errors.Is(err, ErrCredentials) {
		t.Errorf("one from before the last: %v", err)
	}
	f.now = f.now.Add(time.Hour)
	for name, at := range map[string]time.Duration{"two steps late": -60 * time.Second, "two steps early": 60 * time.Second} {
		if err := enter(number(t, setup, f.now.Add(at))); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := enter(number(t, setup, f.now.Add(-totpPeriod*time.Second))); err != nil {
		t.Errorf("one step late: %v", err)
	}
	if err := enter(strings.ToLower(codes[3])); err != nil {
		t.Errorf("a recovery code: %v", err)
	}
	if err := enter(codes[3]); !errors.Is(err, ErrCredentials) {
		t.Errorf("the same again: %v", err)
	}
	last, err := f.last(t)
	if err != nil || last.Act != "administrator.failed" {
		t.Errorf("the log says %+v, %v", last, err)
	}
	// A step ends after a few wrong numbers and after its time, and works once.
	f.now = f.now.Add(time.Hour)
	if _, _, err = f.wrongThenRight(step(), maxWrongSteps, setup, t); !errors.Is(err, ErrNoSession) {
		t.Errorf("after %d wrong numbers: %v", maxWrongSteps, err)
	}
	late := step()
	f.now = f.now.Add(stepLife)
	if _, _, err := f.SecondFactor(ctx, "", late, number(t, setup, f.now)); !errors.Is(err, ErrNoSession) {
		t.Errorf("too late: %v", err)
	}
	f.now = f.now.Add(2 * time.Hour)
	if _, err := f.Session(ctx, strong); !errors.Is(err, ErrNoSession) {
		t.Errorf("idle: %v", err)
	}
}

// wrongThenRight gives wrong numbers before the right one.
func (f *fixture) wrongThenRight(step string, wrong int, setup TOTPSetup, t *testing.T) (Session, string, error) {
	for range wrong {
		if _, _, err := f.SecondFactor(t.Context(), "", step, "nothing"); !errors.Is(err, ErrCredentials) {
			t.Fatal(err)
		}
	}
	return f.SecondFactor(t.Context(), "", step, number(t, setup, f.now))
}

// Numbers cannot be guessed: after so many an hour none is looked at.
func TestGuessingNumbers(t *testing.T) {
	f, token := claimed(t)
	setup, _, _, _ := f.app(t, token)
	for range FactorTriesPerHour / maxWrongSteps {
		f.now = f.now.Add(7 * time.Second) // ten passwords a minute
		e, err := f.SignIn(t.Context(), "", email, password)
		if err != nil {
			t.Fatal(err)
		}
		for range maxWrongSteps {
			if _, _, err := f.SecondFactor(t.Context(), "", e.Token, "12345x"); !errors.Is(err, ErrCredentials) {
				t.Fatal(err)
			}
		}
	}
	f.now = f.now.Add(7 * time.Second)
	e, err := f.SignIn(t.Context(), "", email, password)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.SecondFactor(t.Context(), "", e.Token, number(t, setup, f.now)); !errors.Is(err, ErrTooMany) {
		t.Errorf("after %d tries: %v", FactorTriesPerHour, err)
	}
}

// A password that was spied out changes nothing where there is a second factor.
func TestFactorsAreGuarded(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	weak, err := f.SignIn(ctx, "", email, password)
	if err != nil {
		t.Fatal(err)
	}
	_, _, strong, _ := f.app(t, token)
	for name, err := range map[string]error{
		"new app":        second(f.StartTOTP(ctx, weak.Token)),
		"remove app":     f.RemoveTOTP(ctx, weak.Token),
		"new codes":      second(f.NewRecoveryCodes(ctx, weak.Token)),
		"passkey":        second(f.NewPasskey(ctx, weak.Token)),
		"certificate":    f.AddCertificate(ctx, weak.Token, []byte("x")),
		"password":       f.ChangePassword(ctx, "", weak.Token, password, "another good password", false),
		"remove passkey": f.RemovePasskey(ctx, weak.Token, []byte("x")),
	} {
		if !errors.Is(err, ErrWeak) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.ChangePassword(ctx, "", strong, "wrong", "another good password", false); !errors.Is(err, ErrCredentials) {
		t.Errorf("password with a wrong old one: %v", err)
	}
	if err := f.ChangePassword(ctx, "", strong, password, "short", false); !errors.Is(err, ErrPassword) {
		t.Errorf("a short one: %v", err)
	}
	if err := f.ChangePassword(ctx, "", strong, password, "another good password", false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Session(ctx, weak.Token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the other session, after the password changed: %v", err)
	}
	if _, err := f.Session(ctx, strong); err != nil {
		t.Errorf("the session that changed it: %v", err)
	}
	if codes, err := f.NewRecoveryCodes(ctx, strong); err != nil || len(codes) != RecoveryCodes {
		t.Errorf("new codes: %q, %v", codes, err)
	}
	if err := f.RemoveTOTP(ctx, strong); err != nil {
		t.Fatal(err)
	}
	if e, err := f.SignIn(ctx, "", email, "another good password"); err != nil || e.Second {
		t.Errorf("after the app was removed: %+v, %v", e, err)
	}
	if got, err := f.Factors(ctx, strong); err != nil || got.TOTP || got.RecoveryCodes != 0 || !got.Password {
		t.Errorf("factors %+v, %v", got, err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestPasskeySignIn(t *testing.T) {
	f, token := claimed(t)
	f.restart(false)
	ctx := t.Context()
	options, err := f.NewPasskey(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	soft, err := softkey.New(site.Origins[0], options)
	if err != nil {
		t.Fatal(err)
	}
	made := soft.Create(options)
	session, strong, err := f.AddPasskey(ctx, token, " laptop ", made)
	if err != nil || !session.Strong || !session.Actor().Has(Operator, "") || strong == token {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, _, err := f.AddPasskey(ctx, strong, "again", made); !errors.Is(err, ErrPasskey) {
		t.Errorf("the same answer again: %v", err)
	}
	ask := func() []byte {
		t.Helper()
		options, err := f.AskPasskey(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		return options
	}
	answer := soft.Sign(ask())
	session, _, err = f.SignInByPasskey(ctx, answer)
	if err != nil || session.Account.Email != email || !session.Strong || session.Method != byPasskey {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, _, err := f.SignInByPasskey(ctx, answer); !errors.Is(err, ErrPasskey) {
		t.Errorf("the same answer again: %v", err)
	}
	if _, _, err := f.SignInByPasskey(ctx, soft.Sign(options)); !errors.Is(err, ErrPasskey) {
		t.Errorf("an answer to the challenge for a new passkey: %v", err)
	}
	old := ask()
	f.now = f.now.Add(stepLife)
	if _, _, err := f.SignInByPasskey(ctx, soft.Sign(old)); !errors.Is(err, ErrPasskey) {
		t.Errorf("too late: %v", err)
	}
	soft.Count = 0
	wrong := soft.Sign(ask())
	if _, _, err := f.SignInByPasskey(ctx, wrong); !errors.Is(err, ErrPasskey) {
		t.Errorf("a copy: %v", err)
	}
	if last, err := f.last(t); err != nil || last.Act != "administrator.failed" || last.Object != session.Account.ID {
		t.Errorf("the log says %+v, %v", last, err)
	}
	soft.Count += 10
	_, strong, err = f.SignInByPasskey(ctx, soft.Sign(ask()))
	if err != nil {
		t.Fatal(err)
	}
	factors, err := f.Factors(ctx, strong)
	if err != nil || len(factors.Passkeys) != 1 || factors.Passkeys[0].Name != "laptop" || factors.Passkeys[0].Used.IsZero() {
		t.Fatalf("%+v, %v", factors, err)
	}
	if err := f.RemovePasskey(ctx, strong, soft.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.SignInByPasskey(ctx, soft.Sign(ask())); !errors.Is(err, ErrPasskey) {
		t.Errorf("after it was removed: %v", err)
	}
}
