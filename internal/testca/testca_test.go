package testca

import (
	"crypto/x509"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

// TestLeaf holds every kind of leaf against crypto/x509's own judgement.
func TestLeaf(t *testing.T) {
	ca := New(t)
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(std(t, ca.Root.Certificate))
	intermediates.AddCert(std(t, ca.Issuing.Certificate))
	for _, kind := range []Kind{P256, P384, P521, RSA2048, RSA3072, Ed25519, MLDSA65, X25519, Ed448, SLHDSA, X448, MLKEM512, MLKEM768, MLKEM1024} {
		leaf := ca.Leaf("alice@example.com", kind)
		_, err := std(t, leaf.Certificate).Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: intermediates, CurrentTime: Now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		})
		if err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if leaf.Certificate.PublicKey == nil || leaf.Certificate.CheckSignatureFrom(ca.Issuing.Certificate) != nil {
			t.Errorf("%v: not read by our own parser", kind)
		}
	}
	again := ca.Leaf("alice@example.com", RSA2048)
	if again.Key != ca.Leaf("alice@example.com", RSA2048).Key {
		t.Error("keys are made anew")
	}
}

func std(t *testing.T, c *cert.Certificate) *x509.Certificate {
	t.Helper()
	s, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
