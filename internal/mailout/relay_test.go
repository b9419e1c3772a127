package mailout

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
)

func alice(t testing.TB) mailbox.Mailbox { return address(t, "alice@example.com") }

// startCatcher runs the real receiver and gives a relay that submits to it.
func startCatcher(t *testing.T) (*catcher.Catcher, *Relay) {
	t.Helper()
	c, err := catcher.Open(catcher.Options{
		Dir: t.TempDir(), Now: func() time.Time { return noon }, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- c.Serve(l) }()
	t.Cleanup(func() {
		if err := c.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c, &Relay{
		Address: l.Addr().String(),
		From:    Sender{Name: "mailseal", Mailbox: address(t, "no-reply@ca.example.com")},
		Now:     func() time.Time { return noon },
		Random:  rand.Reader,
	}
}

func TestSend(t *testing.T) {
	for name, to := range map[string]string{
		"plain":         "alice@example.com",
		"quoted local":  `"a..b"@example.com`,
		"UTF-8 local":   "太郎@example.com",
		"A-label":       "bob@xn--r8jz45g.example",
		"dash at start": "-x@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			caught, relay := startCatcher(t)
			m := Mail{To: address(t, to), Subject: "確認コード", Text: "..\n.\nこんにちは\nend\n"}
			if err := relay.Send(t.Context(), m, mailbox.Mailbox{}); err != nil {
				t.Fatal(err)
			}
			list, err := caught.List(10)
			if err != nil || len(list) != 1 {
				t.Fatalf("caught %v, %v", list, err)
			}
			got := list[0]
			if len(got.To) != 1 || got.To[0] != m.To.String() {
				t.Errorf("RCPT TO %q, want %q", got.To, m.To)
			}
			if got.From != relay.From.Mailbox.String() || got.Subject != m.Subject || got.Text != m.Text {
				t.Errorf("caught %+v", got)
			}
		})
	}
}

func TestSendRefusesRelayElsewhere(t *testing.T) {
	for _, address := range []string{"192.0.2.1:25", "relay.example.com:25", "127.0.0.1", ""} {
		relay := &Relay{Address: address, From: Sender{Mailbox: alice(t)}, Now: time.Now, Random: rand.Reader}
		if err := relay.Send(t.Context(), Mail{To: alice(t)}, mailbox.Mailbox{}); err == nil || !strings.Contains(err.Error(), "relay address") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// refusing is a relay that takes no recipient for now.
type refusing struct{ smtp.Session }

func (refusing) Mail(string, *smtp.MailOptions) error { return nil }
func (refusing) Logout() error                        { return nil }
func (refusing) Reset()                               {}
func (refusing) Rcpt(string, *smtp.RcptOptions) error {
	return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 1}, Message: "mailbox of alice@example.com busy"}
}

func TestSendReportsRefusal(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return refusing{}, nil }))
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Close() }()
	relay := &Relay{Address: l.Addr().String(), From: Sender{Mailbox: alice(t)}, Now: time.Now, Random: rand.Reader}
	var deferred *DeferredError
	err = relay.Send(t.Context(), Mail{To: alice(t)}, mailbox.Mailbox{})
	if !errors.As(err, &deferred) || deferred.Code != 450 || deferred.Text != "4.2.1 mailbox of alice@example.com busy" {
		t.Errorf("got %v, want a temporary refusal", err)
	}
	if strings.Contains(err.Error(), "alice") {
		t.Errorf("an address is on its way to the log: %v", err)
	}
	_ = server.Close()
	var away *UnavailableError
	if err := relay.Send(t.Context(), Mail{To: alice(t)}, mailbox.Mailbox{}); !errors.As(err, &away) || !strings.Contains(err.Error(), "reach mail relay") {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestSendStopsWithContext submits to a listener that accepts and stays silent.
func TestSendStopsWithContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, relay := startCatcher(t)
	relay.Address = l.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := relay.Send(ctx, Mail{To: alice(t)}, mailbox.Mailbox{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded", err)
	}
}
