package issuance

import (
	"crypto"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/mlkem"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

// pqKeys makes a key of each kind and size of RFC 9881 and RFC 9935.
func pqKeys(t testing.TB) (signers map[string]crypto.Signer, others map[string]crypto.PublicKey) {
	t.Helper()
	signers = map[string]crypto.Signer{}
	for name, parameters := range map[string]mldsa.Parameters{
		"ML-DSA-44": mldsa.MLDSA44(), "ML-DSA-65": mldsa.MLDSA65(), "ML-DSA-87": mldsa.MLDSA87(),
	} {
		key, err := mldsa.GenerateKey(parameters)
		if err != nil {
			t.Fatal(err)
		}
		signers[name] = key
	}
	small, err := cert.GenerateMLKEM512(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	middle, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	large, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	return signers, map[string]crypto.PublicKey{
		"ML-KEM-512": small.Encapsulator(), "ML-KEM-768": middle.EncapsulationKey(), "ML-KEM-1024": large.EncapsulationKey(),
	}
}

// The kinds of keys that are certified, and those that a profile takes.
func TestKinds(t *testing.T) {
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.PublicKey{
		"RSA": rsaKey(t, 2048).Public(), "P-256": ecKey(t, elliptic.P256()).Public(), "P-384": ecKey(t, elliptic.P384()).Public(),
		"Ed25519": edKey(t).Public(), "X25519": x25519.PublicKey(), "P-224": ecKey(t, elliptic.P224()).Public(),
		"P-521": ecKey(t, elliptic.P521()).Public(), "weak": rsaKey(t, 1024).Public(), "none": nil,
	}
	signers, others := pqKeys(t)
	for name, key := range signers {
		keys[name] = key.Public()
	}
	for name, key := range others {
		keys[name] = key
	}
	of := func(change func(*ProfileConfig)) func(crypto.PublicKey) error {
		c := config()
		change(&c)
		return profile(t, c).CheckKey
	}
	const everyday, pq = "RSA P-256 P-384 Ed25519 ", "ML-DSA-44 ML-DSA-65 ML-DSA-87 ML-KEM-512 ML-KEM-768 ML-KEM-1024"
	for _, tt := range []struct {
		name  string
		check func(crypto.PublicKey) error
		takes string
	}{
		{"all", CheckKey, everyday + pq},
		{"everyday", of(func(*ProfileConfig) {}), everyday},
		{"encryption", of(func(c *ProfileConfig) { c.KeyUse = Encryption }), "RSA P-256 P-384"},
		{"signing", of(func(c *ProfileConfig) { c.KeyUse = Signing }), everyday},
		{"post-quantum", of(func(c *ProfileConfig) { c.Algorithms = []Algorithm{MLDSA, MLKEM} }), pq},
		{"one", of(func(c *ProfileConfig) { c.Algorithms = []Algorithm{P384} }), "P-384"},
	} {
		for name, key := range keys {
			err := tt.check(key)
			if want := strings.Contains(" "+tt.takes+" ", " "+name+" "); want != (err == nil) || err != nil && !errors.Is(err, ErrWeakKey) {
				t.Errorf("%s: %s: %v", tt.name, name, err)
			}
		}
	}
}
