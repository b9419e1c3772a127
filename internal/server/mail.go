package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailout"
	"github.com/mailseal/mailseal/internal/mailout/bounce"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/validation"
)

// mailer is the validation.Mailer that submits to a relay.
type mailer struct {
	relay   *mailout.Relay
	bounces string // domain of the return paths, "" for the sender's own
}

func (m mailer) Send(ctx context.Context, mail validation.Mail) error {
	to, err := mailbox.Parse(mail.To)
	if err != nil {
		return fmt.Errorf("recipient of the mail: %w", err)
	}
	var back mailbox.Mailbox
	if m.bounces != "" {
		if back, err = bounce.Address(mail.ID, m.bounces); err != nil {
			return fmt.Errorf("return path of the mail: %w", err)
		}
	}
	err = m.relay.Send(ctx, mailout.Mail{To: to, Subject: mail.Subject, Text: mail.Text, Language: mail.Language, Signed: mail.Signed}, back)
	if refused, ok := errors.AsType[*mailout.RefusedError](err); ok {
		return &validation.UndeliverableError{Reason: fmt.Sprintf("%d %s", refused.Code, refused.Text)}
	}
	if deferred, ok := errors.AsType[*mailout.DeferredError](err); ok {
		return &validation.DeferredError{Reason: fmt.Sprintf("%d %s", deferred.Code, deferred.Text)}
	}
	if _, away := errors.AsType[*mailout.UnavailableError](err); away {
		return &validation.UnavailableError{Err: err}
	}
	return err
}

// bounced is the bounce.Mails of the queue.
type bounced struct{ *mailqueue.Queue }

func (b bounced) Bounced(ctx context.Context, id, reason string) error {
	err := b.Queue.Bounced(ctx, id, reason)
	if errors.Is(err, mailqueue.ErrUnknown) {
		return bounce.ErrKnown
	}
	return err
}

// devSender has a domain that RFC 6761 §6.3 keeps for this machine, so that
// nobody elsewhere is named as the sender.
const devSender = "no-reply@mailseal.localhost"

// sender submits to the catcher with --dev, and to the operator's relay.
func (s *system) sender(catcher string) (validation.Mailer, error) {
	if s.Dev {
		from, err := mailbox.Parse(devSender)
		if err != nil {
			return nil, fmt.Errorf("sender of mails: %w", err)
		}
		return mailer{relay: &mailout.Relay{
			Address: catcher, From: mailout.Sender{Name: "mailseal", Mailbox: from}, Now: s.Clock, Random: s.Rand,
		}}, nil
	}
	relay, err := Relay(s.Settings, s.Credentials)
	if err != nil {
		return nil, err
	}
	relay.Now, relay.Random = s.Clock, s.Rand
	if s.Settings.Mail.Signature.File.Given() {
		signer, err := MailSigner(s.Settings, s.Credentials)
		if err != nil {
			return nil, err
		}
		relay.Sign = s.signMail(signer)
	}
	return mailer{relay, s.Settings.Mail.Bounces.Domain}, nil
}

// securities are the words of mail.tls.
var securities = map[string]mailout.Security{
	config.TLSStart: mailout.StartTLS, config.TLSImplicit: mailout.Implicit, config.TLSNone: mailout.Plain,
}

// Relay is the operator's, as checked settings have it, without clock and
// randomness.
func Relay(settings *config.Settings, credentials string) (*mailout.Relay, error) {
	m := settings.Mail
	from, err := mailbox.Parse(m.From)
	if err != nil {
		return nil, fmt.Errorf("mail.from: %w", err)
	}
	trust, err := config.LoadTrust(m.Trust)
	if err != nil {
		return nil, fmt.Errorf("mail.trust: %w", err)
	}
	relay := &mailout.Relay{
		Address: m.Relay, Security: securities[m.TLS], Trust: trust, User: m.User, Hello: m.Hello,
		From: mailout.Sender{Name: m.Name, Mailbox: from},
	}
	if relay.Hello == "" {
		relay.Hello = settings.PortalHost()
	}
	if m.Password.Given() {
		relay.Password = func() ([]byte, error) { return m.Password.Read(credentials) }
	}
	return relay, nil
}
