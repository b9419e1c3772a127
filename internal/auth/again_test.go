package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

// Grave acts ask again when the last proof is a while ago; a proof makes the
// session good for them under another token, until it would have ended anyway.
func TestAgain(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	f.restart(false)
	setup, opened, token, codes := f.app(t, token)
	other, otherToken := f.joins(t, opened.Actor(), "other@example.org", Grant{Validator, ""})
	if err := other.Actor().Again(); !errors.Is(err, ErrAgain) {
		t.Errorf("a password just now, where it is not enough: %v", err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", otherToken, password); !errors.Is(err, ErrCredentials) {
		t.Errorf("and once more: %v", err)
	}
	acts := func() map[string]error {
		me := f.actor(t, token)
		_, _, made := f.NewToken(ctx, me, "script", []Grant{{Operator, ""}}, time.Hour)
		_, invited := f.Invite(ctx, me, "more@example.org", "en", Grant{Validator, ""})
		_, codes := f.NewRecoveryCodes(ctx, token)
		_, passkey := f.NewPasskey(ctx, token)
		return map[string]error{
			"a token": made, "an invitation": invited, "new recovery codes": codes, "a passkey of one's own": passkey,
			"a role":      f.GiveRole(ctx, me, other.Account.ID, Grant{Operator, ""}),
			"a role back": f.TakeRole(ctx, me, other.Account.ID, Grant{Operator, ""}),
			"a reset":     f.Reset(ctx, me, other.Account.ID, "en"),
			"an end":      f.Remove(ctx, me, other.Account.ID),
		}
	}
	f.now = f.now.Add(FreshTime)
	for name, err := range acts() {
		if !errors.Is(err, ErrAgain) {
			t.Errorf("%s, ten minutes later: %v", name, err)
		}
	}
	if s, err := f.Session(ctx, otherToken); err != nil || s.Fresh || s.Strong {
		t.Errorf("a password where it is not enough: %+v, %v", s, err)
	}
	used := number(t, setup, f.now.Add(-FreshTime))
	for name, code := range map[string]string{"a wrong number": "000000", "a used one": used, "a wrong code": "AAAAA-AAAAA-AAAAA-AAAAA", "nothing": ""} {
		if _, _, err := f.Again(ctx, "", token, code); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if last, err := f.last(t); err != nil || last.Act != audit.ActSignInFailed || last.Object != opened.Account.ID {
		t.Errorf("the log says %+v, %v", last, err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", token, password); !errors.Is(err, ErrCredentials) {
		t.Errorf("the password of an account that has more: %v", err)
	}
	if f.actor(t, token).Fresh {
		t.Fatal("fresh by what was refused")
	}
	before := token
	s, token, err := f.Again(ctx, "", token, " "+number(t, setup, f.now))
	if err != nil || !s.Fresh || !s.Expires.Equal(opened.Expires) || s.Method != opened.Method || token == before {
		t.Fatalf("%+v, %v", s, err)
	}
	if last, err := f.last(t); err != nil || last.Act != audit.ActProven {
		t.Errorf("the log says %+v, %v", last, err)
	}
	if _, err := f.Session(ctx, before); !errors.Is(err, ErrNoSession) {
		t.Errorf("the token from before: %v", err)
	}
	me := f.actor(t, token)
	if _, _, err := f.NewToken(ctx, me, "script", []Grant{{Operator, ""}}, time.Hour); err != nil {
		t.Errorf("after the proof: %v", err)
	}
	f.now = f.now.Add(FreshTime)
	if _, _, err := f.Again(ctx, "", token, codes[0]); err != nil {
		t.Errorf("by a recovery code: %v", err)
	}
}

// A passkey proves for its own account alone; a password where it is all there is,
// and enough.
func TestAgainByOthers(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	f.now = f.now.Add(FreshTime)
	if err := f.actor(t, token).Again(); !errors.Is(err, ErrAgain) {
		t.Fatalf("a password, ten minutes later: %v", err)
	}
	if _, _, err := f.AgainByPassword(ctx, "", token, password+"x"); !errors.Is(err, ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
	_, token, err := f.AgainByPassword(ctx, "", token, password)
	if err != nil || f.actor(t, token).Again() != nil {
		t.Fatalf("the password: %v", err)
	}
	key := func(token string) (*softkey.Key, string) {
		t.Helper()
		options, err := f.NewPasskey(ctx, token)
		if err != nil {
			t.Fatal(err)
		}
		soft, err := softkey.New(site.Origins[0], options)
		if err != nil {
			t.Fatal(err)
		}
		_, renewed, err := f.AddPasskey(ctx, token, "key", soft.Create(options))
		if err != nil {
			t.Fatal(err)
		}
		return soft, renewed
	}
	_, othersToken := f.joins(t, f.actor(t, token), "other@example.org", Grant{Validator, ""})
	others, _ := key(othersToken)
	mine, token := key(token)
	f.now = f.now.Add(FreshTime)
	ask := func(k *softkey.Key) error {
		options, err := f.AskPasskey(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		_, renewed, err := f.AgainByPasskey(ctx, token, k.Sign(options))
		if err == nil {
			token = renewed
		}
		return err
	}
	if err := ask(others); !errors.Is(err, ErrPasskey) {
		t.Errorf("another's passkey: %v", err)
	}
	if f.actor(t, token).Fresh {
		t.Error("fresh by another's passkey")
	}
	if err := ask(mine); err != nil || !f.actor(t, token).Fresh {
		t.Errorf("one's own: %v", err)
	}
	for name, a := range map[string]Actor{"the console": Console(), "a part of the server": Server("renewal"), "a program": {Kind: KindToken}} {
		if err := a.Again(); err != nil {
			t.Errorf("%s is asked: %v", name, err)
		}
	}
	if err := (Actor{Kind: KindToken, Fresh: true}).InPerson(); !errors.Is(err, ErrAgain) {
		t.Errorf("a program is a person: %v", err)
	}
}
