package issuance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/mlkem"
	"crypto/rsa"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/weakkey"
)

// ErrWeakKey is wrapped by every refusal of a public key; what follows it
// says what is wrong.
var ErrWeakKey = weakkey.Err

// Algorithm is a kind of public key that can be certified.
type Algorithm string

// The kinds. ML-DSA and ML-KEM (RFC 9881, RFC 9935) are for hierarchies whose
// relying parties can read them.
const (
	RSA     Algorithm = "RSA"
	P256    Algorithm = "P-256"
	P384    Algorithm = "P-384"
	Ed25519 Algorithm = "Ed25519"
	MLDSA   Algorithm = "ML-DSA"
	MLKEM   Algorithm = "ML-KEM"
)

// everydayAlgorithms are those that a profile takes when it names none.
var everydayAlgorithms = []Algorithm{RSA, P256, P384, Ed25519}

// allAlgorithms are those that a profile may name.
var allAlgorithms = append(slices.Clone(everydayAlgorithms), MLDSA, MLKEM)

// algorithmOf returns the kind of a key; empty when it cannot be certified.
func algorithmOf(key crypto.PublicKey) Algorithm {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return RSA
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return P256
		case elliptic.P384():
			return P384
		}
	case ed25519.PublicKey:
		return Ed25519
	case *mldsa.PublicKey:
		return MLDSA
	case *cert.MLKEM512PublicKey, *mlkem.EncapsulationKey768, *mlkem.EncapsulationKey1024:
		return MLKEM
	}
	return ""
}

// CheckKey refuses public keys that are certified under no profile: kinds and
// curves off the list, and those that are known to fall (S/MIME BR §6.1.1.3,
// §6.1.5, §6.1.6).
func CheckKey(key crypto.PublicKey) error { return checkKey(key, allAlgorithms) }

func checkKey(key crypto.PublicKey, allowed []Algorithm) error {
	if key == nil {
		return weakkey.Refuse("its algorithm is not known here; use %s", either(allowed))
	}
	if !slices.Contains(allowed, algorithmOf(key)) {
		return weakkey.Refuse("%s is not certified here; use %s", describe(key), either(allowed))
	}
	return weakkey.Check(key)
}

// describe names a key that is on no list.
func describe(key crypto.PublicKey) string {
	if a := algorithmOf(key); a != "" {
		return string(a)
	}
	if ec, ok := key.(*ecdsa.PublicKey); ok {
		return "curve " + ec.Curve.Params().Name
	}
	return "a key of this kind"
}

// either lists kinds for people: "RSA, P-256 or Ed25519".
func either(list []Algorithm) string {
	var words []string
	for _, a := range list {
		words = append(words, string(a))
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// canSign and canEncrypt tell what the algorithm is good for.
func (a Algorithm) canSign() bool    { return a != MLKEM }
func (a Algorithm) canEncrypt() bool { return a != MLDSA && a != Ed25519 }
