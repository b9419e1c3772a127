package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

func TestCertificates(t *testing.T) {
	f, token := claimed(t)
	mine, others := make([]byte, 32), []byte("another certificate's fingerprint")
	if _, _, err := f.SignInByCertificate(t.Context(), mine); !errors.Is(err, ErrCertificate) {
		t.Errorf("before it was added: %v", err)
	}
	if err := f.AddCertificate(t.Context(), "guessed", mine); !errors.Is(err, ErrNoSession) {
		t.Errorf("without a session: %v", err)
	}
	if err := f.AddCertificate(t.Context(), token, mine); err != nil {
		t.Fatal(err)
	}
	if err := f.AddCertificate(t.Context(), token, others); !errors.Is(err, ErrWeak) {
		t.Errorf("another one, with a password alone: %v", err)
	}
	session, again, err := f.SignInByCertificate(t.Context(), mine)
	if err != nil || again == token || again == "" {
		t.Fatalf("%v, token %q", err, again)
	}
	if holder, err := f.HolderOfCertificate(t.Context(), mine); err != nil || holder.ID != session.Account.ID {
		t.Errorf("holder %+v, %v", holder, err)
	}
	if s, err := f.Session(t.Context(), again); err != nil || !s.Strong || s.Fresh {
		t.Errorf("the session: %+v, %v", s, err)
	}
	if _, again, err = f.AgainByPassword(t.Context(), "", again, password); err != nil {
		t.Fatal(err)
	}
	if err := f.AddCertificate(t.Context(), again, mine); !errors.Is(err, ErrCertificate) {
		t.Errorf("a second time: %v", err)
	}
	if _, _, err := f.SignInByCertificate(t.Context(), others); !errors.Is(err, ErrCertificate) {
		t.Errorf("another one: %v", err)
	}
	f.now = f.now.Add(SessionLife + time.Second)
	if err := f.AddCertificate(t.Context(), again, others); !errors.Is(err, ErrNoSession) {
		t.Errorf("after the session ended: %v", err)
	}
}

// A browser shows a certificate by itself: a session that it opened does nothing
// grave before a person did something, and is fresh for no longer than others.
func TestCertificateIsNobody(t *testing.T) {
	f, token := claimed(t)
	f.restart(false)
	ctx := t.Context()
	mine := make([]byte, 32)
	if err := f.AddCertificate(ctx, token, mine); err != nil {
		t.Fatal(err)
	}
	enter := func() string { t.Helper(); return f.byCertificate(t, mine) }
	grave := func(token string) error {
		_, err := f.Invite(ctx, f.actor(t, token), "more@example.org", "en", Grant{Validator, ""})
		return err
	}
	weak := token
	token = enter()
	if err := grave(token); !errors.Is(err, ErrAgain) {
		t.Errorf("a certificate alone: %v", err)
	}
	if a, err := f.Factors(ctx, token); err != nil || !a.PasswordDoes || !a.ByCertificate {
		t.Errorf("what is asked for: %+v, %v", a, err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", weak, password); !errors.Is(err, ErrCredentials) {
		t.Errorf("a password, twice: %v", err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", token, password+"x"); !errors.Is(err, ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	_, token, err := f.AgainByPassword(ctx, "", token, password)
	if err != nil || grave(token) != nil {
		t.Errorf("after the password: %v, %v", err, grave(token))
	}
	f.now = f.now.Add(FreshTime)
	for name, token := range map[string]string{"ten minutes later": token, "and shown by the browser once more": enter()} {
		if err := grave(token); !errors.Is(err, ErrAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, token, err = f.AgainByPassword(ctx, "", token, password); err != nil {
		t.Fatal(err)
	}
	setup, _, token, _ := f.app(t, token)
	token = enter()
	f.now = f.now.Add(time.Minute)
	if a, err := f.Factors(ctx, token); err != nil || a.PasswordDoes {
		t.Errorf("the password is asked for where there is an app: %+v, %v", a, err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", token, password); !errors.Is(err, ErrCredentials) || f.actor(t, token).Fresh {
		t.Errorf("the password, where there is an app: %v", err)
	}
	if err := f.RemoveTOTP(ctx, token); !errors.Is(err, ErrAgain) {
		t.Errorf("the app is taken away: %v", err)
	}
	if _, token, err = f.Again(ctx, "", token, number(t, setup, f.now)); err != nil || grave(token) != nil {
		t.Errorf("after the app: %v, %v", err, grave(token))
	}
}

// Who has nothing but a certificate sets up nothing at a screen that may be anybody's:
// an operator's reset lets them in anew. Nobody comes to that by themselves.
func TestNothingButACertificate(t *testing.T) {
	f, token := claimed(t)
	f.restart(false)
	ctx := t.Context()
	mine := make([]byte, 32)
	options, err := f.NewPasskey(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	key, err := softkey.New(site.Origins[0], options)
	if err != nil {
		t.Fatal(err)
	}
	_, renewed, err := f.AddPasskey(ctx, token, "key", key.Create(options))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.AddCertificate(ctx, renewed, mine); err != nil {
		t.Fatal(err)
	}
	account := f.actor(t, renewed).ID
	without := func(change func(tx *store.Tx) error) {
		t.Helper()
		if err := f.db.Update(ctx, change); err != nil {
			t.Fatal(err)
		}
	}
	without(func(tx *store.Tx) error { return tx.SetPassword(account, "") })
	factors, err := f.Factors(ctx, renewed)
	if err != nil || len(factors.Passkeys) != 1 {
		t.Fatalf("%+v, %v", factors, err)
	}
	if err := f.RemovePasskey(ctx, renewed, factors.Passkeys[0].ID); !errors.Is(err, ErrNeeded) {
		t.Errorf("the last that somebody can show: %v", err)
	}
	enter := func() string { t.Helper(); return f.byCertificate(t, mine) }
	if err := f.ChangePassword(ctx, "", enter(), "", password, false); !errors.Is(err, ErrAgain) {
		t.Errorf("a password, where there is a passkey to show: %v", err)
	}
	without(func(tx *store.Tx) error { return tx.DeletePasskey(account, factors.Passkeys[0].ID) })
	token = enter()
	if err := f.AddCertificate(ctx, token, []byte("somebody else's")); !errors.Is(err, ErrAgain) {
		t.Errorf("another certificate: %v", err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", token, ""); !errors.Is(err, ErrCredentials) {
		t.Errorf("no password: %v", err)
	}
	if err := f.ChangePassword(ctx, "", token, "", password, false); !errors.Is(err, ErrAgain) {
		t.Errorf("a first password: %v", err)
	}
	if _, err := f.NewPasskey(ctx, token); !errors.Is(err, ErrAgain) {
		t.Errorf("a first passkey: %v", err)
	}
	if _, _, err := f.AddPasskey(ctx, token, "key", key.Create(options)); !errors.Is(err, ErrAgain) {
		t.Errorf("a first passkey, asked for before: %v", err)
	}
	if a, err := f.Factors(ctx, token); err != nil || a.SetsUp || a.PasswordDoes {
		t.Errorf("it may do %+v, %v", a, err)
	}
	code, err := f.ResetHere(ctx, email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the session from before the reset: %v", err)
	}
	if _, _, err := f.SignInByCertificate(ctx, mine); !errors.Is(err, ErrCertificate) {
		t.Errorf("the certificate from before the reset: %v", err)
	}
	if _, _, err := f.Accept(ctx, "", code, "", password); err != nil {
		t.Errorf("set up anew: %v", err)
	}
}

// What comes to a certificate is the most that the account has: no password, and no
// password shown to a provider, where there is a passkey.

// What comes to a certificate is the most that the account has: no password, and no
// password shown to a provider, where there is an app or a passkey.
func TestCertificateTakesTheMost(t *testing.T) {
	for name, test := range map[string]struct {
		factors Factors
		method  string
		want    bool
	}{
		"a certificate":                 {Factors{Certificates: 1}, byCertificate, true},
		"a certificate, and an app":     {Factors{Certificates: 1, TOTP: true}, byCertificate, false},
		"a certificate, and a passkey":  {Factors{Certificates: 1, Passkeys: make([]PasskeyInfo, 1)}, byCertificate, false},
		"a certificate that opened not": {Factors{Certificates: 1}, byPassword, false},
	} {
		test.factors.Password = true
		if got := (&Service{}).passwordDoes(test.factors, test.method); got != test.want {
			t.Errorf("%s: a password does: %v", name, got)
		}
		if got := test.factors.secondToCertificate(test.method); got != test.want {
			t.Errorf("%s: a provider's password does: %v", name, got)
		}
	}
}

// byCertificate is the token of a new session that a certificate opened.
func (f *fixture) byCertificate(t *testing.T, sha256 []byte) string {
	t.Helper()
	_, token, err := f.SignInByCertificate(t.Context(), sha256)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
