package cms

import (
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
)

// MaxTimestampResponse is the size of a TimeStampResp that is read; a token
// with its certificates has some 6 KiB, and with post-quantum ones 60.
const MaxTimestampResponse = 1 << 20

// TimestampRefused says that an authority did not give a timestamp, and why
// (RFC 3161 §2.4.2).
type TimestampRefused struct {
	Status  int      // PKIStatus: 2 rejection, 3 waiting, 4 and 5 revocation
	Failure []string // names of the bits of PKIFailureInfo
	Text    []string // of the authority, for people
}

// Error gives status, failure and text in one line without control characters.
func (e *TimestampRefused) Error() string {
	status, ok := map[int]string{2: "rejection", 3: "waiting", 4: "revocation warning", 5: "revocation notification"}[e.Status]
	if !ok {
		status = fmt.Sprintf("status %d", e.Status)
	}
	out := "cms: no timestamp: " + status
	if len(e.Failure) > 0 {
		out += ": " + strings.Join(e.Failure, ", ")
	}
	for _, t := range e.Text {
		out += fmt.Sprintf(" %q", t)
	}
	return out
}

// The bits of PKIFailureInfo that RFC 3161 §2.4.2 defines.
const (
	failBadAlgorithm        = 0
	failBadRequest          = 2
	failTimeNotAvailable    = 14
	failUnacceptedPolicy    = 15
	failUnacceptedExtension = 16
	failSystemFailure       = 25
)

var failures = map[int]string{
	failBadAlgorithm: "badAlg", failBadRequest: "badRequest", 5: "badDataFormat", failTimeNotAvailable: "timeNotAvailable",
	failUnacceptedPolicy: "unacceptedPolicy", failUnacceptedExtension: "unacceptedExtension", 17: "addInfoNotAvailable", failSystemFailure: "systemFailure",
}

// Open reads a TimeStampResp and returns its token, a ContentInfo in DER, when
// it is granted, correct and what was asked for. A refusal is a
// [*TimestampRefused]; other errors wrap ErrMalformed, ErrSignature,
// ErrUnsupported or ErrNoCertificate. Whether the authority may be trusted
// (Timestamp.Signer.Certificate) is not asked here.
func (q *TimestampRequest) Open(response []byte) (token []byte, t *Timestamp, err error) {
	if token, err = TimestampToken(response); err != nil {
		return nil, nil, err
	}
	t = readToken(token, nil)
	if t.Err == nil {
		t.Err = q.answers(t)
	}
	if t.Err != nil {
		return nil, nil, fmt.Errorf("timestamp: %w", t.Err)
	}
	return token, t, nil
}

// TimestampResponse is the TimeStampResp that grants token (RFC 3161 §2.4.2): the
// form in which timestamps are kept in files.
func TimestampResponse(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(0) }) // granted
		b.AddBytes(token)
	})
	return b.Bytes()
}

// TimestampToken returns the token of a TimeStampResp, or why there is none: a
// [*TimestampRefused], or an error that wraps ErrMalformed. The token is not verified;
// [VerifyTimestamp] does that.
func TimestampToken(response []byte) ([]byte, error) {
	if len(response) > MaxTimestampResponse {
		return nil, malformed(fmt.Sprintf("TimeStampResp of more than %d octets", MaxTimestampResponse), nil)
	}
	der, err := ber.DER(response)
	if err != nil {
		return nil, malformed("TimeStampResp", err)
	}
	in := cryptobyte.String(der)
	var s, info, token cryptobyte.String
	refused := &TimestampRefused{}
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !s.ReadASN1(&info, asn1.SEQUENCE) || !info.ReadASN1Integer(&refused.Status) ||
		!refused.readText(&info) || !refused.readFailure(&info) || !info.Empty() {
		return nil, malformed("TimeStampResp", nil)
	}
	// 0 granted, 1 granted with modifications: a token must be there; in any
	// other case it must not.
	if refused.Status != 0 && refused.Status != 1 {
		return nil, refused
	}
	if !s.ReadASN1Element(&token, asn1.SEQUENCE) || !s.Empty() {
		return nil, malformed("TimeStampResp without a token", nil)
	}
	return token, nil
}

// maxTexts are the texts of a refusal that are kept, each of at most maxSmall
// octets.
const maxTexts = 8

func (e *TimestampRefused) readText(s *cryptobyte.String) bool {
	if !s.PeekASN1Tag(asn1.SEQUENCE) {
		return true
	}
	var texts cryptobyte.String
	if !s.ReadASN1(&texts, asn1.SEQUENCE) {
		return false
	}
	for !texts.Empty() {
		var text cryptobyte.String
		if !texts.ReadASN1(&text, asn1.UTF8String) {
			return false
		}
		if len(e.Text) < maxTexts {
			e.Text = append(e.Text, string(text[:min(len(text), maxSmall)]))
		}
	}
	return true
}

func (e *TimestampRefused) readFailure(s *cryptobyte.String) bool {
	if !s.PeekASN1Tag(asn1.BIT_STRING) {
		return true
	}
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.BIT_STRING) || len(content) == 0 || content[0] > 7 {
		return false
	}
	for i, octet := range content[1:min(len(content), 9)] {
		for octet != 0 {
			n := bits.LeadingZeros8(octet)
			octet &^= 0x80 >> n
			name, ok := failures[i*8+n]
			if !ok {
				name = fmt.Sprintf("failure %d", i*8+n)
			}
			e.Failure = append(e.Failure, name)
		}
	}
	return true
}
