package portal

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

const words = "five unrelated words stand here"

// letters keeps the last mail that is to leave.
type letters struct{ last auth.Letter }

func (l *letters) Enqueue(_ *store.Tx, letter auth.Letter) error { l.last = letter; return nil }

// house is a portal over the real room of accounts.
type house struct {
	t       *testing.T
	now     time.Time
	service *auth.Service
	db      *store.DB
	letters letters
	handler http.Handler
}

func openHouse(t *testing.T, weak bool) *house {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "mailseal.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h := &house{t: t, now: noon, db: db}
	h.service = auth.New(auth.Options{
		Store: db, Clock: func() time.Time { return h.now }, Cost: auth.LeastCost, WeakSignIn: weak, URL: "https://ca.example.org", Queue: &h.letters, Secrets: open{},
		Site: webauthn.Site{ID: "ca.example.org", Origins: []string{"https://ca.example.org"}},
	})
	d := newDoor(t, newFake(), func(c *Config) {
		c.Administrators, c.Accounts = h.service, h.service
		c.Now = func() time.Time { return h.now }
	})
	h.handler = d.handler
	return h
}

// browser is somebody who is not signed in yet.
func (h *house) browser() *door { return &door{t: h.t, handler: h.handler, header: http.Header{}} }

// takes keeps the cookies of an answer, as a browser does.
func (d *door) takes(answer *http.Response) *http.Response {
	for _, c := range answer.Cookies() {
		d.cookies = slices.DeleteFunc(d.cookies, func(old *http.Cookie) bool { return old.Name == c.Name })
		if c.MaxAge >= 0 {
			d.cookies = append(d.cookies, c)
		}
	}
	return answer
}

func (d *door) has(name string) string {
	for _, c := range d.cookies {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// operator claims the place of the first administrator.
func (h *house) operator() *door {
	h.t.Helper()
	code, err := h.service.FirstCode(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	d := h.browser()
	answer := d.takes(d.post("/admin/claim", url.Values{"code": {code}, "email": {"op@example.org"}, "password": {words}, "again": {words}}))
	if answer.StatusCode != http.StatusSeeOther {
		h.t.Fatal(answer.Status)
	}
	return d
}

func (h *house) actor(d *door) auth.Actor {
	h.t.Helper()
	s, err := h.service.Session(h.t.Context(), d.has(adminCookie))
	if err != nil {
		h.t.Fatal(err)
	}
	return s.Actor()
}

// code is the one of the mail that waits.
func (h *house) code() string {
	h.t.Helper()
	var text string
	err := h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		m, err := h.service.Compose(tx, h.letters.last.Kind, h.letters.last.Data)
		text = m.Text
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(text)
}

// joins invites somebody by the page, who accepts by the page.
func (h *house) joins(by auth.Actor, address string, g auth.Grant) *door {
	h.t.Helper()
	if _, err := h.service.Invite(h.t.Context(), by, address, "en", g); err != nil {
		h.t.Fatal(err)
	}
	d := h.browser()
	answer := d.takes(d.post("/admin/invitation/accept", url.Values{"code": {h.code()}, "password": {words}, "again": {words}}))
	if answer.StatusCode != http.StatusSeeOther {
		h.t.Fatalf("%s: %s", address, answer.Status)
	}
	return d
}

// person signs somebody in who holds a mailbox.
func (h *house) person(id string) *door {
	h.t.Helper()
	address := id + "@example.org"
	err := h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertPerson(store.Person{ID: id, Name: id, Language: "en", Created: h.now}); err != nil {
			return err
		}
		m, err := mailbox.Parse(address)
		if err != nil {
			return err
		}
		return tx.HoldMailbox(m.Key(), address, id, h.now)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	d := h.browser()
	d.takes(d.post("/sign-in", url.Values{"email": {address}}))
	answer := d.takes(d.post("/sign-in/code", url.Values{"code": {h.code()}}))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != personHome {
		h.t.Fatalf("%s: %s", id, answer.Status)
	}
	return d
}

// routes are all patterns of the pages of sign-in and accounts, as they are made.
func signInPatterns(t *testing.T) (patterns []string) {
	t.Helper()
	(&portal{}).signInRoutes(func(pattern string, _ handler) { patterns = append(patterns, pattern) })
	if len(patterns) < 35 {
		t.Fatalf("only %d routes", len(patterns))
	}
	return patterns
}

// open are the pages for whoever is not signed in.
func openToAll(path string) bool {
	return strings.HasPrefix(path, "/admin/sign-in") || strings.HasPrefix(path, "/admin/invitation") ||
		strings.HasPrefix(path, "/sign-in") || path == "/sign-out"
}

// TestSignInMatrix asks for every page of accounts in every role: none is
// answered but to those who may, whatever ids of others they send, and a page of
// another site changes nothing for anybody (row 26 of the threats).
func TestSignInMatrix(t *testing.T) {
	h := openHouse(t, true)
	operator := h.operator()
	by := h.actor(operator)
	who := map[string]*door{
		"nobody": h.browser(), "person": h.person("alice"), "operator": operator,
		"validator":     h.joins(by, "v@example.org", auth.Grant{Role: auth.Validator}),
		"auditor":       h.joins(by, "a@example.org", auth.Grant{Role: auth.Auditor}),
		"administrator": h.joins(by, "m@example.org", auth.Grant{Role: auth.Administrator, Organization: "org1"}),
		"of another":    h.joins(by, "n@example.org", auth.Grant{Role: auth.Administrator, Organization: "org2"}),
	}
	// What the forms name belongs to the operator.
	_, secret, err := h.service.NewToken(t.Context(), by, "mine", []auth.Grant{{Role: auth.Operator}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := h.service.Invite(t.Context(), by, "waits@example.org", "en", auth.Grant{Role: auth.Validator})
	if err != nil {
		t.Fatal(err)
	}
	tokenID, _, _ := strings.Cut(strings.TrimPrefix(secret, auth.TokenPrefix), ".")
	ids := []string{tokenID, by.ID, invitation.ID, hex.EncodeToString([]byte("key"))}
	asked, refused := 0, 0
	for _, pattern := range signInPatterns(t) {
		method, path, _ := strings.Cut(pattern, " ")
		ofOrganization := strings.Contains(path, "{org}")
		path = strings.ReplaceAll(path, "{org}", "org1")
		if openToAll(path) {
			continue
		}
		for name, d := range who {
			if name == "operator" || ofOrganization && name == "administrator" {
				continue // what these may is tested where it is done
			}
			for _, id := range ids {
				asked++
				var answer *http.Response
				if method == http.MethodGet {
					answer = d.get(path + "?id=" + id)
				} else {
					answer = d.post(path, url.Values{"id": {id}, "role": {"validator"}, "email": {"x@example.org"}})
				}
				signedIn := name != "nobody" && name != "person"
				own := strings.HasPrefix(path, "/admin/account/") || path == "/admin/account" || strings.HasPrefix(path, "/admin/tokens") ||
					strings.HasPrefix(path, "/admin/again")
				looks := method == http.MethodGet && name == "auditor"
				switch {
				case !signedIn && answer.StatusCode == http.StatusSeeOther && answer.Header.Get("Location") == "/admin/sign-in":
					refused++
				case signedIn && (own || looks) && answer.StatusCode < 500: // their own, or theirs to look at
				case signedIn && answer.StatusCode == http.StatusForbidden:
					refused++
				default:
					t.Errorf("%s %s by %s: %s", method, path, name, answer.Status)
				}
			}
		}
	}
	t.Logf("%d requests, %d refused", asked, refused)
	if _, err := h.service.Authenticate(t.Context(), secret); err != nil {
		t.Errorf("the operator's token was revoked by somebody else: %v", err)
	}
	if list, err := h.service.Invitations(t.Context(), by, ""); err != nil || len(list) != 1 {
		t.Errorf("invitations: %+v, %v", list, err)
	}
	if !h.actor(operator).Has(auth.Operator, "") {
		t.Error("the operator is none any more")
	}
	h.foreign(t, operator)
}

// foreign sends every form as a page of another site would, with all cookies.
func (h *house) foreign(t *testing.T, d *door) {
	t.Helper()
	before := h.entries()
	for _, pattern := range signInPatterns(t) {
		method, path, _ := strings.Cut(pattern, " ")
		if method != http.MethodPost {
			continue
		}
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			d.header = http.Header{header[0]: {header[1]}}
			if answer := d.post(strings.ReplaceAll(path, "{org}", "org1"), url.Values{}); answer.StatusCode != http.StatusForbidden {
				t.Errorf("%v, POST %s: %s", header, path, answer.Status)
			}
		}
	}
	d.header = http.Header{}
	if after := h.entries(); after != before {
		t.Errorf("%d entries of the log by other sites", after-before)
	}
}

func (h *house) entries() (n int64) {
	h.t.Helper()
	err := h.db.View(h.t.Context(), func(tx *store.Tx) error {
		last, err := tx.LastAuditEntry()
		n = last.Seq
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// TestFixation plants cookies before the sign-in: the session has another token,
// and so it has after each step up; what was planted opens nothing.
func TestFixation(t *testing.T) {
	h := openHouse(t, false)
	h.operator()
	const planted = "a token that somebody else knows"
	d := h.browser()
	for _, name := range []string{adminCookie, stepCookie, personCookie} {
		d.cookies = append(d.cookies, &http.Cookie{Name: name, Value: planted})
	}
	answer := d.takes(d.post("/admin/sign-in", url.Values{"email": {"op@example.org"}, "password": {words}}))
	weak := d.has(adminCookie)
	if answer.StatusCode != http.StatusSeeOther || weak == planted || weak == "" || answer.Header.Get("Location") != "/admin/account" {
		t.Fatalf("%s, token %q", answer.Status, weak)
	}
	if got := d.get("/admin/reports").Header.Get("Location"); got != "/admin/account" {
		t.Errorf("a page of the operator's with a password alone leads to %q", got)
	}
	options := d.post("/admin/account/passkey/options", url.Values{})
	raw := read(t, options)
	soft, err := softkey.New("https://ca.example.org", raw)
	if err != nil {
		t.Fatal(err)
	}
	answer = d.takes(d.request(http.MethodPost, "/admin/account/passkey", "application/json", `{"name":"k","answer":`+string(soft.Create(raw))+`}`))
	strong := d.has(adminCookie)
	if answer.StatusCode != http.StatusOK || strong == weak || strong == "" {
		t.Fatalf("%s, token %q", answer.Status, strong)
	}
	for name, token := range map[string]string{"planted": planted, "from before the step up": weak} {
		other := h.browser()
		other.cookies = []*http.Cookie{{Name: adminCookie, Value: token}, {Name: personCookie, Value: token}}
		if got := other.get("/admin/account").Header.Get("Location"); got != "/admin/sign-in" {
			t.Errorf("%s: leads to %q", name, got)
		}
	}
	if answer := d.get("/admin/account"); answer.StatusCode != http.StatusOK {
		t.Errorf("the new one: %s", answer.Status)
	}
	h.now = h.now.Add(auth.IdleTime)
	if got := d.get("/admin/account").Header.Get("Location"); got != "/admin/sign-in" {
		t.Errorf("idle: leads to %q", got)
	}
	raw = read(t, d.post("/admin/sign-in/passkey/options", url.Values{}))
	answer = d.takes(d.request(http.MethodPost, "/admin/sign-in/passkey", "application/json", `{"answer":`+string(soft.Sign(raw))+`}`))
	if answer.StatusCode != http.StatusOK || d.has(adminCookie) == strong {
		t.Fatalf("by passkey: %s", answer.Status)
	}
	signedOut := d.has(adminCookie)
	d.takes(d.post("/admin/sign-out", url.Values{}))
	if d.has(adminCookie) != "" {
		t.Error("the cookie stays after signing out")
	}
	d.cookies = append(d.cookies, &http.Cookie{Name: adminCookie, Value: signedOut})
	if got := d.get("/admin/account").Header.Get("Location"); got != "/admin/sign-in" {
		t.Errorf("signed out: leads to %q", got)
	}
}

// TestNewAdministrator goes the way of somebody who was just invited: a password,
// the page that says why it is not enough and how to go on, a passkey, and on to
// the organization's pages.
func TestNewAdministrator(t *testing.T) {
	h := openHouse(t, false)
	d := h.joins(auth.Console(), "new@example.org", auth.Grant{Role: auth.Administrator, Organization: organizationID})
	for _, path := range []string{"/admin", "/org", "/org/" + organizationID, "/org/" + organizationID + "/people/new"} {
		if got := d.get(path).Header.Get("Location"); got != "/admin/account" {
			t.Errorf("%s with a password alone leads to %q", path, got)
		}
	}
	for language, says := range map[string]string{"en": "Set up an authenticator app or a passkey below", "ja": "認証アプリかパスキーを設定"} {
		d.header = http.Header{"Accept-Language": {language}}
		page, err := io.ReadAll(d.get("/admin/account").Body)
		if err != nil || !strings.Contains(string(page), says) {
			t.Errorf("%s: the page does not say %q, %v", language, says, err)
		}
	}
	raw := read(t, d.post("/admin/account/passkey/options", url.Values{}))
	soft, err := softkey.New("https://ca.example.org", raw)
	if err != nil {
		t.Fatal(err)
	}
	answer := d.takes(d.request(http.MethodPost, "/admin/account/passkey", "application/json", `{"name":"k","answer":`+string(soft.Create(raw))+`}`))
	if to := string(read(t, answer)); !strings.Contains(to, `"/admin"`) {
		t.Errorf("the passkey leads to %s", to)
	}
	if answer := d.get("/org/" + organizationID); answer.StatusCode != http.StatusOK {
		t.Errorf("the organization's page: %s", answer.Status)
	}
}

func read(t *testing.T, answer *http.Response) []byte {
	t.Helper()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	raw := make([]byte, 64<<10)
	n, _ := answer.Body.Read(raw)
	return raw[:n]
}

// TestOwnPages holds that two people see their own alone, and that a person is
// no account.
func TestPersonIsNoAccount(t *testing.T) {
	h := openHouse(t, true)
	h.operator()
	alice, bob := h.person("alice"), h.person("bob")
	if alice.has(personCookie) == bob.has(personCookie) || alice.has(adminCookie) != "" {
		t.Error("cookies of people")
	}
	for id, d := range map[string]*door{"alice": alice, "bob": bob} {
		s, err := h.service.PersonSession(t.Context(), d.has(personCookie))
		if err != nil || !s.Actor().Self(id) {
			t.Errorf("%s: %+v, %v", id, s, err)
		}
	}
	// One's token in the place of the other kind opens nothing.
	alice.cookies = append(alice.cookies, &http.Cookie{Name: adminCookie, Value: alice.has(personCookie)})
	if got := alice.get("/admin/account").Header.Get("Location"); got != "/admin/sign-in" {
		t.Errorf("a person's token as an account's leads to %q", got)
	}
	bob.takes(bob.post("/sign-out", url.Values{}))
	if bob.has(personCookie) != "" {
		t.Error("the cookie stays after signing out")
	}
}

// TestSecondMember has one administrator invite an approver beside another, by the
// pages: it waits for the other, whom the page names, and who confirms it there.
func TestSecondMember(t *testing.T) {
	h := openHouse(t, true)
	grant := func(role auth.Role) auth.Grant { return auth.Grant{Role: role, Organization: organizationID} }
	one := h.joins(auth.Console(), "one@example.org", grant(auth.Administrator))
	two := h.joins(h.actor(one), "two@example.org", grant(auth.Approver))
	h.service.Govern(twoDecide{})
	path := "/org/" + organizationID + "/accounts"
	h.letters.last = auth.Letter{}
	answer := one.post(path+"/invite", url.Values{"email": {"puppet@example.org"}, "role": {"approver"}, "language": {"en"}})
	if to := answer.Header.Get("Location"); to != path+"?done=waits" || h.letters.last.Kind != auth.MailChange || h.letters.last.To.String() != "two@example.org" {
		t.Fatalf("leads to %q, and mails %+v", to, h.letters.last)
	}
	pages := map[string]string{}
	for name, d := range map[string]*door{"one": one, "two": two} {
		for _, at := range []string{path, "/org/" + organizationID, "/org/" + organizationID + "/settings"} {
			body, err := io.ReadAll(d.get(at).Body)
			if err != nil || !strings.Contains(string(body), "Waits for a second person") {
				t.Errorf("%s for %s does not say that something waits, %v", at, name, err)
			}
			if at == path {
				pages[name] = string(body)
			}
		}
	}
	if page := pages["one"]; !strings.Contains(page, "two@example.org") || !strings.Contains(page, "puppet@example.org") || strings.Contains(page, path+"/confirm") {
		t.Error("who asked is not told for whom it waits, or may confirm it")
	}
	found := regexp.MustCompile(`/confirm"><input type="hidden" name="id" value="([a-z2-7]+)"`).FindStringSubmatch(pages["two"])
	if found == nil {
		t.Fatal("the other cannot confirm it")
	}
	if answer := one.post(path+"/confirm", url.Values{"id": found[1:]}); answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("confirmed by who asked: %s", answer.Status)
	}
	if to := two.post(path+"/confirm", url.Values{"id": found[1:]}).Header.Get("Location"); to != path+"?done=confirmed" || h.letters.last.Kind != auth.MailInvitation {
		t.Errorf("leads to %q, and mails %+v", to, h.letters.last)
	}
}

// TestRoleThatWaits accepts an invitation from before two decided: every page that
// the invited lands on says that the role waits and what comes next, until another
// confirms it.
func TestRoleThatWaits(t *testing.T) {
	h := openHouse(t, true)
	grant := func(role auth.Role) auth.Grant { return auth.Grant{Role: role, Organization: organizationID} }
	one := h.joins(auth.Console(), "one@example.org", grant(auth.Administrator))
	if _, err := h.service.Invite(t.Context(), h.actor(one), "three@example.org", "en", grant(auth.Approver)); err != nil {
		t.Fatal(err)
	}
	code := h.code()
	two := h.joins(h.actor(one), "two@example.org", grant(auth.Approver))
	h.service.Govern(twoDecide{})
	three := h.browser()
	three.takes(three.post("/admin/invitation/accept", url.Values{"code": {code}, "password": {words}, "again": {words}}))
	says := func(d *door, language string, texts ...string) bool {
		t.Helper()
		d.header.Set("Accept-Language", language)
		for _, at := range []string{"/org", "/admin/account"} {
			page := shown(t, d.get(at))
			for _, text := range texts {
				if !strings.Contains(page, text) {
					return false
				}
			}
			if strings.Contains(page, "You belong to no organization yet") {
				t.Errorf("%s says that there is nothing to wait for", at)
			}
		}
		return true
	}
	if !says(three, "en", "Your role waits for a second person", "Approver of "+newFake().order.Name, "have the role when you sign in again", "ask whoever invited you") {
		t.Error("who accepted is not told that the role waits")
	}
	if !says(three, "ja", "あなたの役割は、別の担当者の確認を待っています", "承認者", "もう一度サインインすると役割を使えます") {
		t.Error("nor in Japanese")
	}
	if says(two, "en", "Your role waits") || says(one, "en", "Your role waits") {
		t.Error("it is said to others")
	}
	list, err := h.service.Changes(t.Context(), h.actor(two), organizationID)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if err := h.service.ConfirmChange(t.Context(), h.actor(two), organizationID, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if to := three.get("/org").Header.Get("Location"); to != "/admin/sign-in" {
		t.Errorf("with the role given, the session from before leads to %q", to)
	}
	h.now = h.now.Add(time.Minute)
	three.takes(three.post("/admin/sign-in", url.Values{"email": {"three@example.org"}, "password": {words}}))
	if says(three, "en", "Your role waits") || !h.actor(three).Has(auth.Approver, organizationID) {
		t.Error("with the role given it still waits")
	}
}

// twoDecide are the rules of organizations that all have their orders decided by
// two.
type twoDecide struct{}

func (twoDecide) TwoDecide(*store.Tx, string) (bool, error) { return true, nil }

func (twoDecide) EndApproval(context.Context, *store.Tx, auth.Actor, string) error { return nil }

// open seals nothing, which is tested where it is done.
type open struct{}

func (open) Seal(_, _ string, plain []byte) ([]byte, error) { return plain, nil }

func (open) Open(_, _ string, sealed []byte) ([]byte, error) { return sealed, nil }
