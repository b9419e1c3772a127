package auth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestTokens(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	_, adminToken := f.joins(t, operator, "one@example.org", Grant{Administrator, "org"})
	administrator := f.actor(t, adminToken)
	for name, test := range map[string]struct {
		by     Actor
		name   string
		scopes []Grant
		life   time.Duration
		want   error
	}{
		"no scope":          {administrator, "x", nil, time.Hour, ErrScope},
		"no name":           {administrator, " ", []Grant{{Administrator, "org"}}, time.Hour, ErrName},
		"no end":            {administrator, "x", []Grant{{Administrator, "org"}}, 0, ErrLife},
		"too long":          {administrator, "x", []Grant{{Administrator, "org"}}, MaxTokenLife + 1, ErrLife},
		"not theirs":        {administrator, "x", []Grant{{Administrator, "other"}}, time.Hour, ErrScope},
		"reading elsewhere": {administrator, "x", []Grant{{Reader, "other"}}, time.Hour, ErrScope},
		"reading all":       {administrator, "x", []Grant{{Reader, ""}}, time.Hour, ErrScope},
		"a person":          {Actor{Kind: KindPerson, ID: "1"}, "x", []Grant{{Reader, ""}}, time.Hour, ErrForbidden},
		"a program": {Actor{Kind: KindToken, ID: "1", Account: operator.ID, Grants: operator.Grants}, "x", []Grant{{Operator, ""}}, time.Hour,
			ErrForbidden},
		"approver": {Actor{Kind: KindAccount, ID: "1", Fresh: true, Grants: []Grant{{Approver, "org"}}}, "x", []Grant{{Approver, "org"}}, time.Hour, ErrScope},
	} {
		if _, _, err := f.NewToken(ctx, test.by, test.name, test.scopes, test.life); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	made, secret, err := f.NewToken(ctx, administrator, "script", []Grant{{Administrator, "org"}}, time.Hour)
	if err != nil || !strings.HasPrefix(secret, TokenPrefix+made.ID+".") || len(secret) != len(TokenPrefix)+26+1+43 {
		t.Fatalf("%+v, %q, %v", made, secret, err)
	}
	actor, err := f.Authenticate(ctx, secret)
	if err != nil || actor.Kind != KindToken || actor.ID != made.ID || actor.Account != administrator.ID || !actor.Has(Administrator, "org") {
		t.Fatalf("%+v, %v", actor, err)
	}
	_, reads, err := f.NewToken(ctx, administrator, "report", []Grant{{Reader, "org"}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if actor, err := f.Authenticate(ctx, reads); err != nil || !actor.MayRead("org") || actor.Has(Administrator, "org") || actor.MayRead("other") {
		t.Errorf("a reader: %+v, %v", actor, err)
	}
	other := TokenPrefix + made.ID + reads[strings.IndexByte(reads, '.'):]
	for name, text := range map[string]string{
		"empty": "", "no prefix": strings.TrimPrefix(secret, TokenPrefix), "no secret": TokenPrefix + made.ID + ".", "no dot": TokenPrefix + made.ID,
		"another's secret": other, "one letter less": secret[:len(secret)-1], "one more": secret + "A", "unknown": TokenPrefix + "x.y",
		"huge": secret + strings.Repeat("A", 1<<20), "the session": adminToken, "a NUL": TokenPrefix + "\x00.x",
	} {
		if _, err := f.Authenticate(ctx, text); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list, err := f.Tokens(ctx, administrator)
	if err != nil || len(list) != 2 || list[0].Used.IsZero() || !slices.Contains([]string{"script", "report"}, list[0].Name) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := f.RevokeToken(ctx, Actor{Kind: KindAccount, ID: "stranger", Grants: []Grant{{Administrator, "org"}}}, made.ID); !errors.Is(err, ErrForbidden) {
		t.Errorf("revoked by a stranger: %v", err)
	}
	// A role that its account loses, the token loses in the same moment.
	if err := f.TakeRole(ctx, administrator, administrator.ID, Grant{Administrator, "org"}); err != nil {
		t.Fatal(err)
	}
	if actor, err := f.Authenticate(ctx, secret); err != nil || len(actor.Grants) != 0 {
		t.Errorf("after the role was taken back: %+v, %v", actor, err)
	}
	if err := f.RevokeToken(ctx, operator, made.ID); err != nil {
		t.Fatal(err)
	}
	if err := f.RevokeToken(ctx, operator, made.ID); !errors.Is(err, ErrState) {
		t.Errorf("revoked again: %v", err)
	}
	if _, err := f.Authenticate(ctx, secret); !errors.Is(err, ErrToken) {
		t.Errorf("revoked: %v", err)
	}
	f.now = f.now.Add(time.Hour)
	if _, err := f.Authenticate(ctx, reads); !errors.Is(err, ErrToken) {
		t.Errorf("ended: %v", err)
	}
}

// Row 34 of the threats: whoever has the database has no token. Everything that
// stands in it, as it is and in the usual encodings, is tried as one.
func TestDumpOfTokens(t *testing.T) {
	f, token := claimed(t)
	made, secret, err := f.NewToken(t.Context(), f.actor(t, token), "script", []Grant{{Operator, ""}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Authenticate(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	var candidates []string
	for name, data := range storetest.Content(t, f.source) {
		if strings.Contains(data, secret) || strings.Contains(data, strings.SplitN(secret, ".", 2)[1]) {
			t.Errorf("%s has the token", name)
		}
		// Runs of 32 octets right before and behind the token's id: its row.
		for i := 0; ; {
			at := strings.Index(data[i:], made.ID)
			if at < 0 {
				break
			}
			i += at + len(made.ID)
			for from := max(0, i-100); from+32 <= min(len(data), i+200); from++ {
				candidates = append(candidates, data[from:from+32])
			}
		}
	}
	if len(candidates) < 200 {
		t.Fatalf("only %d candidates: the row was not found", len(candidates))
	}
	for _, c := range candidates {
		for _, guess := range []string{c, base64.RawURLEncoding.EncodeToString([]byte(c))} {
			if _, err := f.Authenticate(t.Context(), TokenPrefix+made.ID+"."+guess); !errors.Is(err, ErrToken) {
				t.Fatalf("%q: %v", guess, err)
			}
		}
	}
}

func FuzzScope(f *testing.F) {
	f.Add("administrator@org")
	f.Add("reader")
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := ParseScope(text); err == nil {
			if again, err := ParseScope(g.String()); err != nil || again != g {
				t.Errorf("%q is %+v, and again %+v, %v", text, g, again, err)
			}
		}
	})
}

// Tokens end with what signed their account in: always by a reset, and with the
// password where its holder wants it. Those of others stay.
func TestTokensEndWithTheirAccount(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	other, _ := f.joins(t, operator, "other@example.org", Grant{Validator, ""})
	made := func(a Actor) string {
		t.Helper()
		_, secret, err := f.NewToken(ctx, a, "script", []Grant{{Validator, ""}}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	works := func(secret string) bool { _, err := f.Authenticate(ctx, secret); return err == nil }
	mine, theirs := made(operator), made(other.Actor())
	if err := f.Reset(ctx, operator, other.Account.ID, "en"); err != nil || works(theirs) || !works(mine) {
		t.Errorf("reset: %v; their token works: %v, mine: %v", err, works(theirs), works(mine))
	}
	if err := f.ChangePassword(ctx, "", token, password, password+"2", false); err != nil || !works(mine) {
		t.Errorf("a new password, tokens kept: %v", err)
	}
	if err := f.ChangePassword(ctx, "", token, password+"2", password, true); err != nil || works(mine) {
		t.Errorf("a new password, tokens revoked: %v; it works: %v", err, works(mine))
	}
}
