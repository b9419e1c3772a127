package certpath

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// patience is what a hostile chain may take on a machine that is busy with
// other tests; alone, all of them end within half a second.
const patience = 10 * time.Second

// TestManyNames: names times constraints are counted before they are compared.
func TestManyNames(t *testing.T) {
	var excluded, emails []string
	for i := range 1100 {
		excluded = append(excluded, fmt.Sprintf("host%d.example.org", i))
		emails = append(emails, fmt.Sprintf("a%d@example.com", i))
	}
	root := testca.NewRoot(t, "Root", func(c *x509.Certificate) { c.ExcludedEmailAddresses = excluded })
	for _, tt := range []struct {
		emails []string
		want   Reason
	}{{emails[:900], 0}, {emails, Budget}} {
		p := of(root, root.Leaf("", testca.P256, testca.Emails(tt.emails...)))
		start := time.Now()
		check(t, p, options(p), tt.want)
		if d := time.Since(start); d > patience {
			t.Errorf("%d names took %v", len(tt.emails), d)
		}
	}
}

// TestBudget: chains that are made to be slow end soon, without a path.
func TestBudget(t *testing.T) {
	root := testca.NewRoot(t, "Root")
	slow := func(name string, p pki, want Reason, change func(*Options)) {
		t.Run(name, func(t *testing.T) {
			o := options(p)
			if change != nil {
				change(o)
			}
			start := time.Now()
			check(t, p, o, want)
			if d := time.Since(start); d > patience {
				t.Errorf("took %v", d)
			}
		})
	}

	// Every authority certifies every other one, and none is trusted.
	const n = 34
	var mesh []*testca.Authority
	for i := range n {
		mesh = append(mesh, testca.NewRoot(t, fmt.Sprintf("Mesh %d", i)))
	}
	var crossed []*cert.Certificate
	for i, a := range mesh {
		for j, b := range mesh {
			if i != j {
				crossed = append(crossed, a.CrossSign(b))
			}
		}
	}
	leaf := mesh[0].Leaf(alice, testca.P256).Certificate
	anchors := []*cert.Certificate{root.Certificate}
	slow("mesh", pki{leaf, crossed, anchors}, Budget, nil)
	slow("mesh that ends at an anchor", pki{leaf, append(crossed, root.CrossSign(mesh[0])), anchors}, 0, nil)

	// A thousand authorities of one name, and none signed the leaf.
	var same []*cert.Certificate
	name := pkix.Name{CommonName: "Same"}
	for i := range 1100 {
		same = append(same, root.CrossSign(testca.Renamed(mesh[i%n], name)))
	}
	orphan := testca.Renamed(testca.NewRoot(t, "Stranger"), name).Leaf(alice, testca.P256).Certificate
	slow("one name", pki{orphan, same, anchors}, Budget, nil)
	slow("budget of one", control(t), Budget, func(o *Options) { o.Budget = 1 })
	slow("budget of two", control(t), 0, func(o *Options) { o.Budget = 2 })

	// An issuer whose key takes more work than is left is not tried, and does not stand in the way of the right one.
	modulus := new(big.Int).Lsh(big.NewInt(1), cert.MaxRSABits-1)
	long := &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: cert.MaxRSAExponent}
	quick := root.Authority("Quick")
	decoy := root.Rekey(root.CrossSign(quick), long)
	honest := quick.Leaf(alice, testca.P256).Certificate
	slow("slow decoy", pki{honest, []*cert.Certificate{decoy, quick.Certificate}, anchors}, 0, func(o *Options) { o.Budget = 20 })
	slow("slow issuer", pki{honest, []*cert.Certificate{decoy}, anchors}, Budget, func(o *Options) { o.Budget = 20 })

	// A path that is longer than any honest one.
	a := root
	for i := range MaxDepth - 2 {
		a = a.Authority(fmt.Sprintf("Depth %d", i))
	}
	slow("as deep as may be", of(root, a.Leaf(alice, testca.P256)), 0, nil)
	slow("too deep", of(root, a.Authority("One more").Leaf(alice, testca.P256)), NoPath, nil)
}
