package enrollment_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// house is an installation that has one organization, with everything behind it
// but doors.
type house struct {
	*enrollment.Service
	t            testing.TB
	dir, source  string
	db           *store.DB
	box          *outbox.Outbox
	registration *registration.Service
	authority    *authority.Authority
	log          *audit.Log
	boss         auth.Actor
	org          string
	escrow       *safe
	stop         func(step string) error
	quiet        bool // mails are not delivered

	mu      sync.Mutex
	ahead   time.Duration
	mails   map[string][]validation.Mail // by address
	records map[string]string            // of the DNS
}

func p256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newHouse(t testing.TB, change func(*registration.Settings)) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), source: storetest.Source(t)}
	h.open(true)
	h.found(change)
	return h
}

// open opens the rooms, with the authority made anew or as it is.
func (h *house) open(fresh bool) {
	h.t.Helper()
	ctx := context.Background()
	h.mails, h.records, h.boss, h.escrow = map[string][]validation.Mail{}, map[string]string{}, auth.Console(), &safe{h.dir}
	check := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	var err error
	h.db, err = store.Open(ctx, h.source)
	check(err)
	h.t.Cleanup(func() { _ = h.db.Close() })
	ring := &keys.Keys{Dir: h.dir, Plaintext: true}
	h.log, err = audit.Open(ctx, audit.Options{Store: h.db, Keys: ring, Clock: h.clock})
	check(err)
	v := &validation.Validator{Clock: h.clock, Site: "http://127.0.0.1:8080", Resolver: h}
	o := authority.Options{Store: h.db, Keys: ring, Validation: v, Clock: h.clock, GenerateKey: p256}
	if fresh {
		h.authority, err = authority.Found(ctx, o, authority.Founding{BaseURL: "http://127.0.0.1:8080", Dev: true})
	} else {
		h.authority, err = authority.Open(ctx, o)
	}
	check(err)
	check(h.authority.Recover(ctx))
	h.box, err = outbox.New(outbox.Options{Store: h.db, Clock: h.clock, Poll: 10 * time.Millisecond, Alone: true})
	check(err)
	mails := mailqueue.New(mailqueue.Options{Store: h.db, Outbox: h.box, Mailer: h, Clock: h.clock})
	h.registration = registration.New(registration.Options{Store: h.db, Validation: v, Issuer: h.authority, Mails: mails, Clock: h.clock, Escrow: h.escrow})
	h.Service, err = enrollment.New(ctx, enrollment.Options{
		Store: h.db, Outbox: h.box, Mails: mails, Registration: h.registration, Keys: ring, Escrow: h.escrow, Site: "http://127.0.0.1:8080", Clock: h.clock,
		Stop: func(step string) error {
			if h.stop != nil {
				return h.stop(step)
			}
			return nil
		},
	})
	check(err)
}

// found makes the organization, active and with a domain that is proven.
func (h *house) found(change func(*registration.Settings)) {
	h.t.Helper()
	ctx := h.t.Context()
	r := h.registration
	o, err := r.CreateOrganization(ctx, h.boss, registration.Organization{Name: "Example KK", LocalName: "例示株式会社", Country: "JP"}, "")
	if err == nil {
		h.org = o.ID
		_, err = r.AcceptAgreement(ctx, h.boss, h.org, registration.AgreementVersion)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	set := registration.DefaultSettings()
	set.Algorithm, set.Keys, set.Renew = "p256", registration.KeysServer, false
	if change != nil {
		change(&set)
	}
	if _, err := r.SetSettings(ctx, h.boss, h.org, set); err != nil {
		h.t.Fatal(err)
	}
	d, err := r.AddDomain(ctx, h.boss, h.org, "example.jp")
	if err != nil {
		h.t.Fatal(err)
	}
	h.records[d.RecordName] = d.RecordValue
	if d, err = r.CheckDomain(ctx, h.boss, h.org, d.ID); err != nil || d.State != registration.DomainProven {
		h.t.Fatal(d.State, err)
	}
}

// TXT implements validation.Resolver.
func (h *house) TXT(_ context.Context, name string) ([]string, error) {
	return []string{h.records[name]}, nil
}

// CAA implements validation.Resolver.
func (h *house) CAA(context.Context, string) ([]validation.CAARecord, time.Duration, error) {
	return nil, time.Hour, nil
}

func (h *house) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// Send implements validation.Mailer.
func (h *house) Send(ctx context.Context, m validation.Mail) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.quiet {
		return &validation.UnavailableError{Err: errors.New("away")}
	}
	h.mails[m.To] = append(h.mails[m.To], m)
	return nil
}

func (h *house) mailed(address string) []validation.Mail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mails[address]
}

// safe keeps what is escrowed, in files in the clear, for tests that look.
type safe struct{ dir string }

func (s *safe) Prepare(_ context.Context, _, person string, key crypto.PrivateKey) (func(*store.Tx) error, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return func(*store.Tx) error { return os.WriteFile(filepath.Join(s.dir, person), der, 0o600) }, nil
}

func (s *safe) Ready(context.Context, string) error { return nil }

func (s *safe) Escrowed(_ *store.Tx, _, person string, _ []byte) (bool, error) {
	_, err := os.Stat(filepath.Join(s.dir, person))
	return err == nil, nil
}

func (s *safe) Keep(context.Context, *store.Tx, registration.Keeping) error {
	return errors.New("the server makes these keys itself")
}

// work lets the outbox run until stop.
func (h *house) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.box.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	h.t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !yes(); time.Sleep(3 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// list is a list of n people.
func list(n int) string {
	var b strings.Builder
	b.WriteString("email,given name,surname,local name,employee number,language\n")
	for i := range n {
		language := "en"
		if i%2 == 1 {
			language = "ja"
		}
		fmt.Fprintf(&b, "p%d@example.jp,Taro,Yamada%d,山田 太郎,%04d,%s\n", i, i, i, language)
	}
	return b.String()
}

func (h *house) preview(text string) *enrollment.Preview {
	h.t.Helper()
	p, err := h.Preview(h.t.Context(), h.boss, h.org, strings.NewReader(text), enrollment.ListOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) start(text string, o enrollment.StartOptions) enrollment.Run {
	h.t.Helper()
	r, err := h.Start(h.t.Context(), h.boss, h.preview(text), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) run(id string) enrollment.Run {
	h.t.Helper()
	r, err := h.Run(h.t.Context(), h.boss, id)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) becomes(id, state string) enrollment.Run {
	h.t.Helper()
	eventually(h.t, "run is "+state, func() bool { return h.run(id).State == state })
	return h.run(id)
}

func (h *house) members(id, state string) []enrollment.Member {
	h.t.Helper()
	m, err := h.Members(h.t.Context(), h.boss, id, state, -1, 500)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

var (
	codeLine = regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`)
	linkLine = regexp.MustCompile(`(?m)^http://127\.0\.0\.1:8080/i/([a-z2-7]{26})$`)
)

// letter waits for the n-th mail to an address and returns the link's id and the code.
func (h *house) letter(address string, n int) (id, code string) {
	h.t.Helper()
	eventually(h.t, "mail to "+address, func() bool { return len(h.mailed(address)) >= n })
	m := h.mailed(address)[n-1]
	links, codes := linkLine.FindStringSubmatch(m.Text), codeLine.FindAllString(m.Text, -1)
	if links == nil || len(codes) != 1 {
		h.t.Fatalf("mail to %s:\n%s", address, m.Text)
	}
	return links[1], codes[0]
}

// sheet reads the administrator's sheet: passphrases by address.
func (h *house) sheet(run string) map[string]string {
	h.t.Helper()
	var b bytes.Buffer
	if err := h.Sheet(h.t.Context(), h.boss, run, "en", &b); err != nil {
		h.t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b.Bytes(), []byte("\xef\xbb\xbf")))).ReadAll()
	if err != nil {
		h.t.Fatal(err)
	}
	all := map[string]string{}
	for _, row := range rows[1:] {
		all[row[1]] = row[4]
	}
	return all
}

func openFile(t testing.TB, file []byte, passphrase string) *identity.PKCS12 {
	t.Helper()
	p, err := identity.DecodePKCS12(file, func() ([]byte, error) { return []byte(passphrase), nil })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// check looks at everything at once: nobody has two of anything or half of it,
// no key is left behind, the log is whole.
func (h *house) check(run string) {
	h.t.Helper()
	if _, err := h.log.Checkpoint(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	report, err := audit.Verify(h.t.Context(), h.db, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if !report.Good() {
		h.t.Errorf("the audit log is not whole: %v", report.Findings)
	}
	seen := map[string]bool{}
	err = h.db.View(h.t.Context(), func(tx *store.Tx) error {
		people, err := tx.RunPeople(run, "", -1, 1<<20)
		if err != nil {
			return err
		}
		for _, p := range people {
			if seen[p.Address] {
				h.t.Errorf("%s is there twice", p.Address)
			}
			seen[p.Address] = true
			pickups, err := tx.PickupsOfPerson(h.org, p.PersonID)
			if err != nil {
				return err
			}
			valid, err := tx.ValidCertificatesOf(h.org, p.PersonID, h.clock())
			if err != nil {
				return err
			}
			if p.State == "done" && (len(pickups) != 1 || len(valid) > len(p.Orders)) {
				h.t.Errorf("%s has %d pickups and %d certificates", p.Address, len(pickups), len(valid))
			}
			for _, id := range p.Orders {
				if _, err := tx.KeptKey(id); !errors.Is(err, store.ErrNotFound) {
					h.t.Errorf("the key of %s is still kept: %v", p.Address, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A preview says all that is wrong and writes nothing; without the bad lines,
// everybody gets a key, a certificate, a file and a mail.
func TestServerKeys(t *testing.T) {
	h := newHouse(t, nil)
	text := list(30) + "nobody\np1@example.jp,Jiro,Sato,,,\nx@example.net,Jiro,Sato,,,\n"
	before := storetest.Content(t, h.source)
	p := h.preview(text)
	if after := storetest.Content(t, h.source); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("a preview wrote something")
	}
	if len(p.List.Problems) != 3 || len(p.List.People) != 30 {
		t.Fatalf("%d people, problems %v", len(p.List.People), p.List.Problems)
	}
	if _, err := h.Start(t.Context(), h.boss, p, enrollment.StartOptions{}); !errors.Is(err, enrollment.ErrProblems) {
		t.Errorf("with problems: %v", err)
	}
	r := h.start(text, enrollment.StartOptions{LeaveOut: true})
	if _, err := h.Start(t.Context(), h.boss, p, enrollment.StartOptions{LeaveOut: true}); !errors.Is(err, enrollment.ErrUnderWay) {
		t.Errorf("the same list twice at a time: %v", err)
	}
	stop := h.work()
	if r = h.becomes(r.ID, enrollment.RunDone); r.Done != 30 || r.Failed+r.Waiting != 0 {
		t.Fatalf("%+v: %v", r, h.members(r.ID, "failed"))
	}
	id, code := h.letter("p1@example.jp", 1)
	if m := h.mailed("p1@example.jp")[0]; m.Language != "ja" || !strings.Contains(m.Text, "例示株式会社") || !m.Signed {
		t.Errorf("the mail is in %s:\n%s", m.Language, m.Text)
	}
	passphrases := h.sheet(r.ID)
	if len(passphrases) != 30 {
		t.Fatalf("the sheet has %d lines", len(passphrases))
	}
	passphrase := passphrases["p1@example.jp"]
	for name, content := range storetest.Content(t, h.source) {
		if strings.Contains(content, passphrase) || strings.Contains(content, code) {
			t.Errorf("%s has a passphrase or a code in the clear", name)
		}
	}
	if strings.Contains(h.mailed("p1@example.jp")[0].Text, passphrase) {
		t.Error("the mail has the passphrase")
	}
	if w, err := h.Waiting(t.Context(), id); err != nil || w.State != enrollment.PickupWaiting || w.Mode != enrollment.ModeServerKeys {
		t.Errorf("%+v %v", w, err)
	}
	file, err := h.PickUp(t.Context(), id, strings.ToLower(code), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := openFile(t, file, passphrase).Identities
	if len(ids) != 1 || ids[0].Certificate == nil || len(ids[0].Chain) == 0 || ids[0].Certificate.Emails()[0] != "p1@example.jp" {
		t.Errorf("the file has %+v", ids)
	}
	if _, err := h.PickUp(t.Context(), id, code, "", nil); !errors.Is(err, enrollment.ErrGone) {
		t.Errorf("second time: %v", err)
	}
	h.check(r.ID)
	if n := len(h.preview(list(30)).List.Notices); n != 30 {
		t.Errorf("who has a certificate is not left out: %d notices", n)
	}
	stop()
	if err := h.db.Close(); err != nil { // then SQLite's log is in its file
		t.Fatal(err)
	}
	for name, content := range storetest.Content(t, h.source) {
		if strings.Contains(content, string(file[len(file)/2:len(file)/2+40])) {
			t.Errorf("%s has the file still", name)
		}
	}
}

func certificateRequest(t testing.TB, address string) (crypto.Signer, []byte) {
	t.Helper()
	key, err := p256()
	if err != nil {
		t.Fatal(err)
	}
	der, err := cert.CreateRequest(rand.Reader, key, &cert.RequestTemplate{Emails: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// invite answers an invitation as the browser does.
func (h *house) invite(address, id, code string) registration.Issued {
	h.t.Helper()
	opened, err := h.Redeem(h.t.Context(), id, code)
	if err != nil || len(opened) != 1 {
		h.t.Fatal(opened, err)
	}
	_, request := certificateRequest(h.t, address)
	issued, err := h.registration.Enroll(h.t.Context(), opened[0].Order.ID, opened[0].Secret, request)
	if err != nil {
		h.t.Fatal(err)
	}
	return issued
}

// Whoever is invited makes a key of their own; the link alone opens nothing, and
// guessing ends.
func TestInvite(t *testing.T) {
	h := newHouse(t, func(s *registration.Settings) { s.Keys = registration.KeysBrowser })
	if _, err := h.Start(t.Context(), h.boss, h.preview(list(3)), enrollment.StartOptions{Mode: enrollment.ModeServerKeys}); !errors.Is(err, enrollment.ErrNoKeys) {
		t.Errorf("keys on the server against the settings: %v", err)
	}
	r := h.start(list(3), enrollment.StartOptions{})
	h.work()
	h.becomes(r.ID, enrollment.RunDone)
	id, code := h.letter("p0@example.jp", 1)
	issued := h.invite("p0@example.jp", id, code)
	if issued.Certificate.Emails()[0] != "p0@example.jp" {
		t.Errorf("certificate for %v", issued.Certificate.Emails())
	}
	if _, err := h.Redeem(t.Context(), id, code); !errors.Is(err, enrollment.ErrGone) {
		t.Errorf("again: %v", err)
	}
	if err := h.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, _ := h.Waiting(t.Context(), id); w.State != enrollment.PickupTaken {
		t.Errorf("the invitation is %s", w.State)
	}
	other, right := h.letter("p1@example.jp", 1)
	if _, err := h.PickUp(t.Context(), other, right, "", nil); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("picked up an invitation: %v", err)
	}
	for range enrollment.MaxWrong {
		if _, err := h.Redeem(t.Context(), other, code); !errors.Is(err, enrollment.ErrWrongCode) {
			t.Fatalf("the code of somebody else: %v", err)
		}
	}
	if _, err := h.Redeem(t.Context(), other, right); !errors.Is(err, enrollment.ErrGone) {
		t.Errorf("after too many wrong ones: %v", err)
	}
	if err := h.Mail(t.Context(), h.boss, other); err != nil {
		t.Fatal(err)
	}
	_, anew := h.letter("p1@example.jp", 2)
	if _, err := h.Redeem(t.Context(), other, right); !errors.Is(err, enrollment.ErrWrongCode) {
		t.Errorf("the old code: %v", err)
	}
	h.invite("p1@example.jp", other, anew)
	h.pass(enrollment.PickupLife + time.Hour)
	third, late := h.letter("p2@example.jp", 1)
	if _, err := h.Redeem(t.Context(), third, late); !errors.Is(err, enrollment.ErrGone) {
		t.Errorf("too late: %v", err)
	}
	h.check(r.ID)
}

// With four eyes nothing is made before somebody else has agreed.
func TestApproval(t *testing.T) {
	h := newHouse(t, nil)
	h.roles(auth.Administrator, auth.Approver)
	set := registration.DefaultSettings()
	set.Algorithm, set.Keys, set.Approval = "p256", registration.KeysServer, true
	if _, err := h.registration.SetSettings(t.Context(), h.boss, h.org, set); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(t.Context(), h.boss, h.preview(list(3)), enrollment.StartOptions{}); !errors.Is(err, registration.ErrInput) {
		t.Errorf("from the console, where nobody knows who asks: %v", err)
	}
	h.boss = auth.Actor{Kind: auth.KindAccount, ID: "first", Strong: true, Fresh: true, Grants: []auth.Grant{{Role: auth.Administrator, Organization: h.org}}}
	r := h.start(list(3), enrollment.StartOptions{})
	h.work()
	eventually(t, "ordered", func() bool { return len(h.members(r.ID, "ordered")) == 3 })
	if err := h.Wake(t.Context()); err != nil {
		t.Fatal(err)
	}
	people := h.members(r.ID, "ordered")
	if r := h.run(r.ID); r.Waiting != 3 || len(h.mails) != 0 {
		t.Fatalf("%+v, %d mails", r, len(h.mails))
	}
	if got, err := h.registration.ApproveOrders(t.Context(), h.boss, h.org, people[0].Orders); err != nil || got[0].Err == nil {
		t.Errorf("who asked approves: %v %v", got, err)
	}
	approver := auth.Actor{Kind: auth.KindAccount, ID: "second", Fresh: true, Grants: []auth.Grant{{Role: auth.Approver, Organization: h.org}}}
	for _, p := range people[:2] {
		if got, err := h.registration.ApproveOrders(t.Context(), approver, h.org, p.Orders); err != nil || got[0].Err != nil {
			t.Fatal(got, err)
		}
	}
	if _, err := h.registration.RefuseOrders(t.Context(), approver, h.org, people[2].Orders, "not this one"); err != nil {
		t.Fatal(err)
	}
	done := func() bool { // the job that ordered may not have come to its end yet
		_ = h.Wake(context.Background())
		return h.run(r.ID).State == enrollment.RunDone
	}
	eventually(t, "done", done)
	if r = h.run(r.ID); r.Done != 2 || r.Failed != 1 {
		t.Fatalf("%+v", r)
	}
	if p := h.members(r.ID, "failed")[0].Problem; p.Text("ja") == p.Text("en") {
		t.Errorf("problem %+v", p)
	}
	if _, err := h.Retry(t.Context(), h.boss, r.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ordered again", func() bool { return len(h.members(r.ID, "ordered")) == 1 })
	for _, p := range h.members(r.ID, "ordered") {
		if got, err := h.registration.ApproveOrders(t.Context(), approver, h.org, p.Orders); err != nil || got[0].Err != nil {
			t.Fatal(got, err)
		}
	}
	eventually(t, "done again", done)
	if r = h.run(r.ID); r.Done != 3 {
		t.Errorf("%+v", r)
	}
	h.check(r.ID)
}

// roles makes an account for each role, as four eyes need them.
func (h *house) roles(roles ...auth.Role) {
	h.t.Helper()
	err := h.db.Update(h.t.Context(), func(tx *store.Tx) error {
		for i, role := range roles {
			id := []string{"first", "second"}[i]
			a := store.Administrator{ID: id, Email: id + "@example.jp", EmailKey: id + "@example.jp", Name: id, Created: h.clock()}
			if err := tx.InsertAdministrator(a); err != nil {
				return err
			}
			if err := audit.Append(h.t.Context(), tx, audit.Entry{At: h.clock(), Act: audit.ActAdministrator, Object: id}); err != nil {
				return err
			}
			if err := auth.GiveRole(h.t.Context(), tx, h.boss, id, auth.Grant{Role: role, Organization: h.org}, h.clock()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// A paused run rests, a resumed one goes on, and a cancelled one ends with
// everybody who has nothing yet.
func TestPauseAndCancel(t *testing.T) {
	h := newHouse(t, nil)
	h.stop = pauseAt(h, 1)
	r := h.start(list(60), enrollment.StartOptions{})
	h.work()
	eventually(t, "paused", func() bool { return h.run(r.ID).State == enrollment.RunPaused })
	time.Sleep(50 * time.Millisecond)
	first := h.run(r.ID)
	if first.Done == 0 || first.Done == 60 {
		t.Errorf("paused with %d done", first.Done)
	}
	h.stop = pauseAt(h, 1)
	if _, err := h.Resume(t.Context(), h.boss, r.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "paused again", func() bool { return h.run(r.ID).State == enrollment.RunPaused })
	second := h.run(r.ID)
	if second.Done <= first.Done {
		t.Errorf("%d done after %d", second.Done, first.Done)
	}
	if second.Waiting == 0 {
		t.Fatal("nobody is left to cancel")
	}
	if _, err := h.Cancel(t.Context(), h.boss, r.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cancelled", func() bool { return len(h.members(r.ID, "ordered")) == 0 })
	r = h.run(r.ID)
	if r.Cancelled == 0 || r.Done+r.Cancelled != 60 {
		t.Errorf("%+v", r)
	}
	if _, err := h.Resume(t.Context(), h.boss, r.ID); !errors.Is(err, registration.ErrState) {
		t.Errorf("resumed what was cancelled: %v", err)
	}
	for _, actor := range []auth.Actor{{}, {Kind: auth.KindAccount, ID: "x", Grants: []auth.Grant{{Role: auth.Administrator, Organization: "other"}}}} {
		for what, try := range map[string]func() error{
			"run":     func() error { _, err := h.Run(t.Context(), actor, r.ID); return err },
			"members": func() error { _, err := h.Members(t.Context(), actor, r.ID, "", -1, 1); return err },
			"sheet":   func() error { return h.Sheet(t.Context(), actor, r.ID, "en", &bytes.Buffer{}) },
			"retry":   func() error { _, err := h.Retry(t.Context(), actor, r.ID); return err },
			"preview": func() error {
				_, err := h.Preview(t.Context(), actor, h.org, strings.NewReader(""), enrollment.ListOptions{})
				return err
			},
			"leave": func() error { _, err := h.Leave(t.Context(), actor, h.org, nil); return err },
		} {
			if err := try(); !errors.Is(err, registration.ErrForbidden) {
				t.Errorf("%s by %+v: %v", what, actor, err)
			}
		}
	}
	h.check(r.ID)
}

// pauseAt pauses the one run when a chunk has been written for the n-th time.
func pauseAt(h *house, n int) func(string) error {
	var mu sync.Mutex
	return func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		if step != enrollment.StepWritten {
			return nil
		}
		if n--; n != 0 {
			return nil
		}
		runs, err := h.Runs(context.Background(), h.boss, h.org, "", 1)
		if err == nil {
			_, err = h.Pause(context.Background(), h.boss, runs[0].ID)
		}
		return err
	}
}

// A pair has two keys in one file, of which only the one that encrypts is in
// escrow. The old keys come back with the new ones, in the form that was asked
// for, and OpenSSL reads it; who leaves loses all.
func TestPair(t *testing.T) {
	h := newHouse(t, func(s *registration.Settings) { s.Split, s.Escrow = true, true })
	r := h.start(list(2), enrollment.StartOptions{Client: "thunderbird"})
	h.work()
	h.becomes(r.ID, enrollment.RunDone)
	passphrases := h.sheet(r.ID)
	id, code := h.letter("p0@example.jp", 1)
	file, err := h.PickUp(t.Context(), id, code, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := openFile(t, file, passphrases["p0@example.jp"]).Identities
	if len(ids) != 2 || !ids[0].Certificate.CanSign() || ids[0].Certificate.CanEncrypt() || !ids[1].Certificate.CanEncrypt() || ids[1].Certificate.CanSign() {
		t.Fatalf("the file has %+v", ids)
	}
	member := h.members(r.ID, "done")[0]
	der, err := os.ReadFile(filepath.Join(h.dir, member.Person))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil || !ids[1].Key.(*ecdsa.PrivateKey).Equal(kept) {
		t.Errorf("in escrow is not the key that encrypts: %v", err)
	}

	// The same person again, with the file that they have.
	again, err := h.StartFor(t.Context(), h.boss, h.org, []string{member.Person}, enrollment.StartOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.becomes(again.ID, enrollment.RunDone)
	id, code = h.letter("p0@example.jp", 2)
	passphrase := h.sheet(again.ID)["p0@example.jp"]
	old := []enrollment.Old{{File: file, Passphrase: []byte("wrong")}}
	if _, err := h.PickUp(t.Context(), id, code, "", old); !errors.Is(err, enrollment.ErrOld) {
		t.Errorf("a wrong passphrase of the old file: %v", err)
	}
	_, others := h.letter("p1@example.jp", 1)
	if _, err := h.PickUp(t.Context(), id, others, "", old); !errors.Is(err, enrollment.ErrWrongCode) {
		t.Errorf("the old file of who has no code: %v", err)
	}
	old[0].Passphrase = []byte(passphrases["p0@example.jp"])
	file, err = h.PickUp(t.Context(), id, code, "ios", old)
	if err != nil {
		t.Fatal(err)
	}
	if ids = openFile(t, file, passphrase).Identities; len(ids) != 3 || !ids[0].Certificate.CanSign() || !ids[2].Key.(*ecdsa.PrivateKey).Equal(kept) {
		t.Errorf("in the file with the old key are %+v", ids)
	}
	if text := openssl(t, file, passphrase, "-legacy"); !strings.Contains(text, "sha1") || !strings.Contains(text, "pbeWithSHA1And3-KeyTripleDES-CBC") {
		t.Errorf("for iOS: %s", text)
	}
	actor := auth.Actor{Kind: auth.KindPerson, ID: member.Person}
	if shown, err := h.Passphrase(t.Context(), actor, id); err != nil || shown != passphrase {
		t.Errorf("the person is shown %q: %v", shown, err)
	}
	if _, err := h.Passphrase(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: "other"}, id); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("somebody else: %v", err)
	}

	people := []string{member.Person, h.members(r.ID, "done")[1].Person}
	stale := auth.Actor{Kind: auth.KindAccount, ID: "boss", Grants: []auth.Grant{{Role: auth.Administrator, Organization: h.org}}}
	if _, err := h.Leave(t.Context(), stale, h.org, slices.Repeat(people, registration.ManyAtOnce)); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("many leave in a session that is not fresh: %v", err)
	}
	done, err := h.Leave(t.Context(), stale, h.org, people)
	if err != nil || len(done.Revoked) != 6 {
		t.Errorf("who left: %+v %v", done, err)
	}
	if err := h.registration.AskOfMany(t.Context(), stale, registration.ManyAtOnce-6); err != nil {
		t.Errorf("as many as are left: %v", err)
	}
	if err := h.registration.AskOfMany(t.Context(), stale, registration.ManyAtOnce-5); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("one more: %v", err)
	}
	id, code = h.letter("p1@example.jp", 1)
	if _, err := h.PickUp(t.Context(), id, code, "", nil); !errors.Is(err, enrollment.ErrGone) {
		t.Errorf("picked up by who has left: %v", err)
	}
	for name, content := range storetest.Content(t, h.source) {
		if strings.Contains(content, passphrases["p1@example.jp"]) {
			t.Errorf("%s has a passphrase", name)
		}
	}
}

// openssl says what it finds in a file.
func openssl(t testing.TB, file []byte, passphrase string, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.p12")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"pkcs12", "-in", path, "-info", "-noout", "-passin", "env:SECRET"}, more...)...)
	cmd.Env = append(os.Environ(), "SECRET="+passphrase)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip("no openssl")
	}
	if err != nil {
		t.Fatalf("openssl: %v: %s", err, out)
	}
	return string(out)
}

// SECURITY.md, row 38: what OpenSSL says of a file as it is handed out.
func TestFileParameters(t *testing.T) {
	h := newHouse(t, nil)
	r := h.start(list(1), enrollment.StartOptions{})
	h.work()
	h.becomes(r.ID, enrollment.RunDone)
	id, code := h.letter("p0@example.jp", 1)
	file, err := h.PickUp(t.Context(), id, code, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	passphrase := h.sheet(r.ID)["p0@example.jp"]
	if len(strings.ReplaceAll(passphrase, "-", "")) < 28 { // of 27 letters: 133 bits
		t.Errorf("the passphrase is %q", passphrase)
	}
	text := openssl(t, file, passphrase)
	for _, want := range []string{"MAC: sha256, Iteration 10000", "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256"} {
		if !strings.Contains(text, want) {
			t.Errorf("OpenSSL does not say %q: %s", want, text)
		}
	}
}

// Reminders come at 30, 20 and 10 days and then daily, with the serial number,
// and end when the certificate is renewed; where the organization wants it, that
// happens by itself.
func TestRemindAndRenew(t *testing.T) {
	h := newHouse(t, func(s *registration.Settings) { s.Validity = 90 })
	r := h.start(list(2), enrollment.StartOptions{})
	h.work()
	h.becomes(r.ID, enrollment.RunDone)
	h.letter("p0@example.jp", 1)
	h.letter("p1@example.jp", 1)
	remind := func(address string, want int) {
		t.Helper()
		for range 2 { // the second finds it done
			if err := h.Remind(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, fmt.Sprintf("%d mails", want), func() bool { return len(h.mailed(address)) >= want })
		time.Sleep(30 * time.Millisecond)
		if n := len(h.mailed(address)); n != want {
			t.Errorf("%d mails to %s, want %d", n, address, want)
		}
	}
	remind("p0@example.jp", 1)
	h.pass(59 * 24 * time.Hour) // 31 days are left
	remind("p0@example.jp", 1)
	h.pass(2 * 24 * time.Hour)
	remind("p0@example.jp", 2)
	var serial string
	err := h.db.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.EndingCertificates(h.clock(), h.clock().AddDate(1, 0, 0), "", 10)
		for _, c := range list {
			if c.Address == "p1@example.jp" {
				serial = fmt.Sprintf("%x", c.Serial)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if m := h.mailed("p1@example.jp")[1]; m.Language != "ja" || serial == "" || !strings.Contains(m.Text, serial) {
		t.Errorf("reminder in %s without %q:\n%s", m.Language, serial, m.Text)
	}
	h.pass(5 * 24 * time.Hour) // 24
	remind("p0@example.jp", 2)
	h.pass(5 * 24 * time.Hour) // 19
	remind("p0@example.jp", 3)
	h.pass(9 * 24 * time.Hour) // 10
	remind("p0@example.jp", 4)
	h.pass(24 * time.Hour)
	remind("p0@example.jp", 5)

	if err := h.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if runs, err := h.Runs(t.Context(), h.boss, h.org, "", 5); err != nil || len(runs) != 1 {
		t.Errorf("renewed against the settings: %v %v", runs, err)
	}
	set := registration.DefaultSettings()
	set.Algorithm, set.Keys, set.Validity = "p256", registration.KeysServer, 90
	if _, err := h.registration.SetSettings(t.Context(), h.boss, h.org, set); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := h.Runs(t.Context(), h.boss, h.org, "", 5)
	if err != nil || len(runs) != 2 || runs[0].Kind != "renewal" || runs[0].Total != 2 {
		t.Fatal(runs, err)
	}
	if renewal := h.becomes(runs[0].ID, enrollment.RunDone); renewal.Done != 2 {
		t.Errorf("%+v", renewal)
	}
	h.letter("p0@example.jp", 6) // the new file
	h.pass(24 * time.Hour)
	remind("p0@example.jp", 6)
	if err := h.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if runs, _ = h.Runs(t.Context(), h.boss, h.org, "", 5); len(runs) != 2 {
		t.Errorf("renewed again: %v", runs)
	}
	h.pass(40 * 24 * time.Hour)
	if err := h.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = h.db.View(t.Context(), func(tx *store.Tx) error {
		pickups, err := tx.PickupsOfRun(runs[0].ID, "", 10)
		for _, p := range pickups {
			if p.State != enrollment.PickupExpired || len(p.File)+len(p.Passphrase) > 0 {
				t.Errorf("after its time it is %s with %d octets", p.State, len(p.File))
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Every text of ours exists in both languages and says the same things.
func TestTexts(t *testing.T) {
	for _, key := range []string{"enrollment.refused", "enrollment.expired", "enrollment.state", "enrollment.proof", "enrollment.profile"} {
		p := enrollment.Problem{Key: key}
		if en, ja := p.Text("en"), p.Text("ja"); en == "" || ja == "" || en == ja || en == key {
			t.Errorf("%s: %q %q", key, en, ja)
		}
	}
}
