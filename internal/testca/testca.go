// Package testca makes certificate authorities for tests:
//
//	ca := testca.New(t)
//	alice := ca.Leaf("alice@example.com", testca.P256)
//	// alice.Certificate, alice.Key, alice.Chain, ca.Root.Certificate
//
// Everything is valid around [Now] unless an option says otherwise. Options
// change the template of crypto/x509 before it is signed; what has no option
// of its own is a function on that template. Keys are made once for each
// process, kind and name.
package testca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
)

// Now is the time at which test certificates are in the middle of their lives.
var Now = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

// Option changes a certificate before it is signed.
type Option func(*x509.Certificate)

// CA is a root and an issuing authority under it.
type CA struct {
	Root, Issuing *Authority
}

// New makes a root and an issuing authority. The options are for both.
func New(t testing.TB, options ...Option) *CA {
	t.Helper()
	root := NewRoot(t, "Test Root", options...)
	return &CA{Root: root, Issuing: root.Authority("Test Issuing", options...)}
}

// Leaf issues a mail certificate from the issuing authority.
func (ca *CA) Leaf(email string, kind Kind, options ...Option) *Leaf {
	ca.Issuing.t.Helper()
	return ca.Issuing.Leaf(email, kind, options...)
}

// Authority is a certificate that may issue others, with its key.
type Authority struct {
	Certificate *cert.Certificate
	Key         crypto.Signer
	Chain       []*cert.Certificate // what is sent with a leaf: this certificate and those above, no root

	t testing.TB
}

// Leaf is an end entity's certificate with its key. Key is a crypto.Signer for
// the kinds that sign.
type Leaf struct {
	Certificate *cert.Certificate
	Key         crypto.PrivateKey
	Chain       []*cert.Certificate // the authorities above, no root
}

// Signer returns Key as a crypto.Signer.
func (l *Leaf) Signer() crypto.Signer { return l.Key.(crypto.Signer) }

// NewRoot makes a self-signed authority with a P-256 key.
func NewRoot(t testing.TB, name string, options ...Option) *Authority {
	t.Helper()
	key := keyFor(t, P256, name)
	template := authorityTemplate(name, options)
	return &Authority{Certificate: sign(t, template, template, key.Public(), key), Key: key, t: t}
}

// Authority issues a certificate for an authority below a, with a P-256 key
// that belongs to the name.
func (a *Authority) Authority(name string, options ...Option) *Authority {
	a.t.Helper()
	return a.AuthorityOf(P256, name, options...)
}

// AuthorityOf is Authority with another kind of key.
func (a *Authority) AuthorityOf(kind Kind, name string, options ...Option) *Authority {
	a.t.Helper()
	key := keyFor(a.t, kind, name)
	c := a.issue(authorityTemplate(name, options), key.Public())
	return &Authority{Certificate: c, Key: key, Chain: append([]*cert.Certificate{c}, a.Chain...), t: a.t}
}

// CrossSign issues another certificate for the key and the name of o.
func (a *Authority) CrossSign(o *Authority, options ...Option) *cert.Certificate {
	a.t.Helper()
	template := authorityTemplate("", options)
	template.RawSubject = o.Certificate.RawSubject
	template.SubjectKeyId = o.Certificate.SubjectKeyID
	return a.issue(template, o.Key.Public())
}

// Leaf issues a mail certificate. An empty address makes one that names none.
func (a *Authority) Leaf(email string, kind Kind, options ...Option) *Leaf {
	a.t.Helper()
	private, public := leafKey(a.t, kind, "leaf "+email)
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: email},
		NotBefore:    Now.AddDate(0, -1, 0),
		NotAfter:     Now.AddDate(1, 0, 0),
		KeyUsage:     kind.keyUsage(),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
	}
	if email != "" {
		template.EmailAddresses = []string{email}
	} else {
		template.Subject.CommonName = "No Address"
	}
	apply(template, options)
	if kind >= X25519 { // crypto/x509 writes no such keys
		c := a.Rekey(a.issue(template, a.Key.Public()), public)
		return &Leaf{Certificate: c, Key: private, Chain: a.Chain}
	}
	return &Leaf{Certificate: a.issue(template, public), Key: private, Chain: a.Chain}
}

func (a *Authority) issue(template *x509.Certificate, public crypto.PublicKey) *cert.Certificate {
	a.t.Helper()
	template.AuthorityKeyId = a.Certificate.SubjectKeyID // crypto/x509 leaves it out where both names are the same
	parent := &x509.Certificate{
		RawSubject:   a.Certificate.RawSubject,
		SubjectKeyId: a.Certificate.SubjectKeyID,
		PublicKey:    a.Key.Public(),
	}
	return sign(a.t, template, parent, public, a.Key)
}

// Revoked is one entry of a list.
type Revoked = x509.RevocationListEntry

// CRL signs a revocation list of the authority, valid for a week around Now.
func (a *Authority) CRL(revoked []Revoked, change ...func(*x509.RevocationList)) []byte {
	a.t.Helper()
	template := &x509.RevocationList{
		Number:                    big.NewInt(1),
		ThisUpdate:                Now.AddDate(0, 0, -1),
		NextUpdate:                Now.AddDate(0, 0, 6),
		RevokedCertificateEntries: revoked,
	}
	for _, c := range change {
		c(template)
	}
	issuer := &x509.Certificate{
		RawSubject:   a.Certificate.RawSubject,
		SubjectKeyId: a.Certificate.SubjectKeyID,
		PublicKey:    a.Key.Public(),
		KeyUsage:     x509.KeyUsageCRLSign,
	}
	if len(issuer.SubjectKeyId) == 0 {
		issuer.SubjectKeyId = []byte{1} // crypto/x509 asks for one
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, issuer, a.Key)
	if err != nil {
		a.t.Fatalf("testca: CRL: %v", err)
	}
	return der
}

func authorityTemplate(name string, options []Option) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"Example"}},
		NotBefore:             Now.AddDate(-1, 0, 0),
		NotAfter:              Now.AddDate(9, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            -1,
	}
	apply(template, options)
	return template
}

func apply(template *x509.Certificate, options []Option) {
	for _, o := range options {
		o(template)
	}
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *cert.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatalf("testca: %s: %v", strings.TrimSpace(template.Subject.String()), err)
	}
	c, err := cert.Parse(der)
	if err != nil {
		t.Fatalf("testca: %v", err)
	}
	return c
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x3f | 0x40
	return new(big.Int).SetBytes(b)
}

// As makes an authority of a leaf that was never meant to be one.
func As(t testing.TB, l *Leaf) *Authority {
	return &Authority{Certificate: l.Certificate, Key: l.Signer(), Chain: append([]*cert.Certificate{l.Certificate}, l.Chain...), t: t}
}

// Renamed returns a as if it bore another name, to be cross-signed under that
// name or to issue under it.
func Renamed(a *Authority, n pkix.Name) *Authority {
	a.t.Helper()
	raw, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		a.t.Fatalf("testca: %v", err)
	}
	renamed := *a
	c := *a.Certificate
	c.RawSubject = raw
	renamed.Certificate = &c
	return &renamed
}
