package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

const holder = "alice@example.org"

// holds makes a person who holds a mailbox.
func (f *fixture) holds(t *testing.T, id, address string) {
	t.Helper()
	err := f.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertPerson(store.Person{ID: id, Name: id, Language: "en", Created: f.now}),
			tx.HoldMailbox(address, address, id, f.now))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPersonByCode(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	f.holds(t, "alice", holder)
	f.holds(t, "bob", "bob@example.org")
	browser, err := f.AskCode(ctx, "", " Alice@EXAMPLE.org", "ja")
	if err != nil {
		t.Fatal(err)
	}
	if address, err := f.CodeAsked(ctx, browser); err != nil || address != "Alice@example.org" {
		t.Errorf("asked for %q, %v", address, err)
	}
	if _, _, err := f.EnterCode(ctx, "", browser, ""); !errors.Is(err, ErrCode) {
		t.Errorf("before a code was mailed: %v", err)
	}
	code := f.deliver()
	if code == "" || f.mails[0].To != "Alice@example.org" || f.mails[0].Language != "ja" {
		t.Fatalf("mails %+v", f.mails)
	}
	for name, data := range storetest.Content(t, f.source) {
		if strings.Contains(data, code) || strings.Contains(data, browser) {
			t.Errorf("%s has the code or the token", name)
		}
	}
	another, err := f.AskCode(ctx, "", "bob@example.org", "en")
	if err != nil {
		t.Fatal(err)
	}
	bobs := f.deliver()
	for name, test := range map[string]struct {
		token, code string
		want        error
	}{
		"in another browser": {another, code, ErrCode}, "another's code": {browser, bobs, ErrCode},
		"no token": {"", code, ErrNoSession}, "wrong": {browser, "x", ErrCode},
	} {
		if _, _, err := f.EnterCode(ctx, "", test.token, test.code); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	session, token, err := f.EnterCode(ctx, "", browser, " "+strings.ToLower(code)+"\n")
	if err != nil || !session.Actor().Self("alice") || session.Actor().Self("bob") || session.Actor().Self("") || len(session.Actor().Grants) != 0 {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, _, err := f.EnterCode(ctx, "", browser, code); !errors.Is(err, ErrNoSession) {
		t.Errorf("a second time: %v", err)
	}
	if s, err := f.PersonSession(ctx, token); err != nil || s.Person != "alice" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("a person's token opens an account: %v", err)
	}
	_, others, err := f.EnterCode(ctx, "", another, bobs)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.db.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseMailbox("bob@example.org", f.now) }); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PersonSession(ctx, others); !errors.Is(err, ErrNoSession) {
		t.Errorf("after the mailbox was given up: %v", err)
	}
	f.now = f.now.Add(PersonIdleTime - time.Second)
	if _, err := f.PersonSession(ctx, token); err != nil {
		t.Errorf("within the idle time: %v", err)
	}
	f.now = f.now.Add(SessionLife - PersonIdleTime + time.Second)
	if _, err := f.PersonSession(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("after its life: %v", err)
	}
}

// What is wrong with a code: too late, too often, or nobody holds the mailbox,
// which looks the same from outside.
func TestPersonCodeEnds(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	f.holds(t, "alice", holder)
	ask := func(address string) (browser, code string) {
		t.Helper()
		browser, err := f.AskCode(ctx, "", address, "en")
		if err != nil {
			t.Fatal(err)
		}
		return browser, f.deliver()
	}
	browser, code := ask(holder)
	for range maxWrongSteps {
		if _, _, err := f.EnterCode(ctx, "", browser, "wrong"); !errors.Is(err, ErrCode) {
			t.Fatal(err)
		}
	}
	if _, _, err := f.EnterCode(ctx, "", browser, code); !errors.Is(err, ErrNoSession) {
		t.Errorf("after %d wrong ones: %v", maxWrongSteps, err)
	}
	browser, code = ask(holder)
	f.now = f.now.Add(codeStepLife)
	if _, _, err := f.EnterCode(ctx, "", browser, code); !errors.Is(err, ErrNoSession) {
		t.Errorf("too late: %v", err)
	}
	browser, code = ask("nobody@example.org")
	if _, _, err := f.EnterCode(ctx, "", browser, ""); code != "" || !errors.Is(err, ErrCode) {
		t.Errorf("nobody holds the mailbox: code %q, %v", code, err)
	}
	if _, err := f.AskCode(ctx, "", "nobody", "en"); !errors.Is(err, ErrEmail) {
		t.Errorf("no address: %v", err)
	}
}

func TestCodesAreFew(t *testing.T) {
	f := open(t)
	for range CodesPerHour {
		if _, err := f.AskCode(t.Context(), "", holder, "en"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.AskCode(t.Context(), "", strings.ToUpper(holder), "en"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	for i := range ClientCodesPerHour {
		if _, err := f.AskCode(t.Context(), "192.0.2.1", string(rune('a'+i))+"@example.org", "en"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.AskCode(t.Context(), "192.0.2.1", "other@example.org", "en"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more of a client: %v", err)
	}
	if len(f.queued) != CodesPerHour+ClientCodesPerHour {
		t.Errorf("%d mails", len(f.queued))
	}
}

// A certificate of ours signs in whoever got it, until it is revoked.
func TestPersonByCertificate(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	f.holds(t, "alice", holder)
	sum := make([]byte, 32)
	for _, sql := range []string{
		`INSERT INTO authorities (id, name, kind, key_uri, certificate, crl_number, created_at) VALUES ('ca', 'ca', 'issuing', '', '', 0, 0)`,
		`INSERT INTO profiles (hash, config, first_used) VALUES ('p', '{}', 0)`,
		`INSERT INTO orders (id, state, name, language, secret_hash, person_id, profile_hash, reason, created_at, expires_at)
			VALUES ('o', 'issued', '', 'en', 's', 'alice', 'p', '', 0, 0)`,
	} {
		storetest.SQL(t, f.source, sql)
	}
	storetest.SQL(t, f.source, `INSERT INTO certificates (id, authority_id, serial, state, order_id, profile_hash, key_hash, sha256, reserved_at, note)
		VALUES ('c', 'ca', 'n', 'issued', 'o', 'p', 'k', $1, 0, '')`, sum)
	if name, err := f.PersonOfCertificate(ctx, sum); err != nil || name != "alice" {
		t.Errorf("%q, %v", name, err)
	}
	session, token, err := f.EnterByCertificate(ctx, sum)
	if err != nil || !session.Actor().Self("alice") || !session.Actor().Strong {
		t.Fatalf("%+v, %v", session, err)
	}
	if err := f.PersonSignOut(ctx, token); err != nil {
		t.Fatal(err)
	}
	if _, err := f.PersonSession(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("after signing out: %v", err)
	}
	storetest.SQL(t, f.source, `UPDATE certificates SET revoked_at = 1`)
	if _, _, err := f.EnterByCertificate(ctx, sum); !errors.Is(err, ErrCertificate) {
		t.Errorf("revoked: %v", err)
	}
}
