package inspect

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// maxStatuses is how many answers of one OCSP response are listed.
const maxStatuses = 100

var errOCSP = errors.New("malformed OCSP response")

// ocspResponse explains OCSPResponse (RFC 6960 §4.2.1).
func ocspResponse(data []byte) (*Report, error) {
	der, err := ber.DER(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOCSP, err)
	}
	s := cryptobyte.String(der)
	var seq, explicit, bytes, basic cryptobyte.String
	var status int
	var hasBytes bool
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Enum(&status) ||
		!seq.ReadOptionalASN1(&explicit, &hasBytes, contextTag(0)) || !seq.Empty() {
		return nil, errOCSP
	}
	r := &Report{Kind: "ocsp response"}
	r.add("status", responseStatus(status))
	if !hasBytes {
		return r, nil
	}
	var kind oid.OID
	if !explicit.ReadASN1(&bytes, asn1.SEQUENCE) || !oid.Read(&bytes, &kind) ||
		!bytes.ReadASN1(&basic, asn1.OCTET_STRING) || !bytes.Empty() {
		return nil, errOCSP
	}
	if kind != oid.BasicOCSPResponse {
		r.add("type", kind.Name())
		r.add("note", "this type is not explained further")
		return r, nil
	}
	return r, basicResponse(r, basic)
}

// contextTag is the tag of an EXPLICIT element.
func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// responseStatus is OCSPResponseStatus.
func responseStatus(n int) string {
	names := []string{"successful", "malformedRequest", "internalError", "tryLater", "", "sigRequired", "unauthorized"}
	if n >= 0 && n < len(names) && names[n] != "" {
		return names[n]
	}
	return fmt.Sprintf("unknown (%d)", n)
}

// basicResponse explains BasicOCSPResponse. Its signature is not checked: whose
// word counts for which certificate is what verify finds out.
func basicResponse(r *Report, der cryptobyte.String) error {
	var seq, data, sig, certs cryptobyte.String
	var alg oid.AlgorithmIdentifier
	var hasCerts bool
	if !der.ReadASN1(&seq, asn1.SEQUENCE) || !der.Empty() ||
		!seq.ReadASN1(&data, asn1.SEQUENCE) || !oid.ReadAlgorithm(&seq, &alg) ||
		!seq.ReadASN1(&sig, asn1.BIT_STRING) ||
		!seq.ReadOptionalASN1(&certs, &hasCerts, contextTag(0)) || !seq.Empty() {
		return errOCSP
	}
	if err := responseData(r, data); err != nil {
		return err
	}
	r.add("signature", signature.Name(alg, oid.AlgorithmIdentifier{}))
	if !hasCerts {
		return nil
	}
	if !certs.ReadASN1(&seq, asn1.SEQUENCE) || !certs.Empty() {
		return errOCSP
	}
	for !seq.Empty() && len(r.Parts) < maxParts {
		var element cryptobyte.String
		if !seq.ReadASN1Element(&element, asn1.SEQUENCE) {
			return errOCSP
		}
		c, err := cert.Parse(element)
		if err != nil {
			r.add("fault", "certificate: "+err.Error())
			continue
		}
		r.Parts = append(r.Parts, certificate(c))
	}
	return nil
}

// responseData explains ResponseData.
func responseData(r *Report, s cryptobyte.String) error {
	var responses cryptobyte.String
	var producedAt time.Time
	if !s.SkipOptionalASN1(contextTag(0)) {
		return errOCSP
	}
	responder, ok := responderID(&s)
	if !ok || !s.ReadASN1GeneralizedTime(&producedAt) || !s.ReadASN1(&responses, asn1.SEQUENCE) ||
		!s.SkipOptionalASN1(contextTag(1)) || !s.Empty() {
		return errOCSP
	}
	r.add("responder", responder)
	r.add("produced_at", stamp(producedAt))
	var list []string
	count := int64(0)
	for ; !responses.Empty(); count++ {
		line, ok := singleResponse(&responses)
		if !ok {
			return errOCSP
		}
		if count < maxStatuses {
			list = append(list, line)
		}
	}
	if count > maxStatuses {
		list = append(list, fmt.Sprintf("and %d more", count-maxStatuses))
	}
	r.add("answer_count", count)
	r.add("answers", list)
	return nil
}

// responderID is a name or the hash of a key.
func responderID(s *cryptobyte.String) (string, bool) {
	var explicit, hash cryptobyte.String
	if s.PeekASN1Tag(contextTag(1)) {
		if !s.ReadASN1(&explicit, contextTag(1)) {
			return "", false
		}
		name, err := cert.ParseName(explicit)
		return name.String(), err == nil
	}
	if !s.ReadASN1(&explicit, contextTag(2)) || !explicit.ReadASN1(&hash, asn1.OCTET_STRING) || !explicit.Empty() {
		return "", false
	}
	return "key " + hex.EncodeToString(hash), true
}

// singleResponse explains SingleResponse in one line.
func singleResponse(s *cryptobyte.String) (string, bool) {
	var seq, certID, hash, next cryptobyte.String
	var alg oid.AlgorithmIdentifier
	var thisUpdate, nextUpdate time.Time
	var hasNext bool
	serial := new(big.Int)
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&certID, asn1.SEQUENCE) ||
		!oid.ReadAlgorithm(&certID, &alg) || !certID.ReadASN1(&hash, asn1.OCTET_STRING) ||
		!certID.ReadASN1(&hash, asn1.OCTET_STRING) || !certID.ReadASN1Integer(serial) || !certID.Empty() {
		return "", false
	}
	status, ok := certStatus(&seq)
	if !ok || !seq.ReadASN1GeneralizedTime(&thisUpdate) ||
		!seq.ReadOptionalASN1(&next, &hasNext, contextTag(0)) ||
		hasNext && (!next.ReadASN1GeneralizedTime(&nextUpdate) || !next.Empty()) ||
		!seq.SkipOptionalASN1(contextTag(1)) || !seq.Empty() {
		return "", false
	}
	line := fmt.Sprintf("%s of issuer key %s %s: %s, as of %s", serial.Text(16), alg.Algorithm.Name(), hex.EncodeToString(hash), status, stamp(thisUpdate))
	if hasNext {
		line += " until " + stamp(nextUpdate)
	}
	return line, true
}

// certStatus reads CertStatus.
func certStatus(s *cryptobyte.String) (string, bool) {
	var content, explicit cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return "", false
	}
	switch tag {
	case asn1.Tag(0).ContextSpecific():
		return "good", content.Empty()
	case asn1.Tag(2).ContextSpecific():
		return "unknown", content.Empty()
	case contextTag(1):
	default:
		return "", false
	}
	var at time.Time
	var hasReason bool
	reason := 0
	if !content.ReadASN1GeneralizedTime(&at) ||
		!content.ReadOptionalASN1(&explicit, &hasReason, contextTag(0)) || !content.Empty() ||
		hasReason && (!explicit.ReadASN1Enum(&reason) || !explicit.Empty()) {
		return "", false
	}
	return fmt.Sprintf("revoked at %s, %s", stamp(at), cert.Reason(reason)), true
}
