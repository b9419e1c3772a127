package issuance

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// Request is all that differs between certificates of one profile.
type Request struct {
	Key       crypto.PublicKey // all that a certification request gives
	Names     Names
	Serial    *big.Int  // see internal/authority
	NotBefore time.Time // whole seconds
}

// MaxMailboxes limits the addresses of one certificate.
const MaxMailboxes = 100

// ErrProfile is wrapped when bytes break a rule of their profile. Such bytes
// are never signed.
var ErrProfile = errors.New("certificate does not meet its profile")

// Prepared holds bytes that were checked and may be signed, by the issuer that
// they were prepared for. Only [Prepare] and [Resume] make one.
type Prepared struct {
	issuer  *Issuer
	profile *Profile
	tbs     []byte
	read    *cert.Certificate // tbs as another parser reads it; not signed
}

// TBS returns the bytes that will be signed.
func (p *Prepared) TBS() []byte { return slices.Clone(p.tbs) }

// Profile returns the name of the profile that the bytes were held against.
func (p *Prepared) Profile() string { return p.profile.Name() }

// Serial returns the serial number in the bytes.
func (p *Prepared) Serial() *big.Int { return p.read.Serial }

// NotAfter returns the end of validity in the bytes.
func (p *Prepared) NotAfter() time.Time { return p.read.NotAfter }

// Signs tells whether the bytes let the key sign.
func (p *Prepared) Signs() bool { return p.read.CanSign() }

// KeyHash returns the SHA-256 of the SubjectPublicKeyInfo in the bytes.
func (p *Prepared) KeyHash() []byte {
	sum := sha256.Sum256(p.read.RawSPKI)
	return sum[:]
}

// KeyHash returns the SHA-256 of a key's SubjectPublicKeyInfo in the form that
// certificates carry it.
func KeyHash(key crypto.PublicKey) ([]byte, error) {
	spki, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki)
	return sum[:], nil
}

// Prepare builds a certificate from its profile, holds the result against every
// rule of the profile, and lints it.
func Prepare(p *Profile, is *Issuer, r Request) (*Prepared, error) {
	if err := p.CheckKey(r.Key); err != nil {
		return nil, err
	}
	t, err := p.build(is, r)
	if err != nil {
		return nil, fmt.Errorf("prepare certificate: %w", err)
	}
	tbs, err := t.der()
	if err != nil {
		return nil, fmt.Errorf("prepare certificate: %w", err)
	}
	return admit(p, is, tbs, r.Names)
}

// Resume takes up bytes that were prepared before the process ended. They are
// held against the same rules as new ones.
func Resume(p *Profile, is *Issuer, tbs []byte, names Names) (*Prepared, error) {
	return admit(p, is, slices.Clone(tbs), names)
}

// admit is the one door to Prepared.
func admit(p *Profile, is *Issuer, tbs []byte, names Names) (*Prepared, error) {
	// The parser reads whole certificates: an empty signature makes one.
	unsigned, err := signed(tbs, is.scheme.Algorithm, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	c, err := cert.Parse(unsigned)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	if !bytes.Equal(c.RawTBS, tbs) {
		return nil, fmt.Errorf("%w: the bytes are more than one tbsCertificate", ErrProfile)
	}
	if err := p.check(is, c, names); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	if err := p.lint(c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	return &Prepared{is, p, tbs, c}, nil
}

// build writes down the profile; check reads it again, so each rule is told
// twice, in two ways.
func (p *Profile) build(is *Issuer, r Request) (*tbsCertificate, error) {
	spki, err := encodeKey(r.Key)
	if err != nil {
		return nil, err
	}
	id, err := keyID(spki)
	if err != nil {
		return nil, err
	}
	usage, err := p.keyUsage(r.Key)
	if err != nil {
		return nil, err
	}
	if err := p.checkNames(r.Names, r.NotBefore); err != nil {
		return nil, err
	}
	subject, empty, err := p.subject(r.Names)
	if err != nil {
		return nil, err
	}
	if r.Serial == nil {
		return nil, errors.New("no serial number")
	}
	t := &tbsCertificate{
		serial: r.Serial, algorithm: is.scheme.Algorithm, issuer: is.certificate.RawSubject, subject: subject,
		notBefore: r.NotBefore, notAfter: p.notAfter(r.NotBefore), spki: spki,
		extensions: []extension{keyUsage(usage), p.purposes(r.Key), subjectKeyID(id), authorityKeyID(is.certificate.SubjectKeyID)},
	}
	if !p.config.service() {
		t.extensions = append(t.extensions, subjectAltName(r.Names.Mailboxes, empty), certificatePolicies(p.config.Policy))
	}
	if p.config.Type == OCSPSigner {
		t.extensions = append(t.extensions, noCheck())
	} else {
		t.extensions = append(t.extensions, crlDistributionPoint(is.PartitionURL(is.Partition(r.Serial))))
	}
	t.extensions = append(t.extensions, authorityInfoAccess(p.ocspURL(is), is.certificateURL))
	if len(p.config.Capabilities) > 0 {
		t.extensions = append(t.extensions, capabilities(p.config.Capabilities))
	}
	return t, nil
}

// purposes: that of a timestamp signer is critical (RFC 3161 §2.3).
func (p *Profile) purposes(key crypto.PublicKey) extension {
	e := extKeyUsage(p.extKeyUsage(key)...)
	e.critical = p.config.Type == TimestampSigner
	return e
}

// subjectAltName writes rfc822Name, or SmtpUTF8Mailbox where the local part
// needs it (RFC 9598 §3). It is critical when the subject is empty (RFC 5280
// §4.2.1.6).
func subjectAltName(mailboxes []mailbox.Mailbox, critical bool) extension {
	return extension{oid.ExtSubjectAltName, critical, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, m := range mailboxes {
				addMailbox(b, m)
			}
		})
	}}
}

func addMailbox(b *cryptobyte.Builder, m mailbox.Mailbox) {
	text := []byte(m.String())
	if m.ASCII() {
		b.AddASN1(contextPrimitive(uint8(cert.RFC822Name)), func(b *cryptobyte.Builder) { b.AddBytes(text) })
		return
	}
	b.AddASN1(contextTag(uint8(cert.OtherName)), func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SmtpUTF8Mailbox)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes(text) })
		})
	})
}

// ocspURL is where OCSP is answered for the issuer's certificates of the
// profile; a responder does not answer for itself.
func (p *Profile) ocspURL(is *Issuer) string {
	if p.config.Type == OCSPSigner {
		return ""
	}
	return is.ocspURL
}
