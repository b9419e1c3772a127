package cms

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Identifier names a certificate: by issuer and serial number or by subject
// key identifier (RFC 5652 §5.3, §6.2.1).
type Identifier struct {
	RawIssuer    []byte   // Name, DER; nil when the key identifier is used
	Serial       *big.Int // with RawIssuer
	SubjectKeyID []byte   // when RawIssuer is nil
}

// Matches tells whether the identifier names c.
func (id Identifier) Matches(c *cert.Certificate) bool { return id.matcher()(c) }

// matcher is Matches for many certificates: the name, of which the message
// decides the size, is parsed once.
func (id Identifier) matcher() func(c *cert.Certificate) bool {
	if id.RawIssuer == nil {
		return func(c *cert.Certificate) bool {
			return len(id.SubjectKeyID) > 0 && bytes.Equal(id.SubjectKeyID, c.SubjectKeyID)
		}
	}
	var parsed bool
	var name cert.Name
	var err error
	return func(c *cert.Certificate) bool {
		if id.Serial.Cmp(c.Serial) != 0 {
			return false
		}
		if bytes.Equal(id.RawIssuer, c.RawIssuer) {
			return true
		}
		// Some clients write the name anew, with other string types (RFC 5280 §7.1).
		if !parsed {
			name, err = cert.ParseName(id.RawIssuer)
			parsed = true
		}
		return err == nil && name.Equal(c.Issuer)
	}
}

// String describes the identifier for people.
func (id Identifier) String() string {
	if id.RawIssuer == nil {
		return fmt.Sprintf("subject key identifier %x", id.SubjectKeyID)
	}
	return "serial number " + id.Serial.Text(16)
}

// SignerInfo is RFC 5652 §5.3 as it stands in the message.
type SignerInfo struct {
	SID                Identifier
	DigestAlgorithm    AlgorithmIdentifier
	SignatureAlgorithm AlgorithmIdentifier
	Signature          []byte
	HasSignedAttrs     bool
	SignedAttrs        Attributes
	UnsignedAttrs      Attributes

	signedAttrs []byte // SET OF Attribute in the order of the message, DER otherwise
	raw         []byte // the whole as it stands in the message; nil for a countersignature
}

var (
	context0 = asn1.Tag(0).ContextSpecific()
	context1 = asn1.Tag(1).ContextSpecific()
	context2 = asn1.Tag(2).ContextSpecific()
)

func parseSignerInfo(der []byte) (*SignerInfo, error) {
	in := cryptobyte.String(der)
	var s cryptobyte.String
	var version int64
	si := &SignerInfo{}
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !s.ReadASN1Integer(&version) {
		return nil, malformed("SignerInfo", nil)
	}
	if err := readIdentifier(&s, &si.SID); err != nil {
		return nil, err
	}
	var set cryptobyte.String
	ok := oid.ReadAlgorithm(&s, &si.DigestAlgorithm) &&
		s.ReadOptionalASN1(&set, &si.HasSignedAttrs, context0.Constructed()) &&
		si.readSigned(set) &&
		oid.ReadAlgorithm(&s, &si.SignatureAlgorithm) &&
		s.ReadASN1((*cryptobyte.String)(&si.Signature), asn1.OCTET_STRING)
	var present bool
	ok = ok && s.ReadOptionalASN1(&set, &present, context1.Constructed()) && s.Empty()
	if ok && present {
		si.UnsignedAttrs, ok = parseAttributes(set)
	}
	if !ok {
		return nil, malformed("SignerInfo", nil)
	}
	return si, nil
}

// readSigned keeps the signed attributes under the tag of SET OF, which is
// what their signature covers instead of [0] (RFC 5652 §5.4).
func (si *SignerInfo) readSigned(content []byte) (ok bool) {
	if !si.HasSignedAttrs {
		return true
	}
	set := ber.AppendHeader(make([]byte, 0, elementSize(len(content))), ber.Universal, true, ber.TagSet, int64(len(content)))
	si.signedAttrs = append(set, content...)
	si.SignedAttrs, ok = parseAttributes(content)
	return ok && len(si.SignedAttrs) > 0
}

// readIdentifier reads SignerIdentifier or RecipientIdentifier.
func readIdentifier(s *cryptobyte.String, id *Identifier) error {
	if s.PeekASN1Tag(asn1.SEQUENCE) {
		return readIssuerAndSerial(s, asn1.SEQUENCE, id)
	}
	var element cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1Element(&element, &tag) || tag&^0x20 != context0 {
		return malformed("identifier of a certificate", nil)
	}
	var err error
	id.SubjectKeyID, err = ber.Octets(element)
	if err != nil || len(id.SubjectKeyID) == 0 {
		return malformed("subject key identifier", err)
	}
	return nil
}

func readIssuerAndSerial(s *cryptobyte.String, tag asn1.Tag, id *Identifier) error {
	var seq, name cryptobyte.String
	id.Serial = new(big.Int)
	if !s.ReadASN1(&seq, tag) || !seq.ReadASN1Element(&name, asn1.SEQUENCE) || !seq.ReadASN1Integer(id.Serial) || !seq.Empty() {
		return malformed("issuer and serial number", nil)
	}
	id.RawIssuer = name
	return nil
}

// SignerResult is what one SignerInfo proves. With Err nil, the private key of
// Certificate signed exactly this content and SignedAttrs.
type SignerResult struct {
	*SignerInfo
	// Certificate is the signer's, nil when none fits. It comes from the
	// message or the caller and is not yet trusted.
	Certificate *cert.Certificate
	// Err wraps ErrSignature, ErrUnsupported or ErrNoCertificate.
	Err error
	// Algorithm names signature and digest for people: "RSA with SHA-256".
	Algorithm string
	// Weak: the signature or the content's digest rests on MD5 or SHA-1.
	Weak bool
	// SigningTime is the time that the signer claims; zero when it claims none.
	SigningTime time.Time
	// Capabilities are what the signer says it can read; see [Capability].
	Capabilities []Capability
	// Countersignatures are over this signature alone (RFC 5652 §11.4), and
	// Timestamps confirm when it existed (RFC 3161 Appendix A). Each has an Err
	// of its own; none touches this one, for anyone can add them.
	Countersignatures []SignerResult
	Timestamps        []*Timestamp
	// ArchiveTimestamps confirm when the signature existed together with what
	// it takes to verify it (EN 319 122-1 §5.5.3).
	ArchiveTimestamps []*ArchiveTimestamp
	// Notes are departures from the standards that leave the signature valid.
	Notes []string
}

// checker is what all signers of a message share.
type checker struct {
	contentType  OID
	certificates []*cert.Certificate
	digests      map[OID][]byte // of the content
	bare         bool           // signatures without signed attributes are taken
	attributes   bool           // the content is itself a set of signed attributes

	countersignature bool // the content is a signature, which has no type

	work *atomic.Int64 // that is left for signatures, see cert.Effort; nil sets no limit
}

// Work on the signatures of a message, countersignatures among them, and on that of a timestamp: hundreds of signatures on P-256, and
// few by keys that were made to be slow.
const (
	MaxWork      = 1000
	maxStampWork = 100
)

// spend takes the work of one signature out of what is left.
func (c *checker) spend(key crypto.PublicKey) bool {
	return c.work == nil || c.work.Add(-int64(cert.Effort(key))) >= 0
}

func (c *checker) check(si *SignerInfo) SignerResult {
	r := SignerResult{SignerInfo: si, Algorithm: signature.Name(si.SignatureAlgorithm, si.DigestAlgorithm)}
	r.Err = c.verify(&r)
	return r
}

func (c *checker) verify(r *SignerResult) error {
	scheme, err := signature.Read(r.SignatureAlgorithm, r.DigestAlgorithm)
	if err != nil {
		return classify(err)
	}
	r.Weak = scheme.Weak()
	if err := r.readClaims(); err != nil {
		return err
	}
	content, ok := c.content(r.DigestAlgorithm)
	if !ok {
		return fmt.Errorf("%w: the message does not announce digest algorithm %s", ErrSignature, r.DigestAlgorithm.Algorithm.Name())
	}
	if content == nil {
		return fmt.Errorf("%w: digest algorithm %s", ErrUnsupported, r.DigestAlgorithm.Algorithm.Name())
	}
	if err := c.checkAttributes(r, content); err != nil {
		return err
	}
	return c.verifyWithCandidates(r, scheme, content)
}

// content returns the content's digest by a; nil when the algorithm is not
// known, false when the content was not hashed with it.
func (c *checker) content(a AlgorithmIdentifier) (digest []byte, ok bool) {
	_, known := signature.Hash(a)
	if !known {
		_, known = signature.NewHash(a) // one that crypto.Hash has not
	}
	if !known {
		return nil, true
	}
	digest, ok = c.digests[a.Algorithm]
	return digest, ok
}

// checkAttributes holds the signed attributes to the content (RFC 5652 §5.6)
// and to the SignerInfo around them (RFC 6211 §3).
func (c *checker) checkAttributes(r *SignerResult, content []byte) error {
	for _, t := range []OID{oid.AttrContentType, oid.AttrMessageDigest, oid.AttrSigningTime} { // RFC 5652 §11.1 to §11.3
		if len(r.UnsignedAttrs.Values(t)) > 0 {
			return fmt.Errorf("%w: attribute %s is among the unsigned ones", ErrSignature, t.Name())
		}
	}
	if !r.HasSignedAttrs {
		return c.checkBare()
	}
	if err := c.checkContentType(r); err != nil {
		return err
	}
	v, present, err := r.SignedAttrs.single(oid.AttrMessageDigest)
	if err != nil {
		return err
	}
	s := cryptobyte.String(v)
	var digest cryptobyte.String
	if !present || !s.ReadASN1(&digest, asn1.OCTET_STRING) || !s.Empty() {
		return fmt.Errorf("%w: attribute messageDigest is missing or malformed", ErrSignature)
	}
	switch {
	case bytes.Equal(digest, content):
	case c.countersignature:
		return fmt.Errorf("%w: countersignature of another signature", ErrSignature)
	default:
		return fmt.Errorf("%w: the content was changed after signing", ErrSignature)
	}
	if len(r.SignedAttrs.Values(oid.AttrCountersignature)) > 0 { // RFC 5652 §11.4
		return fmt.Errorf("%w: countersignature among the signed attributes", ErrSignature)
	}
	return r.checkProtection()
}

// checkBare judges a signature without signed attributes. RFC 5652 §5.3: they
// are required unless the content is data. Without them, the signature of
// another message's attributes is one of a content that consists of these
// (draft-ietf-lamps-cms-euf-cma-signeddata).
func (c *checker) checkBare() error {
	switch {
	case c.contentType != oid.Data && !c.countersignature:
		return fmt.Errorf("%w: signed attributes are missing for content type %s", ErrSignature, c.contentType.Name())
	case !c.bare:
		return fmt.Errorf("%w: signed attributes are missing", ErrSignature)
	case c.attributes:
		return fmt.Errorf("%w: the content is the signed attributes of another message", ErrSignature)
	}
	return nil
}

// checkContentType holds the attribute contentType to the message. It must not
// be in a countersignature (RFC 5652 §11.4), which so cannot be taken from, or
// made into, a signature of content.
func (c *checker) checkContentType(r *SignerResult) error {
	v, present, err := r.SignedAttrs.single(oid.AttrContentType)
	s := cryptobyte.String(v)
	switch {
	case err != nil:
		return err
	case c.countersignature && present:
		return fmt.Errorf("%w: attribute contentType in a countersignature", ErrSignature)
	case c.countersignature:
		return nil
	case !present:
		return fmt.Errorf("%w: attribute contentType is missing", ErrSignature)
	case !readEqualOID(&s, c.contentType):
		return fmt.Errorf("%w: attribute contentType names another type", ErrSignature)
	}
	return nil
}

func readEqualOID(s *cryptobyte.String, want OID) bool {
	var o OID
	return oid.Read(s, &o) && s.Empty() && o == want
}

// checkProtection compares CMSAlgorithmProtection (RFC 6211 §2) with the
// algorithms outside, which no signature covers.
func (r *SignerResult) checkProtection() error {
	v, present, err := r.SignedAttrs.single(oid.AttrAlgorithmProtection)
	if !present || err != nil {
		return err
	}
	in := cryptobyte.String(v)
	var s cryptobyte.String
	var digest, sig AlgorithmIdentifier
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !oid.ReadAlgorithm(&s, &digest) ||
		!oid.ReadTaggedAlgorithm(&s, &sig, context1.Constructed()) || !s.Empty() {
		return fmt.Errorf("%w: attribute cmsAlgorithmProtection is malformed", ErrSignature)
	}
	if !digest.Same(r.DigestAlgorithm) || !sig.Same(r.SignatureAlgorithm) {
		return fmt.Errorf("%w: the algorithms were changed after signing", ErrSignature)
	}
	return nil
}

// readClaims reads what the signer says about itself. A signing time that is
// malformed or there twice makes the signature wrong (RFC 5652 §11.3); so do
// capabilities that are (RFC 8551 §2.5.2).
func (r *SignerResult) readClaims() error {
	v, present, err := r.SignedAttrs.single(oid.AttrSigningTime)
	if err != nil {
		return err
	}
	if present {
		t, ok := parseTime(v)
		if !ok {
			return fmt.Errorf("%w: attribute signingTime is malformed", ErrSignature)
		}
		r.SigningTime = t
	}
	v, present, err = r.SignedAttrs.single(oid.AttrSMIMECapabilities)
	if err != nil {
		return err
	}
	if present {
		if r.Capabilities, err = cert.ParseCapabilities(v); err != nil {
			return fmt.Errorf("%w: attribute smimeCapabilities: %w", ErrSignature, err)
		}
	}
	return nil
}

// MaxCandidates is how many certificates are tried for one signature. A key
// identifier may be shared (RFC 8551 §2.6): by the old and the new certificate
// of a key, seldom by keys. Who sends hundreds wants to keep the reader busy.
const MaxCandidates = 4

// verifyWithCandidates tries the certificates that the signer identifier fits.
func (c *checker) verifyWithCandidates(r *SignerResult, scheme signature.Scheme, content []byte) error {
	var result error
	matches := r.SID.matcher()
	tried := make([]*cert.Certificate, 0, MaxCandidates)
	for _, candidate := range c.certificates {
		if !matches(candidate) || slices.ContainsFunc(tried, candidate.Equal) {
			continue
		}
		if len(tried) == MaxCandidates {
			break
		}
		tried = append(tried, candidate)
		if !c.spend(candidate.PublicKey) {
			if r.Certificate == nil {
				result = fmt.Errorf("%w: more work for signatures than a message may make", ErrUnsupported)
			}
			break
		}
		err := r.verifyKey(scheme, candidate.PublicKey, content)
		if bound := candidate.AllowsSignature(r.SignatureAlgorithm); err == nil && bound != nil {
			err = fmt.Errorf("%w: %w", ErrSignature, bound)
		}
		if err == nil {
			err = r.checkSigningCertificate(candidate)
		}
		if r.Certificate == nil || err == nil {
			r.Certificate, result = candidate, err
		}
		if err == nil {
			return nil
		}
	}
	if result == nil {
		result = fmt.Errorf("%w: %s", ErrNoCertificate, r.SID)
	}
	return result
}

func (r *SignerResult) verifyKey(scheme signature.Scheme, key crypto.PublicKey, content []byte) error {
	if !r.HasSignedAttrs {
		return classify(scheme.VerifyDigest(key, content, r.Signature))
	}
	der, err := sortedAttributes(r.signedAttrs)
	if err != nil {
		return err
	}
	err = scheme.Verify(key, der, r.Signature)
	if errors.Is(err, signature.ErrInvalid) && !bytes.Equal(der, r.signedAttrs) {
		// QUIRK: some signers hash the attributes in the order in which they
		// send them, where RFC 5652 §5.4 has them sorted. What is verified is
		// what is read, in either order.
		if err = scheme.Verify(key, r.signedAttrs, r.Signature); err == nil {
			r.Notes = append(r.Notes, "signed attributes are not in DER order")
		}
	}
	return classify(err)
}

// sortedAttributes brings a SET OF into DER order (RFC 5652 §5.4).
func sortedAttributes(set []byte) ([]byte, error) {
	s := cryptobyte.String(set)
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.SET) {
		return nil, malformed("signed attributes", nil)
	}
	if s.Empty() && isSorted(content) {
		return set, nil
	}
	elements, ok := setElements(content)
	if !ok {
		return nil, malformed("signed attributes", nil)
	}
	out := ber.AppendHeader(make([]byte, 0, len(set)), ber.Universal, true, ber.TagSet, int64(len(content)))
	for _, e := range sortedSet(elements) {
		out = append(out, e...)
	}
	return out, nil
}

// classify turns errors of package signature into this package's.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, signature.ErrInvalid):
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return fmt.Errorf("%w: %w", ErrUnsupported, err)
}
