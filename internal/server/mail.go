package server

import (
	"context"
	"fmt"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailout"
	"github.com/mailseal/mailseal/internal/validation"
)

// mailer is the validation.Mailer that submits to a relay.
type mailer struct{ relay *mailout.Relay }

func (m mailer) Send(ctx context.Context, mail validation.Mail) error {
	to, err := mailbox.Parse(mail.To)
	if err != nil {
		return fmt.Errorf("recipient of the mail: %w", err)
	}
	return m.relay.Send(ctx, mailout.Mail{To: to, Subject: mail.Subject, Text: mail.Text, Language: mail.Language})
}
