package signature

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// defaultSaltLength is RSASSA-PSS-params' DEFAULT (RFC 4055 §3.1).
const defaultSaltLength = 20

// readPSS takes the parameters of RFC 4055 §3.1. A signature must have them
// (RFC 4056 §3): their defaults are SHA-1's.
func (s *Scheme) readPSS(params []byte) error {
	in := cryptobyte.String(params)
	var seq cryptobyte.String
	if params == nil || !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return fmt.Errorf("%w: RSASSA-PSS without its parameters", ErrUnsupported)
	}
	hash := oid.AlgorithmIdentifier{Algorithm: oid.SHA1}
	mgfHash := hash
	s.salt = defaultSaltLength
	trailer := 1
	ok := readTagged(&seq, 0, func(v *cryptobyte.String) bool { return oid.ReadAlgorithm(v, &hash) }) &&
		readTagged(&seq, 1, func(v *cryptobyte.String) bool { return readMGF(v, &mgfHash) }) &&
		readTagged(&seq, 2, func(v *cryptobyte.String) bool { return v.ReadASN1Integer(&s.salt) }) &&
		readTagged(&seq, 3, func(v *cryptobyte.String) bool { return v.ReadASN1Integer(&trailer) })
	if !ok || !seq.Empty() || s.salt < 0 || s.salt > MaxRSABits/8 || trailer != 1 {
		return fmt.Errorf("%w: malformed RSASSA-PSS parameters", ErrUnsupported)
	}
	if !hash.Same(mgfHash) {
		return fmt.Errorf("%w: RSASSA-PSS with two digests (%s, mask %s)", ErrUnsupported, hash.Algorithm.Name(), mgfHash.Algorithm.Name())
	}
	h, ok := Hash(hash)
	if !ok {
		return fmt.Errorf("%w: RSASSA-PSS with %s", ErrUnsupported, hash.Algorithm.Name())
	}
	s.hash = h
	return nil
}

// readTagged reads an OPTIONAL field under an EXPLICIT tag.
func readTagged(s *cryptobyte.String, tag uint8, read func(*cryptobyte.String) bool) bool {
	var v cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&v, &present, asn1.Tag(tag).ContextSpecific().Constructed()) {
		return false
	}
	return !present || read(&v) && v.Empty()
}

func readMGF(s *cryptobyte.String, hash *oid.AlgorithmIdentifier) bool {
	var mgf oid.AlgorithmIdentifier
	if !oid.ReadAlgorithm(s, &mgf) || mgf.Algorithm != oid.MGF1 {
		return false
	}
	inner := cryptobyte.String(mgf.Parameters)
	return oid.ReadAlgorithm(&inner, hash) && inner.Empty()
}

// asPSS writes the parameters that the CA/B Forum fixes byte for byte
// (S/MIME BR §7.1.3.2.1): both digests with NULL, salt as long as the digest.
func (s Scheme) asPSS() (Scheme, error) {
	digest, ok := DigestAlgorithm(s.hash)
	if !ok || s.Weak() {
		return s, fmt.Errorf("%w: RSASSA-PSS with %v", ErrUnsupported, s.hash)
	}
	s.kind, s.salt, s.Digest = pss, s.hash.Size(), digest
	withNull := oid.AlgorithmIdentifier{Algorithm: digest.Algorithm, Parameters: oid.Null}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), withNull.Add)
		b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			params, err := withNull.DER()
			if err != nil {
				b.SetError(err)
			}
			oid.AlgorithmIdentifier{Algorithm: oid.MGF1, Parameters: params}.Add(b)
		})
		b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(s.salt)) })
	})
	params, err := b.Bytes()
	s.Algorithm = oid.AlgorithmIdentifier{Algorithm: oid.RSASSAPSS, Parameters: params}
	return s, err
}

// SaltLength returns the length of the salt in octets for RSASSA-PSS, 0 for
// other schemes. In the parameters of a key it is a minimum (RFC 4055 §3.3).
func (s Scheme) SaltLength() int { return s.salt }
