package cli

import (
	"strings"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/inspect"
)

// warnSender tells the person who signs what every receiver will be told: that the
// certificate does not name the address that the mail is from. It is no error; some
// other program may put the right From in later.
func (p *program) warnSender(in *input, signers []*cms.Signer) {
	e, err := entity.Read(in, in.size)
	if err != nil {
		return // signing will say so
	}
	from, err := e.Header.Addresses("From")
	if err != nil || len(from) != 1 {
		p.say("mailseal: warning: the mail has not exactly one readable From address; it will be valid for nobody")
		return
	}
	for _, s := range signers {
		if !certpath.Names(s.Certificate, from[0].Mailbox) {
			p.say("mailseal: warning: the mail is from %s and the certificate names %s; it will be valid for nobody",
				from[0].Mailbox, inspect.Visible(strings.Join(s.Certificate.Emails(), ", ")))
		}
	}
}
