package cms

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ArchiveTimestamp is what an archive-time-stamp-v3 (ETSI EN 319 122-1 §5.5.3)
// says. With Err nil, content, signature and everything that it covers existed
// at Time. As with any timestamp, certpath decides whether the authority may be
// believed.
type ArchiveTimestamp struct {
	*Timestamp
	// Stamped are the octets whose digest the token's imprint is; nil when the
	// token or its index cannot be read.
	Stamped []byte
	index   *hashIndex
}

// CoversCertificate tells whether c is among what the timestamp is over.
func (a *ArchiveTimestamp) CoversCertificate(c *cert.Certificate) bool {
	return a.Err == nil && a.index.has(a.index.certificates, c.Raw)
}

// CoversCRL tells the same of a revocation list in DER.
func (a *ArchiveTimestamp) CoversCRL(crl []byte) bool {
	return a.Err == nil && a.index.has(a.index.revocation, crl)
}

// CoversOCSPResponse tells the same of an OCSP response in DER (RFC 5940).
func (a *ArchiveTimestamp) CoversOCSPResponse(response []byte) bool {
	choices, err := revocationInfo(nil, [][]byte{response})
	return err == nil && a.Err == nil && a.index.has(a.index.revocation, choices[0])
}

// CoversUnsigned tells the same of a value of an unsigned attribute.
func (a *ArchiveTimestamp) CoversUnsigned(t OID, value []byte) bool {
	return a.Err == nil && a.index.has(a.index.attributes, attributeValue(t, value))
}

// archived is what archive timestamps of a message's signers are over, octet for
// octet as it stands (EN 319 122-1 §5.5.2).
type archived struct {
	contentType  OID
	digests      map[OID][]byte // of the content
	certificates [][]byte       // CertificateChoices
	revocation   [][]byte       // RevocationInfoChoice
}

// verify holds a token to the signature r and all that goes with it.
func (m *archived) verify(r *SignerResult, token []byte, certificates []*cert.Certificate) *ArchiveTimestamp {
	a := &ArchiveTimestamp{Timestamp: readToken(token, certificates)}
	if a.Err == nil {
		a.Err = a.verifyIndex(m, r)
	}
	if a.Err == nil {
		a.Err = a.stamps(a.Stamped)
	}
	return a
}

// verifyIndex reads ats-hash-index-v3 and finds the original of each of its
// entries (§5.5.2: one without makes it invalid).
func (a *ArchiveTimestamp) verifyIndex(m *archived, r *SignerResult) error {
	value, present, err := a.Signer.UnsignedAttrs.single(oid.AttrATSHashIndexV3)
	if err != nil {
		return err
	}
	if !present {
		return fmt.Errorf("%w: archive timestamp without atsHashIndexV3", ErrUnsupported)
	}
	index, err := parseHashIndex(value)
	if err != nil {
		return err
	}
	if index.algorithm.Algorithm != a.Digest.Algorithm {
		return fmt.Errorf("%w: index and imprint of an archive timestamp have different digests", ErrSignature)
	}
	attributes, err := r.unsignedValues()
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name      string
		hashes    [][]byte
		originals [][]byte
	}{
		{"certificate", index.certificates, m.certificates},
		{"revocation list or response", index.revocation, m.revocation},
		{"unsigned attribute", index.attributes, attributes},
	} {
		if !index.originals(part.hashes, part.originals) {
			return fmt.Errorf("%w: a %s that the archive timestamp is over was changed or removed", ErrSignature, part.name)
		}
	}
	a.Stamped, err = m.input(r.SignerInfo, index)
	if err == nil {
		a.index = index
	}
	return err
}

// input concatenates what the imprint is over (§5.5.3, steps 1 to 4).
func (m *archived) input(si *SignerInfo, index *hashIndex) ([]byte, error) {
	digest, ok := m.digests[index.algorithm.Algorithm]
	if !ok {
		return nil, fmt.Errorf("%w: the content was not hashed with %s, which digestAlgorithms should announce", ErrUnsupported, index.algorithm.Algorithm.Name())
	}
	fields, err := si.fields()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	oid.Add(&b, m.contentType)
	b.AddBytes(digest)
	b.AddBytes(fields)
	b.AddBytes(index.der)
	return b.Bytes()
}

// elements are those of the SignerInfo as they stand, the unsigned attributes
// apart.
func (si *SignerInfo) elements() (fields [][]byte, unsigned []byte, err error) {
	e, err := split(si.raw, len(si.raw))
	if err != nil {
		return nil, nil, malformed("SignerInfo", err)
	}
	last := len(e.children) - 1
	if last >= 0 && e.children[last][0] == byte(context1.Constructed()) {
		return e.children[:last], e.children[last], nil
	}
	return e.children, nil, nil
}

// fields are version, sid, digestAlgorithm, signedAttrs, signatureAlgorithm and
// signature with their tags and lengths (§5.5.3, step 3).
func (si *SignerInfo) fields() ([]byte, error) {
	fields, _, err := si.elements()
	return bytes.Join(fields, nil), err
}

// unsignedValues returns attrType and one value, joined, for each value of each
// unsigned attribute, as they stand (§5.5.2).
func (si *SignerInfo) unsignedValues() (out [][]byte, err error) {
	_, raw, err := si.elements()
	if err != nil || raw == nil {
		return nil, err
	}
	set, err := split(raw, len(raw))
	if err != nil {
		return nil, malformed("unsignedAttrs", err)
	}
	for _, child := range set.children {
		attribute, err := split(child, len(child))
		if err != nil || len(attribute.children) != 2 {
			return nil, malformed("unsigned attribute", err)
		}
		values, err := split(attribute.children[1], len(child))
		if err != nil {
			return nil, malformed("unsigned attribute", err)
		}
		for _, v := range values.children {
			out = append(out, slices.Concat(attribute.children[0], v))
		}
	}
	return out, nil
}

// attributeValue is one of unsignedValues, in DER.
func attributeValue(t OID, value []byte) []byte {
	var b cryptobyte.Builder
	oid.Add(&b, t)
	b.AddBytes(value)
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	return der
}

// archiveDigests are those that the archive timestamps of a signature need of
// the content.
func archiveDigests(si *SignerInfo) (out []AlgorithmIdentifier) {
	values := si.UnsignedAttrs.Values(oid.AttrArchiveTimestampV3)
	for _, token := range values[:min(len(values), MaxUnsignedSignatures)] {
		if t := readToken(token, nil); t.Digest.Algorithm != "" && !slices.ContainsFunc(out, t.Digest.Same) {
			out = append(out, t.Digest)
		}
	}
	return out
}

// hashIndex is ATSHashIndexV3 (§5.5.2).
type hashIndex struct {
	der                                  []byte
	algorithm                            AlgorithmIdentifier
	certificates, revocation, attributes [][]byte
}

func parseHashIndex(der []byte) (*hashIndex, error) {
	x := &hashIndex{der: der}
	in := cryptobyte.String(der)
	var s cryptobyte.String
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !oid.ReadAlgorithm(&s, &x.algorithm) {
		return nil, malformed("ATSHashIndexV3", nil)
	}
	h, ok := signature.NewHash(x.algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: index of an archive timestamp with digest %s", ErrUnsupported, x.algorithm.Algorithm.Name())
	}
	for _, list := range []*[][]byte{&x.certificates, &x.revocation, &x.attributes} {
		var seq cryptobyte.String
		if !s.ReadASN1(&seq, asn1.SEQUENCE) {
			return nil, malformed("ATSHashIndexV3", nil)
		}
		for !seq.Empty() {
			var entry cryptobyte.String
			if !seq.ReadASN1(&entry, asn1.OCTET_STRING) || len(entry) != h.Size() {
				return nil, malformed("ATSHashIndexV3: entry", nil)
			}
			*list = append(*list, entry)
		}
	}
	if !s.Empty() {
		return nil, malformed("ATSHashIndexV3", nil)
	}
	return x, nil
}

// newHashIndex is the index of what stands in the message now.
func newHashIndex(algorithm AlgorithmIdentifier, certificates, revocation, attributes [][]byte) (*hashIndex, error) {
	x := &hashIndex{algorithm: algorithm}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		algorithm.Add(b)
		for _, part := range []struct {
			hashes    *[][]byte
			originals [][]byte
		}{{&x.certificates, certificates}, {&x.revocation, revocation}, {&x.attributes, attributes}} {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, o := range part.originals {
					hash := x.hash(o)
					*part.hashes = append(*part.hashes, hash)
					b.AddASN1OctetString(hash)
				}
			})
		}
	})
	var err error
	x.der, err = b.Bytes()
	return x, err
}

func (x *hashIndex) hash(octets []byte) []byte {
	h, ok := signature.NewHash(x.algorithm)
	if !ok {
		return nil
	}
	h.Write(octets)
	return h.Sum(nil)
}

// originals reports whether each hash is that of one of the originals.
func (x *hashIndex) originals(hashes, originals [][]byte) bool {
	found := map[string]bool{}
	for _, o := range originals {
		found[string(x.hash(o))] = true
	}
	return !slices.ContainsFunc(hashes, func(h []byte) bool { return !found[string(h)] })
}

// has reports whether the hash of octets is among hashes.
func (x *hashIndex) has(hashes [][]byte, octets []byte) bool {
	hash := x.hash(octets)
	return slices.ContainsFunc(hashes, func(h []byte) bool { return bytes.Equal(h, hash) })
}

// ArchiveTimestampRequest asks for an archive timestamp over one signature and
// all that stands beside it.
type ArchiveTimestampRequest struct {
	*TimestampRequest
	index *hashIndex
}

// ArchiveTimestampRequest asks for an archive-time-stamp-v3 of the signer at
// index i, over the message as it stands, which must have been read to its end
// and be right. h is a digest that the message announces or the signer uses; 0
// stands for the signer's own. The nonce is from source, nil for crypto/rand.
//
// What it takes to verify must be in the message before ([Amendment]), since
// what comes later is not covered.
func (s *SignedReader) ArchiveTimestampRequest(i int, h crypto.Hash, source io.Reader) (*ArchiveTimestampRequest, error) {
	if i < 0 || i >= len(s.results) {
		return nil, fmt.Errorf("cms: no signer %d, or the message was not read to its end", i+1)
	}
	r := &s.results[i]
	if r.Err != nil {
		return nil, fmt.Errorf("signer %d: %w", i+1, r.Err)
	}
	if h == 0 {
		h, _ = signature.Hash(r.DigestAlgorithm)
	}
	digest, ok := signature.DigestAlgorithm(h)
	if !ok || weakDigest(h) {
		return nil, fmt.Errorf("%w: archive timestamp with digest %v", ErrUnsupported, h)
	}
	attributes, err := r.unsignedValues()
	if err != nil {
		return nil, err
	}
	index, err := newHashIndex(digest, s.archive.certificates, s.archive.revocation, attributes)
	if err != nil {
		return nil, err
	}
	input, err := s.archive.input(r.SignerInfo, index)
	if err != nil {
		return nil, err
	}
	q, err := NewTimestampRequest(input, h, source)
	if err != nil {
		return nil, err
	}
	return &ArchiveTimestampRequest{q, index}, nil
}

// OpenAttribute reads a TimeStampResp as [TimestampRequest.Open] does and
// returns the unsigned attribute archive-time-stamp-v3, for [Amend]: the token,
// with ats-hash-index-v3 among its own unsigned attributes.
func (q *ArchiveTimestampRequest) OpenAttribute(response []byte) (Attribute, *Timestamp, error) {
	token, t, err := q.Open(response)
	if err != nil {
		return Attribute{}, nil, err
	}
	var out bytes.Buffer
	err = Amend(&out, bytes.NewReader(token), int64(len(token)), &Amendment{Unsigned: func(int, *SignerInfo) (Attributes, error) {
		return Attributes{{Type: oid.AttrATSHashIndexV3, Values: [][]byte{q.index.der}}}, nil
	}})
	if err != nil {
		return Attribute{}, nil, fmt.Errorf("archive timestamp: %w", err)
	}
	return Attribute{Type: oid.AttrArchiveTimestampV3, Values: [][]byte{out.Bytes()}}, t, nil
}
