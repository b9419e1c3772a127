package registration_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/anchors"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testdns"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// office is a registration with everything behind it: a store on the disk, an
// authority of its own, a clock that tests set, and a postman who keeps mails.
type office struct {
	*registration.Service
	db        *store.DB
	outbox    *outbox.Outbox
	mailed    *mailqueue.Queue
	authority *authority.Authority
	dir       string // of the keys
	source    string // of the store

	public anchors.List // of which registration trusts the entries

	dns   *testdns.Server // nil until a test asks for one
	v     *validation.Validator
	mu    sync.Mutex
	now   time.Time
	mails []validation.Mail
	fail  error // what Send returns
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t testing.TB) *office {
	t.Helper()
	return openFor(t)
}

// openFor opens an office whose authorities are limited to mail domains.
func openFor(t testing.TB, domains ...string) *office {
	t.Helper()
	o := &office{dir: t.TempDir(), source: storetest.Source(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := store.Open(t.Context(), o.source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	v := &validation.Validator{Clock: o.clock, Site: "http://127.0.0.1:8080"}
	o.db, o.v = db, v
	o.authority, err = authority.Found(t.Context(), authority.Options{
		Store: db, Keys: &keys.Keys{Dir: o.dir, Plaintext: true}, Validation: v, Clock: o.clock,
		GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	}, authority.Founding{BaseURL: "http://127.0.0.1:8080", Dev: true, Domains: domains})
	if err != nil {
		t.Fatal(err)
	}
	o.queues(t)
	o.Service = registration.New(registration.Options{
		Store: db, Validation: v, Issuer: o.authority, Mails: o.mailed, Anchors: &o.public, Clock: o.clock,
	})
	return o
}

// queues makes what a new service enters its mails in.
func (o *office) queues(t testing.TB) {
	t.Helper()
	var err error
	if o.outbox, err = outbox.New(outbox.Options{Store: o.db, Clock: o.clock, Poll: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	o.mailed = mailqueue.New(mailqueue.Options{Store: o.db, Outbox: o.outbox, Mailer: o, Clock: o.clock})
}

func (o *office) clock() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *office) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

func (o *office) Send(_ context.Context, m validation.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	o.mails = append(o.mails, m)
	return nil
}

var codeLine = regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`)

// code returns the code of the last mail to an address.
func (o *office) code(t testing.TB, address string) string {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := len(o.mails) - 1; i >= 0; i-- {
		if m := o.mails[i]; m.To == address {
			lines := codeLine.FindAllString(m.Text, -1)
			if len(lines) != 1 {
				t.Fatalf("mail to %s has %d lines that are a code:\n%s", address, len(lines), m.Text)
			}
			return lines[0]
		}
	}
	t.Fatalf("no mail to %s", address)
	return ""
}

// apply opens an order.
func (o *office) apply(t testing.TB, address string) (registration.Order, string) {
	t.Helper()
	order, secret, err := o.Apply(t.Context(), registration.Application{Email: address, Name: "Alice Example"})
	if err != nil {
		t.Fatal(err)
	}
	return order, secret
}

// proven opens an order and proves it.
func (o *office) proven(t testing.TB, address string) (registration.Order, string) {
	t.Helper()
	order, secret := o.apply(t, address)
	order, err := o.Prove(t.Context(), order.ID, secret, o.code(t, address))
	if err != nil {
		t.Fatal(err)
	}
	return order, secret
}

func request(t testing.TB, key crypto.Signer, emails ...string) []byte {
	t.Helper()
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: emails})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestFromAddressToCertificate(t *testing.T) {
	o := open(t)
	order, secret := o.apply(t, "Alice@EXAMPLE.org")
	if order.State != registration.StateApplied || order.Email != "Alice@example.org" {
		t.Errorf("new order %+v, want applied for Alice@example.org", order)
	}
	order, err := o.Prove(t.Context(), order.ID, secret, " "+o.code(t, order.Email)+"\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if order.State != registration.StateProven {
		t.Errorf("after the code the order is %s", order.State)
	}
	key := newKey(t)
	issued, err := o.Enroll(t.Context(), order.ID, secret, request(t, key, "mallory@example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if got := issued.Certificate.Emails(); len(got) != 1 || got[0] != order.Email {
		t.Errorf("certificate names %q, want the proven mailbox alone", got)
	}
	if got := issued.Certificate.Subject.String(); got != "CN=Alice@example.org" {
		t.Errorf("subject %q, want the mailbox alone", got)
	}

	again, err := o.Enroll(t.Context(), order.ID, secret, request(t, key))
	if err != nil || !again.Certificate.Equal(issued.Certificate) {
		t.Errorf("the same key again: another certificate, %v", err)
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t))); !errors.Is(err, registration.ErrOtherKey) {
		t.Errorf("another key: %v, want %v", err, registration.ErrOtherKey)
	}
	o.pass(60 * 24 * time.Hour)
	again, err = o.Enroll(t.Context(), order.ID, secret, request(t, key))
	if err != nil || !again.Certificate.Equal(issued.Certificate) {
		t.Errorf("the same key after two months: another certificate, %v", err)
	}
	if order, err = o.Order(t.Context(), order.ID, secret); err != nil || order.State != registration.StateIssued {
		t.Errorf("in the end the order is %s, %v", order.State, err)
	}
}

// An address that no authority is for is refused before a mail goes out.
func TestDomainThatIsNotServed(t *testing.T) {
	o := openFor(t, "example.org", ".example.org")
	for address, served := range map[string]bool{
		"alice@example.org": true, "bob@mail.example.org": true, "eve@example.com": false, "eve@example.org.example.net": false,
	} {
		before := len(o.mails)
		_, _, err := o.Apply(t.Context(), registration.Application{Email: address})
		if served != (err == nil) || !served && !errors.Is(err, registration.ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
		if sent := len(o.mails) > before; sent != served {
			t.Errorf("%s: a mail was sent: %v", address, sent)
		}
	}
}
