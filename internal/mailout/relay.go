package mailout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// submitTimeout bounds one submission from dialing to the final reply.
const submitTimeout = 30 * time.Second

// Relay submits mails to one SMTP server on this machine.
type Relay struct {
	Address string // host:port; the host must be a loopback address
	From    Sender
	Now     func() time.Time
	Random  io.Reader // crypto/rand.Reader outside of tests
}

// Send submits m and returns when the relay has taken responsibility for it
// (RFC 5321 §4.2.5), or with the reason why not. The relay's refusals are
// *smtp.SMTPError values, whose Temporary method tells whether to try again.
func (r *Relay) Send(ctx context.Context, m Mail) error {
	message, err := m.Compose(r.From, r.Now(), r.Random)
	if err != nil {
		return fmt.Errorf("compose mail: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return err
	}
	// Close unblocks the client at once when ctx ends.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if err := r.submit(smtp.NewClient(conn), m, message); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("submit mail to relay %s: %w", r.Address, err)
	}
	return nil
}

func (r *Relay) dial(ctx context.Context) (net.Conn, error) {
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("relay address %q: want host:port: %w", r.Address, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("relay address %q: only a loopback IP address is served, because the mails carry codes and the connection has no TLS", r.Address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, fmt.Errorf("reach mail relay: %w", err)
	}
	return conn, nil
}

func (r *Relay) submit(c *smtp.Client, m Mail, message []byte) error {
	defer func() { _ = c.Close() }()
	// RFC 5321 §4.1.1.1: the client's name, here always this machine's.
	if err := c.Hello("localhost"); err != nil {
		return err
	}
	utf8 := !m.To.ASCII() || !r.From.Mailbox.ASCII()
	if err := c.Mail(r.From.Mailbox.String(), &smtp.MailOptions{UTF8: utf8, Size: int64(len(message))}); err != nil {
		return err
	}
	if err := c.Rcpt(m.To.String(), nil); err != nil {
		return err
	}
	data, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.Copy(data, bytes.NewReader(message)); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	// The mail is accepted; a relay that hangs up early changes nothing.
	_ = c.Quit()
	return nil
}
