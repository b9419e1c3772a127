package e2e

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/internal/testdns"
	"github.com/mailseal/mailseal/internal/testnpm"
)

// axe is the accessibility checker, as a script for a page.
func axe(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(filepath.Join(testnpm.Folder(t, "testdata/axe"), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// violation is what axe finds wrong.
type violation struct {
	ID, Impact, Help string
	Nodes            []string
}

// accessible holds that axe finds nothing serious on the page that is shown;
// rules are the only ones that it looks at, all where there are none.
func (p *person) accessible(name string, rules ...string) {
	p.t.Helper()
	if eval[bool](p, "typeof axe === 'undefined'") {
		eval[bool](p, axe(p.t)+"; true")
	}
	only := ""
	if len(rules) > 0 {
		only = fmt.Sprintf(`, runOnly: ["%s"]`, strings.Join(rules, `", "`))
	}
	yes := true
	result := call(p, runtime.Evaluate, runtime.EvaluateParams{AwaitPromise: &yes, ReturnByValue: &yes, Expression: `axe.run({ resultTypes: ["violations"]` + only + ` }).then(r => r.violations.map(v => ({
		ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)) })))`})
	if result.ExceptionDetails != nil {
		p.t.Fatalf("%s: axe: %s", name, result.ExceptionDetails.Text)
	}
	var found []violation
	if err := json.Unmarshal(result.Result.Value, &found); err != nil {
		p.t.Fatal(err)
	}
	for _, v := range found {
		if v.Impact == "serious" || v.Impact == "critical" {
			p.t.Errorf("%s: %s (%s): %s\n%s", name, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n"))
		}
	}
}

// company is an organization with people, for looking at its pages.
type company struct {
	p    *person
	path string // of its first page
	run  string // of its run's page
}

// found makes an organization, proves its domain and imports a list.
func found(t *testing.T, language, name string, rows [][]string) company {
	dns := testdns.New(t)
	s := serve(t, func(c *server.Config) { c.DNS = dns.Address })
	p := visit(t, s, language)
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.secondFactor()
	p.open("/org/new")
	p.enter("name", name)
	p.do(chromedp.SetValue(chromedp.ID("country"), "JP"))
	p.follow("main form .button")
	c := company{p: p, path: eval[string](p, "location.pathname")}
	p.open(c.path + "/agreement")
	p.press("#accept")
	p.follow("main form .button")
	p.proveDomain(c.path, "example.com", dns)
	p.check(c.path, rows)
	return c
}

// check uploads a list of people for a dry run.
func (p *person) check(org string, rows [][]string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "people.csv")
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"email", "given name", "surname", "local name", "department"}) // a builder takes everything
	_ = w.WriteAll(rows)                                                                // likewise
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.open(org + "/import")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.follow("main form .button")
}

// starts begins the run of the preview that is shown, and waits until everybody
// of it has their mail.
func (c *company) starts() {
	c.p.t.Helper()
	c.p.follow("main form .button.big")
	c.run = eval[string](c.p, "location.pathname")
	c.p.see("#state.done")
}

// pages are those of the company and of the authority, by name.
func (c *company) pages() map[string]string {
	c.p.t.Helper()
	c.p.open(c.path + "/people")
	one := eval[string](c.p, "document.querySelector('td a[href*=\"/people/\"]').getAttribute('href')")
	return map[string]string{
		"choose": "/org", "organization": "/org/new", "dashboard": c.path, "agreement": c.path + "/agreement", "names": c.path + "/names",
		"domains": c.path + "/domains", "settings": c.path + "/settings", "people": c.path + "/people", "member": one, "memberform": one + "/change",
		"import": c.path + "/import", "adopt": c.path + "/adopt", "run": c.run, "orders": c.path + "/orders?waiting=all", "colleagues": c.path + "/colleagues",
		"lookup": c.path + "/lookup?q=example", "statistics": c.path + "/reports", "printed": c.path + "/reports/people", "ownaudit": c.path + "/audit",
		"ownevidence": c.path + "/evidence", "ownroots": c.path + "/roots", "roots": "/admin/roots", "roles": c.path + "/accounts", "recovery": c.path + "/recovery", "api": "/api/",
		"organizations": "/admin/organizations", "evidence": "/admin/evidence", "authorities": "/admin/authorities", "jobs": "/admin/jobs", "audit": "/admin/audit",
		"overview": "/admin", "problems": "/admin/reports", "install": "/install", "begin": "/",
	}
}

// walkOrganization is the way of an organization from its list of people to what
// they do with their invitations, and all its pages on the way.
func walkOrganization(t *testing.T, language string) {
	c := found(t, language, "Yamada Trading Co., Ltd.", [][]string{
		{"taro@example.com", "Taro", "Yamada", "山田 太郎", "営業部"}, {"hanako@example.com", "Hanako", "Sato", "佐藤 花子", "開発部"},
		{"a.person.with.a.very.long.name.indeed@example.com", "Wolfeschlegelstein", "Hausenbergerdorff", "", "Research and development"},
		{"broken", "", "", "", ""}, {"taro@example.com", "", "", "", ""},
	})
	look := func(name string) { c.p.show(language, "org-"+name) }
	look("preview")
	c.starts()
	c.p.open(c.path + "/people/new")
	c.p.do(chromedp.SetValue(chromedp.ID("addresses"), "not an address"))
	c.p.follow("main form .button")
	look("memberform-error")
	q := visit(t, c.p.site, language)
	link := invitationLink.FindStringSubmatch(c.p.site.mails("taro@example.com")[0].Text)[1]
	q.open(link)
	q.show(language, "org-pickup")
	q.enter("code", c.p.site.code("taro@example.com"))
	q.follow("main form .button")
	q.see("#enroll")
	q.show(language, "org-key")
	q.press("#enroll button")
	q.see("#result")
	q.press("#download")
	q.download()
	c.p.givesUp()
	for name, path := range c.pages() {
		c.p.open(path)
		look(name)
	}
	c.p.discardsJobs(look)
	c.adopts(look)
	c.p.open(c.path + "/people?state=valid")
	c.p.follow("td a[href*='/people/']")
	look("member-valid")
	c.p.open(c.path + "/evidence")
	c.p.enter("method", "3.2.3.2.1")
	c.p.enter("reference", "safe 4, folder 12")
	c.p.follow("main form .button")
	look("ownevidence-error")
	q.signInByMail("taro@example.com")
	q.show(language, "mine")
	c.keepsKeys("jiro@example.com", language)
}

// givesUp writes two jobs that were given up, behind the back of the outbox.
func (p *person) givesUp() {
	p.t.Helper()
	storetest.SQL(p.t, filepath.Join(p.site.data, "mailseal.db")+"?_pragma=busy_timeout(30000)", `INSERT INTO jobs
		(id, kind, unique_key, lane, payload, state, due_at, holder, attempts, max_attempts, last_error, created_at, finished_at) VALUES
		('01hzz8jr6v', 'parcel', 'a', '', x'', 'dead', 1795000000, '', 20, 20, 'dial tcp 192.0.2.1:587: connect: connection refused', 1794900000, 1795000000),
		('01hzz8jr7w', 'parcel', 'b', '', x'', 'dead', 1795000000, '', 1, 20, '550 5.1.1 no such person', 1794900000, 1795000000)`)
}

// discardsJobs discards one of the jobs that were given up, by keyboard, and has the
// other tried again.
func (p *person) discardsJobs(look func(string)) {
	p.t.Helper()
	p.open("/admin/jobs")
	p.tabTo("input[name=job]")
	p.keys(" ")
	p.tabTo("details.sure summary")
	p.keys(kb.Enter)
	look("jobs-sure")
	p.tabTo("button[value=discard]")
	p.keys(kb.Enter)
	p.see(".notice.good")
	look("jobs-discarded")
	p.press("input[name=whom][value=all]")
	p.follow("button[value=revive]")
	p.see("p.empty")
	look("jobs-none")
}

// adopts takes in a certificate of Taro's from elsewhere, which is given to nobody
// until its root is named, and one of nobody's.
func (c *company) adopts(look func(string)) {
	c.p.t.Helper()
	ca := testca.New(c.p.t)
	valid := testca.Validity(time.Now().Add(-time.Hour), time.Now().AddDate(0, 6, 0))
	file := filepath.Join(c.p.t.TempDir(), "certificates.pem")
	var all []byte
	for _, one := range []*cert.Certificate{
		ca.Leaf("taro@example.com", testca.P256, valid).Certificate, ca.Leaf("nobody@example.org", testca.P256, valid).Certificate, ca.Issuing.Certificate,
	} {
		all = append(all, one.PEM()...)
	}
	if err := os.WriteFile(file, all, 0o600); err != nil {
		c.p.t.Fatal(err)
	}
	c.p.open(c.path + "/adopt")
	c.p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	c.p.follow("form[action$='/adopt/certificates'] .button")
	c.p.see("#did")
	look("adopt-did")
	whose := eval[string](c.p, "document.querySelector('main a[href*=\"/people/\"]').getAttribute('href')")
	distrusted := func(want int) {
		c.p.t.Helper()
		c.p.open(whose)
		if n := eval[int](c.p, "document.querySelectorAll('td .notice.warning').length"); n != want {
			c.p.t.Errorf("%d certificates of Taro's are marked as not trusted, want %d", n, want)
		}
	}
	distrusted(1)
	if err := os.WriteFile(file, ca.Root.Certificate.PEM(), 0o600); err != nil {
		c.p.t.Fatal(err)
	}
	c.p.open(c.path + "/adopt")
	c.p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	c.p.press("#trust")
	c.p.follow("form[action$='/adopt/certificates'] .button")
	c.p.see("#did")
	distrusted(0)
	c.p.open(c.path + "/roots")
	c.p.press("details.sure summary")
	c.p.follow("form[action$='/roots/remove'] .button")
	c.p.see("p.empty")
	distrusted(1)
}

// signInByMail signs in as the person who holds a mailbox.
func (p *person) signInByMail(address string) {
	p.t.Helper()
	before := len(p.site.mails(address))
	p.open("/sign-in")
	p.enter("email", address)
	p.follow("main form .button")
	for deadline := time.Now().Add(patience); len(p.site.mails(address)) == before && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	p.enter("code", p.site.code(address))
	p.follow("main form .button")
	p.at("/mine")
}

// keepsKeys has the server make somebody's key, and looks at the page with the
// passphrase of their file.
func (c *company) keepsKeys(address, language string) {
	c.p.t.Helper()
	c.p.open(c.path + "/settings")
	c.p.press("input[name=keys][value=server]")
	c.p.press("input[name=algorithm][value=p256]")
	c.p.follow("main form .button")
	c.p.check(c.path, [][]string{{address, "Jiro", "Suzuki", "鈴木 次郎", "総務部"}})
	c.starts()
	c.p.show(language, "org-run-files")
	q := visit(c.p.t, c.p.site, language)
	pickup := c.p.site.arrived(address)
	link := invitationLink.FindStringSubmatch(c.p.site.mails(address)[0].Text)[1]
	q.signInByMail(address)
	q.open(link + "/passphrase")
	q.see("main.passphrase")
	q.show(language, "org-passphrase")
	q.open(link)
	q.show(language, "org-pickup-file")
	q.enter("code", pickup)
	q.press("main form .button")
	q.download()
	q.open(link)
	q.see("main.gone")
	q.show(language, "org-gone")
}

// payloads are names that a browser takes for scripts wherever a page lets it:
// each kind of markup in each kind of place, so many as row 26 of the threat
// table asks for.
func payloads() (list []string) {
	bodies := []string{
		`<script>pwned=1</script>`, `<img src=x onerror=pwned=1>`, `<svg onload=pwned=1>`, `<svg><script>pwned=1</script>`, `<body onload=pwned=1>`,
		`<iframe src=javascript:pwned=1>`, `<a href=javascript:pwned=1>x</a>`, `<details open ontoggle=pwned=1>`, `<input autofocus onfocus=pwned=1>`,
		`<video><source onerror=pwned=1>`, `<math href=javascript:pwned=1>`, `<object data=javascript:pwned=1>`, `<style>@import"x"</style>`,
		` onfocus=pwned=1 autofocus `, ` onmouseover=pwned=1 `, `javascript:pwned=1`, `{{print 1}}`, `${pwned=1}`, `<base href=//x>`, `<template><script>pwned=1`,
	}
	breaks := []string{"", `"`, `'`, "`", `">`, `'>`, `-->`, `</td>`, `</title>`, `</script>`}
	for _, b := range breaks {
		for _, body := range bodies {
			list = append(list, b+body)
		}
	}
	return list
}

// TestHostileNames gives 200 people names that are scripts, behind the back of
// the rooms that refuse most of them, and shows them on every page that has
// names: none runs.
func TestHostileNames(t *testing.T) {
	names := payloads()
	if len(names) != 200 {
		t.Fatalf("%d names", len(names))
	}
	var rows [][]string
	for i := range names {
		rows = append(rows, []string{fmt.Sprintf("x%03d@example.com", i), "Given", "Surname", "", "Sales"})
	}
	c := found(t, "en", "Yamada Trading", rows)
	c.starts()
	source := filepath.Join(c.p.site.data, "mailseal.db") + "?_pragma=busy_timeout(30000)"
	var values []string
	var args []any
	for i, name := range names {
		values, args = append(values, fmt.Sprintf("($%d, $%d)", 2*i+1, 2*i+2)), append(args, rows[i][0], name)
	}
	for _, set := range []string{
		`people SET (name, local_name) = (SELECT name, name FROM named WHERE named.person_id = people.id)`,
		`memberships SET (number, department) = (SELECT name, name FROM named WHERE named.person_id = memberships.person_id)`,
		`orders SET (name, requested_by) = (SELECT name, name FROM named WHERE named.person_id = orders.person_id)`,
	} {
		storetest.SQL(t, source, `WITH given(address, name) AS (VALUES `+strings.Join(values, ", ")+`),
			named AS (SELECT m.person_id, g.name FROM given g JOIN member_mailboxes m ON m.address = g.address) UPDATE `+set, args...)
	}
	storetest.SQL(t, source, `UPDATE organizations SET name = $1, local_name = $1, state = $1, locality = $1`, names[1])
	for name, path := range c.pages() {
		c.p.open(path)
		c.p.unharmed(name)
	}
	shown := map[string]bool{}
	for c.p.open(c.path + "/people"); ; c.p.follow("a[rel=next]") {
		c.p.unharmed("people")
		for _, text := range eval[[]string](c.p, "[...document.querySelectorAll('tbody tr td:nth-child(4)')].map(c => c.textContent)") {
			shown[text] = true
		}
		if !eval[bool](c.p, "!!document.querySelector('a[rel=next]')") {
			break
		}
	}
	for _, name := range names {
		if !shown[name] {
			t.Errorf("%q was not shown: the test sees too little", name)
		}
	}
	for _, name := range names[:20] {
		c.p.open(c.path + "/people?q=" + url.QueryEscape(name))
		c.p.unharmed("search for " + name)
		c.p.open(c.path + "/audit?act=" + url.QueryEscape(name))
		c.p.unharmed("audit of " + name)
	}
	c.p.calm()
}

// calm is quiet where the bodies of uploads and of empty forms cannot be seen.
func (p *person) calm() {
	p.t.Helper()
	for _, problem := range p.problems {
		if !strings.HasPrefix(problem, "a body was sent") {
			p.t.Errorf("browser console: %s", problem)
		}
	}
}

// TestKeyboardOrganization makes an organization, changes its settings and adds
// somebody with the keyboard alone.
func TestKeyboardOrganization(t *testing.T) {
	s := serve(t)
	p := visit(t, s, "en")
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.secondFactor()
	p.do(chromedp.EmulateViewport(1280, 800)) // wide enough for the places at the side
	p.open("/org")
	p.tabTo(".skip")
	p.tabTo("main .button")
	p.keys(kb.Enter)
	p.see("main.organization")
	p.tabTo("#name")
	p.keys("Yamada Trading")
	p.tabTo("#country")
	p.keys("JP")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	p.see("main.dashboard")
	org := eval[string](p, "location.pathname")
	p.tabTo(".todo a")
	p.keys(kb.Enter)
	p.see("main.agreement")
	p.tabTo("#accept")
	p.keys(" ")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	p.see("main.dashboard")
	p.tabTo(".places a[href$='/settings']")
	p.keys(kb.Enter)
	p.see("main.settings")
	p.tabTo("input[name=algorithm]")
	p.keys(kb.ArrowDown)
	p.tabTo("#split")
	p.keys(" ")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	p.see(".notice.good")
	p.tabTo(".places a[href$='/people']")
	p.keys(kb.Enter)
	p.see("main.people")
	p.tabTo("main .button.second")
	p.keys(kb.Enter)
	p.see("main.personform")
	p.tabTo("#addresses")
	p.keys("not an address")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	p.see("#faults")
	p.tabTo("#faults a")
	p.keys(kb.Enter)
	p.tabTo("#addresses")
	p.keys(kb.End + strings.Repeat(kb.Backspace, 20) + "taro@example.com")
	p.tabTo("#surname")
	p.keys("Yamada")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	for deadline := time.Now().Add(patience); !strings.HasPrefix(eval[string](p, "location.pathname"), org+"/people/") && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	p.see("main.person")
	p.calm()
}
