package bounce

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

const id = "0123456789abcdef0123456789abcdef"

// report is a notification as postfix words it.
func report(action, kind string) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
To: b-%s@bounces.example.org
Subject: Undelivered Mail Returned to Sender
Content-Type: multipart/report; report-type=%s; boundary="a/b"
MIME-Version: 1.0

--a/b
Content-Type: text/plain

I'm sorry to have to inform you ...
--a/b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: Thu, 26 Nov 2026 12:00:00 +0000

Final-Recipient: rfc822; alice@example.net
Original-Recipient: rfc822;alice@example.net
Action: %s
Status: 5.1.1
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; 550 5.1.1 <alice@example.net>: no
    such person
--a/b
Content-Type: message/rfc822

Subject: Your code

...
--a/b--
`, id, kind, action), "\n", "\r\n")
}

func TestFailure(t *testing.T) {
	good := report("failed", "delivery-status")
	if reason, failed := Failure([]byte(good)); !failed || reason != "5.1.1 550 5.1.1 <alice@example.net>: no such person" {
		t.Errorf("%v, %q", failed, reason)
	}
	if reason, failed := Failure([]byte(strings.Replace(good, "Diagnostic-Code", "X-Other", 1))); !failed || reason != "5.1.1" {
		t.Errorf("without a diagnostic: %v, %q", failed, reason)
	}
	for name, text := range map[string]string{
		"delayed":     report("delayed", "delivery-status"),
		"delivered":   report("delivered", "delivery-status"),
		"disposition": report("failed", "disposition-notification"),
		"vacation":    "Subject: away\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\n",
		"no status":   strings.Replace(good, "message/delivery-status", "text/plain", 1),
		"cut":         good[:strings.Index(good, "--a/b")],
		"empty":       "",
		"many parts":  strings.Replace(good, "--a/b\r\n", strings.Repeat("--a/b\r\n\r\nx\r\n", maxParts), 1),
		"long status": strings.Replace(good, "Action", "X: "+strings.Repeat("x", maxStatus)+"\r\nAction", 1),
	} {
		if reason, failed := Failure([]byte(text)); failed {
			t.Errorf("%s: failed, %q", name, reason)
		}
	}
}

type mails struct {
	mu      sync.Mutex
	reasons []string
	trouble error
}

func (m *mails) KnowsMail(_ context.Context, which string) (bool, error) {
	return which == id, m.trouble
}

func (m *mails) Bounced(_ context.Context, which, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.reasons) > 0 {
		return ErrKnown
	}
	m.reasons = append(m.reasons, which+" "+reason)
	return m.trouble
}

func TestReceiver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ours := &mails{}
	r := Open(Options{Domain: "bounces.example.org", Host: "ca.example.org", Mails: ours, Log: slog.New(slog.DiscardHandler)})
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	send := func(from, to, text string) error {
		c, err := smtp.Dial(l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.SendMail(from, []string{to}, strings.NewReader(text))
	}
	back, err := Address(id, "bounces.example.org")
	if err != nil {
		t.Fatal(err)
	}
	good := report("failed", "delivery-status")
	for name, tc := range map[string]struct {
		from, to, text string
		code           int
	}{
		"a sender":         {"alice@example.net", back.String(), good, 550},
		"a guess":          {"", strings.Replace(back.String(), "0", "1", 1), good, 550},
		"another domain":   {"", "b-" + id + "@example.org", good, 550},
		"no return path":   {"", "postmaster@bounces.example.org", good, 550},
		"much too long":    {"", back.String(), good + strings.Repeat("x\r\n", MaxReport/3), 552},
		"a vacation note":  {"", back.String(), "Subject: away\r\n\r\nback soon\r\n", 0},
		"a delay":          {"", back.String(), report("delayed", "delivery-status"), 0},
		"from upper cases": {"", strings.ToUpper(back.String()), "Subject: away\r\n\r\nback soon\r\n", 0},
	} {
		err := send(tc.from, tc.to, tc.text)
		reply, _ := errors.AsType[*smtp.SMTPError](err)
		if tc.code == 0 && err != nil || tc.code != 0 && (reply == nil || reply.Code != tc.code) {
			t.Errorf("%s: %v, want %d", name, err, tc.code)
		}
	}
	if len(ours.reasons) != 0 {
		t.Errorf("taken for failures: %q", ours.reasons)
	}
	ours.trouble = errors.New("database away")
	if err := send("", back.String(), good); err == nil || !strings.Contains(err.Error(), "try again later") {
		t.Errorf("database away: %v", err)
	}
	ours.trouble, ours.reasons = nil, nil
	for range 2 { // the second report about a mail is taken and changes nothing
		if err := send("", back.String(), good); err != nil {
			t.Error(err)
		}
	}
	if want := id + " 5.1.1 550 5.1.1 <alice@example.net>: no such person"; len(ours.reasons) != 1 || ours.reasons[0] != want {
		t.Errorf("got %q, want %q", ours.reasons, want)
	}
	if err := r.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func FuzzFailure(f *testing.F) {
	f.Add([]byte(report("failed", "delivery-status")))
	f.Add([]byte("Content-Type: multipart/report; report-type=delivery-status; boundary=a\r\n\r\n--a\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if reason, failed := Failure(text); !failed && reason != "" {
			t.Errorf("a reason without a failure: %q", reason)
		}
	})
}
