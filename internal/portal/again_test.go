package portal

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

// forms are the forms of a page by where they go, with their hidden fields.
func forms(t *testing.T, page string) map[string]url.Values {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]url.Values{}
	for node := range root.Descendants() {
		if node.Type != html.ElementNode || node.Data != "form" {
			continue
		}
		values := url.Values{}
		for inside := range node.Descendants() {
			if a := attributes(inside); inside.Data == "input" && a["type"] == "hidden" {
				values.Add(a["name"], a["value"])
			}
		}
		found[attributes(node)["action"]] = values
	}
	return found
}

func body(t *testing.T, answer *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// later opens a house whose operator has a passkey and signed in a while ago.
func later(t *testing.T) (h *house, d *door, key *softkey.Key) {
	t.Helper()
	h = openHouse(t, false)
	d = h.operator()
	raw := read(t, d.post("/admin/account/passkey/options", url.Values{}))
	key, err := softkey.New("https://ca.example.org", raw)
	if err != nil {
		t.Fatal(err)
	}
	d.takes(d.request(http.MethodPost, "/admin/account/passkey", "application/json", `{"name":"k","answer":`+string(key.Create(raw))+`}`))
	h.now = h.now.Add(auth.FreshTime)
	return h, d, key
}

// What was sent to a grave act waits in the page that asks who is there, and does
// what it was for afterwards.
func TestAgain(t *testing.T) {
	h, d, key := later(t)
	sent := url.Values{"name": {`a "name" & more`}, "scope": {"operator", "reader"}, "days": {"30"}}
	answer := d.post("/admin/tokens", sent)
	page := body(t, answer)
	waits := forms(t, page)["/admin/tokens"]
	if answer.StatusCode != http.StatusForbidden || waits.Encode() != sent.Encode() || !strings.Contains(page, "data-passkey-onward") {
		t.Fatalf("%s, and %q waits:\n%s", answer.Status, waits, page)
	}
	raw := read(t, d.post("/admin/again/passkey/options", url.Values{}))
	before := d.has(adminCookie)
	answer = d.takes(d.request(http.MethodPost, "/admin/again/passkey", "application/json", `{"answer":`+string(key.Sign(raw))+`}`))
	if answer.StatusCode != http.StatusOK || d.has(adminCookie) == before {
		t.Fatalf("%s, the same cookie: %v", answer.Status, d.has(adminCookie) == before)
	}
	if page := body(t, d.post("/admin/tokens", waits)); !strings.Contains(page, auth.TokenPrefix) {
		t.Errorf("no token:\n%s", page)
	}
	h.now = h.now.Add(auth.FreshTime)
	// A password is written into no page.
	page = body(t, d.post("/admin/account/password", url.Values{"old": {words}, "password": {words + "x"}, "again": {words + "x"}}))
	if strings.Contains(page, words) || !strings.Contains(page, "could not be kept") {
		t.Errorf("a password is kept:\n%s", page)
	}
	// A script is told where to lead.
	d.header = http.Header{"Accept": {"application/json"}}
	var problem struct{ Again, Detail string }
	if err := json.Unmarshal([]byte(body(t, d.post("/admin/account/passkey/options", url.Values{}))), &problem); err != nil || problem.Again != againPath || problem.Detail == "" {
		t.Errorf("%+v, %v", problem, err)
	}
}

// The page that asks leads on within the site, with what was sent where it was
// kept, and only after a proof.
func TestAgainLeadsOn(t *testing.T) {
	h := openHouse(t, false)
	d := h.operator()
	secret := regexp.MustCompile(`id="secret">([A-Z2-7 ]+)<`).FindStringSubmatch(body(t, d.post("/admin/account/app", url.Values{})))
	if secret == nil {
		t.Fatal("no secret")
	}
	number := func() string { return totp(t, secret[1], h.now) }
	if answer := d.takes(d.post("/admin/account/app/confirm", url.Values{"number": {number()}})); answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	for _, step := range []struct {
		to, whole string
		status    int
		want      string
	}{
		{"/admin/accounts?x=1", "", http.StatusSeeOther, "/admin/accounts?x=1"},
		{"/admin/accounts/invite", "yes", http.StatusTemporaryRedirect, "/admin/accounts/invite"},
		{"https://evil.example/", "yes", http.StatusTemporaryRedirect, "/"},
		{"//evil.example", "", http.StatusSeeOther, "/"},
	} {
		h.now = h.now.Add(auth.FreshTime)
		form := url.Values{againTo: {step.to}, againWhole: {step.whole}, againNumber: {"000000"}, "email": {"x@example.org"}}
		answer := d.post("/admin/again", form)
		page := body(t, answer)
		if kept := forms(t, page)["/admin/again"]; answer.StatusCode != http.StatusUnprocessableEntity || kept.Get("email") != "x@example.org" || kept.Has(againNumber) {
			t.Errorf("%s, a wrong number: %s, keeps %q", step.to, answer.Status, kept)
		}
		form.Set(againNumber, number())
		answer = d.takes(d.post("/admin/again", form))
		if got := answer.Header.Get("Location"); answer.StatusCode != step.status || got != step.want {
			t.Errorf("%s: %s to %q, want %d to %q", step.to, answer.Status, got, step.status, step.want)
		}
	}
}

// Roots that are named wait in the page that asks, in the pages of an organization
// and in the operator's.
func TestRootsAskAgain(t *testing.T) {
	f := newFake()
	f.grants = append(f.grants, auth.Grant{Role: auth.Administrator, Organization: organizationID})
	d := newDoor(t, f, nil).administers()
	sent := url.Values{"certificate": {"-----BEGIN CERTIFICATE-----"}}
	for _, path := range []string{"/org/" + organizationID + "/roots", "/admin/roots"} {
		if page := body(t, d.get(path)); !strings.Contains(page, `action="`+path+`"`) || !strings.Contains(page, `action="`+path+`/remove"`) {
			t.Errorf("%s:\n%s", path, page)
		}
		if answer := d.post(path, sent); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != path {
			t.Errorf("%s by who is there: %s", path, answer.Status)
		}
		f.stale = true
		answer := d.post(path, sent)
		if waits := forms(t, body(t, answer))["/admin/again"]; answer.StatusCode != http.StatusForbidden || waits.Get("certificate") != sent.Get("certificate") || waits.Get(againTo) != path {
			t.Errorf("%s a while later: %s, and %q waits", path, answer.Status, waits)
		}
		f.stale = false
	}
}

// Whoever came in by a certificate is asked for what a person shows, and sent to an
// operator where there is nothing of the kind.
func TestAgainAfterACertificate(t *testing.T) {
	h := openHouse(t, false)
	d := h.operator()
	sum := make([]byte, 32)
	if err := h.service.AddCertificate(t.Context(), d.has(adminCookie), sum); err != nil {
		t.Fatal(err)
	}
	enter := func() *door {
		t.Helper()
		_, token, err := h.service.SignInByCertificate(t.Context(), sum)
		if err != nil {
			t.Fatal(err)
		}
		d := h.browser()
		d.cookies = []*http.Cookie{{Name: adminCookie, Value: token}}
		return d
	}
	d = enter()
	sent := url.Values{"name": {"a name"}, "scope": {"operator"}, "days": {"30"}}
	answer := d.post("/admin/tokens", sent)
	page := body(t, answer)
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(page, "again-password") || !strings.Contains(page, "shows it by itself") {
		t.Fatalf("%s:\n%s", answer.Status, page)
	}
	form := forms(t, page)["/admin/again"]
	form.Set(againWords, words)
	if answer := d.takes(d.post("/admin/again", form)); answer.StatusCode != http.StatusTemporaryRedirect {
		t.Fatalf("%s to %s with %q", answer.Status, answer.Header.Get("Location"), form)
	}
	if page := body(t, d.post("/admin/tokens", sent)); !strings.Contains(page, auth.TokenPrefix) {
		t.Errorf("no token:\n%s", page)
	}
	err := h.db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetPassword(h.actor(d).ID, "") })
	if err != nil {
		t.Fatal(err)
	}
	d = enter()
	if page = body(t, d.post("/admin/tokens", sent)); strings.Contains(page, `action="/admin/again"`) || !strings.Contains(page, toReset) {
		t.Errorf("who has nothing to show is asked:\n%s", page)
	}
	answer = d.post("/admin/account/password", url.Values{"old": {""}, "password": {words}, "again": {words}})
	if page = body(t, answer); answer.StatusCode != http.StatusForbidden || !strings.Contains(page, toReset) {
		t.Errorf("a first password: %s\n%s", answer.Status, page)
	}
}

// toReset is in the page that has nothing to ask for.
const toReset = "Ask an operator to reset your sign-in"

// elsewhere is a browser with the same session, at the same data served otherwise.
func (h *house) elsewhere(d *door, change func(*auth.Options, *Config)) *door {
	h.t.Helper()
	o := auth.Options{Store: h.db, Clock: func() time.Time { return h.now }, Cost: auth.LeastCost, URL: "https://ca.example.org", Queue: &h.letters, Secrets: open{}}
	other := newDoor(h.t, newFake(), func(c *Config) {
		c.Now = o.Clock
		change(&o, c)
		service := auth.New(o)
		c.Administrators, c.Accounts = service, service
	})
	other.cookies = d.cookies
	return other
}

// What the account has and the server cannot ask for is no way: the page says what
// else to do, and what it offers, it shows.
func TestAgainWithoutAWay(t *testing.T) {
	h, withPasskey, _ := later(t)
	nothing := func(*auth.Options, *Config) {}
	site := func(o *auth.Options, _ *Config) {
		o.Site = webauthn.Site{ID: "ca.example.org", Origins: []string{"https://ca.example.org"}}
	}
	atDoor := func(_ *auth.Options, c *Config) { c.Door = "https://ca.example.org:8444" }
	second := openHouse(t, false)
	withPassword := second.operator()
	sum := make([]byte, 32)
	if err := second.service.AddCertificate(t.Context(), withPassword.has(adminCookie), sum); err != nil {
		t.Fatal(err)
	}
	third := openHouse(t, false)
	withProvider := third.operator()
	account := third.actor(withProvider).ID
	if err := third.service.AddCertificate(t.Context(), withProvider.has(adminCookie), sum); err != nil {
		t.Fatal(err)
	}
	err := third.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.SetPassword(account, ""), tx.LinkOpenIDSubject("https://id.example.org", "subject", account, third.now))
	})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := third.service.SignInByCertificate(t.Context(), sum)
	if err != nil {
		t.Fatal(err)
	}
	withProvider.cookies = []*http.Cookie{{Name: adminCookie, Value: token}}
	plain := openHouse(t, false)
	for name, test := range map[string]struct {
		d    *door
		want string
	}{
		"passkeys, on a server without":    {h.elsewhere(withPasskey, nothing), toReset},
		"passkeys":                         {h.elsewhere(withPasskey, site), "data-passkey-onward"},
		"a certificate first, and no door": {second.elsewhere(withPassword, nothing), toReset},
		"a certificate first":              {second.elsewhere(withPassword, atDoor), "https://ca.example.org:8444/"},
		"a provider that is gone":          {third.elsewhere(withProvider, nothing), toReset},
		"a password alone":                 {plain.elsewhere(plain.operator(), nothing), "Set up an authenticator app"},
	} {
		page := body(t, test.d.get("/admin/again"))
		if !strings.Contains(page, test.want) || strings.Contains(page, toReset) != (test.want == toReset) || strings.Contains(page, `action="/admin/again"`) {
			t.Errorf("%s:\n%s", name, page)
		}
	}
}

// totp is what an authenticator app shows for a key (RFC 6238).
func totp(t *testing.T, key string, at time.Time) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	if err := binary.Write(mac, binary.BigEndian, at.Unix()/30); err != nil {
		t.Fatal(err)
	}
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}
