package cms

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// TimestampAuthority answers requests for timestamps (RFC 3161). Its signer's
// certificate names id-kp-timeStamping as its only, critical extended key usage
// (§2.3); who verifies its tokens asks for that.
type TimestampAuthority struct {
	Signer *Signer
	// Policy is the one under which tokens are issued.
	Policy OID
	// Accuracy of the clock, in whole milliseconds; 0 says nothing about it.
	Accuracy time.Duration
	// Rand is the source of randomness; nil stands for crypto/rand.
	Rand io.Reader
}

// Respond answers a TimeStampReq with a TimeStampResp: a token for the time at,
// to the second, with a serial number that the authority uses once; or a
// refusal that says why (RFC 3161 §2.4.2). The error is the authority's own
// failure, to be answered with [SystemFailure].
func (a *TimestampAuthority) Respond(request []byte, serial *big.Int, at time.Time) ([]byte, error) {
	if a.Signer == nil || a.Policy == "" || serial == nil || serial.Sign() < 0 || serial.BitLen() > maxNonce {
		return nil, errors.New("cms: a timestamp authority needs a signer, a policy and a serial number")
	}
	q, err := ParseTimestampRequest(request)
	switch {
	case errors.Is(err, ErrUnsupported):
		return refusal(failUnacceptedExtension)
	case err != nil:
		return refusal(failBadRequest)
	case q.Policy != "" && q.Policy != a.Policy:
		return refusal(failUnacceptedPolicy)
	}
	// RFC 3161 §2.4.1: the length of the imprint must be that of the digest.
	h, ok := signature.Hash(q.Digest)
	if !ok || weakDigest(h) {
		return refusal(failBadAlgorithm)
	}
	if len(q.Imprint) != h.Size() {
		return refusal(failBadRequest)
	}
	token, err := a.token(q, serial, at)
	if err != nil {
		return nil, err
	}
	return TimestampResponse(token)
}

// token signs a TSTInfo.
func (a *TimestampAuthority) token(q *TimestampRequest, serial *big.Int, at time.Time) ([]byte, error) {
	info, err := a.info(q, serial, at)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w, err := newSignedWriter([]*Signer{a.Signer}, &SignOptions{ContentType: oid.TSTInfo, Time: at, Rand: a.Rand})
	if err != nil {
		return nil, err
	}
	w.lean = !q.Certificates
	if err := w.begin(&out); err != nil {
		return nil, err
	}
	if _, err := w.Write(info); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// info is TSTInfo.
func (a *TimestampAuthority) info(q *TimestampRequest, serial *big.Int, at time.Time) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		oid.Add(b, a.Policy)
		addImprint(b, q.Digest, q.Imprint)
		b.AddASN1BigInt(serial)
		b.AddASN1GeneralizedTime(at.UTC())
		if a.Accuracy > 0 {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if s := a.Accuracy / time.Second; s > 0 {
					b.AddASN1Int64(int64(s))
				}
				if ms := a.Accuracy % time.Second / time.Millisecond; ms > 0 {
					b.AddASN1Int64WithTag(int64(ms), context0)
				}
			})
		}
		if q.Nonce != nil {
			b.AddASN1BigInt(q.Nonce)
		}
	})
	return b.Bytes()
}

// NoTime is the answer of an authority that does not trust its clock at the
// moment (RFC 3161 §2.4.2: timeNotAvailable).
func NoTime() ([]byte, error) { return refusal(failTimeNotAvailable) }

// SystemFailure is the answer of an authority that cannot sign at the moment.
func SystemFailure() ([]byte, error) { return refusal(failSystemFailure) }

// refusal is a TimeStampResp with status rejection and one bit of
// PKIFailureInfo.
func refusal(bit int) ([]byte, error) {
	octets := make([]byte, bit/8+1)
	octets[bit/8] = 0x80 >> (bit % 8)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2)
			b.AddASN1(asn1.BIT_STRING, func(b *cryptobyte.Builder) { // a NamedBitList has no trailing zeroes (X.690 §11.2.2)
				b.AddUint8(uint8(7 - bit%8))
				b.AddBytes(octets)
			})
		})
	})
	return b.Bytes()
}
