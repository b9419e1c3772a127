package recovery_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/internal/validation"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

const org = "org"

// office is an organization with accounts and people, everybody with a key.
type office struct {
	*recovery.Service
	db     *store.DB
	source string
	ca     *testca.CA
	now    time.Time                 // for the test
	clock  atomic.Pointer[time.Time] // the same, for all that runs beside it
	told   chan validation.Mail
	serial byte
	keys   map[string]*testca.Leaf // of accounts and people
}

// pass lets time pass.
func (o *office) pass(d time.Duration) {
	now := o.now.Add(d)
	o.now = now
	o.clock.Store(&now)
}

func (o *office) time() time.Time { return *o.clock.Load() }

// Send implements validation.Mailer.
func (o *office) Send(_ context.Context, m validation.Mail) error { o.told <- m; return nil }

func (o *office) update(t *testing.T, f func(*store.Tx) error) {
	t.Helper()
	if err := o.db.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// open opens an office in which ana, ben and chie are to be officers, dan is an
// administrator, and alice is a person.
func open(t *testing.T) *office {
	t.Helper()
	o := &office{source: storetest.Source(t), ca: testca.New(t), now: testca.Now, told: make(chan validation.Mail, 16), keys: map[string]*testca.Leaf{}}
	o.pass(0)
	db, err := store.Open(t.Context(), o.source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	o.db = db
	jobs, err := outbox.New(outbox.Options{Store: db, Clock: func() time.Time { return testca.Now }, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	o.Service = recovery.New(recovery.Options{
		Store: db, Clock: o.time,
		Mails: mailqueue.New(mailqueue.Options{Store: db, Outbox: jobs, Mailer: o, Clock: o.time}),
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); jobs.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertOperator(store.Operator{Name: "Example", PolicyArc: "2.25.1", BaseURL: "http://ca.example.org", Created: o.now}),
			tx.InsertOrganization(store.Organization{ID: org, Name: "Example", Country: "JP", Standing: "active", Settings: "{}", Created: o.now}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActOrganization, Object: org}),
			tx.InsertProfile([]byte("p"), "{}", o.now),
			tx.InsertAuthority(store.Authority{ID: "ca", Name: "issuing", Kind: "issuing", Certificate: o.ca.Issuing.Certificate.Raw, Created: o.now}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActAuthority, Object: "ca"}),
		)
	})
	for _, name := range []string{"ana", "ben", "chie", "eve", "fumi"} {
		o.account(t, name, auth.Grant{Role: auth.RecoveryOfficer, Organization: org})
	}
	o.account(t, "dan", auth.Grant{Role: auth.Administrator, Organization: org})
	o.person(t, "alice")
	return o
}

func (o *office) account(t *testing.T, name string, grants ...auth.Grant) {
	t.Helper()
	o.keys[name] = o.ca.Leaf(name+"@example.org", testca.P256)
	o.update(t, func(tx *store.Tx) error {
		err := tx.InsertAdministrator(store.Administrator{ID: name, Email: name + "@example.org", EmailKey: key(name), Name: name, Created: o.now})
		for _, g := range grants {
			err = errors.Join(err, auth.GiveRole(t.Context(), tx, auth.Console(), name, g, o.now))
		}
		return err
	})
}

func key(name string) string {
	m, err := mailbox.Parse(name + "@example.org")
	if err != nil {
		panic(err)
	}
	return m.Key()
}

func (o *office) person(t *testing.T, name string) {
	t.Helper()
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertPerson(store.Person{ID: "p-" + name, Name: name, Language: "en", Created: o.now}),
			tx.HoldMailbox(key(name), name+"@example.org", "p-"+name, o.now),
		)
	})
}

// actor is an account with all its roles.
func (o *office) actor(t *testing.T, name string) auth.Actor {
	t.Helper()
	a := auth.Actor{Kind: auth.KindAccount, ID: name, Fresh: true}
	err := o.db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.RolesOf(name)
		for _, r := range rows {
			a.Grants = append(a.Grants, auth.Grant{Role: auth.Role(r.Role), Organization: r.OrganizationID})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func person(name string) auth.Actor { return auth.Actor{Kind: auth.KindPerson, ID: "p-" + name} }

func (o *office) with(name string) []*cms.RecipientKey {
	l := o.keys[name]
	return []*cms.RecipientKey{{Key: l.Key, Certificate: l.Certificate}}
}

// answer does a task as an officer's program does.
func (o *office) answer(t *testing.T, name string, kind recovery.Kind, object string) error {
	t.Helper()
	a, err := o.opened(t, name, kind, object)
	if err != nil {
		return err
	}
	return o.Answer(t.Context(), o.actor(t, name), org, a)
}

func (o *office) opened(t *testing.T, name string, kind recovery.Kind, object string) (*recovery.Answer, error) {
	t.Helper()
	task, err := o.Task(t.Context(), o.actor(t, name), org, kind, object)
	if err != nil {
		return nil, err
	}
	file, err := recovery.Encode(task)
	if err != nil {
		t.Fatal(err)
	}
	if task, err = recovery.ParseTask(file); err != nil {
		t.Fatal(err)
	}
	return task.Answer(rand.Reader, o.with(name))
}

// officers makes accounts the officers.
func (o *office) officers(t *testing.T, threshold int, names ...string) *recovery.Quorum {
	t.Helper()
	var choices []recovery.Choice
	for _, name := range names {
		choices = append(choices, recovery.Choice{Account: name, Certificate: o.keys[name].Certificate.Raw})
	}
	q, err := o.SetOfficers(t.Context(), o.actor(t, "dan"), org, threshold, choices)
	if err != nil {
		t.Fatal(err)
	}
	before, err := o.Quorum(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		for _, officer := range before.Officers[:before.Threshold] {
			if err := o.answer(t, officer.Account, recovery.Approve, q.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range names {
		if err := o.answer(t, name, recovery.Confirm, q.ID); err != nil {
			t.Fatal(err)
		}
	}
	active, err := o.Quorum(t.Context(), org)
	if err != nil || active == nil || active.ID != q.ID {
		t.Fatalf("active: %v, %v", active, err)
	}
	return active
}

// escrowed keys of a person.
type escrowed struct {
	leaf *testca.Leaf
	id   string
}

// escrow makes an encryption key of a person, escrows it, and certifies it.
func (o *office) escrow(t *testing.T, name, label string, kind testca.Kind) escrowed {
	t.Helper()
	usage := x509.KeyUsageKeyAgreement
	if kind == testca.RSA2048 {
		usage = x509.KeyUsageKeyEncipherment
	}
	l := o.ca.Leaf(label+"@example.org", kind, testca.KeyUsage(usage), testca.Emails(name+"@example.org"))
	q, err := o.Quorum(t.Context(), org)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := q.Seal(rand.Reader, l.Key)
	if err != nil {
		t.Fatal(err)
	}
	o.update(t, func(tx *store.Tx) error { return o.Escrow(t.Context(), tx, org, "p-"+name, sealed) })
	o.certify(t, l)
	keys, err := o.Keys(t.Context(), o.actor(t, "dan"), org, "p-"+name)
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, k := range keys {
		if k.Key == hex.EncodeToString(keyHash(t, l)) {
			return escrowed{l, k.ID}
		}
	}
	t.Fatalf("%v has not the key", keys)
	return escrowed{}
}

func keyHash(t *testing.T, l *testca.Leaf) []byte {
	t.Helper()
	sum := sha256.Sum256(l.Certificate.RawSPKI)
	return sum[:]
}

// certify enters a certificate as issued.
func (o *office) certify(t *testing.T, l *testca.Leaf) {
	t.Helper()
	o.certifyFor(t, l, "")
}

// certifyFor does so for an order of Alice's.
func (o *office) certifyFor(t *testing.T, l *testca.Leaf, order string) {
	t.Helper()
	o.serial++
	id := fmt.Sprint("certificate ", o.serial)
	hash := keyHash(t, l)
	digest := l.Certificate.Digest()
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.PrepareCertificate(store.Certificate{ID: id, AuthorityID: "ca", OrderID: order, Serial: []byte{o.serial}, ProfileHash: []byte("p"), KeyHash: hash, Reserved: o.now}),
			tx.IssueCertificate(id, l.Certificate.Raw, digest[:], l.Certificate.NotAfter, o.now, time.Time{}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActIssued, Object: id}),
		)
	})
}

const reason = "the laptop was stolen"

func (o *office) ask(t *testing.T, who auth.Actor, recipient string, keys ...string) *recovery.Request {
	t.Helper()
	r, err := o.Request(t.Context(), who, org, recovery.Asking{Person: "p-alice", Keys: keys, Recipient: o.keys[recipient].Certificate.Raw, Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func opens(ids []*identity.Identity, l *testca.Leaf) bool {
	type equal interface{ Equal(crypto.PrivateKey) bool }
	for _, id := range ids {
		if k, ok := id.Key.(equal); ok && k.Equal(l.Key) && id.Certificate.Equal(l.Certificate) {
			return true
		}
	}
	return false
}

// asksAgain holds that an officer whose session is not fresh gives nothing, and
// loses nothing by trying.
func (o *office) asksAgain(t *testing.T, name, request string) {
	t.Helper()
	a, err := o.opened(t, name, recovery.Release, request)
	if err != nil {
		t.Fatal(err)
	}
	stale := o.actor(t, name)
	stale.Fresh = false
	if err := o.Answer(t.Context(), stale, org, a); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("given in a session that is not fresh: %v", err)
	}
}

func TestRecovery(t *testing.T) {
	o := open(t)
	o.officers(t, 0, "ana", "ben", "chie")
	first := o.escrow(t, "alice", "alice-1", testca.P256)
	second := o.escrow(t, "alice", "alice-2", testca.RSA2048)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	if len(r.Keys) != 2 || r.State != recovery.Open || r.Threshold != 2 {
		t.Fatalf("%+v", r)
	}
	for i, name := range []string{"chie", "ana"} {
		if _, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID); !errors.Is(err, recovery.ErrState) {
			t.Fatalf("after %d officers: %v", i, err)
		}
		list, err := o.Waiting(t.Context(), o.actor(t, name), org)
		if err != nil || len(list) != 1 || list[0] != (recovery.Waiting{Kind: recovery.Release, Object: r.ID, Keys: 2}) {
			t.Fatalf("%s: %v, %v", name, list, err)
		}
		o.asksAgain(t, name, r.ID)
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	stale := o.actor(t, "dan")
	stale.Fresh = false
	if _, err := o.Release(t.Context(), stale, org, r.ID); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("released in a session that is not fresh: %v", err)
	}
	if _, err := o.SetOfficers(t.Context(), stale, org, 0, nil); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("officers proposed in a session that is not fresh: %v", err)
	}
	if len(o.told) > 0 {
		t.Error("told before the release", o.told)
	}
	var bundle *recovery.Bundle
	for range 2 { // the second time after a connection that broke
		b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		file, err := recovery.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		if bundle, err = recovery.ParseBundle(file); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := bundle.Open(o.with("dan"))
	if err != nil || len(ids) != 2 || !opens(ids, first.leaf) || !opens(ids, second.leaf) {
		t.Fatalf("%v, %v", ids, err)
	}
	for _, name := range []string{"ana", "ben", "chie"} {
		if ids, err := bundle.Open(o.with(name)); err == nil {
			t.Errorf("%s opens what is for dan: %v", name, ids)
		}
	}
	select {
	case m := <-o.told:
		if m.To != "alice@example.org" {
			t.Errorf("told %s", m.To)
		}
		for _, word := range []string{"alice", "dan <dan@example.org>", reason, "2 private keys"} {
			if !strings.Contains(m.Text, word) {
				t.Errorf("the mail does not say %q:\n%s", word, m.Text)
			}
		}
	case <-time.After(10 * time.Second):
		t.Error("the owner was not told")
	}
	if got := o.acts(t); !strings.HasSuffix(got, "recovery.requested recovery.given recovery.given recovery.released recovery.released") {
		t.Error(got)
	}
	o.update(t, func(tx *store.Tx) error {
		valid, err := tx.CertificatesOfKey(keyHash(t, first.leaf), o.now)
		if len(valid) != 1 {
			t.Errorf("the certificate is revoked: %v", valid)
		}
		return err
	})
}

// acts lists what the log says of recovery.
func (o *office) acts(t *testing.T) string {
	t.Helper()
	var acts []string
	err := o.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.AuditEntries(func(e store.AuditEntry, err error) error {
			if strings.HasPrefix(e.Act, "recovery.") {
				acts = append(acts, e.Act)
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(acts, " ")
}

// The owner asks for their own keys, with a new certificate.
func TestOwner(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	o.keys["alice"] = o.ca.Leaf("alice@example.org", testca.P256)
	r := o.ask(t, person("alice"), "alice", k.id)
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	b, err := o.Release(t.Context(), person("alice"), org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("alice")); err != nil || !opens(ids, k.leaf) {
		t.Fatal(ids, err)
	}
}

// What the database has, with all that the server has, opens nothing: no private
// key, in any form in which it could stand there, is in it at any moment.
func TestNothingToSteal(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := identity.MarshalPrivateKey(k.leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	secret := pkcs8[36:68] // the private value of PKCS #8 on P-256
	public, err := cert.MarshalPublicKey(identity.Public(k.leaf.Key))
	if err != nil {
		t.Fatal(err)
	}
	file, err := recovery.Encode(b)
	if err != nil {
		t.Fatal(err)
	}
	content := storetest.Content(t, o.source)
	content["bundle"] = string(file)
	found := 0
	for name, text := range content {
		for _, form := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), base64.StdEncoding.EncodeToString(pkcs8)[48:84]} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				t.Errorf("%s has the private key", name)
			}
		}
		hash := keyHash(t, k.leaf)
		if strings.Contains(text, string(hash)) || strings.Contains(text, hex.EncodeToString(hash)) {
			found++
		}
	}
	if found == 0 || !bytes.Contains(public, identityPoint(public)) {
		t.Fatal("the search does not even find what is there")
	}
}

func identityPoint(spki []byte) []byte { return spki[len(spki)-64:] }

// Changing officers hands every key over without anybody seeing one, and twice.
func TestHandover(t *testing.T) {
	o := open(t)
	old := o.officers(t, 2, "ana", "ben", "chie")
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	sets := []struct {
		threshold int
		names     []string
		givers    []string // of those before
	}{
		{3, []string{"ben", "chie", "eve", "fumi"}, []string{"ana", "chie"}},
		{2, []string{"eve", "ana", "fumi"}, []string{"fumi", "ben", "eve"}},
	}
	for _, set := range sets {
		next := o.officers(t, set.threshold, set.names...)
		for i, name := range set.givers {
			st, err := o.Officers(t.Context(), o.actor(t, "dan"), org)
			if err != nil || st.Former != 1 || st.Keys != 0 {
				t.Fatalf("after %d givers: %+v, %v", i, st, err)
			}
			if err := o.answer(t, name, recovery.Reshare, next.ID); err != nil {
				t.Fatal(name, err)
			}
		}
		st, err := o.Officers(t.Context(), o.actor(t, "dan"), org)
		if err != nil || st.Former != 0 || st.Keys != 1 {
			t.Fatalf("%+v, %v", st, err)
		}
		r := o.ask(t, o.actor(t, "dan"), "dan")
		if r.Threshold != set.threshold || r.Quorum != next.ID {
			t.Fatalf("%+v", r)
		}
		for _, name := range set.names[len(set.names)-set.threshold:] {
			if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
				t.Fatal(name, err)
			}
		}
		b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := b.Open(o.with("dan")); err != nil || !opens(ids, k.leaf) {
			t.Fatal(ids, err)
		}
		// For good or ill, those before can do it once more if they are asked.
		r, err = o.Request(t.Context(), o.actor(t, "dan"), org, recovery.Asking{Person: "p-alice", Recipient: o.keys["dan"].Certificate.Raw, Reason: reason, Former: old.ID})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ana", "ben"} {
			if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
				t.Fatal(name, err)
			}
		}
		if b, err = o.Release(t.Context(), o.actor(t, "dan"), org, r.ID); err != nil {
			t.Fatal(err)
		}
		if ids, err := b.Open(o.with("dan")); err != nil || !opens(ids, k.leaf) {
			t.Fatal(ids, err)
		}
	}
}

// A key that somebody asks for waits with the officers whom they ask.
func TestHandoverWaits(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	next := o.officers(t, 2, "ben", "chie", "eve")
	early, err := o.opened(t, "ana", recovery.Reshare, next.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := o.ask(t, o.actor(t, "dan"), "dan")
	if err := o.Answer(t.Context(), o.actor(t, "ana"), org, early); err != nil {
		t.Fatal(err)
	}
	if err := o.answer(t, "ben", recovery.Reshare, next.ID); !errors.Is(err, recovery.ErrState) {
		t.Errorf("handed over what was asked for: %v", err)
	}
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("dan")); err != nil || !opens(ids, k.leaf) {
		t.Fatal(ids, err)
	}
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Reshare, next.ID); err != nil {
			t.Fatal(name, err)
		}
	}
}

// Keys that sign are never escrowed, nor released when they became such.
func TestSigningKeys(t *testing.T) {
	o := open(t)
	q := o.officers(t, 2, "ana", "ben", "chie")
	dual := o.ca.Leaf("alice@example.org", testca.P256)
	o.certify(t, dual)
	sealed, err := q.Seal(rand.Reader, dual.Key)
	if err != nil {
		t.Fatal(err)
	}
	err = o.db.Update(t.Context(), func(tx *store.Tx) error { return o.Escrow(t.Context(), tx, org, "p-alice", sealed) })
	if !errors.Is(err, recovery.ErrSigns) {
		t.Errorf("escrowed a signing key: %v", err)
	}
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	for _, name := range []string{"ana", "ben"} {
		if err := o.answer(t, name, recovery.Release, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	signing := *k.leaf
	signing.Certificate = o.ca.Leaf("alice-1@example.org", testca.P256, testca.Emails("alice@example.org")).Certificate
	o.certify(t, &signing)
	if _, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID); !errors.Is(err, recovery.ErrSigns) {
		t.Errorf("released a signing key: %v", err)
	}
	if _, err := o.Request(t.Context(), o.actor(t, "dan"), org, recovery.Asking{Person: "p-alice", Recipient: o.keys["dan"].Certificate.Raw, Reason: reason}); !errors.Is(err, recovery.ErrSigns) {
		t.Errorf("asked for a signing key: %v", err)
	}
}

// What a browser seals is looked at as far as it can be.
func TestSealedNonsense(t *testing.T) {
	o := open(t)
	q := o.officers(t, 2, "ana", "ben", "chie")
	l := o.ca.Leaf("alice@example.org", testca.P256, testca.KeyUsage(x509.KeyUsageKeyAgreement))
	good := func() *recovery.Sealed {
		s, err := q.Seal(rand.Reader, l.Key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, spoil := range map[string]func(*recovery.Sealed){
		"other officers":        func(s *recovery.Sealed) { s.Quorum = "other" },
		"no public key":         func(s *recovery.Sealed) { s.SPKI = nil },
		"no key":                func(s *recovery.Sealed) { s.Key = nil },
		"a key in clear":        func(s *recovery.Sealed) { s.Key, _ = identity.MarshalPrivateKey(l.Key) },
		"a key for an officer":  func(s *recovery.Sealed) { s.Key = s.Shares[1] },
		"a share is missing":    func(s *recovery.Sealed) { delete(s.Shares, 2) },
		"one share too many":    func(s *recovery.Sealed) { s.Shares[4] = s.Shares[1] },
		"a share in clear":      func(s *recovery.Sealed) { s.Shares[1] = make([]byte, 32) },
		"a share for another":   func(s *recovery.Sealed) { s.Shares[1] = s.Shares[2] },
		"a share for all":       func(s *recovery.Sealed) { s.Shares[1] = s.Key },
		"a key cut off":         func(s *recovery.Sealed) { s.Key = s.Key[:len(s.Key)-1] },
		"a key of another name": func(s *recovery.Sealed) { s.Key = bytes.Replace(s.Key, keyHash(t, l), make([]byte, 32), 1) },
		"a share cut off":       func(s *recovery.Sealed) { s.Shares[1] = s.Shares[1][:len(s.Shares[1])-20] },
		"a share without a tag": func(s *recovery.Sealed) { s.Shares[1] = untagged(t, s.Shares[1]) },
		"a share of nothing":    func(s *recovery.Sealed) { s.Shares[1] = emptied(t, s.Shares[1]) },
		"an endless share":      func(s *recovery.Sealed) { s.Shares[1] = make([]byte, recovery.MaxEnvelope+1) },
		"an endless sealed key": func(s *recovery.Sealed) { s.Key = append(s.Key, make([]byte, recovery.MaxSealed)...) },
	} {
		s := good()
		spoil(s)
		err := o.db.Update(t.Context(), func(tx *store.Tx) error { return o.Escrow(t.Context(), tx, org, "p-alice", s) })
		if _, is := errors.AsType[*registration.InputError](err); !is && !errors.Is(err, recovery.ErrState) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := good()
	for want := range 2 {
		err := o.db.Update(t.Context(), func(tx *store.Tx) error { return o.Escrow(t.Context(), tx, org, "p-alice", s) })
		if (want == 0) != (err == nil) {
			t.Errorf("time %d: %v", want+1, err)
		}
	}
}

// untagged takes the authentication tag, 18 octets with its header, out of an
// envelope, and mends the lengths around it.
func untagged(t *testing.T, envelope []byte) []byte {
	return rebuilt(t, envelope, func(data []byte) []byte { return append(data[:len(data)-2-16:len(data)-2-16], 4, 0) })
}

// emptied takes the ciphertext out of one.
func emptied(t *testing.T, envelope []byte) []byte {
	return rebuilt(t, envelope, func(data []byte) []byte {
		var version, recipients, content, contentType, algorithm cryptobyte.String
		in := cryptobyte.String(data)
		if !in.ReadASN1Element(&version, casn1.INTEGER) || !in.ReadASN1Element(&recipients, casn1.SET) || !in.ReadASN1(&content, casn1.SEQUENCE) ||
			!content.ReadASN1Element(&contentType, casn1.OBJECT_IDENTIFIER) || !content.ReadASN1Element(&algorithm, casn1.SEQUENCE) {
			t.Fatal("no envelope")
		}
		var b cryptobyte.Builder
		b.AddBytes(version)
		b.AddBytes(recipients)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(contentType)
			b.AddBytes(algorithm)
			b.AddASN1(casn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
		})
		b.AddBytes(in)
		return b.BytesOrPanic()
	})
}

// rebuilt changes what is inside an envelope.
func rebuilt(t *testing.T, envelope []byte, change func([]byte) []byte) []byte {
	t.Helper()
	var info, contentType, tagged, data cryptobyte.String
	in := cryptobyte.String(envelope)
	if !in.ReadASN1(&info, casn1.SEQUENCE) || !info.ReadASN1Element(&contentType, casn1.OBJECT_IDENTIFIER) ||
		!info.ReadASN1(&tagged, casn1.Tag(0).ContextSpecific().Constructed()) || !tagged.ReadASN1(&data, casn1.SEQUENCE) {
		t.Fatal("no envelope")
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(contentType)
		b.AddASN1(casn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(change(data)) })
		})
	})
	return b.BytesOrPanic()
}

// No one person gets a key: every way of one account, person or token, of both
// ends of a request, of what was used before or belongs elsewhere.
func TestOnePerson(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	o.escrow(t, "alice", "alice-2", testca.P256)
	o.person(t, "bob")
	o.account(t, "audrey", auth.Grant{Role: auth.Auditor})
	o.account(t, "olga", auth.Grant{Role: auth.Operator})
	o.account(t, "nils")
	o.account(t, "foreign", auth.Grant{Role: auth.Administrator, Organization: "other"}, auth.Grant{Role: auth.RecoveryOfficer, Organization: "other"})
	o.keys["mallory"] = o.ca.Leaf("mallory@example.com", testca.P256)
	// The administrator ana-2 is ana by her mailbox: an account and a person of one.
	o.person(t, "ana")
	w := &walk{o: o}
	w.t = t

	administrator := o.actor(t, "dan")
	token := func(account string, grants []auth.Grant) auth.Actor {
		return auth.Actor{Kind: auth.KindToken, ID: "t", Account: account, Grants: grants}
	}
	all := []auth.Grant{{Role: auth.Administrator, Organization: org}, {Role: auth.RecoveryOfficer, Organization: org}, {Role: auth.Approver, Organization: org}}

	// Who may not even ask.
	for name, a := range map[string]auth.Actor{
		"nobody": {}, "an account without a role": o.actor(t, "nils"), "an auditor": o.actor(t, "audrey"), "the operator": o.actor(t, "olga"),
		"an administrator of elsewhere": o.actor(t, "foreign"), "another person": person("bob"), "the server": auth.Server("renewal"),
		"the console": auth.Console(), "a token without an account": token("", all), "a token without scopes": token("dan", nil),
		"a person without an id": {Kind: auth.KindPerson}, "an account without an id": {Kind: auth.KindAccount, Grants: all},
	} {
		w.refused(name+" asks", o.try(t, a, "dan"))
	}
	// To whom nothing goes.
	w.refused("for a stranger's certificate", o.try(t, administrator, "mallory"))
	w.refused("for an officer's certificate", o.try(t, administrator, "ana"))
	w.refused("for another person's", o.try(t, administrator, "nils"))

	// Officers who ask do not answer, by whatever door.
	asks := o.actor(t, "ana")
	r := o.ask(t, asks, "ana")
	w.refused("ana answers herself", o.answer(t, "ana", recovery.Release, r.ID))
	w.refusedAs("ana answers by a token", token("ana", all), r.ID)
	if err := o.answer(t, "ben", recovery.Release, r.ID); err != nil {
		t.Fatal(err)
	}
	w.refused("ana answers as the second one", o.answer(t, "ana", recovery.Release, r.ID))
	w.refused("ben answers again", o.answer(t, "ben", recovery.Release, r.ID))
	w.refusedAs("ben answers again by a token", token("ben", all), r.ID)
	w.noKey("ana after one officer", asks, r.ID)

	// A token asks, and its account answers.
	r = o.ask(t, token("ana", all), "ana")
	w.refused("the account of the token that asked answers", o.answer(t, "ana", recovery.Release, r.ID))

	// A person who is an officer by another account asks and gets, and answers.
	if _, err := o.Request(t.Context(), person("ana"), org, recovery.Asking{Person: "p-alice", Recipient: o.keys["ana"].Certificate.Raw, Reason: reason}); err == nil {
		t.Error("a person asked for another's keys")
	}
	w.n++
	o.keys["alice"] = o.ca.Leaf("alice@example.org", testca.P256)
	own := o.ask(t, person("alice"), "alice")
	w.noKey("the owner before any officer", person("alice"), own.ID)
	w.refusedAs("the owner answers", person("alice"), own.ID)

	// One who gets the keys does not answer, whoever asks for them.
	r = o.ask(t, administrator, "dan")
	for name, a := range map[string]auth.Actor{
		"nobody": {}, "who asks": administrator, "who asks, with every role": {Kind: auth.KindAccount, ID: "dan", Grants: all}, "the auditor": o.actor(t, "audrey"),
		"the operator": o.actor(t, "olga"), "an officer of elsewhere": o.actor(t, "foreign"), "an officer without shares": o.actor(t, "eve"),
		"the console": auth.Console(), "the server": auth.Server("recovery"), "a person": person("alice"),
		"an account that nobody has": {Kind: auth.KindAccount, ID: "ghost", Grants: all}, "an officer whose role was taken": {Kind: auth.KindAccount, ID: "ben"},
		"a person with an officer's id": {Kind: auth.KindPerson, ID: "ana", Grants: all}, "a server with an officer's id": {Kind: auth.KindServer, ID: "ana", Grants: all},
	} {
		w.refusedAs(name+" answers", a, r.ID)
	}

	// One officer, with everything that one can do with one answer.
	mine, err := o.opened(t, "ana", recovery.Release, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	other := o.ask(t, administrator, "dan")
	spoil := func(name string, change func(a *recovery.Answer)) {
		a := *mine
		a.Keys = nil
		for _, k := range mine.Keys {
			a.Keys = append(a.Keys, recovery.AnswerKey{Escrow: k.Escrow, Envelopes: append([][]byte{}, k.Envelopes...)})
		}
		change(&a)
		w.refused(name, o.Answer(t.Context(), o.actor(t, "ana"), org, &a))
	}
	spoil("for another request", func(a *recovery.Answer) { a.Object = other.ID })
	spoil("for no request", func(a *recovery.Answer) { a.Object = "" })
	spoil("as another kind", func(a *recovery.Answer) { a.Kind = recovery.Reshare })
	spoil("as a confirmation", func(a *recovery.Answer) { a.Kind = recovery.Confirm })
	spoil("as no kind", func(a *recovery.Answer) { a.Kind = "" })
	spoil("without a proof", func(a *recovery.Answer) { a.Proof = nil })
	spoil("with a guessed proof", func(a *recovery.Answer) { a.Proof = make([]byte, 32) })
	w.refused("ben with ana's answer", o.Answer(t.Context(), o.actor(t, "ben"), org, mine))
	w.refused("eve with ana's answer", o.Answer(t.Context(), o.actor(t, "eve"), org, mine))
	w.refused("dan with ana's answer", o.Answer(t.Context(), administrator, org, mine))
	w.refused("in another organization", o.Answer(t.Context(), o.actor(t, "ana"), "other", mine))
	// An answer whose proof is good is used up by a transaction that commits; one
	// that is refused for what it holds may be mended.
	spoil("without keys", func(a *recovery.Answer) { a.Keys = nil })
	spoil("with one of two keys", func(a *recovery.Answer) { a.Keys = a.Keys[:1] })
	spoil("with one key twice", func(a *recovery.Answer) { a.Keys[1] = a.Keys[0] })
	spoil("with the keys changed over", func(a *recovery.Answer) { a.Keys[0], a.Keys[1] = a.Keys[1], a.Keys[0] })
	spoil("with two envelopes", func(a *recovery.Answer) {
		a.Keys[0].Envelopes = append(a.Keys[0].Envelopes, a.Keys[0].Envelopes[0])
	})
	spoil("with an envelope for herself", func(a *recovery.Answer) { a.Keys[0].Envelopes[0] = o.shareOf(t, a.Keys[0].Escrow) })
	spoil("with no envelope", func(a *recovery.Answer) { a.Keys[0].Envelopes[0] = []byte("x") })
	if err := o.Answer(t.Context(), o.actor(t, "ana"), org, mine); err != nil {
		t.Fatal(err)
	}
	w.refused("ana's answer once more", o.Answer(t.Context(), o.actor(t, "ana"), org, mine))
	w.refused("ana refuses after she gave", o.Refuse(t.Context(), o.actor(t, "ana"), org, r.ID))
	for name, a := range map[string]auth.Actor{
		"who asks": administrator, "ana": o.actor(t, "ana"), "ben": o.actor(t, "ben"), "the operator": o.actor(t, "olga"), "the auditor": o.actor(t, "audrey"),
		"the console": auth.Console(), "the owner": person("alice"), "nobody": {}, "elsewhere": o.actor(t, "foreign"),
	} {
		w.noKey(name+" after one officer", a, r.ID)
	}

	// With two, only who asked gets them.
	if err := o.answer(t, "ben", recovery.Release, r.ID); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]auth.Actor{
		"ana": o.actor(t, "ana"), "ben": o.actor(t, "ben"), "the operator": o.actor(t, "olga"), "the auditor": o.actor(t, "audrey"), "the console": auth.Console(),
		"the owner": person("alice"), "nobody": {}, "elsewhere": o.actor(t, "foreign"), "who asks, without the role": {Kind: auth.KindAccount, ID: "dan"},
		"a person with the same id": {Kind: auth.KindPerson, ID: "dan"}, "the server with the same id": {Kind: auth.KindServer, ID: "dan", Grants: all},
	} {
		w.noKey(name+" after two officers", a, r.ID)
	}
	if _, err := o.Release(t.Context(), administrator, "other", r.ID); err == nil {
		t.Error("released in another organization")
	}
	w.n++
	b, err := o.Release(t.Context(), administrator, org, r.ID)
	if err != nil {
		t.Fatal(err)
	}

	// Pieces of one release do not open in another, nor in another order.
	for name, change := range map[string]func(b *recovery.Bundle){
		"as another request":      func(b *recovery.Bundle) { b.Request = other.ID },
		"with one share":          func(b *recovery.Bundle) { b.Keys[0].Shares = b.Keys[0].Shares[:1] },
		"with a threshold of one": func(b *recovery.Bundle) { b.Keys[0].Threshold = 1 },
		"with one share twice":    func(b *recovery.Bundle) { b.Keys[0].Shares[1] = b.Keys[0].Shares[0] },
		"with positions changed over": func(b *recovery.Bundle) {
			b.Keys[0].Shares[0].Position, b.Keys[0].Shares[1].Position = b.Keys[0].Shares[1].Position, b.Keys[0].Shares[0].Position
		},
		"with another key's shares": func(b *recovery.Bundle) { b.Keys[0].Shares = b.Keys[1].Shares },
		"with another sealed key":   func(b *recovery.Bundle) { b.Keys[0].Sealed = b.Keys[1].Sealed },
		"as another key":            func(b *recovery.Bundle) { b.Keys[0].Key = b.Keys[1].Key },
		"without certificates":      func(b *recovery.Bundle) { b.Keys[0].Certificates = nil },
		"with other certificates":   func(b *recovery.Bundle) { b.Keys[0].Certificates = b.Keys[1].Certificates },
	} {
		file, err := recovery.Encode(b)
		if err != nil {
			t.Fatal(err)
		}
		c, err := recovery.ParseBundle(file)
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		_, err = c.Open(o.with("dan"))
		w.refused("a bundle "+name, err)
	}

	// Over time.
	o.pass(recovery.RequestLife)
	w.noKey("who asked, too late", administrator, r.ID)
	w.noKey("who asked, of a request that nobody answered", administrator, other.ID)
	w.refused("an officer too late", o.answer(t, "ben", recovery.Release, other.ID))
	r = o.ask(t, administrator, "dan")
	stale, err := o.opened(t, "ana", recovery.Release, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	o.pass(recovery.ChallengeLife)
	w.refused("an answer to an old challenge", o.Answer(t.Context(), o.actor(t, "ana"), org, stale))
	voided, err := o.opened(t, "ana", recovery.Release, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.opened(t, "ana", recovery.Release, r.ID); err != nil {
		t.Fatal(err)
	}
	w.refused("an answer to a challenge that was replaced", o.Answer(t.Context(), o.actor(t, "ana"), org, voided))
	if err := o.Withdraw(t.Context(), administrator, org, r.ID); err != nil {
		t.Fatal(err)
	}
	w.refused("an officer after it was withdrawn", o.answer(t, "ben", recovery.Release, r.ID))
	w.noKey("who withdrew it", administrator, r.ID)
	r = o.ask(t, administrator, "dan")
	for _, name := range []string{"ana", "ben"} {
		if err := o.Refuse(t.Context(), o.actor(t, name), org, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.refused("the third officer after two refused", o.answer(t, "chie", recovery.Release, r.ID))
	w.noKey("who asked, after two refused", administrator, r.ID)

	// One administrator alone makes no officers.
	for name, choose := range map[string]func() (int, []string){
		"one of one":     func() (int, []string) { return 1, []string{"ana"} },
		"one of three":   func() (int, []string) { return 1, []string{"ana", "ben", "chie"} },
		"two of two":     func() (int, []string) { return 2, []string{"ana", "ben"} },
		"one twice":      func() (int, []string) { return 2, []string{"ana", "ana", "ben"} },
		"not an officer": func() (int, []string) { return 2, []string{"ana", "ben", "dan"} },
		"of elsewhere":   func() (int, []string) { return 2, []string{"ana", "ben", "foreign"} },
		"nobody":         func() (int, []string) { return 2, []string{"ana", "ben", "ghost"} },
		"the operator":   func() (int, []string) { return 2, []string{"ana", "ben", "olga"} },
	} {
		threshold, names := choose()
		w.refused("officers: "+name, o.propose(t, administrator, threshold, names, names))
	}
	w.refused("officers with one key", o.propose(t, administrator, 2, []string{"ana", "ben", "chie"}, []string{"ana", "ana", "chie"}))
	w.refused("officers by an officer", o.propose(t, o.actor(t, "ana"), 2, []string{"ana", "ben", "eve"}, []string{"ana", "ben", "eve"}))
	w.refused("officers by the console", o.propose(t, auth.Console(), 2, []string{"ana", "ben", "eve"}, []string{"ana", "ben", "eve"}))
	// Three accounts, of which the administrator has the certificates' keys.
	if err := o.propose(t, administrator, 2, []string{"eve", "fumi", "ben"}, []string{"mallory", "fumi", "ben"}); err != nil {
		t.Fatal(err)
	}
	st, err := o.Officers(t.Context(), administrator, org)
	if err != nil {
		t.Fatal(err)
	}
	w.refused("eve confirms without the key", o.answer(t, "eve", recovery.Confirm, st.Proposed.ID))
	for _, name := range []string{"fumi", "ben"} {
		if err := o.answer(t, name, recovery.Confirm, st.Proposed.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.answer(t, "ben", recovery.Approve, st.Proposed.ID); err != nil {
		t.Fatal(err)
	}
	w.refused("ben approves again", o.answer(t, "ben", recovery.Approve, st.Proposed.ID))
	w.refused("fumi approves, who has no share", o.answer(t, "fumi", recovery.Approve, st.Proposed.ID))
	if q, err := o.Quorum(t.Context(), org); err != nil || q.ID == st.Proposed.ID {
		t.Errorf("officers took over by one approval: %v, %v", q, err)
	}
	w.n++
	// All of the next ones have confirmed, and one of those before has approved.
	if err := o.propose(t, administrator, 2, []string{"eve", "fumi", "ben"}, []string{"eve", "fumi", "ben"}); err != nil {
		t.Fatal(err)
	}
	if st, err = o.Officers(t.Context(), administrator, org); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eve", "fumi", "ben"} {
		if err := o.answer(t, name, recovery.Confirm, st.Proposed.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.answer(t, "ben", recovery.Approve, st.Proposed.ID); err != nil {
		t.Fatal(err)
	}
	if q, err := o.Quorum(t.Context(), org); err != nil || q.ID == st.Proposed.ID {
		t.Errorf("officers took over by one approval: %v, %v", q, err)
	}
	if err := o.answer(t, "chie", recovery.Approve, st.Proposed.ID); err != nil {
		t.Fatal(err)
	}
	if q, err := o.Quorum(t.Context(), org); err != nil || q.ID != st.Proposed.ID {
		t.Errorf("officers did not take over by two approvals: %v, %v", q, err)
	}
	w.n++
	if w.n < 50 {
		t.Errorf("%d ways tried, want 50", w.n)
	}
	t.Logf("%d ways, no key", w.n)
}

// walk counts the ways that were tried.
type walk struct {
	t *testing.T
	o *office
	n int
}

func (w *walk) refused(name string, err error) {
	w.t.Helper()
	w.n++
	if err == nil {
		w.t.Errorf("%s: not refused", name)
	}
}

// refusedAs tries to answer a request as an actor, with the keys of all officers.
func (w *walk) refusedAs(name string, a auth.Actor, request string) {
	w.t.Helper()
	task, err := w.o.Task(w.t.Context(), a, org, recovery.Release, request)
	w.refused(name, err)
	if err == nil {
		w.t.Errorf("%s: has %d keys", name, len(task.Keys))
	}
}

func (w *walk) noKey(name string, a auth.Actor, request string) {
	w.t.Helper()
	b, err := w.o.Release(w.t.Context(), a, org, request)
	w.refused(name, err)
	if b != nil {
		w.t.Errorf("%s: got %d keys", name, len(b.Keys))
	}
}

func (o *office) try(t *testing.T, a auth.Actor, recipient string) error {
	_, err := o.Request(t.Context(), a, org, recovery.Asking{Person: "p-alice", Recipient: o.keys[recipient].Certificate.Raw, Reason: reason})
	return err
}

func (o *office) propose(t *testing.T, a auth.Actor, threshold int, accounts, keys []string) error {
	o.keys["ghost"] = o.ca.Leaf("ghost@example.org", testca.P256)
	var choices []recovery.Choice
	for i, account := range accounts {
		choices = append(choices, recovery.Choice{Account: account, Certificate: o.keys[keys[i]].Certificate.Raw})
	}
	_, err := o.SetOfficers(t.Context(), a, org, threshold, choices)
	return err
}

// shareOf is ana's share of a key as the store has it.
func (o *office) shareOf(t *testing.T, escrow string) (envelope []byte) {
	t.Helper()
	o.update(t, func(tx *store.Tx) error {
		e, err := tx.RecoveryEscrow(escrow)
		if err != nil {
			return err
		}
		parts, err := tx.RecoveryShares(escrow, e.QuorumID, 1)
		envelope = parts[0].Envelope
		return err
	})
	return envelope
}

// An officer's program gives out nothing but what its task is for: a server that
// puts a share, or any mail to the officer, in the place of the challenge gets
// nothing decrypted.
func TestNoOracle(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	task, err := o.Task(t.Context(), o.actor(t, "ana"), org, recovery.Release, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	confirm := *task
	confirm.Kind = recovery.Confirm
	for name, change := range map[string]func(t *recovery.Task){
		"a share as the challenge":     func(t *recovery.Task) { t.Challenge = t.Keys[0].Parts[0].Envelope },
		"another kind":                 func(t *recovery.Task) { t.Kind = recovery.Confirm },
		"another request":              func(t *recovery.Task) { t.Object = "other" },
		"two recipients":               func(t *recovery.Task) { t.Recipients = append(t.Recipients, t.Recipients[0]) },
		"no recipient":                 func(t *recovery.Task) { t.Recipients = nil },
		"a recipient without a key":    func(t *recovery.Task) { t.Recipients[0].Certificate = []byte("x") },
		"the share as another's":       func(t *recovery.Task) { t.Keys[0].Position = 2 },
		"the share as another key's":   func(t *recovery.Task) { t.Keys[0].Key = strings.Repeat("0", 64) },
		"the share as a part":          func(t *recovery.Task) { t.Keys[0].Parts[0].Origin = 1 },
		"the share for another quorum": func(t *recovery.Task) { t.Keys[0].Parts[0].For = "other" },
		"a share of nothing":           func(t *recovery.Task) { t.Keys[0].Parts = nil },
		"the share twice":              func(t *recovery.Task) { t.Keys[0].Parts = append(t.Keys[0].Parts, t.Keys[0].Parts[0]) },
	} {
		file, err := recovery.Encode(task)
		if err != nil {
			t.Fatal(err)
		}
		c, err := recovery.ParseTask(file)
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		if a, err := c.Answer(rand.Reader, o.with("ana")); err == nil {
			t.Errorf("%s: answered with %d keys", name, len(a.Keys))
		}
	}
	if _, err := task.Answer(rand.Reader, o.with("ben")); err == nil {
		t.Error("ben answered ana's task")
	}
	if _, err := task.Answer(rand.Reader, o.with("ana")); err != nil {
		t.Error(err)
	}
}

// Nobody asks in vain: a request that not enough officers may answer is refused
// at once, and says so.
func TestTooFewOfficers(t *testing.T) {
	o := open(t)
	o.officers(t, 3, "ana", "ben", "chie", "eve")
	o.escrow(t, "alice", "alice-1", testca.P256)
	o.ask(t, o.actor(t, "ana"), "ana")
	o.account(t, "p", auth.Grant{Role: auth.Administrator, Organization: org})
	// ben gets what ana asks for: two of four are out.
	o.keys["both"] = o.ca.Leaf("ana@example.org", testca.P256, testca.Emails("ana@example.org", "ben@example.org"))
	err := o.try(t, o.actor(t, "ana"), "both")
	if e, is := errors.AsType[*registration.InputError](err); !is || e.Key != "input.recovery.few" {
		t.Error(err)
	}
	for _, text := range []string{"", "short", strings.Repeat("x", 501), "with\x00nul characters", "turned \u202e around"} {
		_, err := o.Request(t.Context(), o.actor(t, "dan"), org, recovery.Asking{Person: "p-alice", Recipient: o.keys["dan"].Certificate.Raw, Reason: text})
		if e, is := errors.AsType[*registration.InputError](err); !is || e.Field != "reason" {
			t.Errorf("reason %q: %v", text, err)
		}
	}
}

// Two officers at once are two; one at once is one.
func TestAtOnce(t *testing.T) {
	o := open(t)
	o.officers(t, 2, "ana", "ben", "chie")
	k := o.escrow(t, "alice", "alice-1", testca.P256)
	r := o.ask(t, o.actor(t, "dan"), "dan")
	a, err := o.opened(t, "ana", recovery.Release, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	actor := o.actor(t, "ana")
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() { errs[i] = o.Answer(t.Context(), actor, org, a) })
	}
	wait.Wait()
	good := 0
	for _, err := range errs {
		if err == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d of %d answers counted", good, len(errs))
	}
	if _, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID); err == nil {
		t.Error("released after one officer")
	}
	if err := o.answer(t, "chie", recovery.Release, r.ID); err != nil {
		t.Fatal(err)
	}
	b, err := o.Release(t.Context(), o.actor(t, "dan"), org, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := b.Open(o.with("dan")); err != nil || !opens(ids, k.leaf) {
		t.Fatal(err)
	}
}

func FuzzFiles(f *testing.F) {
	for _, file := range []any{
		recovery.Task{Format: "mailseal recovery task 1", Kind: recovery.Release, Keys: []recovery.TaskKey{{Position: 1, Parts: []recovery.Part{{Envelope: []byte{0x30, 0x80}}}}}},
		recovery.Answer{Format: "mailseal recovery answer 1", Kind: recovery.Confirm},
		recovery.Bundle{Format: "mailseal recovered keys 1", Keys: []recovery.BundleKey{{Threshold: 2, Shares: []recovery.BundleShare{{Position: 1}, {Position: 2}}}}},
	} {
		data, err := recovery.Encode(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"request":"MAA=","escrow":{"format":"mailseal sealed key 1","key":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","shares":[{"position":1}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if task, err := recovery.ParseTask(data); err == nil {
			if a, err := task.Answer(rand.Reader, nil); err == nil {
				t.Errorf("answered without a key: %v", a)
			}
			_, _ = task.Readers()
		}
		if b, err := recovery.ParseBundle(data); err == nil && len(b.Keys) > 0 {
			if ids, err := b.Open(nil); err == nil {
				t.Errorf("opened without a key: %v", ids)
			}
		}
		_, _ = recovery.ParseAnswer(data)
		if e, err := recovery.ParseEnrolment(data); err == nil {
			_, _ = recovery.ParseSealed(e.Sealed, e.Request)
		}
		if s, err := recovery.ParseSealed(data, nil); err == nil && len(s.Shares) > recovery.MaxOfficers {
			t.Errorf("%d shares", len(s.Shares))
		}
	})
}

// That a certificate is the owner's is not for itself to say: whoever asks could
// have made it, and officers would take it for hers.
func TestRecipientThatSaysItIsTheOwners(t *testing.T) {
	o := open(t)
	o.officers(t, 0, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	o.keys["alice"] = o.ca.Leaf("alice@example.org", testca.P256)
	err := o.try(t, o.actor(t, "dan"), "alice")
	if e, ok := errors.AsType[*registration.InputError](err); !ok || e.Key != "input.recovery.recipient.whose" {
		t.Errorf("a certificate that nobody knows here: %v", err)
	}
	o.certify(t, o.keys["alice"])
	if err := o.try(t, o.actor(t, "dan"), "alice"); err != nil {
		t.Errorf("the owner's new one: %v", err)
	}
	o.keys["alice"] = o.through(t, "other")
	err = o.try(t, o.actor(t, "dan"), "alice")
	if e, ok := errors.AsType[*registration.InputError](err); !ok || e.Key != "input.recovery.recipient.whose" {
		t.Errorf("one that another organization got for her: %v", err)
	}
	o.keys["alice"] = o.through(t, org)
	if err := o.try(t, o.actor(t, "dan"), "alice"); err != nil {
		t.Errorf("one of her organization's: %v", err)
	}
}

// through enters a certificate of Alice's as issued here: for an order of an
// organization's, or ("") of her own.
func (o *office) through(t *testing.T, organization string) *testca.Leaf {
	t.Helper()
	l := o.ca.Leaf("alice@example.org", testca.P256)
	order := "order of " + organization
	o.update(t, func(tx *store.Tx) error {
		if _, err := tx.Organization(organization); organization != "" && errors.Is(err, store.ErrNotFound) {
			err := errors.Join(tx.InsertOrganization(store.Organization{ID: organization, Name: organization, Country: "JP", Standing: "active", Settings: "{}", Created: o.now}),
				audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActOrganization, Object: organization}))
			if err != nil {
				return err
			}
		}
		return errors.Join(
			tx.InsertOrder(store.Order{
				ID: order, State: "proven", OrganizationID: organization, PersonID: "p-alice", ProfileHash: []byte("p"), SecretHash: []byte(order),
				Created: o.now, Expires: o.now.Add(time.Hour), Addresses: []string{"alice@example.org"},
			}),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActApplied, Object: order}),
		)
	})
	o.certifyFor(t, l, order)
	return l
}

// A certificate by somebody else says whose it is where its chain leads to a root
// that the installation trusts: one that only the organization trusts was named by
// one administrator.
func TestRecipientBySomebodyElse(t *testing.T) {
	o := open(t)
	o.officers(t, 0, "ana", "ben", "chie")
	o.escrow(t, "alice", "alice-1", testca.P256)
	for trust, want := range map[string]bool{"": false, "organization": false, "server": true} {
		l := o.ca.Leaf("alice@example.org", testca.P256)
		o.keys["alice"] = l
		digest := l.Certificate.Digest()
		o.update(t, func(tx *store.Tx) error {
			id := "foreign " + trust
			return errors.Join(tx.InsertForeignCertificate(store.ForeignCertificate{
				ID: id, OrganizationID: org, PersonID: "p-alice", Issuer: "Other", Serial: []byte{9}, DER: l.Certificate.Raw, Chain: []byte{},
				SHA256: digest[:], KeyHash: keyHash(t, l), NotBefore: o.now, NotAfter: l.Certificate.NotAfter, AddedBy: "x", Added: o.now,
				ForeignTrust: store.ForeignTrust{Trust: trust},
			}), audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActForeign, Object: id}))
		})
		err := o.try(t, o.actor(t, "dan"), "alice")
		if e, ok := errors.AsType[*registration.InputError](err); want != (err == nil) || !want && (!ok || e.Key != "input.recovery.recipient.whose") {
			t.Errorf("trusted by %q: %v", trust, err)
		}
	}
}
