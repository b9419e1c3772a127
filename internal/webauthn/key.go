package webauthn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
)

// Algorithms that passkeys sign with, by their numbers (RFC 9053, RFC 8812), the
// preferred one first.
const (
	es256 = -7
	eddsa = -8
	rs256 = -257
)

var algorithms = []int64{es256, eddsa, rs256}

// Labels of a COSE_Key (RFC 9052 §7.1, RFC 9053 §7, RFC 8230 §4).
const (
	labelType      = int64(1)
	labelAlgorithm = int64(3)
	labelCurve     = int64(-1)
	labelX         = int64(-2)
	labelY         = int64(-3)
	labelN         = int64(-1)
	labelE         = int64(-2)

	typeOKP = int64(1)
	typeEC2 = int64(2)
	typeRSA = int64(3)

	curveP256    = int64(1)
	curveEd25519 = int64(6)
)

var errKey = errors.New("webauthn: public key not accepted")

// coseKey reads the credential's public key.
func coseKey(m map[any]any) (crypto.PublicKey, error) {
	kind, _ := m[labelType].(int64)
	algorithm, _ := m[labelAlgorithm].(int64)
	curve, _ := m[labelCurve].(int64)
	x, _ := m[labelX].([]byte)
	switch {
	case kind == typeEC2 && algorithm == es256 && curve == curveP256:
		y, _ := m[labelY].([]byte)
		if len(x) != 32 || len(y) != 32 {
			return nil, errKey
		}
		// ParseUncompressedPublicKey refuses a point that is not on the curve.
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errKey, err)
		}
		return key, nil
	case kind == typeOKP && algorithm == eddsa && curve == curveEd25519 && len(x) == ed25519.PublicKeySize:
		return ed25519.PublicKey(x), nil
	case kind == typeRSA && algorithm == rs256:
		n, _ := m[labelN].([]byte)
		e, _ := m[labelE].([]byte)
		return rsaKey(n, e)
	}
	return nil, errKey
}

// rsaKey takes keys of 2048 to 4096 bits with the usual exponent.
func rsaKey(n, e []byte) (crypto.PublicKey, error) {
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	if bits := key.N.BitLen(); bits < 2048 || bits > 4096 || new(big.Int).SetBytes(e).Cmp(big.NewInt(65537)) != 0 {
		return nil, errKey
	}
	return key, nil
}

// verify checks a signature; the kind of key says how.
func verify(key crypto.PublicKey, message, signature []byte) bool {
	digest := sha256.Sum256(message)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P256() && ecdsa.VerifyASN1(key, digest[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
