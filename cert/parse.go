package cert

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on one certificate or request. SLH-DSA signatures (50 kB) and roots
// with pictures in them stay far below.
const (
	MaxCertificateSize = 1 << 20
	MaxExtensions      = 256
)

func parseCertificate(raw []byte) (*Certificate, error) {
	if len(raw) > MaxCertificateSize {
		return nil, fmt.Errorf("parse certificate: %d octets, more than %d", len(raw), MaxCertificateSize)
	}
	der, err := ber.DER(raw)
	if err != nil {
		return nil, within("parse certificate", err)
	}
	signed, err := parseSigned(raw, der, "certificate")
	if err != nil {
		return nil, within("parse certificate", err)
	}
	c := &Certificate{
		Raw: raw, RawTBS: signed.raw, InhibitAnyPolicy: -1, digest: new(digest),
		SignatureAlgorithm: signed.algorithm, Signature: signed.signature,
		BasicConstraints:  BasicConstraints{PathLen: -1},
		PolicyConstraints: PolicyConstraints{RequireExplicitPolicy: -1, InhibitPolicyMapping: -1},
	}
	if err := c.parseTBS(signed.body); err != nil {
		return nil, within("parse certificate", err)
	}
	return c, nil
}

// signed is SIGNED{} of X.509: something to sign, an algorithm, a signature.
// Certificates, requests, revocation lists and OCSP responses have this shape
// (RFC 5280 §4.1.1, §5.1.1, RFC 2986 §4.2, RFC 6960 §4.2.1).
type signed struct {
	raw       []byte            // the first element as it came: what was signed
	body      cryptobyte.String // its content in DER
	algorithm oid.AlgorithmIdentifier
	signature []byte
}

// parseSigned reads der, the normalized form of raw. The two differ only for
// BER input; then the signed octets are cut from raw, because the issuer
// signed them and not our normal form.
func parseSigned(raw, der []byte, what string) (*signed, error) {
	s, rest, err := readSigned(raw, der, what)
	if err == nil && !rest.Empty() {
		err = errors.New("data after the signature")
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// readSigned is parseSigned for a structure that goes on after the signature,
// as that of OCSP does.
func readSigned(raw, der []byte, what string) (s *signed, rest cryptobyte.String, err error) {
	seq, err := readSequence(der, what)
	if err != nil {
		return nil, nil, err
	}
	s = &signed{}
	var element cryptobyte.String
	if !seq.ReadASN1Element(&element, asn1.SEQUENCE) {
		return nil, nil, malformed("body of the " + what)
	}
	s.raw = element
	if !element.ReadASN1(&s.body, asn1.SEQUENCE) {
		return nil, nil, malformed("body of the " + what)
	}
	if !oid.ReadAlgorithm(&seq, &s.algorithm) {
		return nil, nil, malformed("signatureAlgorithm")
	}
	var ok bool
	if s.signature, ok = readSignature(&seq); !ok {
		return nil, nil, malformed("signature")
	}
	if !bytes.Equal(raw, der) {
		if s.raw, err = firstElement(raw); err != nil {
			return nil, nil, err
		}
	}
	return s, seq, nil
}

// parseTBS reads the content of TBSCertificate (RFC 5280 §4.1.2).
func (c *Certificate) parseTBS(tbs cryptobyte.String) error {
	if err := c.parseVersion(&tbs); err != nil {
		return err
	}
	if !readInteger(&tbs, &c.Serial) {
		return malformed("serialNumber")
	}
	var inner oid.AlgorithmIdentifier
	if !oid.ReadAlgorithm(&tbs, &inner) {
		return malformed("signature algorithm in tbsCertificate")
	}
	if inner.Algorithm != c.SignatureAlgorithm.Algorithm || !bytes.Equal(inner.Parameters, c.SignatureAlgorithm.Parameters) {
		c.defect("signature", errors.New("algorithm differs from signatureAlgorithm")) // RFC 5280 §4.1.1.2
	}
	var err error
	if c.RawIssuer, c.Issuer, err = readName(&tbs); err != nil {
		return within("issuer", err)
	}
	var validity cryptobyte.String
	if !tbs.ReadASN1(&validity, asn1.SEQUENCE) || !readTime(&validity, &c.NotBefore) ||
		!readTime(&validity, &c.NotAfter) || !validity.Empty() {
		return malformed("validity")
	}
	if c.RawSubject, c.Subject, err = readName(&tbs); err != nil {
		return within("subject", err)
	}
	if err := c.parseSPKI(&tbs); err != nil {
		return err
	}
	return c.parseOptional(tbs)
}

func (c *Certificate) parseVersion(tbs *cryptobyte.String) error {
	c.Version = 1
	var explicit cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&explicit, &present, constructedTag(0)) {
		return malformed("version")
	}
	if !present {
		return nil
	}
	var v cryptobyte.String
	if !explicit.ReadASN1(&v, asn1.INTEGER) || !explicit.Empty() || len(v) != 1 {
		return malformed("version")
	}
	c.Version = int(v[0]) + 1
	if c.Version > 3 {
		return fmt.Errorf("version %d is not known", c.Version)
	}
	return nil
}

func (c *Certificate) parseSPKI(tbs *cryptobyte.String) error {
	var spki cryptobyte.String
	if !tbs.ReadASN1Element(&spki, asn1.SEQUENCE) {
		return malformed("subjectPublicKeyInfo")
	}
	c.RawSPKI = spki
	key, algorithm, err := parseSPKI(spki)
	if errors.Is(err, errSPKI) {
		return err
	}
	c.SPKIAlgorithm, c.PublicKey = algorithm, key
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		c.defect("subjectPublicKeyInfo", err)
	}
	return nil
}

// parseOptional reads what follows the key: unique identifiers, which nobody
// uses, and the extensions.
func (c *Certificate) parseOptional(tbs cryptobyte.String) error {
	for _, tag := range []asn1.Tag{contextTag(1), contextTag(2)} {
		if !tbs.SkipOptionalASN1(tag) {
			return malformed("unique identifier")
		}
	}
	var explicit cryptobyte.String
	var present bool
	if !tbs.ReadOptionalASN1(&explicit, &present, constructedTag(3)) {
		return malformed("extensions")
	}
	if !tbs.Empty() {
		return errors.New("unknown field at the end of tbsCertificate")
	}
	if !present {
		return nil
	}
	if c.Version != 3 {
		c.defect("extensions", fmt.Errorf("present in version %d", c.Version)) // RFC 5280 §4.1.2.9
	}
	var err error
	if c.Extensions, err = readExtensions(explicit); err != nil {
		return within("extensions", err)
	}
	c.parseExtensions()
	return nil
}

func (c *Certificate) defect(where string, err error) {
	c.Defects = append(c.Defects, within(where, err))
}
