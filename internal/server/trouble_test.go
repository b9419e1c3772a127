package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailseal/mailseal/internal/store/storetest"
)

// order opens an order through the API and returns the status with the fields.
func (i *installation) order(address string) (status int, retry string, fields map[string]string) {
	i.t.Helper()
	answer, err := i.client(doorPortal).Post("https://"+host+"/api/v1/orders", "application/json", strings.NewReader(fmt.Sprintf(`{"email":%q}`, address)))
	if err != nil {
		i.t.Fatal(err)
	}
	defer answer.Body.Close()
	fields = map[string]string{}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	_ = json.Unmarshal(text, &fields) // a problem's status is a number; the rest is read
	return answer.StatusCode, answer.Header.Get("Retry-After"), fields
}

// orderNow reads an order. A connection to the database that broke may still
// answer 503 once after it is back; whoever asks again, as told, gets the order.
func (i *installation) orderNow(id, token string) map[string]string {
	i.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status, fields := i.askOrder(id, token)
		if status == http.StatusOK {
			return fields
		}
		if status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			i.t.Fatalf("order: %d %v", status, fields)
		}
	}
}

func (i *installation) askOrder(id, token string) (int, map[string]string) {
	i.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "https://"+host+"/api/v1/orders/"+id, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := i.client(doorPortal).Do(request)
	if err != nil {
		i.t.Fatal(err)
	}
	defer answer.Body.Close()
	fields := map[string]string{}
	_ = json.NewDecoder(answer.Body).Decode(&fields) // a problem's status is a number; the rest is read
	return answer.StatusCode, fields
}

const failureReport = "From: MAILER-DAEMON@mx.example.net\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n" +
	"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; a\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 mailbox full\r\n\r\n--x--\r\n"

// TestBounceComesBack: the mail leaves under a return path of its own, the
// report comes to the listener, and the order says it.
func TestBounceComesBack(t *testing.T) {
	i := install(t, "")
	i.config.Settings.Mail.Bounces.Domain = "bounces.example.org"
	i.config.Settings.Mail.Bounces.Listen = "127.0.0.1:0"
	i.run(func() {
		status, _, order := i.order("alice@example.net")
		if status != http.StatusCreated || order["mail"] != "sent" {
			t.Fatalf("%d %v", status, order)
		}
		mails, err := i.relay.List(1)
		if err != nil || len(mails) != 1 {
			t.Fatal(mails, err)
		}
		if !regexp.MustCompile(`^b-[0-9a-f]{32}@bounces\.example\.org$`).MatchString(mails[0].From) {
			t.Errorf("return path %q", mails[0].From)
		}
		c, err := smtp.Dial(i.doors[doorBounces].String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if offered, _ := c.Extension("STARTTLS"); !offered {
			t.Error("the listener offers no STARTTLS")
		}
		if err := c.SendMail("", []string{mails[0].From}, strings.NewReader(failureReport)); err != nil {
			t.Fatal(err)
		}
		if now := i.orderNow(order["id"], order["token"]); now["mail"] != "bounced" || now["mail_reason"] != "5.2.2 552 mailbox full" {
			t.Errorf("the order says %v", now)
		}
	})
	if strings.Contains(i.log.String(), "mailbox full") || strings.Contains(i.log.String(), "alice") {
		t.Errorf("the log tells of people: %s", i.log)
	}
}

// waitForOrder asks until an order is taken again.
func (i *installation) waitForOrder(address string) {
	i.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if status, _, _ := i.order(address); status == http.StatusCreated {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("no order is taken:\n%s", i.log)
		}
	}
}

// TestDatabaseGone: while PostgreSQL is away everybody is told when to come back,
// the server stays up, and when it is back everything goes on.
func TestDatabaseGone(t *testing.T) {
	i := install(t, "")
	if !storetest.Postgres() {
		return // a file does not go away
	}
	gate := storetest.NewGate(t, i.config.Settings.Database.URL)
	i.config.Settings.Database.URL = gate.Source
	i.run(func() {
		i.becomeReady()
		status, _, before := i.order("alice@example.net")
		if status != http.StatusCreated {
			t.Fatalf("order: %d", status)
		}
		gate.Shut()
		i.unavailable("database gone")
		if answer, text := i.get(doorMetrics, "http://127.0.0.1/readyz"); answer.StatusCode != http.StatusServiceUnavailable || strings.Contains(text, "database: ok") {
			t.Errorf("ready: %s %s", answer.Status, text)
		}
		if answer, _ := i.get(doorPortal, "https://"+host+"/admin"); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") == "" {
			t.Errorf("a page: %s", answer.Status)
		}
		gate.Open()
		i.waitForOrder("carol@example.net")
		if now := i.orderNow(before["id"], before["token"]); now["state"] != "applied" || now["mail"] != "sent" {
			t.Errorf("afterwards: %v", now)
		}
		i.becomeReady()
	})
}

// unavailable holds what everybody is told while the database cannot be used.
func (i *installation) unavailable(what string) {
	i.t.Helper()
	status, retry, fields := i.order("bob@example.net")
	if status != http.StatusServiceUnavailable || retry == "" || fields["code"] != "unavailable" {
		i.t.Errorf("%s: order: %d, Retry-After %q, %v", what, status, retry, fields)
	}
	if answer, _ := i.get(doorPortal, "https://"+host+"/healthz"); answer.StatusCode != http.StatusOK {
		i.t.Errorf("%s: health: %s", what, answer.Status)
	}
}

// TestRelayAway: orders are taken, their mails wait where the operator sees them,
// and the server stops while they wait.
func TestRelayAway(t *testing.T) {
	i := install(t, "")
	i.config.Settings.Mail.Relay = "127.0.0.1:1" // nobody listens
	i.run(func() {
		i.becomeReady()
		for _, address := range []string{"alice@example.net", "bob@example.net"} {
			if status, _, fields := i.order(address); status != http.StatusCreated || fields["mail"] != "waiting" {
				t.Errorf("order: %d, %v", status, fields)
			}
		}
		_, text := i.get(doorMetrics, "http://127.0.0.1/metrics")
		for _, want := range []string{"mailseal_mails_waiting 2", `mailseal_jobs{kind="mail code",state="open"} 2`, `mailseal_jobs{kind="mail code",state="dead"} 0`} {
			if !strings.Contains(text, want) {
				t.Errorf("the metrics lack %s", want)
			}
		}
	})
	if strings.Contains(i.log.String(), "example.net") {
		t.Errorf("the log tells of people: %s", i.log)
	}
}
