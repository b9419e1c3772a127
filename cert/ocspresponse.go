package cert

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on an OCSP response.
const (
	MaxOCSPResponseSize = 1 << 20
	MaxOCSPAnswers      = 1000
	MaxOCSPCertificates = 20
)

// OCSPStatus is OCSPResponseStatus (RFC 6960 §4.2.1): whether the responder
// answers at all.
type OCSPStatus int

// The statuses; 4 is not used.
const (
	OCSPSuccessful       OCSPStatus = 0
	OCSPMalformedRequest OCSPStatus = 1
	OCSPInternalError    OCSPStatus = 2
	OCSPTryLater         OCSPStatus = 3
	OCSPSigRequired      OCSPStatus = 5
	OCSPUnauthorized     OCSPStatus = 6
)

// String returns the standard's name.
func (s OCSPStatus) String() string {
	names := [...]string{"successful", "malformedRequest", "internalError", "tryLater", "", "sigRequired", "unauthorized"}
	if s < 0 || int(s) >= len(names) || names[s] == "" {
		return fmt.Sprintf("unknown (%d)", int(s))
	}
	return names[s]
}

// OCSPResponse is what an OCSP responder says (RFC 6960 §4.2.1). Only the part
// in Basic is signed.
type OCSPResponse struct {
	Raw    []byte
	Status OCSPStatus
	Type   oid.OID            // of the response; empty when the status is all there is
	Basic  *BasicOCSPResponse // nil unless Type is oid.BasicOCSPResponse
}

// BasicOCSPResponse is a signed response with answers about certificates.
type BasicOCSPResponse struct {
	RawTBS []byte // ResponseData: what the responder signed

	// The responder, by its name or by the SHA-1 of its key: one of the two.
	ResponderName    Name
	ResponderKeyHash []byte // nil when it is a name
	ProducedAt       time.Time
	Answers          []OCSPAnswer
	Extensions       []Extension
	Nonce            []byte // nil when absent

	SignatureAlgorithm oid.AlgorithmIdentifier
	Signature          []byte
	// Certificates are those sent along, unverified. What cannot be read as a
	// certificate is left out.
	Certificates []*Certificate

	// Defects are violations of RFC 6960 that leave the meaning open. Such a
	// response says nothing about any certificate.
	Defects []error
}

// OCSPCertStatus is CertStatus of RFC 6960 §4.2.1.
type OCSPCertStatus int

// The statuses. OCSPUnknown means that the responder does not know the
// certificate.
const (
	OCSPGood    OCSPCertStatus = 0
	OCSPRevoked OCSPCertStatus = 1
	OCSPUnknown OCSPCertStatus = 2
)

// String returns the standard's name.
func (s OCSPCertStatus) String() string {
	names := [...]string{"good", "revoked", "unknown"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("unknown (%d)", int(s))
	}
	return names[s]
}

// OCSPAnswer is SingleResponse of RFC 6960 §4.2.1: what is said about one
// certificate.
type OCSPAnswer struct {
	CertID         CertID
	Status         OCSPCertStatus
	RevokedAt      time.Time // when Status is OCSPRevoked
	Reason         Reason    // likewise
	InvalidityDate time.Time // of the extension; zero when absent
	ThisUpdate     time.Time
	NextUpdate     time.Time // zero when absent: newer information is always to be had
	// ArchiveCutoff: the responder knows certificates that have ended since
	// then (RFC 6960 §4.4.4). Zero when absent.
	ArchiveCutoff time.Time
	Extensions    []Extension
}

// ParseOCSPResponse reads one response, DER; BER lengths are tolerated.
func ParseOCSPResponse(raw []byte) (*OCSPResponse, error) {
	if len(raw) > MaxOCSPResponseSize {
		return nil, fmt.Errorf("parse OCSP response: %d octets, more than %d", len(raw), MaxOCSPResponseSize)
	}
	r, err := parseOCSPResponse(raw)
	return r, within("parse OCSP response", err)
}

func parseOCSPResponse(raw []byte) (*OCSPResponse, error) {
	der, err := ber.DER(raw)
	if err != nil {
		return nil, err
	}
	seq, err := readSequence(der, "OCSPResponse")
	if err != nil {
		return nil, err
	}
	var explicit, content, basic cryptobyte.String
	var status int
	var present bool
	if !seq.ReadASN1Enum(&status) || !seq.ReadOptionalASN1(&explicit, &present, constructedTag(0)) || !seq.Empty() {
		return nil, malformed("OCSPResponse")
	}
	r := &OCSPResponse{Raw: raw, Status: OCSPStatus(status)}
	if !present {
		if r.Status == OCSPSuccessful {
			return nil, errors.New("successful, and no answer in it")
		}
		return r, nil
	}
	if !explicit.ReadASN1(&content, asn1.SEQUENCE) || !explicit.Empty() || !oid.Read(&content, &r.Type) ||
		!content.ReadASN1(&basic, asn1.OCTET_STRING) || !content.Empty() {
		return nil, malformed("responseBytes")
	}
	if r.Type != oid.BasicOCSPResponse {
		return r, nil
	}
	r.Basic, err = parseBasicOCSPResponse(basic)
	return r, err
}

func parseBasicOCSPResponse(raw []byte) (*BasicOCSPResponse, error) {
	der, err := ber.DER(raw)
	if err != nil {
		return nil, err
	}
	signed, rest, err := readSigned(raw, der, "BasicOCSPResponse")
	if err != nil {
		return nil, err
	}
	b := &BasicOCSPResponse{RawTBS: signed.raw, SignatureAlgorithm: signed.algorithm, Signature: signed.signature}
	if err := b.parseData(signed.body); err != nil {
		return nil, within("ResponseData", err)
	}
	return b, b.parseCertificates(rest)
}

func (b *BasicOCSPResponse) parseCertificates(s cryptobyte.String) error {
	var explicit, seq cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&explicit, &present, constructedTag(0)) || !s.Empty() ||
		present && (!explicit.ReadASN1(&seq, asn1.SEQUENCE) || !explicit.Empty()) {
		return malformed("certs")
	}
	for n := 0; !seq.Empty(); n++ {
		var element cryptobyte.String
		if n == MaxOCSPCertificates {
			return fmt.Errorf("more than %d certificates", MaxOCSPCertificates)
		}
		if !seq.ReadASN1Element(&element, asn1.SEQUENCE) {
			return malformed("certs")
		}
		if c, err := Parse(element); err == nil {
			b.Certificates = append(b.Certificates, c)
		}
	}
	return nil
}

// parseData reads the content of ResponseData.
func (b *BasicOCSPResponse) parseData(s cryptobyte.String) error {
	var version, answers, explicit cryptobyte.String
	var hasVersion, hasExtensions bool
	if !s.ReadOptionalASN1(&version, &hasVersion, constructedTag(0)) {
		return malformed("version")
	}
	if hasVersion && !bytes.Equal(version, []byte{0x02, 0x01, 0x00}) {
		b.defect("version", errors.New("not 1"))
	}
	if err := b.readResponderID(&s); err != nil {
		return within("responderID", err)
	}
	if !readGeneralizedTime(&s, &b.ProducedAt) {
		return malformed("producedAt")
	}
	if !s.ReadASN1(&answers, asn1.SEQUENCE) || !s.ReadOptionalASN1(&explicit, &hasExtensions, constructedTag(1)) || !s.Empty() {
		return malformed("responses")
	}
	for !answers.Empty() {
		if len(b.Answers) == MaxOCSPAnswers {
			return fmt.Errorf("more than %d answers", MaxOCSPAnswers)
		}
		if err := b.readAnswer(&answers); err != nil {
			return within(fmt.Sprintf("answer %d", len(b.Answers)+1), err)
		}
	}
	if !hasExtensions {
		return nil
	}
	var err error
	if b.Extensions, err = readExtensions(explicit); err != nil {
		return within("responseExtensions", err)
	}
	b.checkRepeated(b.Extensions)
	if e, found := findExtension(b.Extensions, oid.OCSPNonce); found {
		if b.Nonce, err = parseNonce(e.Value); err != nil {
			b.defect("responseExtensions", err)
		}
	}
	return nil
}

func (b *BasicOCSPResponse) readResponderID(s *cryptobyte.String) (err error) {
	var explicit, hash cryptobyte.String
	if s.PeekASN1Tag(constructedTag(1)) {
		if !s.ReadASN1(&explicit, constructedTag(1)) {
			return malformed("byName")
		}
		b.ResponderName, err = ParseName(explicit)
		return err
	}
	if !s.ReadASN1(&explicit, constructedTag(2)) || !explicit.ReadASN1(&hash, asn1.OCTET_STRING) || !explicit.Empty() || len(hash) == 0 {
		return malformed("byKey")
	}
	b.ResponderKeyHash = hash
	return nil
}

// readAnswer reads one SingleResponse.
func (b *BasicOCSPResponse) readAnswer(s *cryptobyte.String) error {
	var a OCSPAnswer
	var seq, next, explicit cryptobyte.String
	var hasNext, hasExtensions bool
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !readCertID(&seq, &a.CertID) {
		return malformed("certID")
	}
	if !a.readStatus(&seq) {
		return malformed("certStatus")
	}
	if !readGeneralizedTime(&seq, &a.ThisUpdate) || !seq.ReadOptionalASN1(&next, &hasNext, constructedTag(0)) ||
		hasNext && (!readGeneralizedTime(&next, &a.NextUpdate) || !next.Empty()) {
		return malformed("thisUpdate or nextUpdate")
	}
	if !seq.ReadOptionalASN1(&explicit, &hasExtensions, constructedTag(1)) || !seq.Empty() {
		return malformed("singleExtensions")
	}
	if hasExtensions {
		var err error
		if a.Extensions, err = readExtensions(explicit); err != nil {
			return within("singleExtensions", err)
		}
		b.checkRepeated(a.Extensions)
	}
	for _, e := range a.Extensions {
		if err := a.parseExtension(e); err != nil {
			b.defect("extension "+e.ID.Name(), err)
		}
	}
	b.Answers = append(b.Answers, a)
	return nil
}

// readStatus reads CertStatus.
func (a *OCSPAnswer) readStatus(s *cryptobyte.String) bool {
	var content, explicit cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	switch tag {
	case contextTag(0):
		a.Status = OCSPGood
		return content.Empty()
	case contextTag(2):
		a.Status = OCSPUnknown
		return content.Empty()
	case constructedTag(1):
	default:
		return false
	}
	a.Status = OCSPRevoked
	var hasReason bool
	reason := 0
	if !readGeneralizedTime(&content, &a.RevokedAt) ||
		!content.ReadOptionalASN1(&explicit, &hasReason, constructedTag(0)) || !content.Empty() ||
		hasReason && (!explicit.ReadASN1Enum(&reason) || !explicit.Empty()) {
		return false
	}
	a.Reason = Reason(reason)
	return true
}

// parseExtension reads what RFC 6960 §4.4 and the entries of lists (§4.4.5)
// have.
func (a *OCSPAnswer) parseExtension(e Extension) (err error) {
	switch e.ID {
	case oid.OCSPArchiveCutoff:
		a.ArchiveCutoff, err = parseGeneralizedTime(e.Value)
	case oid.ExtInvalidityDate:
		a.InvalidityDate, err = parseGeneralizedTime(e.Value)
	}
	return err
}

func (b *BasicOCSPResponse) checkRepeated(list []Extension) {
	for i, e := range list {
		if _, repeated := findExtension(list[:i], e.ID); repeated {
			b.defect("extension "+e.ID.Name(), errors.New("repeated"))
		}
	}
}

func (b *BasicOCSPResponse) defect(where string, err error) {
	b.Defects = append(b.Defects, within(where, err))
}

// CheckSignatureFrom checks that the key of responder made the signature, and
// nothing else. Errors are those of [Certificate.CheckSignatureFrom].
func (b *BasicOCSPResponse) CheckSignatureFrom(responder *Certificate) error {
	return responder.checkSignature(b.SignatureAlgorithm, b.RawTBS, b.Signature)
}

// NamesResponder tells whether the response says that it is from c: by its
// name, or by the SHA-1 of its key (RFC 6960 §4.2.1).
func (b *BasicOCSPResponse) NamesResponder(c *Certificate) bool {
	if b.ResponderKeyHash == nil {
		return b.ResponderName.Equal(c.Subject)
	}
	hash, err := c.KeyHash()
	return err == nil && bytes.Equal(b.ResponderKeyHash, hash)
}
