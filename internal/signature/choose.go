package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/mailseal/mailseal/internal/oid"
)

// Options choose among the schemes of a key. The zero value is the sensible
// choice for it.
type Options struct {
	// Hash is the digest; 0 picks SHA-256, or the curve's own (RFC 5753 §7,
	// RFC 5480 §4) for P-384 and P-521.
	Hash crypto.Hash
	// PSS signs RSA with RSASSA-PSS, salt as long as the digest, instead of
	// PKCS #1 v1.5.
	PSS bool
}

// For returns the scheme with which the private half of pub signs.
func For(pub crypto.PublicKey, o *Options) (Scheme, error) {
	if o == nil {
		o = &Options{}
	}
	s := Scheme{hash: o.Hash}
	switch key := pub.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > MaxRSABits { // RFC 8551 §4.2
			return s, fmt.Errorf("%w: RSA key of %d bits; 2048 to %d are signed with", ErrUnsupported, bits, MaxRSABits)
		}
		s.kind, s.hash = pkcs1, orHash(s.hash, crypto.SHA256)
		if o.PSS {
			return s.asPSS()
		}
	case *ecdsa.PublicKey:
		s.kind, s.hash = ecdsaKind, orHash(s.hash, curveHash(key))
	case ed25519.PublicKey:
		return s.pure(ed25519Kind, oid.Ed25519, oid.AlgorithmIdentifier{Algorithm: oid.SHA512}, o.Hash)
	case ed448.PublicKey:
		return s.pure(ed448Kind, oid.Ed448, shake512(), o.Hash)
	case *mldsa.PublicKey:
		return s.forMLDSA(key, o.Hash)
	case slhdsa.PublicKey:
		return s.forSLHDSA(key, o.Hash)
	default:
		return s, fmt.Errorf("%w: key of type %T", ErrUnsupported, pub)
	}
	if s.hash == crypto.MD5 || s.hash == crypto.SHA1 {
		return s, fmt.Errorf("%w: %s is only read, never written", ErrUnsupported, s.hash)
	}
	for _, p := range pairs {
		if p.kind == s.kind && p.hash == s.hash {
			s.Algorithm.Algorithm = p.oid
			if s.kind == pkcs1 && p.oid[0] == '1' { // RFC 4055 §5: NULL; RFC 9688 §4: absent
				s.Algorithm.Parameters = oid.Null
			}
			s.Digest, _ = DigestAlgorithm(s.hash)
			return s, nil
		}
	}
	return s, fmt.Errorf("%w: digest %v", ErrUnsupported, s.hash)
}

// pure finishes a scheme that signs the message itself; digest is that of the
// content alone, and fixed: SHA-512 for Ed25519 (RFC 8419 §3.1) and, as the one
// that every implementation has, for ML-DSA (RFC 9882 §3.3).
func (s Scheme) pure(k kind, algorithm oid.OID, digest oid.AlgorithmIdentifier, h crypto.Hash) (Scheme, error) {
	if fixed, ok := Hash(digest); h != 0 && (!ok || h != fixed) {
		return s, fmt.Errorf("%w: %s goes with %s", ErrUnsupported, algorithm.Name(), digest.Algorithm.Name())
	}
	s.kind, s.hash = k, 0
	s.Algorithm.Algorithm, s.Digest = algorithm, digest
	return s, nil
}

// shake512 is id-shake256-len with 512 bits, which goes with Ed448 where there
// are signed attributes (RFC 8419 §3.1).
func shake512() oid.AlgorithmIdentifier {
	return oid.AlgorithmIdentifier{Algorithm: oid.SHAKE256Len, Parameters: []byte{0x02, 0x02, 0x02, 0x00}}
}

func (s Scheme) forMLDSA(key *mldsa.PublicKey, h crypto.Hash) (Scheme, error) {
	s.mldsa = key.Parameters()
	algorithm := oid.MLDSA87
	switch s.mldsa {
	case mldsa.MLDSA44():
		algorithm = oid.MLDSA44
	case mldsa.MLDSA65():
		algorithm = oid.MLDSA65
	}
	return s.pure(mldsaKind, algorithm, oid.AlgorithmIdentifier{Algorithm: oid.SHA512}, h)
}

func (s Scheme) forSLHDSA(key slhdsa.PublicKey, h crypto.Hash) (Scheme, error) {
	s.slhdsa = key.ID
	for _, p := range slhdsaSets {
		if p.id == key.ID {
			return s.pure(slhdsaKind, p.oid, oid.AlgorithmIdentifier{Algorithm: p.digest}, h)
		}
	}
	return s, fmt.Errorf("%w: SLH-DSA parameter set", ErrUnsupported)
}

func orHash(h, fallback crypto.Hash) crypto.Hash {
	if h == 0 {
		return fallback
	}
	return h
}

func curveHash(key *ecdsa.PublicKey) crypto.Hash {
	switch bits := key.Curve.Params().BitSize; {
	case bits <= 256:
		return crypto.SHA256
	case bits <= 384:
		return crypto.SHA384
	}
	return crypto.SHA512
}
