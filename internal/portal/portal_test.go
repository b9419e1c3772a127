package portal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// paths of everything that a POST may change.
var changing = []string{
	"/apply", "/code", "/code/resend", "/key", "/admin/claim", "/admin/sign-in", "/admin/sign-out",
	"/report", "/admin/reports/answer", "/admin/reports/decide", "/admin/revoke",
	"/org/new", "/org/organization1/names", "/org/organization1/agreement", "/org/organization1/settings",
	"/org/organization1/domains", "/org/organization1/domains/check", "/org/organization1/domains/remove",
	"/org/organization1/roots", "/org/organization1/roots/remove", "/admin/roots", "/admin/roots/remove",
	"/org/organization1/people", "/org/organization1/people/new", "/org/organization1/people/person1/change",
	"/org/organization1/people/person1/order", "/org/organization1/people/person1/revoke", "/org/organization1/people/person1/leave",
	"/org/organization1/evidence", "/org/organization1/import",
	"/org/organization1/adopt/certificates", "/org/organization1/previews/x", "/org/organization1/orders",
	"/org/organization1/runs/run1/pause", "/org/organization1/runs/run1/resume", "/org/organization1/runs/run1/retry",
	"/org/organization1/runs/run1/cancel", "/org/organization1/runs/run1/passphrases.csv",
	"/admin/organizations", "/admin/evidence/decide", "/admin/jobs", "/i/invitation1", "/i/file1",
	"/mine/keys/ask", "/mine/keys/withdraw", "/mine/keys/release",
	"/mine/make", "/mine/renew", "/mine/again", "/mine/revoke",
}

// TestLooksChangeNothing sends what scanners, prefetchers and crawlers send,
// with the sessions of the person and the administrator.
func TestLooksChangeNothing(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).asks().administers().signsIn()
	paths := append([]string{"/", "/install", "/admin", "/language", "/dev/mail"}, changing...)
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace} {
		for _, path := range paths {
			d.request(method, path+"?code=ABCDE&email=a@example.com&password=x", "", "")
		}
	}
	if f.calls != 0 {
		t.Errorf("%d changes by looking", f.calls)
	}
}

// TestEveryFormIsListed finds forms in routes.go that the list above lacks.
func TestEveryFormIsListed(t *testing.T) {
	source, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, path := range changing {
		path = strings.NewReplacer("organization1", "{org}", "person1", "{person}", "run1", "{run}", "/previews/x", "/previews/{preview}",
			"/i/invitation1", "/i/{id}", "/i/file1", "/i/{id}").Replace(path)
		known[strings.TrimPrefix(path, "/org/{org}")] = true
		known[path] = true
	}
	for _, change := range []string{"pause", "resume", "retry", "cancel"} {
		known["/runs/{run}/{change}"] = known["/runs/{run}/"+change]
	}
	forms := regexp.MustCompile(`"POST ([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(forms) < 25 {
		t.Fatalf("%d forms found: the test sees too little", len(forms))
	}
	for _, form := range forms {
		if !known[form[1]] {
			t.Errorf("POST %s is in no test of what other sites may send", form[1])
		}
	}
}

// TestOrganizationsAreClosed asks for every page and sends every form of an
// organization as somebody who has no role in it.
func TestOrganizationsAreClosed(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	f.grants = []auth.Grant{{Role: auth.Administrator, Organization: "another"}}
	n := 0
	for _, path := range append(slices.Clone(ownPaths), changing...) {
		path, _, _ = strings.Cut(path, "?")
		if !strings.HasPrefix(path, "/org/organization1") && !strings.HasPrefix(path, "/admin/organizations") && !strings.HasPrefix(path, "/admin/evidence") {
			continue
		}
		for method, answer := range map[string]*http.Response{
			"GET": d.get(path), "POST": d.post(path, url.Values{"person": {"person1"}, "sure": {"yes"}, "do": {"leave"}}),
		} {
			n++
			if answer.StatusCode != http.StatusForbidden && answer.StatusCode != http.StatusMethodNotAllowed && answer.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s: %s", method, path, answer.Status)
			}
		}
	}
	if f.calls != 0 || n < 80 {
		t.Errorf("%d changes by %d requests of somebody without a role", f.calls, n)
	}
}

// TestOtherSitesChangeNothing sends every form as a page of another site would.
func TestOtherSitesChangeNothing(t *testing.T) {
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://example.org"}, {"Origin": "null"},
	} {
		f := newFake()
		d := newDoor(t, f, nil).asks().administers().signsIn()
		for key, value := range header {
			d.header.Set(key, value)
		}
		for _, path := range append([]string{"/language"}, changing...) {
			answer := d.post(path, url.Values{"tag": {"ja"}})
			if answer.StatusCode != http.StatusForbidden {
				t.Errorf("%v, POST %s: %s", header, path, answer.Status)
			}
			if got := answer.Header.Get("Content-Security-Policy"); got != policy {
				t.Errorf("%v, POST %s: Content-Security-Policy %q", header, path, got)
			}
		}
		if f.calls != 0 {
			t.Errorf("%v: %d changes", header, f.calls)
		}
	}
}

// TestForeignSessions uses no session and wrong ones on every step of an order.
func TestForeignSessions(t *testing.T) {
	for name, value := range map[string]string{
		"none": "", "no secret": "order1.", "no dot": "order1", "other secret": "order1.guessed", "other order": "order2." + secret, "empty": ".",
	} {
		f := newFake()
		d := newDoor(t, f, nil)
		if value != "" {
			d.cookies = []*http.Cookie{{Name: orderCookie, Value: value}}
		}
		for _, path := range []string{"/code", "/key"} {
			if answer := d.get(path); answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s: GET %s: %s", name, path, answer.Status)
			}
		}
		for _, path := range []string{"/code", "/code/resend"} {
			if answer := d.post(path, url.Values{"code": {"x"}}); answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s: POST %s: %s", name, path, answer.Status)
			}
		}
		if answer := d.request(http.MethodPost, "/key", "application/pkcs10", "x"); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: POST /key: %s", name, answer.Status)
		}
	}
}

func TestCookies(t *testing.T) {
	for _, tc := range []struct {
		secure       bool
		order, admin string
	}{{false, "mailseal-order", "mailseal-admin"}, {true, "__Host-mailseal-order", "__Host-mailseal-admin"}} {
		d := newDoor(t, newFake(), func(c *Config) { c.Secure = tc.secure })
		for path, want := range map[string]struct {
			name string
			site http.SameSite
			life time.Duration
		}{
			"/apply":         {tc.order, http.SameSiteLaxMode, orderLife},
			"/admin/sign-in": {tc.admin, http.SameSiteStrictMode, time.Hour},
			"/admin/claim":   {tc.admin, http.SameSiteStrictMode, time.Hour},
		} {
			cookies := d.post(path, url.Values{}).Cookies()
			if len(cookies) != 1 {
				t.Fatalf("%s: %d cookies", path, len(cookies))
			}
			c := cookies[0]
			if c.Name != want.name || c.SameSite != want.site || !c.HttpOnly || c.Secure != tc.secure ||
				c.Path != "/" || c.Domain != "" || c.MaxAge != int(want.life.Seconds()) {
				t.Errorf("%s: %v", path, c)
			}
		}
	}
}

// TestProblems holds which answer each refusal becomes, as a page and as JSON.
func TestProblems(t *testing.T) {
	for err, want := range map[error]int{
		registration.ErrNotFound:                            http.StatusForbidden,
		registration.ErrState:                               http.StatusConflict,
		fmt.Errorf("read: %w", store.ErrUnavailable):        http.StatusServiceUnavailable,
		registration.ErrRequest:                             http.StatusUnprocessableEntity,
		registration.ErrOtherKey:                            http.StatusConflict,
		registration.ErrRootsChange:                         http.StatusConflict,
		fmt.Errorf("step: %w", registration.ErrState):       http.StatusConflict,
		&registration.TooManyError{Retry: 90 * time.Second}: http.StatusTooManyRequests,
		errors.New("disk full at /secret/path"):             http.StatusInternalServerError,
	} {
		f := newFake()
		f.err = err
		d := newDoor(t, f, nil).asks()
		page := d.post("/code", url.Values{"code": {"x"}})
		body, _ := io.ReadAll(page.Body)
		if page.StatusCode != want || !strings.Contains(string(body), `class="button"`) {
			t.Errorf("%v: %s, want %d and a way out:\n%s", err, page.Status, want, body)
		}
		if strings.Contains(string(body), "secret") {
			t.Errorf("%v: the page tells what is for the log", err)
		}
		d.header.Set("Accept", "application/json")
		answer := d.request(http.MethodPost, "/key", "application/pkcs10", "x")
		var problem struct {
			Title, Detail string
			Status        int
		}
		if err := json.NewDecoder(answer.Body).Decode(&problem); err != nil || problem.Status != want || problem.Title == "" || problem.Detail == "" {
			t.Errorf("%v as JSON: %+v, %v", f.err, problem, err)
		}
		if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%v as JSON: content type %q", f.err, got)
		}
		if _, many := f.err.(*registration.TooManyError); many && (answer.Header.Get("Retry-After") != "120" || !strings.Contains(problem.Detail, "2 minutes")) {
			t.Errorf("Retry-After %q, %q", answer.Header.Get("Retry-After"), problem.Detail)
		}
	}
}

// TestUnreadableForms are the sender's trouble, not ours.
func TestUnreadableForms(t *testing.T) {
	for _, path := range []string{"/apply", "/code", "/admin/sign-in", "/admin/claim"} {
		d := newDoor(t, newFake(), nil).asks()
		if answer := d.request(http.MethodPost, path, "application/x-www-form-urlencoded", "email=%zz"); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("POST %s with a form that is none: %s", path, answer.Status)
		}
	}
}

func TestEnrollTakesRequestsOnly(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).asks()
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"} {
		if answer := d.request(http.MethodPost, "/key", contentType, "x"); answer.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%q: %s", contentType, answer.Status)
		}
	}
	for _, contentType := range []string{"application/pkcs10", "application/json"} {
		if answer := d.request(http.MethodPost, "/key", contentType, strings.Repeat("x", recovery.MaxEnrolment+1)); answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s too large: %s", contentType, answer.Status)
		}
	}
	if f.calls != 0 {
		t.Errorf("%d enrolments", f.calls)
	}
}

// TestKeptKeys: where the organization has the encryption key kept, the page says
// so and by whom, and hands on what its script sealed; where it has not, nothing
// speaks of it.
func TestKeptKeys(t *testing.T) {
	f := newFake()
	f.order.State, f.order.Organization, f.order.Use, f.escrow = registration.StateProven, organizationID, "encryption", true
	f.order.Name = "Olga Officer"
	d := newDoor(t, f, nil).asks()
	page := shown(t, d.get("/key"))
	for _, text := range []string{`data-kept="0"`, "A copy of your decryption key will be kept", "2 of these 3 recovery officers", "Olga Officer", "you are told by mail"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q:\n%s", text, page)
		}
	}
	if strings.Contains(page, "never sent to the server") {
		t.Error("the page says that no key leaves it")
	}
	if r := d.get("/key/keepers"); r.StatusCode != http.StatusOK || !strings.Contains(shown(t, r), `"quorum":"quorum1"`) {
		t.Errorf("the officers: %s", r.Status)
	}
	f.err = &registration.InputError{Field: "escrow", Key: "input.recovery.sealed", Args: []any{"x"}}
	if r := d.request(http.MethodPost, "/key", "application/json", `{"request":"MAA=","escrow":{"quorum":"q"}}`); r.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a sealed key that is none: %s", r.Status)
	}
	if string(f.enrolled.Certification) != "0\x00" || string(f.enrolled.Sealed) != `{"quorum":"q"}` || f.enrolled.Kind != registration.RequestSession {
		t.Errorf("handed on: %+v", f.enrolled)
	}
	f.err, f.nobody = nil, true
	if page := shown(t, d.get("/key")); !strings.Contains(page, "cannot be made yet") || strings.Contains(page, "<form class=\"card\"") || strings.Contains(page, "enroll.js") {
		t.Errorf("with nobody to keep it: %s", page)
	}
	if r := d.get("/key/keepers"); r.StatusCode != http.StatusConflict {
		t.Errorf("no officers: %s", r.Status)
	}
	for _, change := range []func(){func() { f.order.Use = "signing" }, func() { f.order.Use, f.escrow = "encryption", false }, func() { f.order.Organization = "" }} {
		change()
		if page := shown(t, d.get("/key")); strings.Contains(page, "will be kept") || !strings.Contains(page, `data-kept=""`) || !strings.Contains(page, "Nobody else has a copy") {
			t.Errorf("of a key that is not kept the page says\n%s", page)
		}
		if r := d.get("/key/keepers"); r.StatusCode != http.StatusNotFound {
			t.Errorf("officers of a key that is not kept: %s", r.Status)
		}
	}
	f.order.Organization, f.escrow, f.nobody, f.order.State = organizationID, true, false, registration.StateApplied
	if r := d.get("/key/keepers"); r.StatusCode != http.StatusNotFound {
		t.Errorf("officers for who has not proven the mailbox: %s", r.Status)
	}
	f.order.State, f.order.Organization = registration.StateProven, ""
	if r := d.get("/key/keepers"); r.StatusCode != http.StatusNotFound {
		t.Errorf("officers of an order without an organization: %s", r.Status)
	}
	if r := newDoor(t, f, nil).get("/key/keepers"); r.StatusCode != http.StatusForbidden {
		t.Errorf("officers for anybody: %s", r.Status)
	}
}

func TestLastTry(t *testing.T) {
	f := newFake()
	f.err, f.order.State = registration.ErrWrongCode, registration.StateRefused
	if answer := newDoor(t, f, nil).asks().post("/code", url.Values{"code": {"x"}}); answer.StatusCode != http.StatusConflict {
		t.Errorf("after the last wrong code: %s", answer.Status)
	}
}

// TestPlace sends people on to where their order is.
func TestPlace(t *testing.T) {
	for state, want := range map[registration.State][2]string{
		registration.StateApplied: {"", "/code"},
		registration.StateProven:  {"/key", ""},
		registration.StateIssued:  {"/key", ""},
		registration.StateRefused: {"/apply", "/apply"},
		registration.StateExpired: {"/apply", "/apply"},
	} {
		f := newFake()
		f.order.State = state
		d := newDoor(t, f, nil).asks()
		for i, path := range []string{"/code", "/key"} {
			if got := d.get(path).Header.Get("Location"); got != want[i] {
				t.Errorf("%s, %s: leads to %q, want %q", state, path, got, want[i])
			}
		}
	}
}

func TestAdministration(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil)
	if got := d.get("/admin").Header.Get("Location"); got != "/admin/claim" {
		t.Errorf("nobody yet: leads to %q", got)
	}
	f.claimed = true
	if got := d.get("/admin").Header.Get("Location"); got != "/admin/sign-in" {
		t.Errorf("not signed in: leads to %q", got)
	}
	if answer := d.get("/admin/claim"); answer.StatusCode != http.StatusConflict {
		t.Errorf("claimed already: %s", answer.Status)
	}
	for err, want := range map[error]int{auth.ErrCredentials: 422, auth.ErrTooMany: 429, auth.ErrNoSession: 403} {
		f.err = err
		if answer := d.post("/admin/sign-in", url.Values{"email": {"x"}}); answer.StatusCode != want || len(answer.Cookies()) != 0 {
			t.Errorf("%v: %s, cookies %v", err, answer.Status, answer.Cookies())
		}
	}
	for _, err := range []error{auth.ErrCode, auth.ErrEmail, auth.ErrPassword} {
		f.err = err
		if answer := d.post("/admin/claim", url.Values{}); answer.StatusCode != 422 || len(answer.Cookies()) != 0 {
			t.Errorf("%v: %s, cookies %v", err, answer.Status, answer.Cookies())
		}
	}
	f.err = nil
	d.administers()
	body, _ := io.ReadAll(d.get("/admin").Body)
	for _, want := range []string{"01ab", "alice@example.com", "abab abab", "revoked", "expired", "valid"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("overview without %q", want)
		}
	}
	answer := d.post("/admin/sign-out", url.Values{})
	if len(answer.Cookies()) != 1 || answer.Cookies()[0].MaxAge != -1 || f.calls == 0 {
		t.Errorf("signed out: cookies %v", answer.Cookies())
	}
}

// TestCaughtMail holds the contract of GET /dev/mail.
func TestCaughtMail(t *testing.T) {
	d := newDoor(t, newFake(), nil)
	d.header.Set("Accept", "application/json")
	var list []map[string]any
	if err := json.NewDecoder(d.get("/dev/mail").Body).Decode(&list); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	for _, key := range []string{"id", "from", "to", "subject", "text", "raw"} {
		if _, ok := list[0][key]; !ok {
			t.Errorf("no %q in %v", key, list[0])
		}
	}
	raw := d.get("/dev/mail/" + mailID + "/raw")
	if got := raw.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Errorf("the raw mail is shown: %q", got)
	}
	d = newDoor(t, newFake(), func(c *Config) { c.Mail = nil })
	for _, path := range []string{"/dev/mail", "/dev/mail/" + mailID, "/dev/mail/" + mailID + "/raw"} {
		if answer := d.get(path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("without a catcher, %s: %s", path, answer.Status)
		}
	}
}

func TestAssets(t *testing.T) {
	d := newDoor(t, newFake(), nil)
	a, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"site.css", "site.js", "enroll.js", "enroll.js.txt", "logo.svg"} {
		address, err := a.url(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.get(address).Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: %q", address, got)
		}
		if got := d.get("/static/" + name + "?v=old").Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("old version of %s: %q", name, got)
		}
	}
	for _, path := range []string{"/static/", "/static/nothing", "/static/..%2fportal.go"} {
		if answer := d.get(path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestDeviceOf(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)": "iphone",
		"Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X)":          "iphone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9)":               "android",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64)":              "outlook",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)":        "applemail",
		"Mozilla/5.0 (X11; Linux x86_64)":                        "thunderbird",
		"":                                                       "thunderbird",
	} {
		if got := deviceOf(agent); got != want {
			t.Errorf("%q: %s, want %s", agent, got, want)
		}
	}
}

// TestReports walks through the doors for problem reports: anybody's and the
// operator's.
func TestReports(t *testing.T) {
	f := newFake()
	f.claimed = true
	d := newDoor(t, f, nil)
	body, _ := io.ReadAll(d.get("/report").Body)
	if !strings.Contains(string(body), "key compromised 2026-11-23 at 01ab23cd") {
		t.Error("the form does not say what to sign")
	}
	const secret = "-----BEGIN PRIVATE KEY-----"
	f.err = problemreport.ErrProof
	answer := d.post("/report", url.Values{"problem": {"key-compromise"}, "proof": {secret}, "text": {"found it"}})
	body, _ = io.ReadAll(answer.Body)
	if answer.StatusCode != 422 || strings.Contains(string(body), secret) || !strings.Contains(string(body), "found it") {
		t.Errorf("a bad proof: %s, shown again: %v", answer.Status, strings.Contains(string(body), secret))
	}
	f.err = &problemreport.TooManyError{Retry: 90 * time.Second}
	if answer := d.post("/report", url.Values{}); answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "120" {
		t.Errorf("too many: %s, %v", answer.Status, answer.Header)
	}
	f.err, f.calls = nil, 0
	for _, path := range []string{"/admin/reports", "/admin/revoke"} {
		if got := d.get(path).Header.Get("Location"); got != "/admin/sign-in" {
			t.Errorf("%s, not signed in: leads to %q", path, got)
		}
	}
	decide := url.Values{"id": {"01ab"}, "decision": {"revoke"}, "reason": {"1"}, "text": {"x"}, "serial": {"02cd"}}
	for _, path := range []string{"/admin/reports/answer", "/admin/reports/decide", "/admin/revoke"} {
		if got := d.post(path, decide).Header.Get("Location"); got != "/admin/sign-in" || f.calls != 0 {
			t.Errorf("POST %s, not signed in: leads to %q, %d changes", path, got, f.calls)
		}
	}
	d.administers()
	f.stale = true
	for _, path := range []string{"/admin/reports/decide", "/admin/revoke"} {
		answer := d.post(path, decide)
		page, _ := io.ReadAll(answer.Body)
		waits := forms(t, string(page))["/admin/again"]
		for _, own := range []string{againTo, againWhole} {
			waits.Del(own)
		}
		if answer.StatusCode != http.StatusForbidden || waits.Encode() != decide.Encode() {
			t.Errorf("POST %s a while after signing in: %s, and %q waits", path, answer.Status, waits)
		}
	}
	f.stale = false
	for path, place := range map[string]string{"/admin/reports/answer": "/admin/reports", "/admin/reports/decide": "/admin/reports", "/admin/revoke": "/admin"} {
		if answer := d.post(path, decide); answer.Header.Get("Location") != place {
			t.Errorf("POST %s: %s, leads to %q", path, answer.Status, answer.Header.Get("Location"))
		}
		for _, reason := range []string{"", "2", "6", "x"} { // an authority's, hold
			if answer := d.post(path, url.Values{"decision": {"revoke"}, "reason": {reason}, "text": {"x"}}); path != "/admin/reports/answer" && answer.StatusCode != 422 {
				t.Errorf("POST %s for reason %q: %s", path, reason, answer.Status)
			}
		}
	}
	for path, want := range map[string]string{"/admin/reports": `href="/admin/reports?after=next"`, "/admin/reports?after=closed.1.a": `rel="prev" href="/admin/reports?"`} {
		body, err := io.ReadAll(d.get(path).Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s does not lead to its other pages by %s", path, want)
		}
	}
	if answer := d.get("/admin/reports?after=nowhere"); answer.StatusCode != 400 {
		t.Errorf("a page behind nowhere: %s", answer.Status)
	}
	if answer := d.post("/admin/reports/decide", url.Values{"decision": {"wait"}}); answer.StatusCode != 400 {
		t.Errorf("another decision: %s", answer.Status)
	}
	for err, want := range map[error]int{problemreport.ErrClosed: 409, problemreport.ErrNotFound: 409, problemreport.ErrText: 422, problemreport.ErrUnknown: 422} {
		f.err = err
		if answer := d.post("/admin/reports/decide", decide); answer.StatusCode != want {
			t.Errorf("%v: %s, want %d", err, answer.Status, want)
		}
	}
}

// TestReportsPage: a form on a later page of the list of reports ends there,
// whether it was taken or not, and the list leads on from the page to its others.
func TestReportsPage(t *testing.T) {
	f := newFake()
	f.claimed = true
	d := newDoor(t, f, nil).administers()
	const place = "/admin/reports?after=closed.1.a%26b"
	sent := map[string]url.Values{
		"/admin/reports/answer": {"text": {"x"}},
		"/admin/reports/decide": {"decision": {"keep"}},
	}
	for path, form := range forms(t, body(t, d.get(place))) {
		if sent[path] == nil {
			continue
		}
		for name, values := range sent[path] {
			form[name] = values
		}
		f.err = nil
		if got := d.post(path, form).Header.Get("Location"); got != place {
			t.Errorf("POST %s on a later page leads to %q", path, got)
		}
		f.err = problemreport.ErrClosed
		page := body(t, d.post(path, form))
		for _, want := range []string{`rel="next" href="/admin/reports?after=next"`, `rel="prev" href="/admin/reports?"`} {
			if !strings.Contains(page, want) {
				t.Errorf("POST %s, refused: the page does not lead on by %s", path, want)
			}
		}
		if got := forms(t, page)[path].Get("after"); got != "closed.1.a&b" {
			t.Errorf("POST %s, refused: its form now stands on page %q", path, got)
		}
		form.Del("after")
		page = body(t, d.post(path, form))
		if !strings.Contains(page, `href="/admin/reports?after=next"`) || strings.Contains(page, `rel="prev"`) {
			t.Errorf("POST %s, refused on the first page: it leads elsewhere", path)
		}
		delete(sent, path)
	}
	if len(sent) > 0 {
		t.Errorf("no forms for %v", sent)
	}
}

// TestMailsThatFail: whoever asked learns what became of the mail, and why.
func TestMailsThatFail(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).asks()
	shows := func(answer *http.Response, want string) {
		t.Helper()
		body, err := io.ReadAll(answer.Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("the page does not say %q: %v\n%s", want, err, body)
		}
	}
	f.order.Mail = registration.Mail{State: mailqueue.Waiting}
	shows(d.get("/code"), "has not left yet")
	f.order.Mail = registration.Mail{State: mailqueue.Bounced, Reason: "552 mailbox full"}
	shows(d.get("/code"), "The mail server says: 552 mailbox full")
	f.err = &registration.UndeliverableError{Reason: "550 no such person"}
	answer := d.post("/apply", url.Values{"email": {"nobody@example.com"}})
	if answer.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("apply: %s", answer.Status)
	}
	shows(answer, "550 no such person")
	if answer := d.post("/code/resend", nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("resend: %s, want the order's page, which says why", answer.Status)
	}
}

// A certificate whose chain leads nowhere is shown with the reason, and is not what
// colleagues find.
func TestChainNotTrusted(t *testing.T) {
	f := newFake()
	d := newDoor(t, f, nil).administers()
	body, err := io.ReadAll(d.get("/org/organization1/people/person1").Body)
	if err != nil || !strings.Contains(string(body), "Chain not trusted, so colleagues do not get this certificate: its chain leads to no root") {
		t.Errorf("the person's page: %v\n%s", err, body)
	}
	body, err = io.ReadAll(d.get("/org/organization1/lookup?q=x").Body)
	if err != nil || !strings.Contains(string(body), "01ab") || strings.Contains(string(body), "02cd") {
		t.Errorf("the look-up: %v\n%s", err, body)
	}
}
