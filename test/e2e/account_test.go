package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
)

// number is what an authenticator app shows for a key now (RFC 6238).
func (p *person) number(key string) string { return p.numberAt(key, time.Now()) }

func (p *person) numberAt(key string, at time.Time) string {
	p.t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil {
		p.t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	if err := binary.Write(mac, binary.BigEndian, uint64(at.Unix()/30)); err != nil {
		p.t.Fatal(err)
	}
	sum := mac.Sum(nil)
	from := sum[19] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[from:from+4])&0x7fffffff%1_000_000)
}

// carries gives the person a device that makes passkeys.
func (p *person) carries() {
	p.t.Helper()
	call(p, webauthn.Enable, webauthn.EnableParams{})
	call(p, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{
		Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		},
	})
}

// wait looks until the page says so.
func (p *person) wait(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if eval[bool](p, expression) {
			return
		}
	}
	p.t.Fatalf("never: %s\n%s", expression, p.text())
}

const (
	operatorAddress = "carol@example.org"
	operatorWords   = "five unrelated words stand here"
)

// walkAccounts is the way of the first operator and of an auditor, in Chromium
// with its own authenticator: an app and a passkey are set up and sign in, roles
// are given by mail, kept apart, and taken back.
func walkAccounts(t *testing.T, s *site, language string) {
	p := visit(t, s, language)
	p.carries()
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.open("/admin/account")
	p.show(language, "account-new")
	p.follow("form[action='/admin/account/app'] button")
	key := eval[string](p, "document.querySelector('#secret').textContent")
	p.enter("number", "000000")
	p.follow("main form .button")
	p.show(language, "app")
	p.enter("number", p.number(key))
	p.follow("main form .button")
	p.show(language, "recoverycodes")
	recovery := eval[string](p, "document.querySelector('#codes code').textContent")
	p.open("/admin/account")
	p.enter("passkey-name", "laptop")
	p.press("[data-passkey=create]")
	p.wait("document.querySelectorAll('main table tbody tr').length === 1")
	p.show(language, "account")

	p.follow(".who button")
	p.open("/admin/sign-in")
	p.show(language, "signin")
	p.enter("email", operatorAddress)
	p.enter("password", operatorWords)
	p.follow("main form .button")
	p.at("/admin/sign-in/second")
	p.enter("number", "not a number")
	p.follow("main form .button")
	p.show(language, "second")
	p.enter("number", recovery)
	p.follow("main form .button")
	p.at("/admin")
	p.follow(".who button")
	p.open("/admin/sign-in")
	p.press("[data-passkey=sign-in]")
	p.wait("location.pathname === '/admin'")

	p.open("/admin/again?to=/admin/account")
	p.show(language, "again")
	p.open("/admin/tokens")
	p.enter("name", "nightly report")
	p.press("input[value=reader]")
	p.follow("form[action='/admin/tokens'] .button")
	p.see("#token")
	p.show(language, "tokens")

	p.open("/admin/accounts")
	p.enter("email", "audra@example.org")
	p.press("input[value=auditor]")
	p.follow("form[action='/admin/accounts/invite'] .button")
	p.show(language, "accounts")

	q := visit(t, s, language)
	q.carries()
	q.open("/admin/invitation")
	q.enter("code", "ABCDE-ABCDE-ABCDE-ABCDE-ABCDE-ABCDE")
	q.follow("main form .button")
	q.show(language, "accept-error")
	q.open("/admin/invitation")
	q.enter("code", s.arrived("audra@example.org"))
	q.follow("main form .button")
	q.enter("name", "Audra")
	q.show(language, "accept")
	q.press("[data-passkey=create]")
	q.wait("location.pathname === '/admin'")
	q.open("/admin/accounts")
	if eval[bool](q, "!!document.querySelector('form[action$=invite]')") {
		t.Error("an auditor may invite")
	}
	p.open("/admin/accounts")
	if eval[bool](p, "!!document.querySelector('form[action$=give] select')") {
		t.Error("an auditor may get another role")
	}
	p.show(language, "accounts-two")
	p.follow("form[action$=remove] button")
	q.open("/admin/account")
	q.at("/admin/sign-in")

	// Somebody who has proven to hold a mailbox signs in as that person.
	a := visit(t, s, language)
	a.open("/apply")
	a.enter("email", "alice@example.org")
	a.follow("main form .button")
	a.enter("code", s.code("alice@example.org"))
	a.follow("form[action='/code'] .button")
	a.open("/sign-in")
	a.show(language, "personsignin")
	a.enter("email", "Alice@example.org")
	a.follow("main form .button")
	a.at("/sign-in/code")
	a.enter("code", "ABCDE-ABCDE-ABCDE-ABCDE-ABCDE-ABCDE")
	a.follow("main form .button")
	a.show(language, "personcode")
	a.enter("code", s.arrived("Alice@example.org"))
	a.follow("main form .button")
	a.at("/mine")
	a.show(language, "mine-none")
	a.open("/mine/keys")
	a.show(language, "ownkeys-none")
	for _, one := range []*person{p, q, a} {
		for _, problem := range one.problems {
			if !strings.HasPrefix(problem, "a body was sent") { // that of a button's form is empty
				t.Errorf("browser console: %s", problem)
			}
		}
	}
}

// arrived waits for the mail to an address and returns its code.
func (s *site) arrived(to string) string {
	s.t.Helper()
	for deadline := time.Now().Add(patience); len(s.mails(to)) == 0 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	return s.code(to)
}
