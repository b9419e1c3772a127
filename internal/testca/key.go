package testca

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"sync"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"

	"github.com/mailseal/mailseal/cert"
)

// Kind is a kind of key.
type Kind int

// The kinds. RSA1024 is there to be refused.
const (
	P256 Kind = iota
	P384
	P521
	RSA1024
	RSA2048
	RSA3072
	Ed25519
	MLDSA65
	X25519
	Ed448
	SLHDSA // SLH-DSA-SHA2-128f, the set that signs fastest
	X448
	MLKEM512
	MLKEM768
	MLKEM1024
)

var names = map[Kind]string{
	P256: "P-256", P384: "P-384", P521: "P-521", RSA1024: "RSA-1024", RSA2048: "RSA-2048", RSA3072: "RSA-3072",
	Ed25519: "Ed25519", MLDSA65: "ML-DSA-65", X25519: "X25519", Ed448: "Ed448", SLHDSA: "SLH-DSA-SHA2-128f",
	X448: "X448", MLKEM512: "ML-KEM-512", MLKEM768: "ML-KEM-768", MLKEM1024: "ML-KEM-1024",
}

// String returns the kind's name: "P-256".
func (k Kind) String() string { return names[k] }

// keyUsage is what a dual-use mail certificate of that kind carries.
func (k Kind) keyUsage() x509.KeyUsage {
	switch k {
	case RSA1024, RSA2048, RSA3072:
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	case Ed25519, MLDSA65, Ed448, SLHDSA:
		return x509.KeyUsageDigitalSignature
	case X25519, X448:
		return x509.KeyUsageKeyAgreement
	case MLKEM512, MLKEM768, MLKEM1024:
		return x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
}

func (k Kind) generate() (crypto.PrivateKey, error) {
	switch k {
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case MLDSA65:
		return mldsa.GenerateKey(mldsa.MLDSA65())
	case X25519:
		return ecdh.X25519().GenerateKey(rand.Reader)
	case Ed448:
		_, key, err := ed448.GenerateKey(rand.Reader)
		return key, err
	case SLHDSA:
		_, key, err := slhdsa.GenerateKey(rand.Reader, slhdsa.SHA2_128f)
		return key, err
	case X448:
		return cert.GenerateX448(rand.Reader)
	case MLKEM512:
		return cert.GenerateMLKEM512(rand.Reader)
	case MLKEM768:
		return mlkem.GenerateKey768()
	case MLKEM1024:
		return mlkem.GenerateKey1024()
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

type keyID struct {
	kind Kind
	name string
}

// keys holds what was made; two tests that ask for one key at once share it.
var keys sync.Map // keyID -> func() (crypto.PrivateKey, error)

func privateKey(t testing.TB, kind Kind, name string) crypto.PrivateKey {
	t.Helper()
	generate, _ := keys.LoadOrStore(keyID{kind, name}, sync.OnceValues(kind.generate))
	key, err := generate.(func() (crypto.PrivateKey, error))()
	if err != nil {
		t.Fatalf("testca: make key: %v", err)
	}
	return key
}

func keyFor(t testing.TB, kind Kind, name string) crypto.Signer {
	t.Helper()
	return privateKey(t, kind, "authority "+name).(crypto.Signer)
}

func leafKey(t testing.TB, kind Kind, name string) (crypto.PrivateKey, crypto.PublicKey) {
	t.Helper()
	key := privateKey(t, kind, name)
	if k, ok := key.(crypto.Decapsulator); ok {
		return key, k.Encapsulator()
	}
	return key, key.(interface{ Public() crypto.PublicKey }).Public()
}
