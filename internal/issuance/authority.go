package issuance

import (
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/oid"
)

// Subject names an authority (S/MIME BR §7.1.4.3): all three are required,
// within the bounds of RFC 5280 §A.1.
type Subject struct {
	Country      string // ISO 3166-1, XX where none fits
	Organization string
	CommonName   string
}

// maxNameText is ub-organization-name and ub-common-name.
const maxNameText = 64

func (s Subject) name() ([]byte, error) {
	letter := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	if len(s.Country) != 2 || !letter(s.Country[0]) || !letter(s.Country[1]) {
		return nil, fmt.Errorf("country %q is not two capital letters", s.Country)
	}
	for _, text := range []string{s.Organization, s.CommonName} {
		if n := utf8.RuneCountInString(text); n == 0 || n > maxNameText || !utf8.ValidString(text) {
			return nil, fmt.Errorf("%q has not 1 to %d characters, as an authority's organization and common name must", text, maxNameText)
		}
	}
	return name(attribute{oid.Country, s.Country}, attribute{oid.Organization, s.Organization},
		attribute{oid.CommonName, s.CommonName})
}

// AuthorityRequest describes an authority's certificate.
type AuthorityRequest struct {
	Subject             Subject
	Key                 crypto.PublicKey // of the new authority
	Serial              *big.Int
	NotBefore, NotAfter time.Time // whole seconds

	// Timestamps: it certifies timestamp signers ([TimestampSigner]), and nobody
	// else. An authority for people cannot: a key purpose that the authority
	// lacks is of no use below it.
	Timestamps bool

	// Domains of mail are all that it may certify: hosts, or with a leading dot
	// all hosts below one (RFC 5280 §4.2.1.10). None: mail of everybody.
	Domains []string
}

// NewRoot makes the certificate of a root with its own key. The root says that
// it is for no host: critical name constraints exclude every DNS name and IP
// address. It has neither policies nor key purposes (S/MIME BR §7.1.2.1).
func NewRoot(key crypto.Signer, r AuthorityRequest) (*cert.Certificate, error) {
	self, err := newSigner(key)
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	r.Key = key.Public()
	t, err := r.begin(-1)
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	t.issuer, t.algorithm = t.subject, self.scheme.Algorithm
	t.extensions = append(t.extensions, mailOnly(r.Domains))
	c, err := self.finish(t)
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	return c, nil
}

// IssueAuthority makes the certificate of an issuing authority below this one.
// It can certify mail and client authentication only, or timestamps, no further authorities,
// and carries the root's name constraints itself, because a trust anchor's own
// constraints are not part of path validation (RFC 5280 §6.2). It is limited to
// the issuer's domains when the request names none.
func (is *Issuer) IssueAuthority(r AuthorityRequest) (*cert.Certificate, error) {
	if err := r.narrow(is.certificate); err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	t, err := r.begin(issuingPathLen)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	if r.NotAfter.After(is.certificate.NotAfter) || r.NotBefore.Before(is.certificate.NotBefore) {
		return nil, errors.New("make authority: valid outside the validity of its issuer")
	}
	t.issuer, t.algorithm = is.certificate.RawSubject, is.scheme.Algorithm
	t.extensions = append(t.extensions,
		extKeyUsage(r.purposes()...),
		mailOnly(r.Domains),
		authorityKeyID(is.certificate.SubjectKeyID),
		certificatePolicies(oid.AnyPolicy),
		crlDistributionPoint(is.PartitionURL(is.Partition(r.Serial))),
		authorityInfoAccess("", is.certificateURL), // OCSP is for subscribers; an authority is looked up in the CRL
	)
	c, err := is.signer.finish(t)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	return c, nil
}

// begin fills in what all authorities have; pathLen below 0 is absent.
func (r AuthorityRequest) begin(pathLen int) (*tbsCertificate, error) {
	subject, err := r.Subject.name()
	if err != nil {
		return nil, err
	}
	if r.Serial == nil || r.Serial.Sign() <= 0 || r.Serial.BitLen() < minSerialBits || r.Serial.BitLen() > maxSerialBits {
		return nil, errors.New("no usable serial number")
	}
	if _, err := ParseDomains(r.Domains); err != nil {
		return nil, err
	}
	if !r.NotAfter.After(r.NotBefore) {
		return nil, errors.New("ends before it begins")
	}
	if err := checkKey(r.Key, authorityAlgorithms); err != nil {
		return nil, err
	}
	spki, err := encodeKey(r.Key)
	if err != nil {
		return nil, err
	}
	id, err := keyID(spki)
	if err != nil {
		return nil, err
	}
	return &tbsCertificate{
		serial: r.Serial, subject: subject, notBefore: r.NotBefore, notAfter: r.NotAfter, spki: spki,
		extensions: []extension{
			basicConstraints(pathLen), keyUsage(cert.KeyUsageCertSign | cert.KeyUsageCRLSign), subjectKeyID(id),
		},
	}, nil
}

func (r AuthorityRequest) purposes() []oid.OID {
	if r.Timestamps {
		return []oid.OID{oid.TimeStamping}
	}
	return []oid.OID{oid.EmailProtection, oid.ClientAuth}
}

// authorityAlgorithms are those of keys that sign certificates.
var authorityAlgorithms = []Algorithm{RSA, P256, P384, Ed25519, MLDSA}

// finish signs what no rule has anything against.
func (s signer) finish(t *tbsCertificate) (*cert.Certificate, error) {
	tbs, err := t.der()
	if err != nil {
		return nil, err
	}
	if err := lintAuthority(tbs, t.algorithm); err != nil {
		return nil, err
	}
	return s.sign(tbs)
}

// lintAuthority runs our rules and zlint's. One of zlint's is left out: it takes
// a root that is not signed yet for another authority's and asks for an
// authorityKeyIdentifier.
func lintAuthority(tbs []byte, algorithm oid.AlgorithmIdentifier) error {
	const unsignedRoot = "e_ext_authority_key_identifier_no_key_identifier"
	der, err := signed(tbs, algorithm, nil)
	if err != nil {
		return err
	}
	c, err := cert.Parse(der)
	if err != nil {
		return err
	}
	twin, err := lint.Twin(tbs, oid.AnyPolicy) // its own policy: only the signature is nobody's
	if err != nil {
		return err
	}
	found, err := lint.ZLint(twin)
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(f lint.Finding) bool {
		return f.Rule == unsignedRoot && c.SelfIssued() || f.Rule == internalNames
	})
	return findings(append(lint.Check(&lint.Subject{Certificate: c}), found...))
}
