package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestWalk goes from an address to the PKCS #12 file, for each kind of key and
// each kind of passphrase, in each language.
func TestWalk(t *testing.T) {
	need(t, "openssl")
	for _, tc := range []struct {
		name, languages, email, person string
		kind, passphrase               string // "" for the default
		algorithm                      string
		iterations                     string
	}{
		{"RSA, generated passphrase, English", "en-GB,en", "alice@example.com", "Alice Example", "", "", "RSA", "10000"},
		{"P-256, own passphrase, Japanese", "ja-JP,ja", "bob@example.org", "山田 太郎", "p-256", "五つの言葉 correct horse", "ECDSA", "600000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t)
			p := visit(t, s, tc.languages)
			p.proveAddress(tc.email, tc.person)
			p.chooseKey(tc.kind, tc.passphrase)
			p.see("#result")
			p.leavingIsAskedAbout()
			passphrase := tc.passphrase
			if passphrase == "" {
				passphrase = eval[string](p, `document.getElementById("generated-passphrase").textContent`)
			}
			p.press("#download")
			o := openPKCS12(t, p.download(), passphrase, s.get("/ca/root.pem"))
			checkFile(t, o, tc.email, tc.person, tc.algorithm, tc.iterations)
			p.keptToItself(o)
			p.follow("#next a")
			p.at("/install")
			p.says(s.url + "/install") // what the code for phones leads to
			p.quiet()
		})
	}
}

// proveAddress walks from the start page to the key page, with a wrong code on
// the way.
func (p *person) proveAddress(email, name string) {
	p.t.Helper()
	p.open("/")
	p.follow(".hero .button")
	p.at("/apply")
	p.enter("email", email)
	p.enter("name", name)
	p.follow("main form .button")
	p.at("/code")
	code := p.site.code(email)
	p.enter("code", wrong(code))
	p.follow("form[action='/code'] .button")
	p.see("#code-error")
	if text := eval[string](p, `document.getElementById("code-error").textContent`); !strings.Contains(text, "4") {
		p.t.Errorf("after one wrong code of five: %q", text)
	}
	p.enter("code", code)
	p.follow("form[action='/code'] .button")
	p.at("/key")
}

// wrong is a code of the right form that is not the mailed one.
func wrong(code string) string {
	if code[0] == 'X' {
		return "Z" + code[1:]
	}
	return "X" + code[1:]
}

// chooseKey fills in the form of the key page and sends it.
func (p *person) chooseKey(kind, passphrase string) {
	p.t.Helper()
	p.see("#enroll")
	if kind != "" {
		p.press("summary")
		p.press("input[value='" + kind + "']")
		p.see("#kind-warning")
	}
	if passphrase != "" {
		p.press("input[value='own']")
		p.enter("passphrase", passphrase)
		p.enter("passphrase-again", passphrase+"x")
		p.press("#enroll button")
		p.see("[data-failure='differ']")
		p.do(chromedp.Focus(chromedp.ID("passphrase-again")), chromedp.KeyEvent(kb.End), chromedp.KeyEvent(kb.Backspace))
	}
	p.press("#enroll button")
}

// leavingIsAskedAbout holds that the browser asks before the only copy of the
// key is gone with the page.
func (p *person) leavingIsAskedAbout() {
	p.t.Helper()
	eval[int](p, `setTimeout(() => { location.href = "/" })`)
	asked := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Contains(p.dialogs, "beforeunload")
	}
	for deadline := time.Now().Add(patience); !asked(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatal("the page was left without a question")
		}
	}
	p.at("/key")
}

func checkFile(t *testing.T, o opened, email, person, algorithm, iterations string) {
	t.Helper()
	for _, want := range []string{
		"MAC: sha256, Iteration " + iterations,
		"PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration " + iterations + ", PRF hmacWithSHA256",
		"Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration " + iterations + ", PRF hmacWithSHA256",
	} {
		if !strings.Contains(o.info, want) {
			t.Errorf("PKCS #12 has no %q:\n%s", want, o.info)
		}
	}
	if !slices.Equal(o.leaf.EmailAddresses, []string{email}) {
		t.Errorf("certificate names %q, want %s", o.leaf.EmailAddresses, email)
	}
	if strings.Contains(string(o.leaf.Raw), person) {
		t.Error("the name of the person is in the mailbox-validated certificate")
	}
	if o.leaf.PublicKeyAlgorithm.String() != algorithm {
		t.Errorf("key is %v, want %s", o.leaf.PublicKeyAlgorithm, algorithm)
	}
}

// keptToItself holds that no request of the page had a part of the private key.
func (p *person) keptToItself(o opened) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := 0
	for _, body := range p.bodies {
		sent += len(body)
		for _, secret := range secrets(p.t, o.key) {
			if holds(body, secret) {
				p.t.Errorf("a request body holds the private key: %q", body)
			}
		}
	}
	public := o.leaf.RawSubjectPublicKeyInfo
	if !slices.ContainsFunc(p.bodies, func(b []byte) bool { return strings.Contains(string(b), string(public)) }) {
		p.t.Errorf("among %d bytes sent there is no certification request: the test sees too little", sent)
	}
}
