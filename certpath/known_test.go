package certpath

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/binary"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestKnownRemembersSignaturesAndNothingElse: a chain that was valid is checked
// without a single signature, and still refused when anything but a signature speaks
// against it.
func TestKnownRemembersSignaturesAndNothingElse(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	known := &Known{}
	options := func() *Options {
		return &Options{Anchors: []*cert.Certificate{ca.Root.Certificate}, Intermediates: []*cert.Certificate{ca.Issuing.Certificate}, At: testca.Now, Known: known}
	}
	if _, err := Verify(leaf.Certificate, options()); err != nil {
		t.Fatal(err)
	}
	if n := len(known.young); n != 2 {
		t.Fatalf("%d signatures are known, two were checked", n)
	}
	late := options()
	late.At = leaf.Certificate.NotAfter.AddDate(1, 0, 0)
	if _, err := Verify(leaf.Certificate, late); err == nil {
		t.Error("a certificate that has ended is valid when its signature is known")
	}
	stranger := options()
	stranger.Anchors = []*cert.Certificate{testca.NewRoot(t, "Stranger").Certificate}
	if _, err := Verify(leaf.Certificate, stranger); err == nil {
		t.Error("an authority is trusted because its signature is known")
	}
}

func TestKnownTellsCertificatesAndKeysApart(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	known := &Known{}
	o := &Options{Anchors: []*cert.Certificate{ca.Root.Certificate}, Intermediates: []*cert.Certificate{ca.Issuing.Certificate}, At: testca.Now, Known: known}
	if _, err := Verify(leaf.Certificate, o); err != nil {
		t.Fatal(err)
	}
	raw := bytes.Clone(leaf.Certificate.Raw)
	raw[len(raw)-1] ^= 1 // of the signature
	changed, err := cert.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(changed, o); err == nil {
		t.Error("a changed signature passes for the known one")
	}
	name := pkix.Name{CommonName: ca.Issuing.Certificate.Subject.Get(oid.CommonName)[0], Organization: []string{"Example"}}
	twin := ca.Root.CrossSign(testca.Renamed(testca.NewRoot(t, "Twin"), name))
	if !twin.Subject.Equal(leaf.Certificate.Issuer) {
		t.Fatal("the twin has another name")
	}
	o.Intermediates = []*cert.Certificate{twin}
	if _, err := Verify(leaf.Certificate, o); err == nil {
		t.Error("another key of the same name passes for the known one")
	}
}

func TestKnownIsBounded(t *testing.T) {
	known := &Known{}
	fact := func(i int) (f fact) {
		binary.BigEndian.PutUint64(f[:], uint64(i))
		return f
	}
	for i := range 2 * MaxKnown {
		known.add(fact(i))
		if n := len(known.young) + len(known.old); n > MaxKnown {
			t.Fatalf("%d facts", n)
		}
	}
	if known.has(fact(0)) || !known.has(fact(2*MaxKnown-1)) || !known.has(fact(2*MaxKnown-MaxKnown/2)) {
		t.Error("what is old goes first")
	}
}
