package bounce

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// Limits of one SMTP session.
const (
	MaxReport   = 1 << 20 // bytes: a report with the mail that it is about
	maxLine     = 4 << 10
	idleTimeout = time.Minute
)

// prefix begins the local part of a return path.
const prefix = "b-"

// Address is the return path of the mail of that name, which is hexadecimal.
func Address(id, domain string) (mailbox.Mailbox, error) {
	return mailbox.Parse(prefix + id + "@" + domain)
}

// Mails is what the receiver needs of those who sent them.
type Mails interface {
	// KnowsMail tells whether there is a mail of that name.
	KnowsMail(ctx context.Context, id string) (bool, error)
	// Bounced says that it came back.
	Bounced(ctx context.Context, id, reason string) error
}

// Options say how a Receiver works.
type Options struct {
	Domain string // of the return paths
	Host   string // how it greets (RFC 5321 §4.2)
	Mails  Mails
	TLS    *tls.Config // offers STARTTLS; nil: does not
	Log    *slog.Logger
}

// Receiver takes reports by SMTP.
type Receiver struct {
	Options
	server *smtp.Server
}

// Open makes a receiver.
func Open(o Options) *Receiver {
	r := &Receiver{Options: o}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{receiver: r}, nil }))
	s.Domain = o.Host
	s.TLSConfig = o.TLS
	s.MaxMessageBytes = MaxReport
	s.MaxLineLength = maxLine
	s.MaxRecipients = 10
	s.ReadTimeout = idleTimeout
	s.WriteTimeout = idleTimeout
	// What strangers do wrong on port 25 is no trouble of ours.
	s.ErrorLog = slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	r.server = s
	return r
}

// Serve receives on l until Shutdown, and closes it.
func (r *Receiver) Serve(l net.Listener) error {
	if err := r.server.Serve(l); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("receive bounces: %w", err)
	}
	return nil
}

// Shutdown stops listening and waits for sessions under way until ctx ends,
// then cuts them off.
func (r *Receiver) Shutdown(ctx context.Context) error {
	if err := r.server.Shutdown(ctx); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
		_ = r.server.Close()
	}
	return nil
}

// session is one SMTP connection.
type session struct {
	receiver *Receiver
	begun    bool
	ids      []string
}

var (
	errSender  = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "only delivery reports, with the null sender, are taken here"}
	errUnknown = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such return path"}
	errLater   = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again later"}
)

// storeTimeout bounds one look at the database.
const storeTimeout = 10 * time.Second

func (s *session) Reset()        { s.begun, s.ids = false, nil }
func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if from != "" {
		return errSender
	}
	s.begun = true
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	local, domain, _ := strings.Cut(strings.ToLower(to), "@")
	id, ours := strings.CutPrefix(local, prefix)
	if !ours || !strings.EqualFold(domain, s.receiver.Domain) {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	known, err := s.receiver.Mails.KnowsMail(ctx, id)
	if err != nil {
		s.receiver.Log.Error("return path not looked up", "error", err)
		return errLater
	}
	if !known {
		return errUnknown
	}
	s.ids = append(s.ids, id)
	return nil
}

func (s *session) Data(r io.Reader) error {
	report, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	reason, failed := Failure(report)
	if !failed {
		s.receiver.Log.Info("mail to a return path that is no report of a failure", "bytes", len(report))
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	for _, id := range s.ids {
		err := s.receiver.Mails.Bounced(ctx, id, reason)
		if err != nil {
			// A second report about the same mail changes nothing.
			s.receiver.Log.Info("report of a failure not stored", "error", err)
			if !errors.Is(err, ErrKnown) {
				return errLater
			}
			continue
		}
		s.receiver.Log.Info("mail came back", "mail", id[:min(len(id), 8)])
	}
	return nil
}

// ErrKnown is what [Mails.Bounced] returns for a mail that came back already.
var ErrKnown = errors.New("bounce: nothing to say about this mail any more")
