package registration_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

// deliver runs the background delivery until done says so.
func (o *office) deliver(t *testing.T, done func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); o.outbox.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("nothing was delivered")
			break
		}
	}
	stop()
	<-ended
}

func (o *office) setFail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

func (o *office) sent() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.mails)
}

func (o *office) mail(t *testing.T, order, secret string) registration.Mail {
	t.Helper()
	shown, err := o.Order(t.Context(), order, secret)
	if err != nil {
		t.Fatal(err)
	}
	return shown.Mail
}

// TestRelayDownAndBack: the order is taken, the mail waits, and the code that
// comes in the end is the one that counts.
func TestRelayDownAndBack(t *testing.T) {
	o := open(t)
	o.setFail(errors.New("connection refused"))
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: "alice@example.org"})
	if err != nil || order.Mail.State != mailqueue.Waiting {
		t.Fatalf("%+v, %v", order, err)
	}
	if got := o.mail(t, order.ID, secret); got.State != mailqueue.Waiting {
		t.Errorf("shown as %+v", got)
	}
	o.setFail(nil)
	o.pass(time.Minute)
	o.deliver(t, func() bool { return o.sent() == 1 })
	if got := o.mail(t, order.ID, secret); got.State != mailqueue.Sent {
		t.Errorf("shown as %+v", got)
	}
	if _, err := o.Prove(t.Context(), order.ID, secret, o.code(t, "alice@example.org")); err != nil {
		t.Error(err)
	}
}

// TestUndeliverable tells the person at once, with the mail server's reason made
// harmless, and leaves nothing that could be proven.
func TestUndeliverable(t *testing.T) {
	o := open(t)
	o.setFail(&validation.UndeliverableError{Reason: "5.1.1 no\x1b[31m\u202e such\r\nperson " + strings.Repeat("x", 1000)})
	_, secret, err := o.Apply(t.Context(), registration.Application{Email: "nobody@example.org"})
	var failure *registration.UndeliverableError
	if !errors.As(err, &failure) || secret != "" {
		t.Fatalf("%v, secret %q", err, secret)
	}
	if !strings.HasPrefix(failure.Reason, "5.1.1 no [31m such person xxx") || len(failure.Reason) != 300 {
		t.Errorf("reason %q", failure.Reason)
	}
	if strings.Contains(err.Error(), "5.1.1") {
		t.Errorf("the mail server's words are on their way to the log: %v", err)
	}
	// Later, when nobody waits, the order's page says it.
	o.setFail(errors.New("down"))
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: "bob@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	o.setFail(&validation.UndeliverableError{Reason: "no such person"})
	o.pass(time.Hour)
	o.deliver(t, func() bool { return o.mail(t, order.ID, secret).State == mailqueue.Refused })
	if got := o.mail(t, order.ID, secret); got.Reason != "no such person" {
		t.Errorf("shown as %+v", got)
	}
}

// TestBounced: another mail may follow one that came back.
func TestBounced(t *testing.T) {
	o := open(t)
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: "alice@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.mailed.Bounced(t.Context(), o.mails[0].ID, "mailbox full"); err != nil {
		t.Fatal(err)
	}
	if got := o.mail(t, order.ID, secret); !got.Failed() || got.Reason != "mailbox full" {
		t.Errorf("shown as %+v", got)
	}
	if _, err := o.Resend(t.Context(), order.ID, secret); err != nil {
		t.Fatal(err)
	}
	if got := o.mail(t, order.ID, secret); got.State != mailqueue.Sent {
		t.Errorf("after another mail: %+v", got)
	}
}

// TestMailsOfEndedOrders are not sent: the code would be good for nothing.
func TestMailsOfEndedOrders(t *testing.T) {
	o := open(t)
	o.setFail(errors.New("down"))
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: "alice@example.org"})
	if err != nil {
		t.Fatal(err)
	}
	o.setFail(nil)
	o.pass(registration.OrderLife)
	o.deliver(t, func() bool { return o.mail(t, order.ID, secret).State == mailqueue.Void })
	if o.sent() != 0 {
		t.Error("sent all the same")
	}
}

// TestNoCodeIsStored looks for the code in everything that the store wrote.
func TestNoCodeIsStored(t *testing.T) {
	o := open(t)
	if _, _, err := o.Apply(t.Context(), registration.Application{Email: "alice@example.org"}); err != nil {
		t.Fatal(err)
	}
	for name, content := range storetest.Content(t, o.source) {
		if strings.Contains(content, o.code(t, "alice@example.org")) {
			t.Errorf("%s holds the code", name)
		}
	}
}
