package registration_test

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/anchors"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// below makes an authority under another one.
func (o *outside) below(t testing.TB, ends time.Duration) *outside {
	t.Helper()
	sub := &outside{key: newKey(t), now: o.now}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Public Mail Issuing"}, NotBefore: o.now.Add(-day), NotAfter: o.now.Add(ends),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.c, sub.key.Public(), o.key)
	if err == nil {
		sub.c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// leaf is what issue makes, without the authority.
func leaf(file []byte) []byte {
	_, rest := pem.Decode(file)
	return rest
}

// trustOf reads how the certificate of a person stands.
func (c *company) trustOf(t testing.TB, id, certificate string) registration.Held {
	t.Helper()
	p, err := c.Person(t.Context(), c.admin, c.id, id)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(p.Certificates, func(h registration.Held) bool { return h.ID == certificate })
	if i < 0 {
		t.Fatalf("%s is not there", certificate)
	}
	return p.Certificates[i]
}

// What is taken in counts by where its chain leads, and says why where that is
// nowhere; a root can be named, by the organization for itself or by the operator
// for everybody, and be taken back.
func TestChains(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	taro := c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp"}})
	root := newOutside(t, c.clock())
	issuing := root.below(t, 40*day)
	adopt := func(file []byte, trustRoots bool) registration.Held {
		t.Helper()
		list, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, trustRoots)
		if err != nil || len(list) != 1 || list[0].Err != nil {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Certificate
	}
	want := func(what, id string, trust registration.Trust, problem string) {
		t.Helper()
		h := c.trustOf(t, taro.ID, id)
		if h.Trust != trust || h.TrustProblem != problem || h.Trusted() != (trust != "") {
			t.Errorf("%s: trust %q, problem %q (%s); want %q, %q", what, h.Trust, h.TrustProblem, h.TrustDetail, trust, problem)
		}
		for _, language := range []string{"en", "ja"} {
			if text := h.Distrust(language); (text == "") != (trust != "") || strings.HasPrefix(text, "chain.") {
				t.Errorf("%s: %q", what, text)
			}
		}
	}
	// A chain that is whole and ends nowhere; and one that is broken.
	first := adopt(issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
	want("no root", first.ID, registration.TrustNone, "path")
	bareFile := leaf(issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"))
	bare := adopt(bareFile, false)
	want("no issuer", bare.ID, registration.TrustNone, "path")
	// Who pretends to be a root of ours, by its name, is none.
	roots, _ := c.authority.Authorities()
	own := roots[0]
	fake := &outside{key: newKey(t), now: root.now}
	fakeDER, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(3), RawSubject: own.RawSubject, NotBefore: root.now.Add(-day), NotAfter: root.now.Add(99 * day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, &x509.Certificate{RawSubject: own.RawSubject}, fake.key.Public(), fake.key)
	if err == nil {
		fake.c, err = x509.ParseCertificate(fakeDER)
	}
	if err != nil {
		t.Fatal(err)
	}
	forged := adopt(fake.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
	if h := c.trustOf(t, taro.ID, forged.ID); h.Trusted() {
		t.Errorf("forged: %+v", h)
	}

	// The root comes with another certificate: the first one leads there as well now,
	// but not the one whose issuer nobody knows.
	file := slices.Concat(pemOf(root.c.Raw), issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"))
	second := adopt(file, true)
	want("with its root", second.ID, registration.TrustOrganization, "")
	want("the first", first.ID, registration.TrustOrganization, "")
	want("without issuer", bare.ID, registration.TrustNone, "path")
	if _, chain, err := c.Certificate(t.Context(), c.admin, c.id, second.ID); err != nil || len(chain) != 1 || chain[0].Subject.String() != mustParse(t, issuing.c.Raw).Subject.String() {
		t.Errorf("the chain: %v, %v", chain, err)
	}
	// Its issuer comes later, and completes it.
	if again := adopt(slices.Concat(pemOf(issuing.c.Raw), bareFile), false); again.ID != bare.ID {
		t.Errorf("%s is there twice, as %s", bare.ID, again.ID)
	}
	want("with its issuer", bare.ID, registration.TrustOrganization, "")
	// That is enough for the organization alone: nobody is known by it for recovery.
	if c.knownBy(t, second) {
		t.Error("a root that the organization's administrator named counts for recovery")
	}
	rootSum := mustParse(t, root.c.Raw).SHA256()
	if err := c.AddAnchors(t.Context(), c.admin, "", pemOf(root.c.Raw)); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an administrator decides for everybody: %v", err)
	}
	if err := c.AddAnchors(t.Context(), c.approver, c.id, pemOf(root.c.Raw)); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an approver decides: %v", err)
	}
	if err := c.AddAnchors(t.Context(), c.admin, c.id, pemOf(issuing.c.Raw)); inputKey(err) != "certificate input.anchors.none" {
		t.Errorf("an authority that is no root: %v", err)
	}
	if err := c.RemoveAnchor(t.Context(), c.admin, c.id, rootSum); err != nil {
		t.Fatal(err)
	}
	want("taken back", second.ID, registration.TrustNone, "path")
	if err := c.RemoveAnchor(t.Context(), c.admin, c.id, rootSum); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("again: %v", err)
	}
	if err := c.AddAnchors(t.Context(), c.operator, "", pemOf(root.c.Raw)); err != nil {
		t.Fatal(err)
	}
	want("by the operator", second.ID, registration.TrustServer, "")
	want("by the operator, the first", first.ID, registration.TrustServer, "")
	if !c.knownBy(t, second) || c.knownBy(t, forged) {
		t.Error("known for recovery is who leads to a root of the operator's")
	}
	// An authority ends, and that is seen within a day.
	c.pass(41 * day)
	if err := c.JudgeChains(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	want("issuer has ended", second.ID, registration.TrustNone, "time")
	if list, err := c.Anchors(t.Context(), c.operator, ""); err != nil || len(list) != 1 || list[0].By != "account:operator" {
		t.Errorf("%+v, %v", list, err)
	}
	c.logIsWhole(t)
}

// What a public authority issued needs no root named.
func TestChainToPublicRoot(t *testing.T) {
	c := openCompany(t)
	root := newOutside(t, c.clock())
	c.public.Entries = append(c.public.Entries, anchors.Entry{DER: root.c.Raw})
	taro := c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp"}})
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, leaf(root.issue(t, newKey(t).Public(), nil, "taro@example.jp")), false)
	if err != nil || list[0].Err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	if h := c.trustOf(t, taro.ID, list[0].Certificate.ID); h.Trust != registration.TrustServer {
		t.Errorf("%+v", h)
	}
}

func mustParse(t testing.TB, der []byte) *cert.Certificate {
	t.Helper()
	c, err := cert.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// knownBy tells whether recovery takes a certificate's word for whose it is.
func (c *company) knownBy(t testing.TB, h registration.Held) (known bool) {
	t.Helper()
	leaf, _, err := c.Certificate(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: h.Person}, c.id, h.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = c.db.View(t.Context(), func(tx *store.Tx) error {
		hash := sha256.Sum256(leaf.RawSPKI)
		uses, err := tx.CertificatesWithKey(hash[:])
		known = len(uses) == 1 && uses[0].Trusted
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// meddler is a store of anchors that does something when a chain is verified.
type meddler struct {
	certpath.AnchorStore
	on func()
}

func (m *meddler) Named(subject cert.Name) []*cert.Certificate {
	if m.on != nil {
		m.on()
	}
	return m.AnchorStore.Named(subject)
}

// meddling opens a company in which a person has a certificate that leads to a root
// of the organization's.
func meddling(t *testing.T) (c *company, m *meddler, root, issuing *outside, person, certificate string) {
	t.Helper()
	c = openCompany(t)
	c.set(t, func(*registration.Settings) {})
	m = &meddler{AnchorStore: &c.public}
	c.queues(t)
	c.Service = registration.New(registration.Options{Store: c.db, Validation: c.v, Issuer: c.authority, Mails: c.mailed, Anchors: m, Clock: c.clock})
	root = newOutside(t, c.clock())
	issuing = root.below(t, 40*day)
	taro := c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp"}})
	file := slices.Concat(pemOf(root.c.Raw), issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"))
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, true)
	if err != nil || len(list) != 1 || list[0].Err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	return c, m, root, issuing, taro.ID, list[0].Certificate.ID
}

// orderedOutside is an order whose request an authority outside has, and its key.
func (c *company) orderedOutside(t *testing.T, person string) (registration.Order, crypto.Signer) {
	t.Helper()
	c.set(t, func(s *registration.Settings) { s.Issuer = registration.IssuerExternal })
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, key)}
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrOutside) {
		t.Fatal(err)
	}
	return order, key
}

// Who verifies chains keeps nobody waiting: at each of them, in whatever door, the
// store takes the change of somebody else.
func TestChainsAreVerifiedOutsideTheWriter(t *testing.T) {
	c, m, root, issuing, person, _ := meddling(t)
	order, key := c.orderedOutside(t, person)
	verified := 0
	m.on = func() {
		verified++
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		if err := c.db.Update(ctx, func(tx *store.Tx) error { _, err := tx.Organization(c.id); return err }); err != nil {
			t.Errorf("a change waits for the verification: %v", err)
		}
	}
	doors := map[string]func() error{
		"look again": func() error {
			c.pass(25 * time.Hour)
			return c.JudgeChains(t.Context(), "")
		},
		"import": func() error {
			list, err := c.ImportCertificates(t.Context(), c.admin, c.id, issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
			return cmp.Or(err, list[0].Err)
		},
		"for an order": func() error {
			file := slices.Concat(pemOf(root.c.Raw), issuing.issue(t, key.Public(), nil, "taro@example.jp"))
			held, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, file, true)
			if err == nil && held.Trust != registration.TrustOrganization {
				t.Errorf("for an order: %+v", held)
			}
			return err
		},
		"take back": func() error { return c.RemoveAnchor(t.Context(), c.admin, c.id, mustParse(t, root.c.Raw).SHA256()) },
		"name":      func() error { return c.AddAnchors(t.Context(), c.admin, c.id, pemOf(root.c.Raw)) },
	}
	for _, name := range []string{"look again", "import", "take back", "name", "for an order"} {
		verified = 0
		if err := doors[name](); err != nil || verified == 0 {
			t.Errorf("%s: %d verified, %v", name, verified, err)
		}
	}
	c.logIsWhole(t)
}

// The chain of what cannot be taken in anyhow is not verified, and that of what can
// is, in the same file.
func TestRefusedUnverified(t *testing.T) {
	c, m, _, issuing, person, _ := meddling(t)
	c.add(t, registration.PersonInput{Addresses: []string{"hanako@example.jp"}})
	verified := 0
	m.on = func() { verified++ }
	good := issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp")
	if list, err := c.ImportCertificates(t.Context(), c.admin, c.id, good, false); err != nil || list[0].Err != nil || verified == 0 {
		t.Fatalf("%+v, %d verified, %v", list, verified, err)
	}
	once := verified
	refused := map[string][]byte{
		"certificate input.certificate.nobody": issuing.issue(t, newKey(t).Public(), nil, "nobody@example.jp"),
		"certificate input.certificate.people": issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp", "hanako@example.jp"),
		"certificate input.certificate.time": issuing.issue(t, newKey(t).Public(), func(c *x509.Certificate) { c.NotAfter = issuing.now.Add(-time.Minute) },
			"taro@example.jp"),
		"certificate input.certificate.twice": good,
	}
	var all []byte
	for want, file := range refused {
		verified = 0
		list, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, false)
		if err != nil || len(list) != 1 || inputKey(list[0].Err) != want || verified > 0 {
			t.Errorf("%s: %+v, %d verified, %v", want, list, verified, err)
		}
		all = append(all, file...)
	}
	verified = 0
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, slices.Concat(all, issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp")), false)
	if err != nil || len(list) != len(refused)+1 || verified != once {
		t.Fatalf("%+v, %d verified instead of %d, %v", list, verified, once, err)
	}
	last := list[len(refused)]
	if last.Err != nil || c.trustOf(t, person, last.Certificate.ID).Trust != registration.TrustOrganization {
		t.Errorf("beside them: %+v", last)
	}

	// Whose it is counts when it is taken in: who leaves meanwhile has none of it.
	m.on = func() {
		m.on = nil
		if err := c.PeopleLeave(t.Context(), c.admin, c.id, []string{person}); err != nil {
			t.Error(err)
		}
	}
	list, err = c.ImportCertificates(t.Context(), c.admin, c.id, issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
	if err != nil || inputKey(list[0].Err) != "certificate input.certificate.nobody" {
		t.Errorf("gone meanwhile: %+v, %v", list, err)
	}
	c.logIsWhole(t)
}

// A root that is taken back while a chain to it is verified counts for nothing.
func TestRootTakenBackMeanwhile(t *testing.T) {
	c, m, root, issuing, person, certificate := meddling(t)
	sum := mustParse(t, root.c.Raw).SHA256()
	raw, err := hex.DecodeString(sum)
	if err != nil {
		t.Fatal(err)
	}
	// The roots alone change here: what is due stays due.
	takeBack := func() {
		m.on = nil
		err := c.db.Update(t.Context(), func(tx *store.Tx) error {
			return cmp.Or(tx.DeleteTrustAnchor(c.id, raw), tx.DoubtForeign(c.id, true),
				audit.Append(t.Context(), tx, audit.Entry{At: c.clock(), Act: store.ActAnchorRemoved, Object: sum}))
		})
		if err != nil {
			t.Error(err)
		}
	}
	again := func() {
		t.Helper()
		if err := c.AddAnchors(t.Context(), c.admin, c.id, pemOf(root.c.Raw)); err != nil {
			t.Fatal(err)
		}
		if h := c.trustOf(t, person, certificate); h.Trust != registration.TrustOrganization {
			t.Fatalf("%+v", h)
		}
	}
	want := func(what, certificate string) {
		t.Helper()
		if h := c.trustOf(t, person, certificate); h.Trust != registration.TrustNone || h.TrustProblem != "path" {
			t.Errorf("%s: %q, %q", what, h.Trust, h.TrustProblem)
		}
	}
	c.pass(25 * time.Hour)
	if err := c.db.Update(t.Context(), func(tx *store.Tx) error { return tx.DoubtForeign(c.id, true) }); err != nil {
		t.Fatal(err)
	}
	m.on = takeBack
	if err := c.JudgeChains(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	want("looked at again", certificate)

	again()
	m.on = takeBack
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
	if err != nil || list[0].Err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	want("imported", list[0].Certificate.ID)

	// Somebody else has looked since: what is written is what they found.
	again()
	c.pass(25 * time.Hour)
	m.on = func() {
		m.on = nil
		if err := c.RemoveAnchor(t.Context(), c.admin, c.id, sum); err != nil {
			t.Error(err)
		}
		if err := c.AddAnchors(t.Context(), c.operator, "", pemOf(root.c.Raw)); err != nil {
			t.Error(err)
		}
	}
	if err := c.JudgeChains(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if h := c.trustOf(t, person, certificate); h.Trust != registration.TrustServer {
		t.Errorf("after somebody else: %+v", h)
	}
	c.logIsWhole(t)
}

// Roots that change all the time end what verifies chains by a conflict, of which
// nothing is left, and not by nothing at all.
func TestRootsChangeAllTheTime(t *testing.T) {
	c, m, root, issuing, person, _ := meddling(t)
	order, key := c.orderedOutside(t, person)
	const patience = 200 // then they stay as they are, for the test to end
	changes := 0
	var sum [sha256.Size]byte // of one more root, which is another one each time
	change := func() {
		if changes++; changes > patience {
			return
		}
		last := sum
		sum = sha256.Sum256([]byte{byte(changes)})
		err := c.db.Update(t.Context(), func(tx *store.Tx) error {
			if changes > 1 {
				err := cmp.Or(tx.DeleteTrustAnchor(c.id, last[:]),
					audit.Append(t.Context(), tx, audit.Entry{At: c.clock(), Act: store.ActAnchorRemoved, Object: hex.EncodeToString(last[:])}))
				if err != nil {
					return err
				}
			}
			return cmp.Or(tx.InsertTrustAnchor(store.TrustAnchor{OrganizationID: c.id, SHA256: sum[:], DER: root.c.Raw, AddedBy: "test", Added: c.clock()}),
				audit.Append(t.Context(), tx, audit.Entry{At: c.clock(), Act: store.ActAnchor, Object: hex.EncodeToString(sum[:])}))
		})
		if err != nil {
			t.Error(err)
		}
	}
	undo := func() {
		m.on, changes = nil, 0
		if err := c.RemoveAnchor(t.Context(), c.admin, c.id, hex.EncodeToString(sum[:])); err != nil {
			t.Fatal(err)
		}
	}
	doors := map[string]func() error{
		"import": func() error {
			list, err := c.ImportCertificates(t.Context(), c.admin, c.id, issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"), false)
			if err == nil {
				err = list[0].Err
			}
			return err
		},
		"for an order": func() error {
			_, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, issuing.issue(t, key.Public(), nil, "taro@example.jp"), false)
			return err
		},
	}
	for name, door := range doors {
		before, err := c.Person(t.Context(), c.admin, c.id, person)
		if err != nil {
			t.Fatal(err)
		}
		m.on = change
		if err := door(); !errors.Is(err, registration.ErrRootsChange) || changes > patience {
			t.Errorf("%s: %v after %d changes", name, err, changes)
		}
		undo()
		after, err := c.Person(t.Context(), c.admin, c.id, person)
		if err != nil || len(after.Certificates) != len(before.Certificates) {
			t.Errorf("%s: %d certificates where %d were, %v", name, len(after.Certificates), len(before.Certificates), err)
		}
		if err := door(); err != nil {
			t.Errorf("%s, when it has calmed down: %v", name, err)
		}
	}
	c.logIsWhole(t)
}

// A chain that came while the one before it was verified is not written over by
// what was found about that.
func TestChainCompletedMeanwhile(t *testing.T) {
	c, m, _, issuing, person, _ := meddling(t)
	bare := leaf(issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"))
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, bare, false)
	if err != nil || list[0].Err != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	c.pass(25 * time.Hour)
	m.on = func() {
		m.on = nil
		list, err := c.ImportCertificates(t.Context(), c.admin, c.id, slices.Concat(pemOf(issuing.c.Raw), bare), false)
		if err != nil || list[0].Err != nil {
			t.Errorf("%+v, %v", list, err)
		}
	}
	if err := c.JudgeChains(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if h := c.trustOf(t, person, list[0].Certificate.ID); h.Trust != registration.TrustOrganization {
		t.Errorf("%q, %q", h.Trust, h.TrustProblem)
	}
}
