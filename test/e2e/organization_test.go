package e2e

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/testdns"
)

// The list of TestOrganization: so many people in groups, and so many broken lines
// among them.
const (
	imported = 1000
	counted  = "1,000" // as pages have it
	broken   = 20
	grouped  = 100
)

// people is a CSV list for a domain, and the numbers of its broken lines.
func people(domain string) (list string, wrong []string) {
	var b strings.Builder
	b.WriteString("email,given name,surname,local name,department\n")
	for i := range imported {
		fmt.Fprintf(&b, "person%04d@%s,Person,Number%d,人 %d,group%02d\n", i, domain, i, i, i/grouped)
		if (i+1)%(imported/broken) == 0 {
			address := []string{"person@@" + domain, "nobody", "a b@" + domain, "person0000@" + domain}[len(wrong)%4]
			fmt.Fprintf(&b, "%s,Person,Broken%d,人 %d,group%02d\n", address, i, i, i/grouped)
			wrong = append(wrong, fmt.Sprint(i+3+len(wrong))) // the first line names the columns
		}
	}
	return b.String(), wrong
}

// TestOrganization is the way of an organization's new administrator: create it,
// accept the agreement, prove a domain, import people, have them approved by
// somebody else, see them equipped; three of them pick up what is theirs; then a
// whole group is revoked at once.
func TestOrganization(t *testing.T) {
	need(t, "openssl")
	begun := time.Now()
	dns := testdns.New(t)
	s := serve(t, func(c *server.Config) { c.DNS = dns.Address })
	p := visit(t, s, "en")
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.secondFactor()

	p.open("/org/new")
	p.enter("name", "Yamada Trading Co., Ltd.")
	p.enter("country", "JP")
	p.follow("main form .button")
	org := eval[string](p, "location.pathname")
	p.open(org + "/agreement")
	p.press("#accept")
	p.follow("main form .button")
	p.at(org)
	p.proveDomain(org, "example.com", dns)

	q := p.appoint(org, "approver@example.org", "approver")
	p.open(org + "/settings")
	for _, choice := range []string{"input[name=keys][value=server]", "input[name=algorithm][value=p256]", "#approval"} {
		p.press(choice)
	}
	p.follow("main form .button")
	p.see(".notice.good")

	p.endsApproval(org, q)
	t.Logf("set up after %s", time.Since(begun).Round(time.Second))
	run := p.importPeople(org, "example.com")
	waits := fmt.Sprintf("[...document.querySelectorAll('.numbers a[href$=approval] b')].some(n => n.textContent === '%s')", counted)
	for q.open(org); !eval[bool](q, waits); q.open(org) {
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("ordered after %s", time.Since(begun).Round(time.Second))
	q.open(org + "/orders")
	q.press("input[name=whom][value=all]")
	q.follow("button[value=approve]")
	q.says("Orders approved: " + counted)
	t.Logf("approved after %s", time.Since(begun).Round(time.Second))
	for range 5 { // the page follows the run by itself, for as long as a busy machine takes
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		err := chromedp.Do(ctx, chromedp.WaitVisible(chromedp.CSS("#state.done")))
		cancel()
		if err == nil {
			break
		}
	}
	p.see("#state.done")
	t.Logf("%d people are equipped after %s", imported, time.Since(begun).Round(time.Second))

	s.mailed(imported)
	t.Logf("mailed after %s", time.Since(begun).Round(time.Second))
	p.press("form[action$='passphrases.csv'] button")
	passphrases := readSheet(t, p.saved("passphrases.csv"))
	root := s.get("/ca/root.pem")
	var files []opened
	var former [2]string // a file that somebody has from before, with its passphrase
	for _, address := range []string{"person0300@example.com", "person0301@example.com", "person0999@example.com"} {
		files = append(files, pickUp(t, s, address, passphrases[address], root, former))
		former = [2]string{files[len(files)-1].file, passphrases[address]}
	}

	p.open(org + "/people?q=group03")
	p.press("input[name=whom][value=all]")
	eval[string](p, "document.querySelector('#do').value = 'revoke'")
	p.press("#sure")
	p.follow("section .button")
	revoked := time.Now()
	p.says(fmt.Sprintf("Certificates revoked: %d", grouped))
	for i, f := range files {
		s.standing(f, i < 2, revoked.Add(time.Second))
	}
	p.open(run)
	p.calm()
	q.calm()
	t.Logf("the whole way took %s", time.Since(begun).Round(time.Second))
}

// says holds that the page has this text.
func (p *person) says(text string) {
	p.t.Helper()
	if got := eval[string](p, "document.body.innerText"); !strings.Contains(got, text) {
		p.t.Fatalf("the page does not say %q:\n%s", text, got)
	}
}

// secondFactor sets up an authenticator app, without which roles are withheld.
func (p *person) secondFactor() {
	p.t.Helper()
	p.open("/admin/account")
	p.follow("form[action='/admin/account/app'] button")
	p.enter("number", p.number(eval[string](p, "document.querySelector('#secret').textContent")))
	p.follow("main form .button")
}

// proveDomain puts the record that the page asks for into the DNS.
func (p *person) proveDomain(org, domain string, dns *testdns.Server) {
	p.t.Helper()
	p.open(org + "/domains")
	p.enter("name", domain)
	p.follow("main form .button")
	check := "form[action$='/domains/check'] button"
	p.follow(check)
	p.see(".notice.warning") // the DNS says nothing yet
	dns.TXT(eval[string](p, "document.querySelector('code[id^=name-]').textContent"), eval[string](p, "document.querySelector('code[id^=value-]').textContent"))
	p.follow(check)
	p.see(".state.proven")
}

// endsApproval asks for the end of approval, which waits for the other, who refuses.
func (p *person) endsApproval(org string, other *person) {
	p.t.Helper()
	p.open(org + "/settings")
	p.press("#approval")
	p.follow("main form .button")
	p.at(org + "/accounts")
	p.says("It can be confirmed by: approver@example.org")
	p.show("en", "changes")
	other.open(org)
	other.follow("main a[href$='/accounts#changes']")
	other.show("en", "changes-other")
	other.follow("form[action$='/accounts/refuse'] button")
	other.says("nothing was changed")
	p.open(org + "/settings")
	if !eval[bool](p, "document.querySelector('#approval').checked") {
		p.t.Error("approval was turned off by one")
	}
}

// appoint invites somebody into a role and accepts as them.
func (p *person) appoint(org, address, role string) *person {
	p.t.Helper()
	p.open(org + "/accounts")
	p.enter("email", address)
	p.press("input[type=radio][value=" + role + "]")
	p.follow("form[action$='/accounts/invite'] .button")
	q := visit(p.t, p.site, "en")
	q.open("/admin/invitation")
	q.enter("code", p.site.arrived(address))
	q.follow("main form .button")
	q.enter("name", role)
	q.enter("password", operatorWords)
	q.enter("again", operatorWords)
	q.follow("form[action='/admin/invitation/accept'] .button")
	q.secondFactor()
	return q
}

// importPeople checks a list, looks at what is wrong with it, and starts the run;
// its page is where the person is then.
func (p *person) importPeople(org, domain string) (run string) {
	p.t.Helper()
	list, wrong := people(domain)
	file := filepath.Join(p.t.TempDir(), "people.csv")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.open(org + "/import")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.follow("main form .button")
	p.says(fmt.Sprintf("People who can be taken in: %s. Lines with problems: %d", counted, broken))
	lines := eval[[]string](p, "[...document.querySelectorAll('main table')[0].querySelectorAll('tbody tr td:first-child')].map(c => c.textContent)")
	if strings.Join(lines, " ") != strings.Join(wrong, " ") {
		p.t.Errorf("problems in the lines %v, want %v", lines, wrong)
	}
	p.follow("main form .button.big")
	p.see("#bar")
	return eval[string](p, "location.pathname")
}

// saved waits for a file that the browser saves.
func (p *person) saved(name string) string {
	p.t.Helper()
	path := filepath.Join(p.downloads, name)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	p.t.Fatalf("%s was not downloaded", name)
	return ""
}

// readSheet reads addresses and passphrases.
func readSheet(t *testing.T, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(data), "\ufeff"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, row := range rows[1:] {
		found[row[1]] = row[4]
	}
	if len(found) != imported {
		t.Errorf("%d passphrases", len(found))
	}
	return found
}

var invitationLink = regexp.MustCompile(`http://[^\s]+(/i/[a-z2-7]+)`)

// pickUp is what a person does: open the link of the mail, paste its code. Those
// are the two steps to the file, and there is no third; nobody has it again. The
// keys of a file that they have from before come along.
func pickUp(t *testing.T, s *site, address, passphrase string, root []byte, former [2]string) opened {
	t.Helper()
	mail := s.mailTo(address)
	link := invitationLink.FindStringSubmatch(mail.Text)
	codes := codeLine.FindAllString(mail.Text, -1)
	if link == nil || len(codes) != 1 {
		t.Fatalf("no link or no code in\n%s", mail.Text)
	}
	if strings.Contains(mail.Raw, passphrase) {
		t.Errorf("the passphrase is in the mail that leads to the file")
	}
	r := visit(t, s, "ja")
	r.open(link[1])
	r.enter("code", codes[0])
	if former[0] != "" {
		r.press("details:has(#old) summary")
		r.do(chromedp.SetUploadFiles(chromedp.CSS("#old"), []string{former[0]}))
		if n := eval[int](r, "document.querySelector('#old').files.length"); n != 1 {
			t.Fatalf("%d files are chosen", n)
		}
		r.enter("old-passphrase", former[1])
		r.show("ja", "pickup-former")
	}
	r.press("main form .button")
	o := openPKCS12(t, r.download(), passphrase, root)
	if len(o.leaf.EmailAddresses) != 1 || o.leaf.EmailAddresses[0] != address {
		t.Errorf("the certificate of %s names %q", address, o.leaf.EmailAddresses)
	}
	if keys, want := strings.Count(o.keys, "BEGIN PRIVATE KEY"), 1+strings.Count(openedBefore(t, former), "BEGIN PRIVATE KEY"); keys != want {
		t.Errorf("%d keys are in the file of %s, want %d", keys, address, want)
	}
	answer, err := http.PostForm(s.url+link[1], url.Values{"code": {codes[0]}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusGone {
		t.Errorf("the second pick-up: %s", answer.Status)
	}
	r.calm()
	return o
}

// openedBefore is what OpenSSL finds in a file from before; nothing where there is
// none.
func openedBefore(t *testing.T, former [2]string) string {
	t.Helper()
	if former[0] == "" {
		return ""
	}
	return openssl(t, "pkcs12", "-in", former[0], "-passin", "pass:"+former[1], "-nodes", "-nocerts")
}

// mailTo is the one mail to an address, among more than the page of caught mails
// lists.
func (s *site) mailTo(address string) (mail catcher.Mail) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data, "mail", "*.eml"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		if !strings.Contains(string(raw), "Delivered-To: "+address+"\r\n") {
			continue
		}
		request, err := http.NewRequest(http.MethodGet, s.url+"/dev/mail/"+strings.TrimSuffix(filepath.Base(file), ".eml"), nil)
		if err != nil {
			s.t.Fatal(err)
		}
		request.Header.Set("Accept", "application/json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			s.t.Fatal(err)
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(&mail); err != nil {
			s.t.Fatal(err)
		}
		return mail
	}
	s.t.Fatalf("no mail to %s", address)
	return mail
}

// mailed waits until so many people have their mail.
func (s *site) mailed(n int) {
	s.t.Helper()
	got := 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(s.data, "mail", "*.eml"))
		if err != nil {
			s.t.Fatal(err)
		}
		if got = len(files); got >= n {
			return
		}
	}
	s.t.Errorf("%d mails were caught, want %d", got, n)
}

// standing asks OCSP and the CRL about a certificate until they say so, or the
// time is over.
func (s *site) standing(o opened, revoked bool, by time.Time) {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, der := range map[string][]byte{"leaf.der": o.leaf.Raw, "issuer.der": s.fetch(o.leaf.IssuingCertificateURL[0])} {
		if err := os.WriteFile(filepath.Join(dir, name), der, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	serial := fmt.Sprintf("%X", o.leaf.SerialNumber)
	for {
		asked := time.Now()
		ocsp := openssl(s.t, "ocsp", "-issuer", filepath.Join(dir, "issuer.der"), "-cert", filepath.Join(dir, "leaf.der"), "-url", o.leaf.OCSPServer[0], "-noverify", "-no_nonce")
		if err := os.WriteFile(filepath.Join(dir, "list.crl"), s.fetch(o.leaf.CRLDistributionPoints[0]), 0o600); err != nil {
			s.t.Fatal(err)
		}
		list := openssl(s.t, "crl", "-inform", "DER", "-in", filepath.Join(dir, "list.crl"), "-noout", "-text")
		if strings.Contains(ocsp, ": revoked") == revoked && strings.Contains(list, serial) == revoked {
			return
		}
		if asked.After(by) {
			s.t.Fatalf("revoked should be %v; OCSP says %s", revoked, ocsp)
		}
	}
}

func (s *site) fetch(address string) []byte {
	s.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.get(u.Path)
}
