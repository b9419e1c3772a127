package cms

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Timestamp is what a time-stamp token (RFC 3161 §2.4.2, RFC 5816) says. With
// Err nil, the holder of Signer.Certificate confirms that the octets existed at
// Time. Whether it may be believed, as one who issues timestamps, is decided by
// package certpath (certpath.TimeStamping).
type Timestamp struct {
	// Time is when the octets existed at the latest, give or take Accuracy.
	Time     time.Time
	Accuracy time.Duration // 0 when the authority does not say
	// Ordering: any two timestamps of this authority can be told apart by
	// Time, whatever Accuracy is.
	Ordering bool
	Serial   *big.Int
	Policy   OID
	Nonce    *big.Int // nil when absent
	// Digest and Imprint are messageImprint: what was stamped.
	Digest  AlgorithmIdentifier
	Imprint []byte
	// Weak: the imprint or the authority's signature rests on MD5 or SHA-1.
	Weak bool
	// Signer is the authority's signature, its certificate not yet trusted.
	Signer SignerResult
	// Certificates are those in the token, unverified.
	Certificates []*cert.Certificate
	// Err wraps ErrSignature, ErrMalformed, ErrUnsupported or
	// ErrNoCertificate. Other fields may be empty when it is not nil.
	Err error
}

// maxTSTInfo is the size of a TSTInfo that is read; real ones have 200 octets.
const maxTSTInfo = 64 << 10

// VerifyTimestamp reads a time-stamp token, a ContentInfo in BER, and holds it
// to message, the octets that were stamped. The authority's certificate may
// also be among certificates.
func VerifyTimestamp(token, message []byte, certificates []*cert.Certificate) *Timestamp {
	t := readToken(token, certificates)
	if t.Err == nil {
		t.Err = t.stamps(message)
	}
	return t
}

// readToken checks everything but what was stamped.
func readToken(token []byte, certificates []*cert.Certificate) *Timestamp {
	t := &Timestamp{Signer: SignerResult{SignerInfo: &SignerInfo{}}}
	t.Err = t.read(token, certificates)
	return t
}

func (t *Timestamp) read(token []byte, certificates []*cert.Certificate) error {
	r, err := NewReader(bytes.NewReader(token), &Limits{Signers: 1})
	if err != nil {
		return err
	}
	s, err := r.SignedData(&SignedOptions{Certificates: certificates})
	if err != nil {
		return err
	}
	s.nested = true
	info, err := io.ReadAll(io.LimitReader(s, maxTSTInfo+1))
	if len(info) > maxTSTInfo {
		return malformed(fmt.Sprintf("TSTInfo of more than %d octets", maxTSTInfo), nil)
	}
	t.Certificates = s.Certificates()
	if results := s.Signers(); len(results) == 1 {
		t.Signer = results[0]
	}
	switch {
	case err != nil:
		return err
	case s.ContentType() != oid.TSTInfo:
		return malformed("timestamp holds "+s.ContentType().Name()+", not a TSTInfo", nil)
	case len(s.Signers()) != 1: // RFC 3161 §2.4.2
		return fmt.Errorf("%w: timestamp with %d signatures, one is right", ErrSignature, len(s.Signers()))
	case !t.Signer.namesCertificate():
		return fmt.Errorf("%w: timestamp without ESSCertID of the authority's certificate", ErrSignature)
	}
	if err := t.parse(info); err != nil {
		return err
	}
	h, _ := signature.Hash(t.Digest)
	t.Weak = t.Signer.Weak || weakDigest(h)
	return nil
}

func weakDigest(h crypto.Hash) bool { return h == crypto.MD5 || h == crypto.SHA1 }

// namesCertificate reports whether the signed attributes have an ESSCertID or
// ESSCertIDv2, either of which a token must have (RFC 5816 §2.2.1).
func (r *SignerResult) namesCertificate() bool {
	return len(r.SignedAttrs.Values(oid.AttrSigningCertificate))+len(r.SignedAttrs.Values(oid.AttrSigningCertificateV2)) > 0
}

// parse reads TSTInfo.
func (t *Timestamp) parse(der []byte) error {
	in := cryptobyte.String(der)
	var s, genTime cryptobyte.String
	var version int64
	t.Serial = new(big.Int)
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1Integer(&version) || !oid.Read(&s, &t.Policy) ||
		!readImprint(&s, &t.Digest, &t.Imprint) || !readBigInt(&s, t.Serial) || !s.ReadASN1Element(&genTime, asn1.GeneralizedTime) {
		return malformed("TSTInfo", nil)
	}
	if version != 1 {
		return fmt.Errorf("%w: TSTInfo of version %d", ErrUnsupported, version)
	}
	// RFC 3161 §2.4.2: seconds must be there, and UTC be said as Z.
	var ok bool
	if t.Time, ok = parseTime(genTime); !ok || len(genTime) < 2+len("20060102150405Z") || genTime[len(genTime)-1] != 'Z' {
		return malformed("TSTInfo: genTime", nil)
	}
	return t.parseOptional(s)
}

func (t *Timestamp) parseOptional(s cryptobyte.String) error {
	if s.PeekASN1Tag(asn1.SEQUENCE) && !t.readAccuracy(&s) {
		return malformed("TSTInfo: accuracy", nil)
	}
	if s.PeekASN1Tag(asn1.BOOLEAN) && !s.ReadASN1Boolean(&t.Ordering) {
		return malformed("TSTInfo: ordering", nil)
	}
	if s.PeekASN1Tag(asn1.INTEGER) {
		if t.Nonce = new(big.Int); !readBigInt(&s, t.Nonce) {
			return malformed("TSTInfo: nonce", nil)
		}
	}
	// The name of the authority is a hint (RFC 3161 §2.4.2); ESSCertID tells
	// who it is.
	var tsa cryptobyte.String
	if !s.ReadOptionalASN1(&tsa, nil, context0.Constructed()) {
		return malformed("TSTInfo: tsa", nil)
	}
	return readTSTExtensions(s)
}

// readAccuracy reads Accuracy (RFC 3161 §2.4.2).
func (t *Timestamp) readAccuracy(s *cryptobyte.String) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return false
	}
	seconds := 0
	if seq.PeekASN1Tag(asn1.INTEGER) && !seq.ReadASN1Integer(&seconds) {
		return false
	}
	const maxSeconds = 1 << 30 // 34 years
	if seconds < 0 || seconds > maxSeconds {
		return false
	}
	t.Accuracy = time.Duration(seconds) * time.Second
	return readFraction(&seq, context0, time.Millisecond, &t.Accuracy) && readFraction(&seq, context1, time.Microsecond, &t.Accuracy) && seq.Empty()
}

// readFraction reads millis or micros, which are 1 to 999.
func readFraction(s *cryptobyte.String, tag asn1.Tag, unit time.Duration, sum *time.Duration) bool {
	if !s.PeekASN1Tag(tag) {
		return true
	}
	var n int64
	if !s.ReadASN1Int64WithTag(&n, tag) || n < 1 || n > 999 {
		return false
	}
	*sum += time.Duration(n) * unit
	return true
}

// readTSTExtensions passes over extensions, none of which is known; a critical
// one changes what the token means (RFC 5280 §4.2).
func readTSTExtensions(s cryptobyte.String) error {
	var extensions cryptobyte.String
	if !s.ReadOptionalASN1(&extensions, nil, context1.Constructed()) || !s.Empty() {
		return malformed("TSTInfo", nil)
	}
	for !extensions.Empty() {
		var e, value cryptobyte.String
		var id OID
		critical := false
		if !extensions.ReadASN1(&e, asn1.SEQUENCE) || !oid.Read(&e, &id) || e.PeekASN1Tag(asn1.BOOLEAN) && !e.ReadASN1Boolean(&critical) ||
			!e.ReadASN1(&value, asn1.OCTET_STRING) || !e.Empty() {
			return malformed("TSTInfo: extension", nil)
		}
		if critical {
			return fmt.Errorf("%w: critical extension %s of a timestamp", ErrUnsupported, id.Name())
		}
	}
	return nil
}

// stamps holds the imprint to message.
func (t *Timestamp) stamps(message []byte) error {
	h, ok := signature.NewHash(t.Digest)
	if !ok {
		return fmt.Errorf("%w: timestamp with digest %s", ErrUnsupported, t.Digest.Algorithm.Name())
	}
	h.Write(message)
	if !bytes.Equal(h.Sum(nil), t.Imprint) {
		return fmt.Errorf("%w: the timestamp is for something else", ErrSignature)
	}
	return nil
}

// stamp asks for the timestamp of a signature (RFC 3161 Appendix A), whose
// octets are what is stamped.
func (w *signedWriter) stamp(sig []byte) (Attributes, error) {
	if w.options.Timestamp == nil {
		return nil, nil
	}
	q, err := NewTimestampRequest(sig, crypto.SHA256, w.options.Rand)
	if err != nil {
		return nil, err
	}
	request, err := q.DER()
	if err != nil {
		return nil, err
	}
	response, err := w.options.Timestamp(request)
	if err != nil {
		return nil, fmt.Errorf("get a timestamp: %w", err)
	}
	token, _, err := q.Open(response)
	if err != nil {
		return nil, err
	}
	return Attributes{TimestampAttribute(token)}, nil
}

// TimestampAttribute is the unsigned attribute id-aa-timeStampToken (RFC 3161
// Appendix A) with a token for the signature that will carry it, for [Amend].
func TimestampAttribute(token []byte) Attribute {
	return Attribute{Type: oid.AttrTimeStampToken, Values: [][]byte{token}}
}
