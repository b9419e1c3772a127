package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "folder for a picture of every page; without it TestScreens skips")

// TestScreens takes a picture of every page, in each language, light and dark,
// on a wide and on a narrow screen, and holds that nothing sticks out of it.
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("no -screens folder given")
	}
	if err := os.MkdirAll(*screens, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"en", "ja"} {
		t.Run(language, func(t *testing.T) {
			s := serve(t)
			p := visit(t, s, language)
			p.pictureWay(language)
			p.pictureAdministration(language)
		})
	}
}

func (p *person) pictureWay(language string) {
	p.open("/")
	p.picture(language, "start")
	p.open("/apply")
	p.picture(language, "apply")
	p.enter("email", "alice at example.com")
	p.follow("main form .button")
	p.picture(language, "apply-error")
	p.open("/code")
	p.picture(language, "problem")
	p.open("/apply")
	p.enter("email", "alice.with.a.long.name@department.example.com")
	p.enter("name", "Alice Example")
	p.follow("main form .button")
	p.picture(language, "code")
	code := p.site.code("alice.with.a.long.name@department.example.com")
	p.enter("code", wrong(code))
	p.picture(language, "code-filled")
	p.follow("form[action='/code'] .button")
	p.picture(language, "code-error")
	p.open("/dev/mail")
	p.picture(language, "mails")
	p.follow("td a")
	p.picture(language, "mail")
	p.open("/code")
	p.enter("code", code)
	p.follow("form[action='/code'] .button")
	p.picture(language, "key")
	p.press("input[value='own']")
	p.enter("passphrase", "two words here")
	p.enter("passphrase-again", "two words")
	p.press("summary")
	p.press("input[value='p-256']")
	p.press("#enroll button")
	p.picture(language, "key-own")
	p.press("input[value='generated']")
	p.press("#enroll button")
	p.see("#result")
	p.picture(language, "result")
	p.press("#download")
	p.download()
	p.open("/key")
	p.picture(language, "key-again")
	for _, device := range []string{"thunderbird", "outlook", "iphone", "other"} {
		p.open("/install?device=" + device)
		p.picture(language, "install-"+device)
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

func (p *person) pictureAdministration(language string) {
	p.claim("carol@example.org", "five unrelated words stand here")
	p.picture(language, "claim")
	p.follow("main form .button")
	p.at("/admin")
	p.picture(language, "overview")
	p.follow(".who button")
	p.open("/admin/sign-in")
	p.enter("email", "carol@example.org")
	p.enter("password", "not this one at all")
	p.follow("main form .button")
	p.picture(language, "signin-error")
}

// picture takes the page in both schemes at both widths.
func (p *person) picture(language, name string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			p.do(chromedp.EmulateViewport(width, 800))
			if over := eval[int64](p, "document.documentElement.scrollWidth"); over > width {
				p.t.Errorf("%s (%s): %d pixels wide on a screen of %d", name, language, over, width)
			}
			picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				p.t.Fatal(err)
			}
			file := fmt.Sprintf("%s-%s-%s-%d.png", name, language, scheme, width)
			if err := os.WriteFile(filepath.Join(*screens, file), picture, 0o644); err != nil {
				p.t.Fatal(err)
			}
		}
	}
	p.do(chromedp.EmulateViewport(1280, 800))
}
