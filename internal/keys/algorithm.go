package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
)

// algorithms of authorities' keys, by the name that people give. S/MIME BR §6.1.5:
// RSA keys of authorities made since 2026-09-15 have 4,096 bits. ML-DSA is for
// private hierarchies: no client of today checks it.
var algorithms = []struct {
	name     string
	generate func() (crypto.Signer, error)
}{
	{"rsa-4096", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) }},
	{"p-384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
	{"p-256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	{"ml-dsa-65", func() (crypto.Signer, error) { return mldsa.GenerateKey(mldsa.MLDSA65()) }},
	{"ml-dsa-87", func() (crypto.Signer, error) { return mldsa.GenerateKey(mldsa.MLDSA87()) }},
}

// Algorithms names what [Generator] knows, the default first.
func Algorithms() (names []string) {
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return names
}

// Generator returns what makes keys of an algorithm.
func Generator(name string) (func() (crypto.Signer, error), error) {
	for _, a := range algorithms {
		if a.name == name {
			return a.generate, nil
		}
	}
	return nil, fmt.Errorf("keys: no algorithm %q; one of %s", name, strings.Join(Algorithms(), ", "))
}
