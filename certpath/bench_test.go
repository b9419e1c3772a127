package certpath

import (
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// BenchmarkVerify has two hundred anchors, as a program with a public list.
func BenchmarkVerify(b *testing.B) {
	ca := testca.New(b)
	leaf := ca.Leaf(alice, testca.P256)
	o := &Options{Intermediates: leaf.Chain, At: testca.Now}
	for range 200 {
		o.Anchors = append(o.Anchors, testca.NewRoot(b, "Some Root").Certificate)
	}
	o.Anchors = append(o.Anchors, ca.Root.Certificate)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(leaf.Certificate, o); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckSignature is the floor below BenchmarkVerify, which does two.
func BenchmarkCheckSignature(b *testing.B) {
	ca := testca.New(b)
	for b.Loop() {
		if err := ca.Issuing.Certificate.CheckSignatureFrom(ca.Root.Certificate); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	raw := testca.New(b).Leaf(alice, testca.P256).Certificate.Raw
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cert.Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
