package signature

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"math/big"

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
	var known, maskKnown bool
	s.hash, known = Hash(hash)
	s.mask, maskKnown = Hash(mgfHash)
	if !known || !maskKnown {
		return fmt.Errorf("%w: RSASSA-PSS with %s, mask with %s", ErrUnsupported, hash.Algorithm.Name(), mgfHash.Algorithm.Name())
	}
	return nil
}

// verifyPSS is RSASSA-PSS-VERIFY (RFC 8017 §8.1.2) where the mask has a digest
// of its own: crypto/rsa takes one for both. Nothing in it is secret.
func verifyPSS(pub *rsa.PublicKey, hash, mask crypto.Hash, saltLength int, sum, sig []byte) bool {
	c := new(big.Int).SetBytes(sig)
	bits := pub.N.BitLen() - 1
	size, hashSize := (bits+7)/8, hash.Size()
	if len(sig) != pub.Size() || c.Cmp(pub.N) >= 0 || len(sum) != hashSize || size < hashSize+saltLength+2 {
		return false
	}
	m := c.Exp(c, big.NewInt(int64(pub.E)), pub.N)
	if m.BitLen() > bits {
		return false
	}
	encoded := m.FillBytes(make([]byte, size)) // EMSA-PSS-VERIFY, §9.1.2
	db, h, trailer := encoded[:size-hashSize-1], encoded[size-hashSize-1:size-1], encoded[size-1]
	xorMGF1(db, mask, h)
	db[0] &= 0xff >> (8*size - bits)
	zeros := len(db) - saltLength - 1
	if trailer != 0xbc || db[zeros] != 1 || !bytes.Equal(db[:zeros], make([]byte, zeros)) {
		return false
	}
	again := hash.New()
	again.Write(make([]byte, 8))
	again.Write(sum)
	again.Write(db[zeros+1:])
	return bytes.Equal(again.Sum(nil), h)
}

// xorMGF1 adds the mask that seed makes (RFC 8017 §B.2.1).
func xorMGF1(out []byte, hash crypto.Hash, seed []byte) {
	for counter := uint32(0); len(out) > 0; counter++ {
		h := hash.New()
		h.Write(seed)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		out = out[subtle.XORBytes(out, out, h.Sum(nil)):]
	}
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
	s.kind, s.mask, s.salt, s.Digest = pss, s.hash, s.hash.Size(), digest
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

// MaskHash returns the digest of the mask of RSASSA-PSS, 0 for other schemes.
func (s Scheme) MaskHash() crypto.Hash { return s.mask }
