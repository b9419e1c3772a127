package cms

import (
	"bytes"
	"sync"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestCapabilitiesOfEach: a signature has the capabilities that were given for
// it, whatever those of the one before were, and also when the list was changed
// in place.
func TestCapabilitiesOfEach(t *testing.T) {
	ca := testca.New(t)
	for _, kind := range []testca.Kind{testca.P256, testca.Ed25519} {
		s := signerOf(ca.Leaf("a@example.com", kind), ca)
		check := func(list []Capability) {
			t.Helper()
			_, r, err := verify(signed(t, []byte("text"), []*Signer{s}, &SignOptions{Capabilities: list}), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := r.Signers()[0].Capabilities
			if len(got) != len(list) {
				t.Fatalf("%v: %v, not %v", kind, got, list)
			}
			for i, c := range got {
				if c.Algorithm != list[i].Algorithm || !bytes.Equal(c.Parameters, list[i].Parameters) {
					t.Errorf("%v: %v, not %v", kind, c, list[i])
				}
			}
		}
		list := []Capability{{Algorithm: oid.AES256CBC}, {Algorithm: oid.RC2CBC, Parameters: []byte{2, 1, 40}}}
		check(list)
		check(list)
		list[1].Parameters[2] = 64
		check(list)
		list[0].Algorithm = oid.AES128CBC
		check(list)
		list[0].Parameters = oid.Null // not the same as none
		check(list)
		check(list[:1])
		check([]Capability{})
		check(list)
		var all sync.WaitGroup
		for n := range 3 {
			all.Go(func() {
				for range 10 {
					check(list[:n])
				}
			})
		}
		all.Wait()
	}
}
