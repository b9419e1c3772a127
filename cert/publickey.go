package cert

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/mlkem"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Limits on RSA keys. Verification costs the square of the modulus times the
// length of the exponent, and both are the sender's to choose (CVE-2021-43527).
const (
	MaxRSABits     = 16384
	MaxRSAExponent = 1<<31 - 1
)

// Effort is how long it takes to check a signature by a key, in checks on P-256: who sends certificates chooses their keys.
func Effort(key crypto.PublicKey) int {
	switch k := key.(type) {
	case *rsa.PublicKey:
		size := (k.N.BitLen() + 2047) / 2048
		steps := bits.Len(uint(k.E)) + bits.OnesCount(uint(k.E)) // squarings and multiplications; 19 for 65537
		return size * size * max(1, steps/16)
	case slhdsa.PublicKey:
		return 10
	case ed448.PublicKey:
		return 4
	}
	return 1
}

// ErrUnknownKey is wrapped by errors about keys whose algorithm or curve is not
// known here; other errors mean that the key itself is wrong.
var ErrUnknownKey = errors.New("public key algorithm not known")

// errSPKI is wrapped when not even the algorithm can be read.
var errSPKI = errors.New("malformed subjectPublicKeyInfo")

// ParsePublicKey reads a SubjectPublicKeyInfo in DER (RFC 5280 §4.1). For the
// types of key see [Certificate.PublicKey]; for an unknown algorithm the error
// wraps [ErrUnknownKey].
func ParsePublicKey(spki []byte) (crypto.PublicKey, error) {
	key, _, err := parseSPKI(spki)
	return key, within("parse public key", err)
}

func parseSPKI(spki []byte) (crypto.PublicKey, oid.AlgorithmIdentifier, error) {
	var alg oid.AlgorithmIdentifier
	seq, err := readSequence(spki, "subjectPublicKeyInfo")
	if err != nil {
		return nil, alg, errSPKI
	}
	if !oid.ReadAlgorithm(&seq, &alg) {
		return nil, alg, errSPKI
	}
	bits, ok := readOctetBits(&seq)
	if !ok || !seq.Empty() {
		return nil, alg, errSPKI
	}
	key, err := parseKey(alg, bits)
	if err != nil {
		return nil, alg, err // a nil of no type
	}
	return key, alg, nil
}

func parseKey(alg oid.AlgorithmIdentifier, bits []byte) (crypto.PublicKey, error) {
	switch alg.Algorithm {
	case oid.RSAEncryption, oid.RSASSAPSS, oid.RSAESOAEP:
		return parseRSA(bits)
	case oid.ECPublicKey:
		return parseEC(alg.Parameters, bits)
	}
	key, err := parseBare(alg.Algorithm, bits)
	if err == nil && alg.Parameters != nil { // RFC 8410 §3, RFC 9881 §2, RFC 9909 §3, RFC 9935 §3
		return nil, malformed("parameters of the " + alg.Algorithm.Name() + " key")
	}
	return key, err
}

// parseBare reads a key that is nothing but its octets, all about it said by
// the identifier.
func parseBare(id oid.OID, bits []byte) (crypto.PublicKey, error) {
	switch id {
	case oid.Ed25519:
		return ed25519.PublicKey(bits), ofSize(bits, ed25519.PublicKeySize, id)
	case oid.Ed448:
		return ed448.PublicKey(bits), ofSize(bits, ed448.PublicKeySize, id)
	case oid.X25519:
		return ecdh.X25519().NewPublicKey(bits)
	case oid.X448:
		return NewX448PublicKey(bits)
	case oid.MLDSA44, oid.MLDSA65, oid.MLDSA87:
		return mldsa.NewPublicKey(mldsaParameters(id), bits)
	case oid.MLKEM512:
		return NewMLKEM512PublicKey(bits)
	case oid.MLKEM768:
		return mlkem.NewEncapsulationKey768(bits)
	case oid.MLKEM1024:
		return mlkem.NewEncapsulationKey1024(bits)
	}
	if set, ok := signature.SLHDSA(id); ok {
		return parseSLHDSA(set, bits)
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id.Name())
}

func parseSLHDSA(set slhdsa.ID, bits []byte) (crypto.PublicKey, error) {
	key := slhdsa.PublicKey{ID: set}
	if err := key.UnmarshalBinary(bits); err != nil {
		return nil, malformed("SLH-DSA key")
	}
	return key, nil
}

func ofSize(bits []byte, size int, id oid.OID) error {
	if len(bits) != size {
		return malformed(id.Name() + " key")
	}
	return nil
}

func mldsaParameters(id oid.OID) mldsa.Parameters {
	switch id {
	case oid.MLDSA44:
		return mldsa.MLDSA44()
	case oid.MLDSA65:
		return mldsa.MLDSA65()
	}
	return mldsa.MLDSA87()
}

// parseRSA reads RSAPublicKey (RFC 8017 §A.1.1).
func parseRSA(bits []byte) (*rsa.PublicKey, error) {
	seq, err := readSequence(bits, "RSA key")
	if err != nil {
		return nil, err
	}
	var n, e *big.Int
	if !readInteger(&seq, &n) || !readInteger(&seq, &e) || !seq.Empty() {
		return nil, malformed("RSA key")
	}
	switch {
	case n.Sign() <= 0 || n.Bit(0) == 0:
		return nil, errors.New("RSA modulus is not a positive odd number")
	case n.BitLen() > MaxRSABits:
		return nil, fmt.Errorf("RSA modulus of %d bits, more than %d", n.BitLen(), MaxRSABits)
	case e.Cmp(big.NewInt(3)) < 0 || e.Bit(0) == 0 || e.Cmp(big.NewInt(MaxRSAExponent)) > 0:
		return nil, errors.New("RSA exponent is even, below 3 or above 2^31")
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// parseEC reads a point on a named curve (RFC 5480 §2.2). Explicit curve
// parameters are unknown on purpose: with them the sender chooses the curve
// (CVE-2020-0601).
func parseEC(parameters, bits []byte) (*ecdsa.PublicKey, error) {
	s := cryptobyte.String(parameters)
	var id oid.OID
	if !s.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) {
		return nil, fmt.Errorf("%w: elliptic curve without a name", ErrUnknownKey)
	}
	if !oid.Read(&s, &id) || !s.Empty() {
		return nil, malformed("curve name")
	}
	var curve elliptic.Curve
	switch id {
	case oid.P256:
		curve = elliptic.P256()
	case oid.P384:
		curve = elliptic.P384()
	case oid.P521:
		curve = elliptic.P521()
	default:
		return nil, fmt.Errorf("%w: elliptic curve %s", ErrUnknownKey, id.Name())
	}
	if len(bits) > 0 && bits[0] != 4 {
		return parseCompressed(curve, bits)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, bits)
	if err != nil {
		return nil, errors.New("point is not on its curve")
	}
	return key, nil
}

// parseCompressed reads the form that RFC 5480 §2.2 allows beside the common
// one.
func parseCompressed(curve elliptic.Curve, bits []byte) (*ecdsa.PublicKey, error) {
	x, y := elliptic.UnmarshalCompressed(curve, bits)
	if x == nil {
		return nil, errors.New("point is not on its curve")
	}
	size := (curve.Params().BitSize + 7) / 8
	full := make([]byte, 1+2*size)
	full[0] = 4
	x.FillBytes(full[1 : 1+size])
	y.FillBytes(full[1+size:])
	return ecdsa.ParseUncompressedPublicKey(curve, full)
}

// MarshalPublicKey writes a key of one of the types in [Certificate.PublicKey]
// as SubjectPublicKeyInfo in DER, RSA as rsaEncryption.
func MarshalPublicKey(key crypto.PublicKey) ([]byte, error) {
	var alg oid.AlgorithmIdentifier
	var bits []byte
	switch key := key.(type) {
	case *rsa.PublicKey:
		alg = oid.AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}
		bits = marshalRSA(key)
	case *ecdsa.PublicKey:
		curve, err := curveOID(key.Curve)
		if err != nil {
			return nil, err
		}
		alg = oid.AlgorithmIdentifier{Algorithm: oid.ECPublicKey, Parameters: curve}
		if bits, err = key.Bytes(); err != nil {
			return nil, err
		}
	case ed25519.PublicKey:
		alg.Algorithm, bits = oid.Ed25519, key
	case ed448.PublicKey:
		alg.Algorithm, bits = oid.Ed448, key
	case *ecdh.PublicKey:
		if key.Curve() != ecdh.X25519() {
			return nil, fmt.Errorf("%w: ECDH on %s", ErrUnknownKey, key.Curve())
		}
		alg.Algorithm, bits = oid.X25519, key.Bytes()
	case *mldsa.PublicKey:
		alg.Algorithm, bits = mldsaOID(key.Parameters()), key.Bytes()
	case slhdsa.PublicKey:
		var err error
		alg.Algorithm = signature.SLHDSAOID(key.ID)
		if bits, err = key.MarshalBinary(); err != nil {
			return nil, err
		}
	case *X448PublicKey:
		alg.Algorithm, bits = oid.X448, key.Bytes()
	case *MLKEM512PublicKey:
		alg.Algorithm, bits = oid.MLKEM512, key.Bytes()
	case *mlkem.EncapsulationKey768:
		alg.Algorithm, bits = oid.MLKEM768, key.Bytes()
	case *mlkem.EncapsulationKey1024:
		alg.Algorithm, bits = oid.MLKEM1024, key.Bytes()
	default:
		return nil, fmt.Errorf("%w: %T", ErrUnknownKey, key)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		alg.Add(b)
		b.AddASN1BitString(bits)
	})
	return b.Bytes()
}

func marshalRSA(key *rsa.PublicKey) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(key.N)
		b.AddASN1Int64(int64(key.E))
	})
	return b.BytesOrPanic() // adds nothing that can fail
}

func curveOID(curve elliptic.Curve) ([]byte, error) {
	var b cryptobyte.Builder
	switch curve {
	case elliptic.P256():
		oid.Add(&b, oid.P256)
	case elliptic.P384():
		oid.Add(&b, oid.P384)
	case elliptic.P521():
		oid.Add(&b, oid.P521)
	default:
		return nil, fmt.Errorf("%w: elliptic curve %s", ErrUnknownKey, curve.Params().Name)
	}
	return b.Bytes()
}

func mldsaOID(p mldsa.Parameters) oid.OID {
	switch p {
	case mldsa.MLDSA44():
		return oid.MLDSA44
	case mldsa.MLDSA65():
		return oid.MLDSA65
	}
	return oid.MLDSA87
}
