package registration_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// outside is an authority somewhere else.
type outside struct {
	c   *x509.Certificate
	key crypto.Signer
	now time.Time
}

func newOutside(t testing.TB, now time.Time) *outside {
	t.Helper()
	o := &outside{key: newKey(t), now: now}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Public Mail CA", Country: []string{"US"}}, NotBefore: now.Add(-day), NotAfter: now.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, o.key.Public(), o.key)
	if err == nil {
		o.c, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// issue makes a certificate, in PEM with the authority's own.
func (o *outside) issue(t testing.TB, key crypto.PublicKey, change func(*x509.Certificate), emails ...string) []byte {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: emails[0]}, NotBefore: o.now.Add(-time.Hour), NotAfter: o.now.AddDate(1, 0, 0), EmailAddresses: emails,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.c, key, o.key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.c.Raw}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// A request goes out, and only the certificate for its key and mailboxes comes in.
func TestAuthorityOutside(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Issuer = registration.IssuerExternal })
	person := c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp", "t@example.jp"}})
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil || order.Issuer != registration.IssuerExternal || order.State != registration.StateProven {
		t.Fatalf("%+v, %v", order, err)
	}
	if _, err := c.ExternalRequest(t.Context(), c.admin, c.id, order.ID); !errors.Is(err, registration.ErrState) {
		t.Errorf("a request before there is a key: %v", err)
	}
	key := newKey(t)
	csr := request(t, key)
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: csr}
	for range 2 { // the same again is no error
		if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrOutside) {
			t.Fatal(err)
		}
	}
	other := ask
	other.Certification = request(t, newKey(t))
	if _, err := c.EnrollFor(t.Context(), c.admin, other); !errors.Is(err, registration.ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	if got, err := c.ExternalRequest(t.Context(), c.admin, c.id, order.ID); err != nil || !bytes.Equal(got, csr) {
		t.Errorf("%x, %v", got, err)
	}
	if o, err := c.OrderOf(t.Context(), c.admin, order.ID); err != nil || o.WaitingFor != registration.WaitingIssuer {
		t.Errorf("%+v, %v", o, err)
	}
	ca := newOutside(t, c.clock())
	for want, file := range map[string][]byte{
		"certificate input.certificate.key":       ca.issue(t, newKey(t).Public(), nil, person.Addresses...),
		"certificate input.certificate.names":     ca.issue(t, key.Public(), nil, "taro@example.jp"),
		"certificate input.certificate":           []byte("no certificate"),
		"certificate input.certificate.time":      ca.issue(t, key.Public(), func(c *x509.Certificate) { c.NotAfter = ca.now.Add(-time.Minute) }, person.Addresses...),
		"certificate input.certificate.mail":      ca.issue(t, key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, person.Addresses...),
		"certificate input.certificate.use":       ca.issue(t, key.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, person.Addresses...),
		"certificate input.certificate.authority": ca.issue(t, key.Public(), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, person.Addresses...),
	} {
		if _, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, file, false); inputKey(err) != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	more := ca.issue(t, key.Public(), nil, "taro@example.jp", "t@example.jp", "eve@example.jp")
	if _, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, more, false); inputKey(err) != "certificate input.certificate.names" {
		t.Errorf("with a mailbox more: %v", err)
	}
	good := ca.issue(t, key.Public(), nil, "T@EXAMPLE.jp", "taro@example.jp")
	if _, err := c.CertificateIn(t.Context(), c.approver, c.id, order.ID, good, false); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an approver brings it in: %v", err)
	}
	held, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, good, false)
	if err != nil || !strings.Contains(held.Issuer, "Public Mail CA") || held.Order != order.ID {
		t.Fatalf("%+v, %v", held, err)
	}
	if _, err := c.CertificateIn(t.Context(), c.admin, c.id, order.ID, good, false); !errors.Is(err, registration.ErrState) {
		t.Errorf("again: %v", err)
	}
	got, chain, err := c.Certificate(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: person.ID}, "", held.ID)
	if err != nil || len(chain) != 1 || !got.PublicKey.(*ecdsa.PublicKey).Equal(key.Public()) {
		t.Errorf("%v with %d above, %v", got, len(chain), err)
	}
	if _, _, err := c.Certificate(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: "somebody"}, c.id, held.ID); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("another person reads it: %v", err)
	}
	done, err := c.Revoke(t.Context(), c.admin, c.id, []string{held.ID}, cert.KeyCompromise)
	if err != nil || !slices.Equal(done.Outside, []string{held.ID}) || len(done.Revoked) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	p, err := c.Person(t.Context(), c.admin, c.id, person.ID)
	if err != nil || p.State != registration.PersonRevoked {
		t.Errorf("%s, %v", p.State, err)
	}
	c.logIsWhole(t)
}

// What people have already is taken in, each to whom it names, and watched.
func TestImport(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	taro := c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp"}})
	c.add(t, registration.PersonInput{Addresses: []string{"hanako@example.jp"}})
	ca := newOutside(t, c.clock())
	ends := func(in time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = ca.now.Add(in) }
	}
	file := slices.Concat(ca.issue(t, newKey(t).Public(), ends(10*day), "taro@example.jp"), ca.issue(t, newKey(t).Public(), nil, "nobody@example.jp"),
		ca.issue(t, newKey(t).Public(), nil, "taro@example.jp", "hanako@example.jp"), ca.issue(t, newKey(t).Public(), nil, "hanako@example.jp"))
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, false)
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []string{"", "certificate input.certificate.nobody", "certificate input.certificate.people", ""} {
		if (want == "") != (list[i].Err == nil) || want != "" && inputKey(list[i].Err) != want {
			t.Errorf("certificate %d: %v, want %q", i, list[i].Err, want)
		}
	}
	again, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, false)
	if err != nil || inputKey(again[0].Err) != "certificate input.certificate.twice" {
		t.Errorf("again: %+v, %v", again, err)
	}
	people, _, err := c.People(t.Context(), c.admin, c.id, registration.PersonQuery{State: registration.PersonExpiring}, registration.Page{})
	if err != nil || len(people) != 1 || people[0].ID != taro.ID || people[0].State != registration.PersonExpiring {
		t.Errorf("about to end: %+v, %v", people, err)
	}
	// It is renewed by our own authority in its place.
	order, err := c.OrderFor(t.Context(), auth.Server(registration.PartRenewal), c.id, taro.ID, registration.OrderRequest{Replaces: list[0].Certificate.ID})
	if err != nil || order.Kind != registration.OrderRenewal || order.State != registration.StateProven {
		t.Errorf("%+v, %v", order, err)
	}
	if _, err := c.OrderFor(t.Context(), c.admin, c.id, taro.ID, registration.OrderRequest{Replaces: list[3].Certificate.ID}); inputKey(err) != "replaces input.replaces" {
		t.Errorf("in place of somebody else's: %v", err)
	}
	for _, bad := range [][]byte{nil, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), bytes.Repeat([]byte{0}, 17<<20)} {
		if _, err := c.ImportCertificates(t.Context(), c.admin, c.id, bad, false); !errors.Is(err, registration.ErrInput) {
			t.Errorf("%d octets: %v", len(bad), err)
		}
	}
	for name, a := range map[string]auth.Actor{"the approver": c.approver, "the operator": c.operator, "nobody": {}} {
		if _, err := c.ImportCertificates(t.Context(), a, c.id, file, false); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("%s imports: %v", name, err)
		}
	}
	c.logIsWhole(t)
}

// Keys are of the kind that the organization chose.
func TestChosenAlgorithm(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Algorithm = "p384" })
	person := c.add(t, tanaka())
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, newKey(t))}
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrRequest) {
		t.Errorf("a P-256 key: %v", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ask.Certification = request(t, key)
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); err != nil {
		t.Errorf("a P-384 key: %v", err)
	}
}

// Identifiers of organizations: Japanese corporate numbers by their check digit.
func TestIdentifiers(t *testing.T) {
	o := open(t)
	c := o.found(t, "admin")
	for identifier, want := range map[string]string{
		"NTRJP-7000012050002": "", "ntrjp-7000 0120 50002": "", "": "",
		"NTRJP-7000012050003": "identifier input.corporate", "NTRJP-8000012050002": "identifier input.corporate", "NTRJP-700001205000": "identifier input.corporate",
		"NTRJP-0100-01-000001": "identifier input.corporate", "NTRUS-123": "identifier input.identifier", "7000012050002": "identifier input.identifier",
		"NTRJP-７０００012050002": "", "NTRJP-７000012050003": "identifier input.corporate",
	} {
		org := theCompany
		org.ID, org.Identifier = c.id, identifier
		if _, err := c.RenameOrganization(t.Context(), c.admin, org); want == "" && err != nil || want != "" && inputKey(err) != want {
			t.Errorf("%q: %v, want %q", identifier, err, want)
		}
	}
	// Every digit counts: of all numbers with one digit changed, none passes.
	digits := []byte("7000012050002")
	for i := range digits {
		for d := byte('0'); d <= '9'; d++ {
			changed := bytes.Clone(digits)
			if changed[i] = d; d == digits[i] {
				continue
			}
			org := theCompany
			org.ID, org.Identifier = c.id, "NTRJP-"+string(changed)
			if _, err := c.RenameOrganization(t.Context(), c.admin, org); err == nil && !(d == '9' && digits[i] == '0' || d == '0' && digits[i] == '9') {
				t.Errorf("%s passes", changed)
			}
		}
	}
}
