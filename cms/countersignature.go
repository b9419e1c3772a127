package cms

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Limits on what stands in unsigned attributes, which anyone can add to: how
// deep countersignatures of countersignatures are followed, and how many
// countersignatures and timestamps of one message are checked.
const (
	MaxCountersignatureDepth = 4
	MaxUnsignedSignatures    = 32
)

// CountersignOptions choose what is signed beside the signature.
type CountersignOptions struct {
	// Time becomes the attribute signingTime; zero leaves it out.
	Time time.Time
	// Rand is the source of randomness; nil stands for crypto/rand.
	Rand io.Reader
}

// Countersign signs the signature of si (RFC 5652 §11.4): s confirms that it
// has seen it, and not what it was made over. The result is an unsigned
// attribute of si, for [Amend]; the certificates of s must go with it.
func Countersign(si *SignerInfo, s *Signer, o *CountersignOptions) (Attribute, error) {
	if o == nil {
		o = &CountersignOptions{}
	}
	c, err := s.prepare()
	if err != nil {
		return Attribute{}, err
	}
	h, ok := signature.NewHash(c.scheme.Digest)
	if !ok {
		return Attribute{}, fmt.Errorf("%w: digest %s", ErrUnsupported, c.scheme.Digest.Algorithm.Name())
	}
	h.Write(si.Signature)
	// No contentType: the signature octets have none (RFC 5652 §11.4).
	var a signedAttributes
	a.addCommon(h.Sum(nil), o.Time)
	if a.err != nil {
		return Attribute{}, a.err
	}
	info, err := c.sign(a.list, random(o.Rand), nil)
	if err != nil {
		return Attribute{}, err
	}
	return Attribute{Type: oid.AttrCountersignature, Values: [][]byte{info}}, nil
}

// unsigned checks what the unsigned attributes of a message's signers hold. It
// is apart from the signers' own results, since whoever carries a message can
// add and remove unsigned attributes.
type unsigned struct {
	certificates []*cert.Certificate
	bare         bool
	left         int // signatures that are still checked
	work         *atomic.Int64
	archive      *archived
}

// add checks countersignatures and timestamps of r, which is nested in depth
// others.
func (u *unsigned) add(r *SignerResult, depth int) {
	for _, value := range r.UnsignedAttrs.Values(oid.AttrTimeStampToken) {
		r.Timestamps = append(r.Timestamps, u.timestamp(r, value))
	}
	// An archive timestamp is over a signature of the message, with all its
	// countersignatures (EN 319 122-1 §5.5.1).
	if depth == 0 {
		for _, value := range r.UnsignedAttrs.Values(oid.AttrArchiveTimestampV3) {
			r.ArchiveTimestamps = append(r.ArchiveTimestamps, u.archiveTimestamp(r, value))
		}
	}
	for _, value := range r.UnsignedAttrs.Values(oid.AttrCountersignature) {
		r.Countersignatures = append(r.Countersignatures, u.countersignature(r, value, depth+1))
	}
}

// take counts one signature; false when no more are checked.
func (u *unsigned) take() bool {
	u.left--
	return u.left >= 0
}

var errTooManyUnsigned = fmt.Errorf("%w: more than %d countersignatures and timestamps", ErrUnsupported, MaxUnsignedSignatures)

func (u *unsigned) timestamp(r *SignerResult, token []byte) *Timestamp {
	if !u.take() {
		return &Timestamp{Signer: SignerResult{SignerInfo: &SignerInfo{}}, Err: errTooManyUnsigned}
	}
	return VerifyTimestamp(token, r.Signature, u.certificates)
}

func (u *unsigned) archiveTimestamp(r *SignerResult, token []byte) *ArchiveTimestamp {
	if !u.take() {
		return &ArchiveTimestamp{Timestamp: &Timestamp{Signer: SignerResult{SignerInfo: &SignerInfo{}}, Err: errTooManyUnsigned}}
	}
	return u.archive.verify(r, token, u.certificates)
}

func (u *unsigned) countersignature(over *SignerResult, value []byte, depth int) SignerResult {
	r := SignerResult{SignerInfo: &SignerInfo{}}
	if depth > MaxCountersignatureDepth {
		r.Err = fmt.Errorf("%w: countersignatures nested more than %d deep", ErrUnsupported, MaxCountersignatureDepth)
		return r
	}
	if !u.take() {
		r.Err = errTooManyUnsigned
		return r
	}
	si, err := parseSignerInfo(value)
	if err != nil {
		r.Err = fmt.Errorf("countersignature: %w", err)
		return r
	}
	c := checker{
		countersignature: true, certificates: u.certificates, bare: u.bare, work: u.work,
		digests: map[OID][]byte{}, attributes: isSignedAttributes(over.Signature),
	}
	if h, ok := signature.NewHash(si.DigestAlgorithm); ok {
		h.Write(over.Signature)
		c.digests[si.DigestAlgorithm.Algorithm] = h.Sum(nil)
	}
	r = c.check(si)
	u.add(&r, depth)
	return r
}
