package e2e

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// TestKeyboard walks the whole way with Tab, Enter, Space and arrow keys, and
// holds on each stop that the focus can be seen.
func TestKeyboard(t *testing.T) {
	need(t, "openssl")
	s := serve(t)
	p := visit(t, s, "en")
	p.open("/")
	p.tabTo(".skip")
	p.tabTo(".hero .button")
	p.keys(kb.Enter)
	p.see("#email")
	p.tabTo("#email") // the page put the focus there already
	p.keys("carol@example.org")
	p.tabTo("main form .button")
	p.keys(kb.Enter)
	p.see("#code")
	p.keys(p.site.code("carol@example.org"))
	p.keys(kb.Enter)
	p.see("#enroll")
	p.tabTo("input[name='mode']")
	p.keys(kb.ArrowDown)
	p.see("#own-passphrase")
	p.tabTo("#passphrase")
	p.keys("several unrelated words")
	p.tabTo("#passphrase-again")
	p.keys("several unrelated words")
	p.tabTo("summary")
	p.keys(kb.Enter)
	p.tabTo("input[name='kind']")
	p.keys(kb.ArrowDown)
	p.see("#kind-warning")
	p.tabTo("#enroll > button")
	p.keys(" ")
	p.see("#result")
	p.tabTo("#download")
	p.keys(kb.Enter)
	o := openPKCS12(t, p.download(), "several unrelated words", s.get("/ca/root.pem"))
	checkFile(t, o, "carol@example.org", "Carol", "ECDSA", "600000")
	p.tabTo("#next a")
	p.keys(kb.Enter)
	p.see("main.install h1")
	p.tabTo(".tabs li:nth-child(2) a")
	p.keys(kb.Enter)
	p.see(".tabs li:nth-child(2) a[aria-current]")
	p.tabTo(".languages button[value='ja']")
	p.keys(kb.Enter)
	p.see("html[lang='ja'] main.install h1")
	p.at("/install")
	p.quiet()
}
