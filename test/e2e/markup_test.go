package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hostile is markup that sets window.pwned wherever a browser takes it for
// markup: in text, in attributes of both quotes, in a title, in a text area.
const hostile = `</title></textarea></pre>"'><script>pwned=1</script><img src=x onerror=pwned=1><svg/onload=pwned=1><a href=javascript:pwned=1 autofocus onfocus=pwned=1>{{.}}{email}`

// TestMarkup enters markup wherever strangers can write something that a page
// shows, looks at each of these pages, and holds that none of it runs and that
// the policy of the pages had nothing to stop.
func TestMarkup(t *testing.T) {
	s := serve(t)
	p := visit(t, s, "en")
	const email = "o'hara|`x`&amp{email}@example.com"
	p.open("/apply")
	p.enter("email", `<script>pwned=1</script>@example.com"'>`)
	p.enter("name", hostile)
	p.follow("main form .button")
	p.at("/apply")
	p.unharmed("the refused form")

	p.open("/apply")
	p.enter("email", email)
	p.enter("name", hostile)
	p.follow("main form .button")
	p.at("/code")
	p.unharmed("the code page")
	p.enter("code", p.site.code(email))
	p.follow("form[action='/code'] .button")
	p.at("/key")
	p.unharmed("the key page")

	s.deliver(hostile)
	p.open("/dev/mail")
	p.unharmed("the list of mails")
	p.follow("td a")
	p.unharmed("the mail")

	p.open("/admin")
	p.claim("carol@example.org", "five unrelated words stand here")
	p.enter("name", hostile)
	p.follow("main form .button")
	p.at("/admin")
	p.unharmed("the administrator's page")
	for _, path := range []string{"/install?device=", "/nothing/", "/dev/mail/", "/code?sent="} {
		p.open(path + strings.ReplaceAll(hostile, " ", "%20"))
		p.unharmed(path)
	}
	p.quiet()
}

// unharmed holds that no script of the markup ran on the page that is shown, and
// that none of its elements is there.
func (p *person) unharmed(what string) {
	p.t.Helper()
	if eval[bool](p, "'pwned' in window || document.querySelector('[onerror], [onload], [onfocus]') !== null") {
		p.t.Errorf("%s: markup that a stranger wrote is part of the page", what)
	}
}

// deliver puts a mail into the catcher's folder with the text in each place that
// the pages show.
func (s *site) deliver(text string) {
	s.t.Helper()
	mail := fmt.Sprintf("Return-Path: <%[1]s>\r\nDelivered-To: %[1]s\r\n"+
		"Received: by localhost with ESMTP id x;\r\n Mon, 23 Nov 2026 12:00:00 +0000\r\n"+
		"From: %[1]s\r\nSubject: %[1]s\r\nContent-Type: text/plain\r\n\r\n%[1]s\r\n", text)
	name := filepath.Join(s.data, "mail", "20991123T120000.000000-00000000.eml")
	if err := os.WriteFile(name, []byte(mail), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
