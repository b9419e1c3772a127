package e2e

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/internal/testdns"
)

// officer is one of those who keep keys: somebody at a browser, with a key on
// their own machine.
type officer struct {
	*person
	leaf *testca.Leaf
}

// TestEscrow is the way of a key that a person's browser makes and the
// organization has kept: by an invitation and its code to both certificates and
// a file that OpenSSL opens; then two of three officers give back the very key.
func TestEscrow(t *testing.T) {
	need(t, "openssl")
	dns := testdns.New(t)
	s := serve(t, func(c *server.Config) { c.DNS = dns.Address })
	p := visit(t, s, "en")
	org := p.found("Yamada Trading Co., Ltd.", "example.com", dns)
	p.open(org + "/settings")
	for _, choice := range []string{"input[name=algorithm][value=p256]", "#split", "#escrow"} {
		p.press(choice)
	}
	p.follow("main form .button")
	p.see(".notice.good")

	const address = "taro@example.com"
	p.invite(org, address)
	person := visit(t, s, "en")
	person.redeem(address)
	person.says("Your keys cannot be made yet") // nobody is there to keep them
	person.look("key-nobody")
	officers := p.appointOfficers(org)
	person.open("/key")
	for _, text := range []string{"A copy of your decryption key will be kept", "Yamada Trading Co., Ltd.", "2 of these 3 recovery officers", "officer2@example.org"} {
		person.says(text)
	}
	person.look("key-kept")
	person.press("#enroll > .button")
	person.see("#result")
	file, words := person.take()
	first := filedIn(t, file, words)
	if len(first.signing) != 1 || len(first.encryption) != 1 {
		t.Fatalf("not a pair: %v", first)
	}
	person.keepsApart(first)

	own := testca.New(t, current()).Leaf(operatorAddress, testca.P256, current())
	p.askFor(org, address, own)
	officers[1].open(org + "/recovery")
	officers[1].look("recovery-task")
	for _, o := range officers[1:] {
		o.answer(org)
	}
	p.open(org + "/recovery")
	p.look("recovery-answered")
	p.press("form[action$='/recovery/release'] button")
	data, err := os.ReadFile(p.saved("recovered.json"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := recovery.ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := bundle.Open([]*cms.RecipientKey{{Key: own.Key, Certificate: own.Certificate}})
	if err != nil || len(ids) != 1 || !sameKey(ids[0], first.encryption[0]) {
		t.Fatalf("recovered %v, %v", ids, err)
	}
	person.recoverOwn(org, address, first, officers)
	person.quiet()
	if *screens != "" {
		p.evidenceWaits(org)
	}
	p.calm()
}

// evidenceWaits shows what waits for two of those who decide about evidence.
func (p *person) evidenceWaits(org string) {
	p.t.Helper()
	for i := range 2 {
		p.appoint("/admin", fmt.Sprintf("validator%d@example.org", i+1), "validator")
	}
	p.open(org + "/names")
	p.enter("identifier", "NTRJP-7000012050002")
	p.follow("main form .button")
	p.open(org + "/evidence")
	p.enter("method", "3.2.3.2.1")
	p.enter("reference", "safe 4, folder 12")
	p.enter("statement", "The register of companies was looked up.")
	p.follow("main form[enctype] .button")
	p.look("evidence-submitted")
	p.open("/admin/evidence")
	for _, text := range []string{"Yamada Trading Co., Ltd.", "NTRJP-7000012050002", operatorAddress} {
		p.says(text)
	}
	p.look("evidence-waiting")
}

// recoverOwn is the rest of the way of somebody who lost a file: they get new
// keys, ask for the former one, and pick it up together with the new ones; at the
// next renewal the file that they have brings its keys along.
func (p *person) recoverOwn(org, address string, first filed, officers []officer) {
	p.t.Helper()
	t := p.t
	p.signInAs(address)
	second, words := p.renew("", "")
	now := filedIn(t, second, words)
	if len(now.signing) != 1 || len(now.encryption) != 1 || sameKey(now.encryption[0], first.encryption[0]) {
		t.Fatalf("renewed: %v", now)
	}

	p.open("/mine")
	p.follow("a[href='/mine/keys']")
	p.says("Ask for my former keys")
	p.look("ownkeys")
	p.do(chromedp.SendKeys(chromedp.CSS("input[name=reason]"), "my laptop was stolen"))
	p.follow("form[action='/mine/keys/ask'] .button")
	p.says("The officers were asked")
	officers[0].answer(org)
	p.open("/mine/keys")
	p.says("1 of 2")
	p.look("ownkeys-asked")
	officers[1].answer(org)
	p.open("/mine/keys")
	p.says("Your keys are ready")
	p.look("ownkeys-ready")
	told := func() int { return len(p.site.mails(address)) }
	before := told()
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{second}))
	p.enter("file-passphrase", "another passphrase")
	p.press("#recover .button")
	p.see("[data-failure=passphrase]")
	p.show("en", "ownkeys-passphrase")
	if told() != before {
		t.Error("a wrong passphrase had the keys released")
	}
	p.fill("document.querySelector('#file-passphrase')", words)
	p.press("#recover .button")
	p.see("#result")
	p.show("en", "ownkeys-result")
	third, words := p.take()
	all := filedIn(t, third, words)
	if len(all.signing) != 1 || len(all.encryption) != 2 || !holdsKey(all, first.encryption[0]) || !holdsKey(all, now.encryption[0]) {
		t.Fatalf("in one file: %v", all)
	}
	for deadline := time.Now().Add(patience); told() == before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the person was not told of the release")
		}
	}
	if mail := p.site.mails(address)[0]; !strings.Contains(mail.Text, "my laptop was stolen") {
		t.Errorf("told:\n%s", mail.Text)
	}
	p.keepsApart(first)

	fourth, words := p.renew(third, words)
	last := filedIn(t, fourth, words)
	if len(last.signing) != 1 || sameKey(last.signing[0], now.signing[0]) || len(last.encryption) != 3 || !holdsKey(last, first.encryption[0]) || !holdsKey(last, now.encryption[0]) {
		t.Fatalf("after the next renewal: %v", last)
	}
	p.keepsApart(last)
}

// look shows the page as a picture in each language, or as it is where no pictures
// are taken.
func (p *person) look(name string) {
	p.t.Helper()
	if *screens == "" {
		p.show("en", name)
		return
	}
	for _, language := range []string{"ja", "en"} {
		call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0", AcceptLanguage: language,
		})
		p.do(chromedp.Reload())
		p.show(language, name)
	}
}

// signInAs signs a person in by a mailed code.
func (p *person) signInAs(address string) {
	p.t.Helper()
	p.open("/sign-in")
	before := len(p.site.mails(address))
	p.enter("email", address)
	p.follow("main form .button")
	for deadline := time.Now().Add(patience); len(p.site.mails(address)) == before; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no code to %s", address)
		}
	}
	p.enter("code", p.site.code(address))
	p.follow("main form .button")
}

// renew makes new keys in place of the newest pair, with a file from before where
// there is one.
func (p *person) renew(former, words string) (file, passphrase string) {
	p.t.Helper()
	p.open("/mine")
	p.follow("form[action='/mine/renew'] button")
	p.at("/key")
	if former != "" {
		p.press("#enroll details:has(#former-file) summary")
		p.do(chromedp.SetUploadFiles(chromedp.CSS("#former-file"), []string{former}))
		p.enter("former-passphrase", words)
	}
	p.press("#enroll > .button")
	p.see("#result")
	return p.take()
}

// take is the file that the page saves or offers, with its passphrase; the folder
// is empty afterwards for the next one.
func (p *person) take() (file, passphrase string) {
	p.t.Helper()
	passphrase = p.passphrase()
	if eval[bool](p, "!document.querySelector('#leave').hidden") {
		p.press("#download")
	}
	file = filepath.Join(p.t.TempDir(), "keys.p12")
	if err := os.Rename(p.download(), file); err != nil {
		p.t.Fatal(err)
	}
	return file, passphrase
}

// holdsKey tells whether a file has the key of an identity, with its certificate.
func holdsKey(f filed, id *identity.Identity) bool {
	return slices.ContainsFunc(f.encryption, func(one *identity.Identity) bool { return sameKey(one, id) && one.Certificate.Equal(id.Certificate) })
}

// found claims the server and opens an organization with a proven domain.
func (p *person) found(name, domain string, dns *testdns.Server) (org string) {
	p.t.Helper()
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.secondFactor()
	p.open("/org/new")
	p.enter("name", name)
	p.enter("country", "JP")
	p.follow("main form .button")
	org = eval[string](p, "location.pathname")
	p.open(org + "/agreement")
	p.press("#accept")
	p.follow("main form .button")
	p.proveDomain(org, domain, dns)
	return org
}

// invite imports one person, who makes the keys themselves, and waits for the mail.
func (p *person) invite(org, address string) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "people.csv")
	if err := os.WriteFile(file, []byte("email,given name,surname\n"+address+",Taro,Tanaka\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.open(org + "/import")
	p.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.press("input[name=mode][value=invite]")
	p.follow("main form .button")
	p.follow("main form .button.big")
	for deadline := time.Now().Add(patience); len(p.site.mails(address)) == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no invitation to %s", address)
		}
	}
}

// redeem opens the link of an invitation and pastes its code.
func (p *person) redeem(address string) {
	p.t.Helper()
	mail := p.site.mails(address)[0]
	link := invitationLink.FindStringSubmatch(mail.Text)
	if link == nil {
		p.t.Fatalf("no link in\n%s", mail.Text)
	}
	p.open(link[1])
	p.enter("code", p.site.code(address))
	p.follow("main form .button")
	p.at("/key")
}

// appointOfficers makes three people the officers, each of whom confirms.
func (p *person) appointOfficers(org string) (list []officer) {
	p.t.Helper()
	ca := testca.New(p.t, current())
	for i, kind := range []testca.Kind{testca.P256, testca.P384, testca.RSA2048} {
		address := fmt.Sprintf("officer%d@example.org", i+1)
		list = append(list, officer{p.appoint(org, address, "recovery-officer"), ca.Leaf(address, kind, current())})
	}
	p.open(org + "/recovery")
	p.press("details.card summary")
	for i, o := range list {
		legend := fmt.Sprintf("[...document.querySelectorAll('fieldset')].find(f => f.textContent.includes('officer%d@example.org'))", i+1)
		eval[bool](p, legend+".querySelector('input[name=officer]').checked = true")
		p.fill(legend+".querySelector('textarea')", string(o.leaf.Certificate.PEM()))
	}
	p.follow("form[action$='/officers'] .button")
	p.says("The officers were proposed")
	for _, o := range list {
		o.answer(org)
	}
	return list
}

// fill puts a text into what an expression finds, at once.
func (p *person) fill(element, text string) {
	p.t.Helper()
	value, err := json.Marshal(text)
	if err != nil {
		p.t.Fatal(err)
	}
	eval[string](p, element+".value = "+string(value))
}

// askFor asks the officers for somebody's keys.
func (p *person) askFor(org, address string, recipient *testca.Leaf) {
	p.t.Helper()
	p.open(org + "/recovery")
	p.enter("person", address)
	p.fill("document.querySelector('#recipient')", string(recipient.Certificate.PEM()))
	p.enter("reason", "the laptop was stolen")
	p.follow("form[action$='/recovery/request'] .button")
	p.see(".notice.good")
}

// answer does the first task that waits for an officer.
func (o officer) answer(org string) {
	o.t.Helper()
	o.open(org + "/recovery")
	o.press("form[action$='/recovery/task'] button")
	path := o.saved("task.json")
	data, err := os.ReadFile(path)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		o.t.Fatal(err)
	}
	task, err := recovery.ParseTask(data)
	if err != nil {
		o.t.Fatal(err)
	}
	answer, err := task.Answer(rand.Reader, []*cms.RecipientKey{{Key: o.leaf.Key, Certificate: o.leaf.Certificate}})
	if err != nil {
		o.t.Fatal(err)
	}
	text, err := recovery.Encode(answer)
	if err != nil {
		o.t.Fatal(err)
	}
	o.fill("document.querySelector('#answer')", string(text))
	o.follow("form[action$='/recovery/answer'] .button")
	o.see(".notice.good")
}

// current is a certificate that is valid by the clock of the machine.
func current() testca.Option {
	return testca.Validity(time.Now().AddDate(0, 0, -1), time.Now().AddDate(1, 0, 0))
}

func (p *person) passphrase() string {
	p.t.Helper()
	return eval[string](p, "document.querySelector('#generated-passphrase').textContent")
}

// filed are the identities in a file, by what their keys are for.
type filed struct{ signing, encryption []*identity.Identity }

// filedIn has OpenSSL read a file, and puts keys and certificates together.
func filedIn(t *testing.T, file, passphrase string) (found filed) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(secret, []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	text := []byte(openssl(t, "pkcs12", "-in", file, "-passin", "file:"+secret, "-nodes"))
	var keys []crypto.PrivateKey
	var certificates []*cert.Certificate
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if b.Type == "CERTIFICATE" {
			c, err := cert.Parse(b.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			certificates = append(certificates, c)
			continue
		}
		key, err := identity.ParsePrivateKey(b.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	for _, key := range keys {
		for _, id := range identity.JoinAll(key, "", certificates) {
			switch {
			case id.Certificate == nil:
				t.Fatal("a key without a certificate")
			case id.Certificate.CanSign():
				found.signing = append(found.signing, id)
			default:
				found.encryption = append(found.encryption, id)
			}
		}
	}
	return found
}

// sameKey tells whether two identities have one private key.
func sameKey(a, b *identity.Identity) bool {
	return a.Key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(b.Key)
}

// keepsApart holds that none of the keys left the page as it is.
func (p *person) keepsApart(found filed) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range slices.Concat(found.signing, found.encryption) {
		for _, secret := range secrets(p.t, id.Key) {
			for _, body := range p.bodies {
				if holds(body, secret) {
					p.t.Error("a private key left the page")
				}
			}
		}
	}
}
