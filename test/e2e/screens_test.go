package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "folder for a picture of every page")

func (p *person) walkToCertificate(language string) {
	p.open("/")
	p.show(language, "start")
	p.open("/apply")
	p.show(language, "apply")
	p.enter("email", "alice at example.com")
	p.follow("main form .button")
	p.show(language, "apply-error")
	p.open("/code")
	p.show(language, "problem")
	p.open("/apply")
	p.enter("email", "alice.with.a.long.name@department.example.com")
	p.enter("name", "Alice Example")
	p.follow("main form .button")
	p.show(language, "code")
	code := p.site.code("alice.with.a.long.name@department.example.com")
	p.enter("code", wrong(code))
	p.show(language, "code-filled")
	p.follow("form[action='/code'] .button")
	p.show(language, "code-error")
	p.open("/dev/mail")
	p.show(language, "mails")
	p.follow("td a")
	p.show(language, "mail")
	p.open("/code")
	p.enter("code", code)
	p.follow("form[action='/code'] .button")
	p.show(language, "key")
	p.press("input[value='own']")
	p.enter("passphrase", "two words here")
	p.enter("passphrase-again", "two words")
	p.press("summary")
	p.press("input[value='p-256']")
	p.press("#enroll button")
	p.show(language, "key-own")
	p.press("input[value='generated']")
	p.press("#enroll button")
	p.see("#result")
	p.show(language, "result")
	p.press("#download")
	p.download()
	p.open("/key")
	p.show(language, "key-again")
	p.open("/report")
	p.show(language, "report")
	p.press("input[name=problem]")
	p.enter("text", "Mails that I never wrote carry a signature by this certificate.")
	p.enter("email", "mallory at example.com")
	p.follow("main form .button")
	p.show(language, "report-error")
	p.open("/report")
	p.press("input[name=problem]")
	p.enter("text", "Mails that I never wrote carry a signature by this certificate.")
	p.enter("email", "mallory@example.com")
	p.follow("main form .button")
	p.see("main.reported")
	p.show(language, "reported")
	p.open("/nothing/here")
	p.show(language, "nothing")
	for _, device := range []string{"thunderbird", "outlook", "iphone", "other"} {
		p.open("/install?device=" + device)
		p.show(language, "install-"+device)
	}
}

// oneTimeCode is what the server prints for the first administrator.
var oneTimeCode = regexp.MustCompile(`(?m)^  ([A-Z0-9-]{24,40})$`)

func (p *person) claim(email, password string) {
	p.t.Helper()
	code := oneTimeCode.FindStringSubmatch(p.site.out.String())
	if code == nil {
		p.t.Fatalf("no one-time code printed:\n%s", p.site.out)
	}
	p.open("/admin")
	p.at("/admin/claim")
	p.enter("code", code[1])
	p.enter("email", email)
	p.enter("password", password)
	p.enter("again", password)
}

func (p *person) walkToOverview(language string) {
	p.claim("carol@example.org", "five unrelated words stand here")
	p.show(language, "claim")
	p.follow("main form .button")
	p.at("/admin")
	p.show(language, "overview")
	p.open("/admin/reports")
	p.show(language, "reports")
	p.open("/admin/revoke")
	p.enter("serial", "00ff")
	p.show(language, "revoke")
	p.follow("main form .button")
	p.show(language, "revoke-error")
	p.follow(".who button")
	p.open("/admin/sign-in")
	p.enter("email", "carol@example.org")
	p.enter("password", "not this one at all")
	p.follow("main form .button")
	p.show(language, "signin-error")
}

// picture takes the page at both widths, as it is.
func (p *person) picture(language, name, scheme string) {
	p.t.Helper()
	if err := os.MkdirAll(*screens, 0o755); err != nil {
		p.t.Fatal(err)
	}
	for _, width := range []int64{1280, 390} {
		p.do(chromedp.EmulateViewport(width, 800))
		p.fits(width, name)
		picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
		if err != nil {
			p.t.Fatal(err)
		}
		file := fmt.Sprintf("%s-%s-%s-%d.png", name, language, scheme, width)
		if err := os.WriteFile(filepath.Join(*screens, file), picture, 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	p.do(chromedp.EmulateViewport(1280, 800))
}

// fits holds that the page is not wider than the screen, and that nothing of a
// table has to be looked for by scrolling it sideways on a narrow one.
func (p *person) fits(width int64, name string) {
	p.t.Helper()
	if over := eval[int64](p, "document.documentElement.scrollWidth"); over > width {
		p.t.Errorf("%s: %d pixels wide on a screen of %d", name, over, width)
	}
	if cut := eval[int64](p, "Math.max(0, ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth))"); cut > 0 {
		p.t.Errorf("%s: a table is cut by %d pixels on a screen of %d", name, cut, width)
	}
}
