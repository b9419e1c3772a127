package oid

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// AlgorithmIdentifier is the structure of RFC 5280 §4.1.1.2: an algorithm and
// its parameters. Parameters holds the DER element as it stood (tag, length,
// content), and is nil when absent: absent and NULL are different values.
type AlgorithmIdentifier struct {
	Algorithm  OID
	Parameters []byte
}

// Null is the DER encoding of NULL, the parameters that RSA algorithms carry.
var Null = []byte{0x05, 0x00}

// ReadAlgorithm consumes one AlgorithmIdentifier from s.
func ReadAlgorithm(s *cryptobyte.String, a *AlgorithmIdentifier) bool {
	return ReadTaggedAlgorithm(s, a, asn1.SEQUENCE)
}

// ReadTaggedAlgorithm consumes an AlgorithmIdentifier under an IMPLICIT tag.
func ReadTaggedAlgorithm(s *cryptobyte.String, a *AlgorithmIdentifier, tag asn1.Tag) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) || !Read(&seq, &a.Algorithm) {
		return false
	}
	a.Parameters = nil
	if seq.Empty() {
		return true
	}
	var params cryptobyte.String
	var any asn1.Tag
	if !seq.ReadAnyASN1Element(&params, &any) || !seq.Empty() {
		return false
	}
	a.Parameters = params
	return true
}

// Add appends a as a SEQUENCE to b.
func (a AlgorithmIdentifier) Add(b *cryptobyte.Builder) {
	a.AddTagged(b, asn1.SEQUENCE)
}

// AddTagged appends a under an IMPLICIT tag to b.
func (a AlgorithmIdentifier) AddTagged(b *cryptobyte.Builder, tag asn1.Tag) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		Add(b, a.Algorithm)
		b.AddBytes(a.Parameters)
	})
}

// DER returns the encoding of a.
func (a AlgorithmIdentifier) DER() ([]byte, error) {
	var b cryptobyte.Builder
	a.Add(&b)
	return b.Bytes()
}

// NoParameters reports whether the parameters are absent or NULL: for SHA-2
// and many others both are met (RFC 5754 §2) and mean the same.
func (a AlgorithmIdentifier) NoParameters() bool {
	return a.Parameters == nil || bytes.Equal(a.Parameters, Null)
}

// Same reports whether a and b name the same algorithm with the same
// parameters, where absent and NULL count as the same (RFC 6211 §3, RFC 5754 §2).
func (a AlgorithmIdentifier) Same(b AlgorithmIdentifier) bool {
	if a.Algorithm != b.Algorithm {
		return false
	}
	return a.NoParameters() && b.NoParameters() || bytes.Equal(a.Parameters, b.Parameters)
}
