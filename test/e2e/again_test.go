package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/server"
)

// TestAgain is an operator who comes back to an open browser and makes a token: the
// page asks who is there, by the app's number and then by a passkey, and goes on
// with what was typed.
func TestAgain(t *testing.T) {
	var ahead atomic.Int64
	s := serve(t, func(c *server.Config) {
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	s.url = strings.Replace(s.url, "127.0.0.1", "localhost", 1) // passkeys belong to names
	p := visit(t, s, "en")
	p.carries()
	p.claim(operatorAddress, operatorWords)
	p.follow("main form .button")
	p.open("/admin/account")
	p.follow("form[action='/admin/account/app'] button")
	key := eval[string](p, "document.querySelector('#secret').textContent")
	p.enter("number", p.number(key))
	p.follow("main form .button")
	p.open("/admin/account")
	p.enter("passkey-name", "laptop")
	p.press("[data-passkey=create]")
	p.wait("document.querySelectorAll('main table tbody tr').length === 1")

	ask := func(name string) {
		t.Helper()
		ahead.Add(int64(auth.FreshTime))
		p.open("/admin/tokens")
		p.enter("name", name)
		p.press("#scope-0")
		p.follow("form[action='/admin/tokens'] .button")
		p.says("What you entered is kept")
	}
	ask("by the app")
	p.show("en", "again")
	p.enter("again-number", p.numberAt(key, time.Now().Add(time.Duration(ahead.Load()))))
	p.follow("main form .button")
	p.says(auth.TokenPrefix)
	ask("by a passkey")
	p.press("[data-passkey=sign-in]")
	p.wait("document.querySelector('#token') !== null")
	p.open("/admin/tokens")
	p.says("by the app")
	p.says("by a passkey")
	p.calm()
}
