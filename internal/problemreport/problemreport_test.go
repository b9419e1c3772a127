package problemreport_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/problemreport"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// office is an authority with one administrator, the registration before it and
// the door for reports.
type office struct {
	*problemreport.Service
	t         *testing.T
	db        *store.DB
	orders    *registration.Service
	authority *authority.Authority
	outbox    *outbox.Outbox
	queue     *mailqueue.Queue
	now       time.Time

	mu    sync.Mutex
	mails []validation.Mail
	dead  string // a mailbox that nothing can be sent to
}

func (o *office) clock() time.Time { return o.now }

func (o *office) Send(_ context.Context, m validation.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.To == o.dead {
		return errors.New("no answer")
	}
	o.mails = append(o.mails, m)
	return nil
}

// post has everything mailed that is due: all mails but those to the dead mailbox.
func (o *office) post() {
	o.t.Helper()
	ctx, stop := context.WithCancel(o.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); o.outbox.Run(ctx) }()
	defer func() { stop(); <-ended }()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		due := 0
		err := o.db.View(o.t.Context(), func(tx *store.Tx) error {
			jobs, err := tx.JobsOf("open", 1000)
			for _, j := range jobs {
				if !j.Due.After(o.now) || j.Holder != "" {
					due++
				}
			}
			return err
		})
		if err != nil {
			o.t.Fatal(err)
		}
		if due == 0 {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("%d mails are not sent", due)
		}
	}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, db: storetest.Open(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	v := &validation.Validator{Clock: o.clock}
	var err error
	o.authority, err = authority.Found(t.Context(), authority.Options{
		Store: o.db, Keys: &keys.Keys{Dir: t.TempDir(), Plaintext: true}, Validation: v, Clock: o.clock,
		GenerateKey: func() (crypto.Signer, error) { return newKey(t), nil },
	}, authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	o.outbox, err = outbox.New(outbox.Options{Store: o.db, Clock: o.clock, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	o.queue = mailqueue.New(mailqueue.Options{Store: o.db, Outbox: o.outbox, Mailer: o, Clock: o.clock})
	o.orders = registration.New(registration.Options{Store: o.db, Validation: v, Issuer: o.authority, Mails: o.queue, Clock: o.clock})
	o.reports(o.authority)
	return o
}

// reports opens the door for reports before an authority.
func (o *office) reports(a problemreport.Authority) {
	o.Service = problemreport.New(problemreport.Options{
		Store: o.db, Authority: a, Mails: o.queue, Site: "https://ca.example.org", Clock: o.clock,
	})
}

// hire makes the administrator whom the operator's mails go to.
func (o *office) hire() { o.hireAs("carol@example.org") }

func (o *office) hireAs(address string) {
	o.t.Helper()
	err := o.db.Update(o.t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertAdministrator(store.Administrator{ID: address, Email: address, EmailKey: address, Created: o.now}),
			auth.GiveRole(o.t.Context(), tx, auth.Console(), address, auth.Grant{Role: auth.Operator}, o.now))
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) enrol(address string, key crypto.Signer) *cert.Certificate {
	o.t.Helper()
	order, secret, err := o.orders.Apply(o.t.Context(), registration.Application{Email: address})
	if err != nil {
		o.t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(o.mails[len(o.mails)-1].Text)
	if _, err := o.orders.Prove(o.t.Context(), order.ID, secret, code); err != nil {
		o.t.Fatal(err)
	}
	csr, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{address}})
	if err != nil {
		o.t.Fatal(err)
	}
	issued, err := o.orders.Enroll(o.t.Context(), order.ID, secret, csr)
	if err != nil {
		o.t.Fatal(err)
	}
	return issued.Certificate
}

func (o *office) revoked(c *cert.Certificate) bool {
	o.t.Helper()
	s, err := o.authority.Standing(o.t.Context(), c.Serial)
	if err != nil {
		o.t.Fatal(err)
	}
	if !s.Revoked.IsZero() && s.RevokedFor != int(cert.KeyCompromise) {
		o.t.Errorf("revoked for %d", s.RevokedFor)
	}
	return !s.Revoked.IsZero()
}

func privatePEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// signedStatement is a certification request of crypto/x509.
func signedStatement(t *testing.T, key crypto.Signer, name string) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// Who has the key needs nobody's consent: its certificates are revoked before
// the answer.
func TestKeyCompromiseProven(t *testing.T) {
	o := open(t)
	o.hire()
	lost, kept := newKey(t), newKey(t)
	other := o.enrol("bob@example.org", kept)
	proof := map[string]func(key crypto.Signer) []byte{
		"private key": func(key crypto.Signer) []byte { return privatePEM(t, key) },
		"statement":   func(key crypto.Signer) []byte { return signedStatement(t, key, o.Statement()) },
		"of yesterday": func(key crypto.Signer) []byte {
			statement := o.Statement()
			o.now = o.now.AddDate(0, 0, 1)
			return signedStatement(t, key, statement)
		},
	}
	for name, make := range proof {
		lost = newKey(t)
		c := o.enrol("alice@example.org", lost)
		o.mails = nil
		filed, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.KeyCompromise, Proof: make(lost)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !o.revoked(c) || !slices.Equal(filed.Revoked, []string{c.SerialHex()}) {
			t.Errorf("%s: revoked %v, said %v", name, o.revoked(c), filed.Revoked)
		}
		o.post()
		if len(o.mails) != 1 || o.mails[0].To != "carol@example.org" || !strings.Contains(o.mails[0].Text, c.Serial.Text(16)) {
			t.Errorf("%s: the operator got %+v", name, o.mails)
		}
	}
	if o.revoked(other) {
		t.Error("another key's certificate was revoked")
	}
	for name, test := range map[string]struct {
		proof []byte
		want  error
	}{
		"no certificate with it": {privatePEM(t, newKey(t)), problemreport.ErrOtherKey},
		"revoked already":        {privatePEM(t, lost), problemreport.ErrOtherKey},
		"an ordinary request":    {signedStatement(t, kept, "bob@example.org"), problemreport.ErrProof},
		"another authority's":    {signedStatement(t, kept, strings.Replace(o.Statement(), " at ", " at 0", 1)), problemreport.ErrProof},
		"two days old":           {signedStatement(t, kept, strings.Replace(o.Statement(), o.now.Format(time.DateOnly), o.now.AddDate(0, 0, -2).Format(time.DateOnly), 1)), problemreport.ErrProof},
		"a certificate":          {other.PEM(), problemreport.ErrProof},
		"noise":                  {[]byte("hello"), problemreport.ErrProof},
		"empty":                  {[]byte{}, problemreport.ErrProof},
		"too long":               {append(privatePEM(t, kept), make([]byte, problemreport.MaxProof)...), problemreport.ErrProof},
	} {
		if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.KeyCompromise, Proof: test.proof}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	altered := signedStatement(t, kept, o.Statement())
	block, _ := pem.Decode(altered)
	block.Bytes[len(block.Bytes)-1] ^= 1
	if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.KeyCompromise, Proof: pem.EncodeToMemory(block)}); !errors.Is(err, problemreport.ErrProof) {
		t.Errorf("signature altered: %v", err)
	}
	if o.revoked(other) {
		t.Error("revoked without a proof")
	}
}

func TestReport(t *testing.T) {
	o := open(t)
	c := o.enrol("alice@example.org", newKey(t))
	colons := regexp.MustCompile(`..`).ReplaceAllString(strings.ToUpper(c.SerialHex()), "$0:")
	good := problemreport.Report{Problem: problemreport.Misuse, Serial: strings.TrimSuffix(colons, ":"), Reporter: "mallory@example.com", Text: "fraud", Language: "ja"}
	for name, test := range map[string]struct {
		change func(*problemreport.Report)
		want   error
	}{
		"problem":         {func(r *problemreport.Report) { r.Problem = "bad mood" }, problemreport.ErrProblem},
		"proof of misuse": {func(r *problemreport.Report) { r.Proof = []byte("x") }, problemreport.ErrProblem},
		"serial":          {func(r *problemreport.Report) { r.Serial = "alice" }, problemreport.ErrSerial},
		"serial negative": {func(r *problemreport.Report) { r.Serial = "−7" }, problemreport.ErrSerial},
		"serial long":     {func(r *problemreport.Report) { r.Serial = strings.Repeat("7", 101) }, problemreport.ErrSerial},
		"serial of none":  {func(r *problemreport.Report) { r.Serial = "77" }, problemreport.ErrUnknown},
		"reporter":        {func(r *problemreport.Report) { r.Reporter = "mallory\r\nBcc: x@example.com" }, problemreport.ErrReporter},
		"no text":         {func(r *problemreport.Report) { r.Text = " \n" }, problemreport.ErrText},
		"long text":       {func(r *problemreport.Report) { r.Text = strings.Repeat("ä", problemreport.MaxText+1) }, problemreport.ErrText},
		"escape in text":  {func(r *problemreport.Report) { r.Text = "\x1b[2J" }, problemreport.ErrText},
	} {
		r := good
		test.change(&r)
		if _, err := o.File(t.Context(), r); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for problem, days := range map[problemreport.Problem]int{problemreport.Misuse: 5, problemreport.Contents: 5, problemreport.NotRequested: 1, problemreport.OwnRequest: 1, problemreport.KeyCompromise: 1} {
		r := good
		r.Problem = problem
		filed, err := o.File(t.Context(), r)
		if err != nil || !filed.AnswerBy.Equal(o.now.Add(24*time.Hour)) || !filed.DecideBy.Equal(o.now.AddDate(0, 0, days)) || filed.Revoked != nil {
			t.Errorf("%s: %+v, %v", problem, filed, err)
		}
	}
	if o.revoked(c) {
		t.Error("revoked on somebody's word")
	}
}

// Nobody can flood the operator.
func TestTooManyReports(t *testing.T) {
	o := open(t)
	r := problemreport.Report{Problem: problemreport.Other, Text: "again", Client: "192.0.2.1"}
	for range 10 {
		if _, err := o.File(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	_, err := o.File(t.Context(), r)
	if many, ok := errors.AsType[*problemreport.TooManyError](err); !ok || many.Retry != time.Hour {
		t.Errorf("the 11th: %v", err)
	}
	r.Client = "192.0.2.2"
	if _, err := o.File(t.Context(), r); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
	r.Client = "192.0.2.1"
	o.now = o.now.Add(time.Hour)
	if _, err := o.File(t.Context(), r); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// Who floods the door with words, from many addresses, does not shut it for
// proofs; who tries again and again is stopped before anything is looked up.
func TestProofsGetThrough(t *testing.T) {
	o := open(t)
	key := newKey(t)
	c := o.enrol("alice@example.org", key)
	tooMany := func(err error) bool {
		_, ok := errors.AsType[*problemreport.TooManyError](err)
		return ok
	}
	r := problemreport.Report{Problem: problemreport.Other, Text: "x"}
	for i := range 200 {
		r.Client = fmt.Sprint("192.0.2.", i/10)
		if _, err := o.File(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	r.Client = "198.51.100.1"
	if _, err := o.File(t.Context(), r); !tooMany(err) {
		t.Errorf("report 201: %v", err)
	}
	proof := problemreport.Report{Problem: problemreport.KeyCompromise, Proof: privatePEM(t, newKey(t)), Client: "198.51.100.2"}
	for range 30 {
		if _, err := o.File(t.Context(), proof); !errors.Is(err, problemreport.ErrOtherKey) {
			t.Fatal(err)
		}
	}
	proof.Proof = privatePEM(t, key)
	if _, err := o.File(t.Context(), proof); !tooMany(err) {
		t.Errorf("try 31 of one address: %v", err)
	}
	proof.Client = "198.51.100.1"
	if _, err := o.File(t.Context(), proof); err != nil || !o.revoked(c) {
		t.Errorf("a proof: %v, revoked %v", err, o.revoked(c))
	}
}

// The operator answers and decides, and sees what is overdue.
func TestOperator(t *testing.T) {
	o := open(t)
	c, d := o.enrol("alice@example.org", newKey(t)), o.enrol("bob@example.org", newKey(t))
	file := func(r problemreport.Report) string {
		t.Helper()
		filed, err := o.File(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return filed.ID
	}
	first := file(problemreport.Report{Problem: problemreport.KeyCompromise, Serial: c.SerialHex(), Reporter: "mallory@example.com", Text: "a", Language: "ja"})
	second := file(problemreport.Report{Problem: problemreport.Misuse, Serial: d.SerialHex(), Reporter: "mallory@example.com", Text: "b"})
	third := file(problemreport.Report{Problem: problemreport.Other, Text: "c"})
	find := func(id string) problemreport.Row {
		t.Helper()
		list, _, err := o.List(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(r problemreport.Row) bool { return r.ID == id })
		return list[i]
	}
	overdue := func(id string, answer, decision bool) {
		t.Helper()
		if r := find(id); r.AnswerOverdue != answer || r.DecisionOverdue != decision {
			t.Errorf("%s at %v: answer overdue %v, decision %v", r.Problem, o.now, r.AnswerOverdue, r.DecisionOverdue)
		}
	}
	o.now = o.now.Add(24 * time.Hour)
	overdue(first, false, false)
	o.now = o.now.Add(time.Second)
	overdue(first, true, true)
	overdue(second, true, false)
	overdue(third, false, false) // nobody to answer
	o.now = o.now.AddDate(0, 0, 4)
	overdue(third, false, true)

	o.mails = nil
	if err := o.Answer(t.Context(), first, " we look into it "); err != nil {
		t.Fatal(err)
	}
	o.post()
	if len(o.mails) != 1 || o.mails[0].To != "mallory@example.com" || o.mails[0].Language != "ja" || o.mails[0].Text != "we look into it\n" {
		t.Errorf("mailed %+v", o.mails)
	}
	overdue(first, false, true)
	if err := o.Answer(t.Context(), second, " "); !errors.Is(err, problemreport.ErrText) {
		t.Errorf("an empty answer: %v", err)
	}
	operator := auth.Actor{Kind: auth.KindAccount, ID: "operator", Grants: []auth.Grant{{Role: auth.Operator}}, Strong: true}
	if err := o.Revoke(t.Context(), operator, first, cert.KeyCompromise); !errors.Is(err, auth.ErrAgain) || o.revoked(c) {
		t.Errorf("revoking a while after signing in: %v", err)
	}
	operator.Fresh = true
	if err := o.Revoke(t.Context(), operator, first, cert.KeyCompromise); err != nil || !o.revoked(c) {
		t.Errorf("revoking: %v", err)
	}
	overdue(first, false, false)
	if err := o.Keep(t.Context(), second); err != nil || o.revoked(d) || find(second).Outcome != "kept" {
		t.Errorf("keeping: %v", err)
	}
	if err := o.Revoke(t.Context(), operator, third, cert.KeyCompromise); !errors.Is(err, problemreport.ErrUnknown) {
		t.Errorf("revoking nothing: %v", err)
	}
	for _, id := range []string{first, second} {
		for name, err := range map[string]error{
			"answer": o.Answer(t.Context(), id, "x"), "revoke": o.Revoke(t.Context(), operator, id, cert.KeyCompromise), "keep": o.Keep(t.Context(), id),
		} {
			if !errors.Is(err, problemreport.ErrClosed) {
				t.Errorf("%s after the end: %v", name, err)
			}
		}
	}
	if err := o.Keep(t.Context(), "nothing"); !errors.Is(err, problemreport.ErrNotFound) {
		t.Errorf("a report that is not there: %v", err)
	}
	if o.revoked(d) {
		t.Error("a kept certificate was revoked")
	}
}

// One administrator's dead mailbox keeps no other from hearing of a report, and
// brings nobody the same mail again.
func TestDeadMailbox(t *testing.T) {
	o := open(t)
	o.dead = "bob@example.org"
	for _, address := range []string{"alice@example.org", o.dead, "carol@example.org"} {
		o.hireAs(address)
	}
	if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.Other, Text: "one\ntwo"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		o.post()
		o.now = o.now.Add(time.Minute)
		o.maintained()
	}
	if len(o.mails) != 2 || !strings.Contains(o.mails[0].Text, "\n> one\n> two\n") {
		t.Fatalf("mailed %+v", o.mails)
	}
	if o.mails[0].To == o.mails[1].To {
		t.Errorf("%s was told twice", o.mails[0].To)
	}
	untold := func() int {
		t.Helper()
		list, _, err := o.List(t.Context(), "", 0)
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Untold
	}
	if n := untold(); n != 0 {
		t.Errorf("%d untold while it is still tried", n)
	}
	if err := o.queue.Bounced(t.Context(), o.mails[0].ID, "no such person"); err != nil {
		t.Fatal(err)
	}
	if n := untold(); n != 1 {
		t.Errorf("%d untold after one came back", n)
	}
}

// Accounts that are an organization's hear nothing of what is reported.
func TestOperatorsAlone(t *testing.T) {
	o := open(t)
	o.hire()
	err := o.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertAdministrator(store.Administrator{ID: "2", Email: "dan@example.net", EmailKey: "dan@example.net", Created: o.now}),
			auth.GiveRole(t.Context(), tx, auth.Console(), "2", auth.Grant{Role: auth.Administrator, Organization: "org"}, o.now))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.Other, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	o.post()
	if len(o.mails) != 1 || o.mails[0].To != "carol@example.org" {
		t.Errorf("mailed %+v", o.mails)
	}
}

// What comes before there is an administrator is told to the first one.
func TestToldLate(t *testing.T) {
	o := open(t)
	for range 60 { // more than are read at once
		if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.Other, Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	o.now = o.now.Add(time.Minute)
	o.maintained()
	o.hire()
	o.maintained()
	o.post()
	if len(o.mails) != 60 {
		t.Errorf("%d mails", len(o.mails))
	}
}

// broken is an authority that cannot revoke one certificate, and dies before it
// could.
type broken struct {
	*authority.Authority
	serial *big.Int
	blind  error // of looking for anything
}

func (b broken) Standing(ctx context.Context, serial *big.Int) (store.Standing, error) {
	if b.blind != nil {
		return store.Standing{}, b.blind
	}
	return b.Authority.Standing(ctx, serial)
}

func (b broken) Revoke(ctx context.Context, serial *big.Int, reason cert.Reason) error {
	if b.serial != nil && serial.Cmp(b.serial) == 0 {
		return errors.New("disk full")
	}
	return b.Authority.Revoke(ctx, serial, reason)
}

// A proof counts in the end, whatever fails first, and the administrators hear
// of what is not revoked yet.
func TestProvenIsFinished(t *testing.T) {
	o := open(t)
	o.hire()
	key := newKey(t)
	first := o.enrol("alice@example.org", key)
	o.now = o.now.Add(time.Second) // the report names the older one
	second := o.enrol("alice@example.org", key)
	o.mails = nil
	a := &broken{Authority: o.authority, serial: first.Serial}
	o.reports(a)
	if _, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.KeyCompromise, Proof: privatePEM(t, key)}); err == nil {
		t.Fatal("a revocation that failed was reported as done")
	}
	if o.revoked(first) || !o.revoked(second) {
		t.Errorf("revoked: %v, %v; the second one is well", o.revoked(first), o.revoked(second))
	}
	o.now = o.now.Add(time.Minute)
	o.maintained()
	o.post()
	if len(o.mails) != 1 || !strings.Contains(o.mails[0].Text, "every minute; the server's log says why:\n  "+first.Serial.Text(16)+"\n") ||
		!strings.Contains(o.mails[0].Text, "まだ失効していません") {
		t.Errorf("the operator got %+v", o.mails)
	}
	// Nobody knows which other certificates have the key: the one that is named is
	// revoked, and the report stays open, aloud.
	a.serial, a.blind = nil, errors.New("disk unreadable")
	if err := problemreport.CatchUp(t.Context(), o.Service); !errors.Is(err, a.blind) {
		t.Errorf("what could not be looked for is told as %v", err)
	}
	if list, _, err := o.List(t.Context(), "", 0); err != nil || !o.revoked(first) || !list[0].Closed.IsZero() {
		t.Errorf("meanwhile: %v, %+v, %v", o.revoked(first), list, err)
	}
	a.blind = nil
	o.maintained() // though they were told already
	if list, _, err := o.List(t.Context(), "", 0); err != nil || !o.revoked(first) || list[0].Outcome != "revoked" {
		t.Errorf("in the end: %v, %+v, %v", o.revoked(first), list, err)
	}
}

// maintained runs one round of Maintain.
func (o *office) maintained() {
	o.t.Helper()
	if err := problemreport.CatchUp(o.t.Context(), o.Service); err != nil {
		o.t.Log(err)
	}
}

func FuzzProof(f *testing.F) {
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----"))
	o := problemreport.New(problemreport.Options{Clock: time.Now, Site: "http://ca.example.org"})
	f.Fuzz(func(t *testing.T, proof []byte) {
		if key, err := problemreport.ProvenKey(o, proof); err == nil && len(key) != 32 {
			t.Errorf("%x", key)
		}
	})
}

// The list comes in pages: the open ones, the oldest first, and behind them the
// closed ones, the newest first, each once and none left out, however many were
// closed in one second.
func TestPagesOfReports(t *testing.T) {
	o := open(t)
	const total = 14
	var ids []string
	for range total {
		filed, err := o.File(t.Context(), problemreport.Report{Problem: problemreport.Other, Text: "x", Client: fmt.Sprint(len(ids))})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, filed.ID)
		o.now = o.now.Add(time.Second)
	}
	for i, id := range ids[:9] {
		if err := o.Keep(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			o.now = o.now.Add(time.Second)
		}
	}
	walk := func(limit int) (seen []problemreport.Row) {
		t.Helper()
		for after := ""; ; {
			list, next, err := o.List(t.Context(), after, limit)
			if err != nil || len(list) == 0 || limit > 0 && len(list) > limit {
				t.Fatalf("%d in a page of %d, %v", len(list), limit, err)
			}
			seen = append(seen, list...)
			if after = next; next == "" {
				return seen
			}
		}
	}
	for _, limit := range []int{1, 3, 5, 7, total, 0, 10 * problemreport.MaxPage} {
		seen := walk(limit)
		if len(seen) != total {
			t.Fatalf("%d reports in pages of %d", len(seen), limit)
		}
		have := map[string]bool{}
		for i, r := range seen {
			have[r.ID] = true
			switch {
			case i < 5 && r.ID != ids[9+i]:
				t.Errorf("in pages of %d the open report %d is %s", limit, i, r.ID)
			case i > 5 && r.Closed.After(seen[i-1].Closed):
				t.Errorf("in pages of %d closed report %d is newer than the one before", limit, i)
			}
		}
		if len(have) != total {
			t.Errorf("%d different reports in pages of %d", len(have), limit)
		}
	}
	for _, place := range []string{"x", "open", "open.1", "shut.1.a", "open.x.a", "closed.1.\x00", "open.1." + strings.Repeat("a", 100)} {
		if _, _, err := o.List(t.Context(), place, 0); !errors.Is(err, problemreport.ErrPlace) {
			t.Errorf("%q: %v", place, err)
		}
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("open.1.a")
	f.Add("closed.9223372036854775807.b")
	f.Add("open.-1.")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := problemreport.ReadPlace(text)
		if (err == nil) == (text != "" && p == (store.ReportPlace{})) {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
		if err != nil && !errors.Is(err, problemreport.ErrPlace) {
			t.Errorf("%q: %v", text, err)
		}
	})
}
