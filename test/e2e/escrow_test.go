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
	"testing"
	"time"

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
	officers := p.appointOfficers(org)
	person.open("/key")
	for _, text := range []string{"A copy of your decryption key will be kept", "Yamada Trading Co., Ltd.", "2 of these 3 recovery officers", "officer2@example.org"} {
		person.says(text)
	}
	file := person.makeFile()
	first := filedIn(t, file, person.passphrase())
	if len(first.signing) != 1 || len(first.encryption) != 1 {
		t.Fatalf("not a pair: %v", first)
	}
	person.keepsApart(first)

	own := testca.New(t, current()).Leaf(operatorAddress, testca.P256, current())
	p.askFor(org, address, own)
	for _, o := range officers[1:] {
		o.answer(org)
	}
	p.open(org + "/recovery")
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
	person.quiet()
	p.calm()
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

// makeFile presses the one button of somebody who was invited.
func (p *person) makeFile() (file string) {
	p.t.Helper()
	p.press("#enroll > .button")
	p.see("#result")
	return p.download()
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
