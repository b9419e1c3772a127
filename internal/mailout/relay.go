package mailout

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// submitTimeout bounds one submission from dialing to the final reply.
const submitTimeout = 30 * time.Second

// Security says how the way to a relay is protected.
type Security int

// The ways to a relay.
const (
	Plain    Security = iota // not at all: for a relay on this machine
	StartTLS                 // RFC 3207, demanded
	Implicit                 // RFC 8314 §3.3, port 465
)

// Relay submits mails to one SMTP server.
type Relay struct {
	Address  string // host:port; with Plain the host must be a loopback address
	Security Security
	Trust    *x509.CertPool // authorities for the relay's certificate; nil: the system's
	User     string         // "" submits without authentication
	// Password is asked for each time, so that a new one needs no restart.
	Password func() ([]byte, error)
	Hello    string // how the client names itself (RFC 5321 §4.1.1.1); "": localhost
	From     Sender
	Now      func() time.Time
	Random   io.Reader // crypto/rand.Reader outside of tests

	// Sign signs a message; nil: mails leave as they are.
	Sign func(message []byte, at time.Time) ([]byte, error)
}

// RefusedError tells that the relay will not take this mail for this
// recipient, now or later: trying again is of no use.
type RefusedError struct {
	Code int    // of the reply, 5yz
	Text string // what the relay said, as it said it
}

// Error implements error. The relay's words name the recipient as often as not,
// so they are for that person and not for a log.
func (e *RefusedError) Error() string { return fmt.Sprintf("relay refuses the mail with %d", e.Code) }

// DeferredError tells that the relay does not take this mail for this recipient
// now.
type DeferredError struct {
	Code int    // of the reply, 4yz
	Text string // what the relay said, as it said it
}

// Error implements error, like that of RefusedError.
func (e *DeferredError) Error() string {
	return fmt.Sprintf("relay defers the mail with %d", e.Code)
}

// UnavailableError tells that the relay cannot be used at all: it is away, not
// who it should be, or does not let us in.
type UnavailableError struct{ Err error }

// Error implements error.
func (e *UnavailableError) Error() string { return e.Err.Error() }

// Unwrap implements errors.Unwrap.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Send submits m and returns when the relay has taken responsibility for it
// (RFC 5321 §4.2.5), or with the reason why not: a *RefusedError is final, all
// else may pass; a *DeferredError is about this mail alone, an *UnavailableError
// about all. Bounces go to the sender's mailbox unless returnTo names
// another one.
func (r *Relay) Send(ctx context.Context, m Mail, returnTo mailbox.Mailbox) error {
	now := r.Now()
	message, err := m.Compose(r.From, now, r.Random)
	if err != nil {
		return fmt.Errorf("compose mail: %w", err)
	}
	if m.Signed && r.Sign != nil {
		if message, err = r.Sign(message, now); err != nil {
			return fmt.Errorf("sign mail: %w", err)
		}
	}
	if returnTo.IsZero() {
		returnTo = r.From.Mailbox
	}
	return r.session(ctx, func(c *smtp.Client) error { return submit(c, m.To, returnTo, message) })
}

// Probe connects and signs in as Send does, and sends nothing.
func (r *Relay) Probe(ctx context.Context) error {
	return r.session(ctx, func(c *smtp.Client) error { return c.Noop() })
}

// session runs use on a connection that is protected and signed in.
func (r *Relay) session(ctx context.Context, use func(*smtp.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return &UnavailableError{err}
	}
	// Close unblocks the client at once when ctx ends.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = r.talk(conn, use)
	if _, away := errors.AsType[*UnavailableError](err); ctx.Err() != nil && err != nil {
		err = ctx.Err()
		if away {
			err = &UnavailableError{err}
		}
	}
	if err != nil {
		return fmt.Errorf("submit mail to relay %s: %w", r.Address, err)
	}
	return nil
}

func (r *Relay) dial(ctx context.Context) (net.Conn, error) {
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("relay address %q: want host:port: %w", r.Address, err)
	}
	if ip := net.ParseIP(host); r.Security == Plain && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("relay address %q: without TLS only a loopback IP address is served, because the mails carry codes", r.Address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, fmt.Errorf("reach mail relay: %w", err)
	}
	return conn, nil
}

func (r *Relay) talk(conn net.Conn, use func(*smtp.Client) error) error {
	c, err := r.secured(conn)
	if err != nil {
		_ = conn.Close()
		return &UnavailableError{err}
	}
	defer func() { _ = c.Close() }()
	hello := r.Hello
	if hello == "" {
		hello = "localhost"
	}
	if err := c.Hello(hello); err != nil {
		return &UnavailableError{err}
	}
	if err := r.signIn(c); err != nil {
		return &UnavailableError{err}
	}
	if err := use(c); err != nil {
		return err
	}
	// The mail is accepted; a relay that hangs up early changes nothing.
	_ = c.Quit()
	return nil
}

// secured demands the protection that was asked for: a relay, or somebody on
// the way, that offers none gets no mail (RFC 8314 §3).
func (r *Relay) secured(conn net.Conn) (*smtp.Client, error) {
	host, _, _ := net.SplitHostPort(r.Address)
	settings := &tls.Config{ServerName: host, RootCAs: r.Trust, MinVersion: tls.VersionTLS12}
	switch r.Security {
	case Implicit:
		return smtp.NewClient(tls.Client(conn, settings)), nil
	case StartTLS:
		// What came behind the reply to STARTTLS came in the clear: the client
		// starts a new reader, which has none of it (RFC 3207 §6).
		return smtp.NewClientStartTLS(conn, settings)
	}
	return smtp.NewClient(conn), nil
}

// signIn authenticates (RFC 4954) by PLAIN, or by LOGIN where a relay has
// nothing else. Both show the password, so that without TLS there is neither.
func (r *Relay) signIn(c *smtp.Client) error {
	if r.User == "" {
		return nil
	}
	if _, protected := c.TLSConnectionState(); !protected {
		return errors.New("a password is not sent without TLS")
	}
	password, err := r.Password()
	if err != nil {
		return err
	}
	switch {
	case c.SupportsAuth(sasl.Plain):
		err = c.Auth(sasl.NewPlainClient("", r.User, string(password)))
	case c.SupportsAuth(sasl.Login):
		err = c.Auth(sasl.NewLoginClient(r.User, string(password)))
	default:
		return errors.New("the relay offers neither AUTH PLAIN nor AUTH LOGIN")
	}
	if err != nil {
		return fmt.Errorf("sign in at the relay: %w", err)
	}
	return nil
}

func submit(c *smtp.Client, to, returnTo mailbox.Mailbox, message []byte) error {
	utf8 := !to.ASCII() || !returnTo.ASCII()
	if err := c.Mail(returnTo.String(), &smtp.MailOptions{UTF8: utf8, Size: int64(len(message))}); err != nil {
		return err
	}
	if err := c.Rcpt(to.String(), nil); err != nil {
		return final(err)
	}
	data, err := c.Data()
	if err != nil {
		return final(err)
	}
	if _, err := io.Copy(data, bytes.NewReader(message)); err != nil {
		return err
	}
	return final(data.Close())
}

// final turns a reply about a recipient or a mail into a *RefusedError or, when
// it is 4yz (RFC 5321 §4.2.1), a *DeferredError. Before RCPT a reply is about us,
// not about the mail, and the operator can mend it.
func final(err error) error {
	reply, ok := errors.AsType[*smtp.SMTPError](err)
	if !ok {
		return err
	}
	text := reply.Message
	if code := reply.EnhancedCode; code != smtp.NoEnhancedCode && code != smtp.EnhancedCodeNotSet {
		text = fmt.Sprintf("%d.%d.%d %s", code[0], code[1], code[2], text)
	}
	if reply.Temporary() {
		return &DeferredError{Code: reply.Code, Text: text}
	}
	return &RefusedError{Code: reply.Code, Text: text}
}
