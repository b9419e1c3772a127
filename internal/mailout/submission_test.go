package mailout

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// submission is a relay as providers run it: it takes mail over TLS and after a
// password alone.
type submission struct {
	mechanisms []string
	mu         sync.Mutex
	from, to   string
	message    string
	hello      string
	refuse     error // of the recipient
}

type submissionSession struct {
	*submission
	conn   *smtp.Conn
	signed bool
}

func (s *submissionSession) AuthMechanisms() []string { return s.mechanisms }

func (s *submissionSession) Auth(mech string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "mailseal" || password != "correct horse" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no"}
		}
		s.signed = true
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

// loginServer is the server's half of AUTH LOGIN, which the library lacks.
type loginServer struct {
	check func(user, password string) error
	user  *string
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	switch text := string(response); {
	case response == nil:
		return []byte("Username:"), false, nil
	case l.user == nil:
		l.user = &text
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.check(*l.user, text)
	}
}

func (s *submissionSession) Mail(from string, _ *smtp.MailOptions) error {
	if _, protected := s.conn.TLSConnectionState(); !protected || !s.signed {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication required"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from, s.hello = from, s.conn.Hostname()
	return nil
}

func (s *submissionSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	return s.refuse
}

func (s *submissionSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.message = string(b)
	return err
}
func (*submissionSession) Reset()        {}
func (*submissionSession) Logout() error { return nil }

// certificateFor makes a TLS certificate for a host and the pool that trusts it.
func certificateFor(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// startSubmission runs the relay, with STARTTLS or with TLS from the start.
func startSubmission(t *testing.T, security Security, host string, mechanisms ...string) (*submission, *Relay) {
	t.Helper()
	s := &submission{mechanisms: mechanisms}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &submissionSession{submission: s, conn: c}, nil
	}))
	certificate, pool := certificateFor(t, host)
	server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.ErrorLog = quiet{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	at := l.Addr().String()
	if security == Implicit {
		l = tls.NewListener(l, server.TLSConfig)
	}
	go func() { _ = server.Serve(l) }()
	return s, &Relay{
		Address: at, Security: security, Trust: pool, Hello: "ca.example.com",
		User: "mailseal", Password: func() ([]byte, error) { return []byte("correct horse"), nil },
		From: Sender{Mailbox: address(t, "ca@example.com")}, Now: time.Now, Random: rand.Reader,
	}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func TestSubmission(t *testing.T) {
	for name, tc := range map[string]struct {
		security  Security
		mechanism string
	}{
		"STARTTLS and PLAIN": {StartTLS, sasl.Plain},
		"STARTTLS and LOGIN": {StartTLS, sasl.Login},
		"TLS and PLAIN":      {Implicit, sasl.Plain},
	} {
		t.Run(name, func(t *testing.T) {
			got, relay := startSubmission(t, tc.security, "127.0.0.1", tc.mechanism)
			back := address(t, "b+1@bounces.example.com")
			if err := relay.Send(t.Context(), Mail{To: alice(t), Subject: "Hi", Text: "code"}, back); err != nil {
				t.Fatal(err)
			}
			if got.from != back.String() || got.to != "alice@example.com" || got.hello != "ca.example.com" || !strings.Contains(got.message, "\r\n\r\ncode\r\n") {
				t.Errorf("relay got %+v", got)
			}
			if err := relay.Probe(t.Context()); err != nil {
				t.Errorf("probe: %v", err)
			}
		})
	}
}

// TestSubmissionRefused tells what is final from what the operator can mend.
func TestSubmissionRefused(t *testing.T) {
	send := func(r *Relay) error { return r.Send(t.Context(), Mail{To: alice(t)}, mailbox.Mailbox{}) }
	var refused *RefusedError
	t.Run("no such person", func(t *testing.T) {
		got, relay := startSubmission(t, StartTLS, "127.0.0.1", sasl.Plain)
		got.refuse = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "alice@example.com: no such person"}
		err := send(relay)
		if !errors.As(err, &refused) || refused.Code != 550 || refused.Text != "5.1.1 alice@example.com: no such person" {
			t.Errorf("got %v", err)
		}
		if strings.Contains(err.Error(), "alice") {
			t.Errorf("an address is on its way to the log: %v", err)
		}
		got.refuse = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "full"}
		var away *UnavailableError
		if err := send(relay); err == nil || errors.As(err, &refused) || errors.As(err, &away) {
			t.Errorf("a full mailbox: %v", err)
		}
	})
	for name, tc := range map[string]struct {
		change func(*Relay)
		want   string
	}{
		"wrong password":    {func(r *Relay) { r.Password = func() ([]byte, error) { return []byte("x"), nil } }, "sign in at the relay"},
		"unreadable":        {func(r *Relay) { r.Password = func() ([]byte, error) { return nil, io.ErrUnexpectedEOF } }, "unexpected EOF"},
		"unknown authority": {func(r *Relay) { r.Trust = x509.NewCertPool() }, "unknown authority"},
		"no password":       {func(r *Relay) { r.User = "" }, "authentication required"},
	} {
		t.Run(name, func(t *testing.T) {
			_, relay := startSubmission(t, StartTLS, "127.0.0.1", sasl.Plain)
			tc.change(relay)
			var away *UnavailableError
			err := send(relay)
			if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want one that says %q and is not final", err, tc.want)
			}
			if got := errors.As(err, &away); got != (name != "no password") { // which this relay says of each mail
				t.Errorf("about all mails: %v (%v)", got, err)
			}
		})
	}
	t.Run("another host", func(t *testing.T) {
		got, relay := startSubmission(t, Implicit, "relay.example.com", sasl.Plain)
		if err := send(relay); err == nil || !strings.Contains(err.Error(), "certificate") || got.message != "" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("strange mechanism", func(t *testing.T) {
		_, relay := startSubmission(t, Implicit, "127.0.0.1", "XOAUTH9")
		if err := send(relay); err == nil || !strings.Contains(err.Error(), "neither AUTH PLAIN") {
			t.Errorf("got %v", err)
		}
	})
}

// scripted is a relay that says what it is told to, over the bare connection.
func scripted(t *testing.T, talk func(conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		talk(conn, bufio.NewReader(conn))
	}()
	return l.Addr().String()
}

// TestStartTLSStripped: somebody on the way takes STARTTLS out of the offer.
func TestStartTLSStripped(t *testing.T) {
	_, relay := startSubmission(t, StartTLS, "127.0.0.1", sasl.Plain)
	heard := make(chan string, 1)
	relay.Address = scripted(t, func(conn net.Conn, in *bufio.Reader) {
		fmt.Fprint(conn, "220 relay\r\n")
		_, _ = in.ReadString('\n')
		fmt.Fprint(conn, "250-relay\r\n250 AUTH PLAIN\r\n")
		rest, _ := io.ReadAll(in)
		heard <- string(rest)
	})
	if err := relay.Send(t.Context(), Mail{To: alice(t)}, mailbox.Mailbox{}); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("got %v", err)
	}
	if rest := <-heard; strings.Contains(rest, "AUTH") || strings.Contains(rest, "MAIL") {
		t.Errorf("without TLS it said %q", rest)
	}
}

// TestStartTLSInjection: what somebody appends to the reply to STARTTLS, in the
// clear, is not taken for the protected relay's (RFC 3207 §6).
func TestStartTLSInjection(t *testing.T) {
	certificate, pool := certificateFor(t, "127.0.0.1")
	_, relay := startSubmission(t, StartTLS, "127.0.0.1", sasl.Plain)
	relay.Trust, relay.User = pool, ""
	done := make(chan string, 1)
	relay.Address = scripted(t, func(conn net.Conn, in *bufio.Reader) {
		fmt.Fprint(conn, "220 relay\r\n")
		_, _ = in.ReadString('\n')
		fmt.Fprint(conn, "250-relay\r\n250 STARTTLS\r\n")
		_, _ = in.ReadString('\n')
		fmt.Fprint(conn, "220 go\r\n550 injected\r\n") // one write, one segment
		protected := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		p := bufio.NewReader(protected)
		_, _ = p.ReadString('\n')
		fmt.Fprint(protected, "250 relay\r\n")
		line, _ := p.ReadString('\n')
		done <- line
		fmt.Fprint(protected, "451 later\r\n")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := relay.Send(ctx, Mail{To: alice(t)}, mailbox.Mailbox{})
	if err == nil || strings.Contains(err.Error(), "injected") || !strings.Contains(err.Error(), "later") {
		t.Errorf("got %v, want what the relay said under TLS", err)
	}
	if line := <-done; !strings.HasPrefix(line, "MAIL FROM:") {
		t.Errorf("after the second EHLO it said %q", line)
	}
}
