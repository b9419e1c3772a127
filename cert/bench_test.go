package cert_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// BenchmarkCRL reads a list of half a million entries and asks it once.
func BenchmarkCRL(b *testing.B) {
	const entries = 500000
	root := testca.NewRoot(b, "Root")
	revoked := make([]testca.Revoked, entries)
	for i := range revoked {
		revoked[i] = testca.Revoked{SerialNumber: big.NewInt(int64(i) + 1), RevocationTime: testca.Now.Add(-time.Hour), ReasonCode: 4 * (i % 2)}
	}
	der := root.CRL(revoked)
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		l, err := cert.ParseCRL(der)
		if err != nil {
			b.Fatal(err)
		}
		if _, found := l.Lookup(l.Issuer, big.NewInt(entries)); !found {
			b.Fatal("not found")
		}
	}
}
