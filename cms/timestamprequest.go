package cms

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// TimestampRequest is a TimeStampReq (RFC 3161 §2.4.1): it asks an authority to
// confirm that something existed, of which it learns the digest alone.
type TimestampRequest struct {
	// Digest and Imprint are messageImprint.
	Digest  AlgorithmIdentifier
	Imprint []byte
	// Policy is the authority's policy that is asked for; empty leaves it to
	// the authority.
	Policy OID
	// Nonce ties the answer to the request; nil for none.
	Nonce *big.Int
	// Certificates asks for the authority's certificate in the token (certReq).
	Certificates bool
}

const (
	nonceSize = 16 // octets
	// maxNonce is the longest nonce and serial number that is read, in bits;
	// RFC 3161 §2.4.2 wants at least 160 for the latter.
	maxNonce = 1024
)

// NewTimestampRequest asks for a timestamp of message, with a nonce from
// source (nil for crypto/rand) and for the authority's certificate. The digest
// is SHA-256 when h is 0.
func NewTimestampRequest(message []byte, h crypto.Hash, source io.Reader) (*TimestampRequest, error) {
	if h == 0 {
		h = crypto.SHA256
	}
	digest, ok := signature.DigestAlgorithm(h)
	if !ok || weakDigest(h) {
		return nil, fmt.Errorf("%w: timestamp with digest %v", ErrUnsupported, h)
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(random(source), nonce); err != nil {
		return nil, err
	}
	sum := h.New()
	sum.Write(message)
	return &TimestampRequest{Digest: digest, Imprint: sum.Sum(nil), Nonce: new(big.Int).SetBytes(nonce), Certificates: true}, nil
}

// DER encodes the request.
func (q *TimestampRequest) DER() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addImprint(b, q.Digest, q.Imprint)
		if q.Policy != "" {
			oid.Add(b, q.Policy)
		}
		if q.Nonce != nil {
			b.AddASN1BigInt(q.Nonce)
		}
		if q.Certificates {
			b.AddASN1Boolean(true)
		}
	})
	return b.Bytes()
}

func addImprint(b *cryptobyte.Builder, digest AlgorithmIdentifier, imprint []byte) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		digest.Add(b)
		b.AddASN1OctetString(imprint)
	})
}

// ParseTimestampRequest reads a TimeStampReq in DER. ErrMalformed when it is
// none, ErrUnsupported when it has extensions: the authority must not pass over
// them (RFC 3161 §2.4.1).
func ParseTimestampRequest(der []byte) (*TimestampRequest, error) {
	in := cryptobyte.String(der)
	var s cryptobyte.String
	var version int64
	q := &TimestampRequest{}
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1Integer(&version) || !readImprint(&s, &q.Digest, &q.Imprint) {
		return nil, malformed("TimeStampReq", nil)
	}
	if version != 1 {
		return nil, fmt.Errorf("%w: TimeStampReq of version %d", ErrUnsupported, version)
	}
	if s.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) && !oid.Read(&s, &q.Policy) {
		return nil, malformed("TimeStampReq: reqPolicy", nil)
	}
	if s.PeekASN1Tag(asn1.INTEGER) {
		if q.Nonce = new(big.Int); !readBigInt(&s, q.Nonce) {
			return nil, malformed("TimeStampReq: nonce", nil)
		}
	}
	if s.PeekASN1Tag(asn1.BOOLEAN) && !s.ReadASN1Boolean(&q.Certificates) {
		return nil, malformed("TimeStampReq: certReq", nil)
	}
	if s.PeekASN1Tag(context0.Constructed()) {
		return nil, fmt.Errorf("%w: TimeStampReq with extensions", ErrUnsupported)
	}
	if !s.Empty() {
		return nil, malformed("TimeStampReq", nil)
	}
	return q, nil
}

// readImprint reads MessageImprint.
func readImprint(s *cryptobyte.String, digest *AlgorithmIdentifier, imprint *[]byte) bool {
	var seq, octets cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.ReadAlgorithm(&seq, digest) || !seq.ReadASN1(&octets, asn1.OCTET_STRING) || !seq.Empty() {
		return false
	}
	*imprint = octets
	return true
}

func readBigInt(s *cryptobyte.String, n *big.Int) bool {
	return s.ReadASN1Integer(n) && n.BitLen() <= maxNonce
}

// answers tells whether t is what was asked for (RFC 3161 §2.4.2).
func (q *TimestampRequest) answers(t *Timestamp) error {
	switch {
	case !t.Digest.Same(q.Digest) || !bytes.Equal(t.Imprint, q.Imprint):
		return fmt.Errorf("%w: the timestamp is for something else", ErrSignature)
	case q.Nonce != nil && (t.Nonce == nil || t.Nonce.Cmp(q.Nonce) != 0):
		return fmt.Errorf("%w: the timestamp answers another request (nonce)", ErrSignature)
	case q.Policy != "" && t.Policy != q.Policy:
		return fmt.Errorf("%w: the timestamp is of policy %s, not %s", ErrSignature, t.Policy, q.Policy)
	}
	return nil
}
