package portal

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
)

// looks are all pages that a browser with both sessions can be shown.
func looks(t *testing.T, f *fake, d *door) map[string]*http.Response {
	t.Helper()
	pages := map[string]*http.Response{}
	for _, path := range []string{
		"/", "/apply", "/code", "/code?sent", "/install", "/dev/mail", "/dev/mail/" + mailID,
		"/report", "/report?serial=" + url.QueryEscape(f.order.Name), "/admin/reports", "/admin/revoke?serial=" + url.QueryEscape(f.order.Name),
		"/dev/mail/nothing", "/admin", "/admin/sign-in", "/admin/claim", "/nothing",
	} {
		pages["GET "+path] = d.get(path)
	}
	for _, path := range ownPaths {
		pages["GET "+path] = d.get(strings.ReplaceAll(path, "NAME", url.QueryEscape(f.order.Name)))
	}
	preview := d.upload("/org/"+organizationID+"/import", "file", "people.csv", "x", "mode", "invite").Header.Get("Location")
	pages["GET preview"] = d.get(preview)
	pages["POST adopt"] = d.upload("/org/"+organizationID+"/adopt/certificates", "file", "certificates.pem", "x")
	f.err = &registration.InputError{Field: "name", Key: "input.address", Args: []any{f.order.Name}}
	for path, form := range ownForms(f.order.Name) {
		pages["POST "+path] = d.post(path, form)
	}
	f.err = enrollment.ErrWrongCode
	pages["POST /i/invitation1, wrong"] = d.post("/i/invitation1", url.Values{"code": {f.order.Name}})
	f.err = nil
	for _, device := range devices {
		pages["GET /install for "+device] = d.get("/install?device=" + device)
	}
	f.err = registration.ErrWrongCode
	pages["POST /code, wrong"] = d.post("/code", url.Values{"code": {"x"}})
	f.err = registration.ErrAddress
	pages["POST /apply, bad address"] = d.post("/apply", url.Values{"email": {f.order.Email}, "name": {f.order.Name}})
	f.err = registration.ErrName
	pages["POST /apply, bad name"] = d.post("/apply", url.Values{"email": {f.order.Email}, "name": {f.order.Name}})
	for _, err := range []error{problemreport.ErrProblem, problemreport.ErrUnknown, problemreport.ErrReporter, problemreport.ErrText, problemreport.ErrProof} {
		f.err = err
		pages["POST /report, "+err.Error()] = d.post("/report", url.Values{
			"serial": {f.order.Name}, "email": {f.order.Email}, "text": {f.order.Name}, "proof": {f.order.Name},
		})
	}
	f.err = authority.ErrUnknown
	pages["POST /admin/revoke, unknown"] = d.post("/admin/revoke", url.Values{"serial": {f.order.Name}, "reason": {"1"}})
	f.err = &registration.UndeliverableError{Reason: f.order.Name}
	pages["POST /apply, undeliverable"] = d.post("/apply", url.Values{"email": {f.order.Email}, "name": {f.order.Name}})
	f.err = nil
	for _, state := range []mailqueue.State{mailqueue.Waiting, mailqueue.Refused, mailqueue.Bounced} {
		f.order.Mail = registration.Mail{State: state, Reason: f.order.Name}
		pages["GET /code, mail "+string(state)] = d.get("/code")
	}
	f.order.Mail = registration.Mail{}
	pages["POST /admin/revoke, no reason"] = d.post("/admin/revoke", url.Values{"serial": {f.order.Name}, "reason": {f.order.Name}})
	pages["POST /report"] = d.post("/report", url.Values{"email": {f.order.Email}})
	pages["POST /admin/claim, passwords differ"] = d.post("/admin/claim", url.Values{"password": {"a"}, "email": {f.order.Email}, "name": {f.order.Name}})
	f.order.State = registration.StateProven
	pages["GET /key"] = d.get("/key")
	f.order.Organization, f.order.Use, f.escrow = organizationID, "encryption", true
	pages["GET /key, kept"] = d.get("/key")
	f.nobody = true
	pages["GET /key, nobody to keep"] = d.get("/key")
	f.order.Organization, f.order.Use, f.escrow, f.nobody = "", "", false, false
	f.order.State = registration.StateIssued
	pages["GET /key, issued"] = d.get("/key")
	f.order.State = registration.StateApplied
	return pages
}

// ownPaths are the pages of an organization, of the authority, and of a person.
var ownPaths = []string{
	"/org", "/org/new", "/org/organization1", "/org/organization1/agreement", "/org/organization1/settings?saved", "/org/organization1/names",
	"/org/organization1/domains", "/org/organization1/people?q=NAME&state=NAME&done=revoked&n=NAME", "/org/organization1/people/new",
	"/org/organization1/people/person1", "/org/organization1/people/person1/change", "/org/organization1/import", "/org/organization1/adopt",
	"/org/organization1/runs/run1", "/org/organization1/orders?waiting=NAME", "/org/organization1/audit?act=NAME&from=2026-01-01",
	"/org/organization1/audit?from=NAME", "/org/organization1/reports", "/org/organization1/reports/people", "/org/organization1/evidence",
	"/org/organization1/roots", "/admin/roots", "/org/organization1/recovery?done=asked", "/org/organization1/colleagues", "/org/organization1/lookup?q=NAME", "/admin/organizations", "/admin/evidence", "/admin/authorities", "/admin/jobs?done=revive&n=NAME",
	"/admin/audit?actor=NAME", "/i/invitation1", "/i/file1", "/i/file1/passphrase", "/i/taken1", "/i/over1", "/i/nothing", "/mine", "/mine/keys?done=asked", "/org/nothing", "/org/organization1/previews/x",
}

// ownForms are forms with a fault in each.
func ownForms(name string) map[string]url.Values {
	return map[string]url.Values{
		"/org/new": {"name": {name}, "local_name": {name}}, "/org/organization1/names": {"name": {name}},
		"/org/organization1/agreement": {}, "/org/organization1/recovery/request": {"person": {name}, "recipient": {name}, "reason": {name}},
		"/org/organization1/recovery/officers": {"threshold": {name}, "officer": {name}}, "/org/organization1/recovery/refuse": {},
		"/org/organization1/settings": {"kind": {name}, "algorithm": {name}},
		"/org/organization1/domains":  {"name": {name}}, "/org/organization1/people/new": {"addresses": {name}, "surname": {name}},
		"/org/organization1/people": {"q": {name}, "do": {name}}, "/org/organization1/people/person1/order": {},
		"/mine/keys/ask": {"organization": {organizationID}, "reason": {name}, "recipient": {name}}, "/mine/keys/withdraw": {"request": {name}},
		"/org/organization1/roots": {"certificate": {name}}, "/admin/roots": {"certificate": {name}},
		"/org/organization1/orders": {"decision": {"approve"}}, "/admin/jobs": {"do": {"revive"}}, "/admin/evidence/decide": {"decision": {"refuse"}, "reason": {name}},
	}
}

// TestPagesAreSafe holds on every page, with hostile names in it, that nothing
// in it is code but the files of the portal, and that the headers say so.
func TestPagesAreSafe(t *testing.T) {
	for i, hostile := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' autofocus onfocus='alert(1)`,
		`javascript:alert(1)`, `{{.}}`, `{email}`, `</title><script>alert(1)</script>`, `**b** ` + "`c`",
	} {
		f := newFake()
		f.order.Name, f.order.Email = hostile, hostile
		d := newDoor(t, f, nil).asks().administers().signsIn()
		d.header.Set("Accept-Language", tags[i%len(tags)])
		for name, answer := range looks(t, f, d) {
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode >= 500 {
				t.Errorf("%s: %s\n%s", name, answer.Status, body)
			}
			if got := answer.Header.Get("Content-Security-Policy"); got != policy {
				t.Errorf("%s: Content-Security-Policy %q", name, got)
			}
			if got := answer.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control %q", name, got)
			}
			checkMarkup(t, name, string(body))
		}
	}
}

func checkMarkup(t *testing.T, name, body string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	labels, ids := map[string]bool{}, map[string]bool{}
	var inputs []*html.Node
	for node := range root.Descendants() {
		if node.Type != html.ElementNode {
			continue
		}
		a := attributes(node)
		for key, value := range a {
			if strings.HasPrefix(key, "on") || key == "style" || strings.HasPrefix(strings.TrimSpace(strings.ToLower(value)), "javascript:") && (key == "href" || key == "action" || key == "src") {
				t.Errorf("%s: <%s %s=%q>", name, node.Data, key, value)
			}
		}
		switch node.Data {
		case "script":
			if !strings.HasPrefix(a["src"], "/static/") || node.FirstChild != nil {
				t.Errorf("%s: script that is not a file of ours: %v", name, a)
			}
		case "style", "iframe", "object", "base":
			t.Errorf("%s: <%s>", name, node.Data)
		case "img":
			if _, ok := a["alt"]; !ok {
				t.Errorf("%s: picture without alt", name)
			}
		case "label":
			labels[a["for"]] = true
		case "textarea", "select":
			inputs = append(inputs, node)
		case "input":
			if a["type"] != "hidden" && a["type"] != "radio" {
				inputs = append(inputs, node)
			}
		}
		if id := a["id"]; id != "" {
			if ids[id] {
				t.Errorf("%s: two elements have the id %q", name, id)
			}
			ids[id] = true
		}
	}
	for _, input := range inputs {
		a := attributes(input)
		if !labels[a["id"]] && a["aria-label"] == "" {
			t.Errorf("%s: input %v has no label", name, a)
		}
		for id := range strings.FieldsSeq(a["aria-describedby"]) {
			if !ids[id] {
				t.Errorf("%s: input %q is described by %q, which is not there", name, a["id"], id)
			}
		}
	}
}

func attributes(node *html.Node) map[string]string {
	a := map[string]string{}
	for _, attr := range node.Attr {
		a[attr.Key] = attr.Val
	}
	return a
}

// TestLanguages holds that both languages have the same texts with the same
// gaps, and that no Japanese text is the English one.
func TestLanguages(t *testing.T) {
	tongues, err := loadTongues()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{ // names of languages and products
		"language.en": true, "language.ja": true, "guide.thunderbird.name": true, "guide.android.name": true,
		"client.thunderbird": true, "client.android": true,
	}
	english, japanese := tongues[0].texts, tongues[1].texts
	gap := regexp.MustCompile(`\{[a-z]+\}`)
	for key, text := range english {
		other, ok := japanese[key]
		if !ok {
			t.Errorf("%s: not in Japanese", key)
			continue
		}
		if len(text) != len(other) && !strings.HasPrefix(key, "guide.") {
			t.Errorf("%s: %d lines and %d", key, len(text), len(other))
		}
		if strings.Join(text, "\n") == strings.Join(other, "\n") && !names[key] {
			t.Errorf("%s: the Japanese text is the English one", key)
		}
		gaps := func(s []string) string { // a sentence may need another order
			return strings.Join(slices.Sorted(slices.Values(gap.FindAllString(strings.Join(s, " "), -1))), " ")
		}
		if gaps(text) != gaps(other) && key != "code.nomail.text" {
			t.Errorf("%s: gaps %q and %q", key, gaps(text), gaps(other))
		}
	}
	for key := range japanese {
		if _, ok := english[key]; !ok {
			t.Errorf("%s: not in English", key)
		}
	}
}

// TestTextsAreUsed finds texts that no page shows any more. Those whose keys
// are put together from parts are known by their beginnings.
func TestTextsAreUsed(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*.go", "pages/*.html"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	tongues, err := loadTongues()
	if err != nil {
		t.Fatal(err)
	}
	english := tongues[0]
	for key := range english.texts {
		base := strings.TrimSuffix(key, ".hint") // pages/fields.html adds it
		put := base != key && strings.Contains(source.String(), `"`+base+`"`)
		put = put || strings.HasSuffix(key, ".title") || strings.HasPrefix(key, "problem.") || strings.HasPrefix(key, "nav.")
		for _, beginning := range []string{
			"setup.", "guide.", "language.", "steps.", "order.", "certificate.known.", "certificate.new.", "certificate.strange.", "certificate.added.",
			"certificate.entered.", "certificate.person.", "certificate.inside.", "report.problem.", "reason.", "role.", "cameback.", "state.",
			"use.", "waiting.", "orders.tab.", "run.kind.", "recovery.task.", "statistics.", "evidence.kind.", "dashboard.step.", "run.", "changes.",
		} {
			put = put || strings.HasPrefix(key, beginning)
		}
		if !put && !strings.Contains(source.String(), `"`+key+`"`) {
			t.Errorf("%s: not used", key)
		}
	}
}

// TestChoosesLanguage goes by Accept-Language and by the switch, which wins.
func TestChoosesLanguage(t *testing.T) {
	d := newDoor(t, newFake(), nil)
	for header, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "en-US,en;q=0.9,ja;q=0.8": "en",
		"fr,ja;q=0.5": "ja", "de": "en", "en;q=0.1, ja;q=0.2": "ja", "ja;q=x": "en", "*": "en", ";;q=,,": "en", "ja;q=0": "en",
	} {
		d.header.Set("Accept-Language", header)
		if got := d.get("/").Header.Get("Content-Language"); got != want {
			t.Errorf("Accept-Language %q: %s, want %s", header, got, want)
		}
	}
	d.header.Set("Accept-Language", "en")
	answer := d.post("/language", url.Values{"tag": {"ja"}, "to": {"/apply?x=1"}})
	if got := answer.Header.Get("Location"); got != "/apply?x=1" {
		t.Errorf("back to %q", got)
	}
	d.cookies = answer.Cookies()
	if got := d.get("/").Header.Get("Content-Language"); got != "ja" {
		t.Errorf("after the switch: %s", got)
	}
}

func TestSwitchLeadsNowhereElse(t *testing.T) {
	d := newDoor(t, newFake(), nil)
	for _, to := range []string{
		"https://example.org/", "//example.org/", `/\example.org/`, `\\example.org`, "javascript:alert(1)", "", "x", "http:example.org", "/%0d%0aX: y", "///x",
	} {
		got := d.post("/language", url.Values{"tag": {"en"}, "to": {to}}).Header.Get("Location")
		if u, err := url.Parse(got); err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\r\n\\") {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}
