package cli

import (
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/inspect"
)

// renewalNotice is how long before its end a certificate is warned about: an order
// at an authority takes days, and so do holidays.
const renewalNotice = 30 * 24 * time.Hour

// endsSoon tells whether a certificate that is in force will not be for long.
func (p *program) endsSoon(c *cert.Certificate) bool {
	return p.inForce(c) && p.env.Now().Add(renewalNotice).After(c.NotAfter)
}

// warnEnding says that a certificate in use ends soon, once for each.
func (p *program) warnEnding(c *cert.Certificate) {
	if c == nil || !p.endsSoon(c) || p.warned[c.SHA256()] {
		return
	}
	if p.warned == nil {
		p.warned = map[string]bool{}
	}
	p.warned[c.SHA256()] = true
	name := c.Subject.String()
	if emails := c.Emails(); len(emails) > 0 {
		name = emails[0]
	}
	days := int(c.NotAfter.Sub(p.env.Now()) / (24 * time.Hour))
	p.say("mailseal: warning: the certificate of %s ends on %s, in %d days; for a new one: mailseal id new --csr, or mailseal id request",
		inspect.Visible(name), c.NotAfter.Format("2 January 2006"), days)
}

// warnDecryption does so for the certificate that others encrypt to: of several the
// one that ends last.
func (p *program) warnDecryption(found []*identity.Identity) {
	var last *cert.Certificate
	for _, i := range found {
		if c := i.Certificate; c != nil && c.CanEncrypt() && (last == nil || c.NotAfter.After(last.NotAfter)) {
			last = c
		}
	}
	p.warnEnding(last)
}
