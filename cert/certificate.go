package cert

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/oid"
)

// Certificate is one X.509 certificate as it was read. The raw fields are
// slices of the input and must not be changed.
type Certificate struct {
	Raw        []byte // the whole certificate
	RawTBS     []byte // tbsCertificate: what the issuer signed
	RawIssuer  []byte // issuer Name, DER
	RawSubject []byte // subject Name, DER
	RawSPKI    []byte // subjectPublicKeyInfo, DER

	Version             int      // 1, 2 or 3
	Serial              *big.Int // may be negative, zero or long: read, not judged
	Issuer, Subject     Name
	NotBefore, NotAfter time.Time // UTC, both inclusive

	// PublicKey is *rsa.PublicKey, *ecdsa.PublicKey (P-256, P-384, P-521),
	// ed25519.PublicKey, ed448.PublicKey and slhdsa.PublicKey (of circl),
	// *mldsa.PublicKey, *ecdh.PublicKey (X25519), *X448PublicKey,
	// *MLKEM512PublicKey, *mlkem.EncapsulationKey768 or 1024, and nil when the
	// algorithm is not known or the key is not valid.
	PublicKey          crypto.PublicKey
	SPKIAlgorithm      oid.AlgorithmIdentifier
	SignatureAlgorithm oid.AlgorithmIdentifier
	Signature          []byte

	Extensions []Extension // all of them, in order

	KeyUsage         KeyUsage // meaningful when HasKeyUsage
	HasKeyUsage      bool
	ExtKeyUsage      []oid.OID // meaningful when HasExtKeyUsage
	HasExtKeyUsage   bool
	BasicConstraints BasicConstraints
	SubjectKeyID     []byte
	AuthorityKeyID   []byte // keyIdentifier of authorityKeyIdentifier
	AltNames         GeneralNames
	NameConstraints  *NameConstraints // nil when absent
	Policies         []Policy
	PolicyMappings   []PolicyMapping
	// PolicyConstraints and InhibitAnyPolicy: RFC 5280 §4.2.1.11, §4.2.1.14.
	PolicyConstraints PolicyConstraints
	InhibitAnyPolicy  int // skip certificates, -1 when absent

	DistributionPoints    []DistributionPoint // RFC 5280 §4.2.1.13
	CRLDistributionPoints []string            // the URIs in DistributionPoints
	IssuingCertificateURL []string            // caIssuers of authorityInfoAccess
	OCSPServer            []string            // ocsp of authorityInfoAccess
	FreshestCRL           []DistributionPoint // RFC 5280 §4.2.1.15: where delta lists are

	// Defects are violations of RFC 5280 that leave the meaning of the
	// certificate open: a malformed or repeated extension, two different
	// signature algorithms, a public key that is none. Such a certificate can
	// be shown, and never be part of a path.
	Defects []error

	digest *digest // of Raw; nil when not made by [Parse]
}

// digest is taken when it is first asked for, and once.
type digest struct {
	once sync.Once
	sum  [sha256.Size]byte
}

// BasicConstraints is RFC 5280 §4.2.1.9.
type BasicConstraints struct {
	Present bool
	CA      bool
	PathLen int // -1 when absent
}

// Parse reads exactly one certificate in DER. BER lengths and strings are
// tolerated; the bytes that were signed are kept as they came. The error says
// where the structure breaks; see [Certificate.Defects] for what does not stop
// the reading.
func Parse(der []byte) (*Certificate, error) {
	return parseCertificate(der)
}

// Equal tells whether both are the same certificate, byte for byte.
func (c *Certificate) Equal(o *Certificate) bool {
	return c != nil && o != nil && bytes.Equal(c.Raw, o.Raw)
}

// SHA256 returns the fingerprint of the whole certificate in lower case hex.
func (c *Certificate) SHA256() string {
	sum := c.Digest()
	return hex.EncodeToString(sum[:])
}

// Digest returns the SHA-256 digest of the whole certificate.
func (c *Certificate) Digest() [sha256.Size]byte {
	if c.digest == nil {
		return sha256.Sum256(c.Raw)
	}
	c.digest.once.Do(func() { c.digest.sum = sha256.Sum256(c.Raw) })
	return c.digest.sum
}

// SerialHex returns the serial number in lower case hex, as many digits as it
// needs, with a minus sign when it is negative.
func (c *Certificate) SerialHex() string { return c.Serial.Text(16) }

// PEM returns the certificate in the textual form of RFC 7468 §5.
func (c *Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// SelfIssued tells whether subject and issuer are the same name (RFC 5280 §6.1).
func (c *Certificate) SelfIssued() bool { return c.Subject.Equal(c.Issuer) }

// Extension returns the first extension of that type.
func (c *Certificate) Extension(id oid.OID) (Extension, bool) {
	return findExtension(c.Extensions, id)
}

// Emails returns every mail address that the certificate names, as written
// there: rfc822Name and SmtpUTF8Mailbox of subjectAltName, and emailAddress of
// the subject only when subjectAltName has neither (RFC 8550 §3). The strings
// are not checked; package certpath compares them with an address.
func (c *Certificate) Emails() []string {
	return emails(c.AltNames, c.Subject, c.altNamesUnreadable())
}

// altNamesUnreadable keeps a subjectAltName that could not be read from
// handing its authority to the subject.
func (c *Certificate) altNamesUnreadable() bool {
	_, present := c.Extension(oid.ExtSubjectAltName)
	return present && c.AltNames == nil
}

func emails(names GeneralNames, subject Name, unreadable bool) []string {
	if found := names.Emails(); len(found) > 0 || unreadable {
		return found
	}
	return subject.Get(oid.EmailAddress)
}
