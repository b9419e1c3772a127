package identity

import (
	"crypto/sha3"
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// Every kind of key comes back from PKCS #8 and, joined with its certificate,
// from PKCS #12; none is taken with its end cut off, altered where the two
// halves can be compared, or with data behind.
func TestEveryKindOfKey(t *testing.T) {
	ca := testca.New(t)
	for _, kind := range []testca.Kind{testca.P256, testca.RSA2048, testca.Ed25519, testca.X25519, testca.MLDSA65,
		testca.Ed448, testca.X448, testca.SLHDSA, testca.MLKEM512, testca.MLKEM768, testca.MLKEM1024} {
		t.Run(kind.String(), func(t *testing.T) {
			leaf := ca.Leaf("alice@example.com", kind)
			roundTrip(t, leaf.Key)
			file := encode(t, []*Identity{identityOf(leaf, "Alice")}, "é", PKCS12Options{Iterations: 1})
			got, err := DecodePKCS12(file, passphrase("é"))
			if err != nil || len(got.Identities) != 1 || !got.Identities[0].Certificate.Equal(leaf.Certificate) {
				t.Fatalf("%+v, %v", got, err)
			}
			der, err := MarshalPrivateKey(leaf.Key)
			if err != nil {
				t.Fatal(err)
			}
			// RFC 9881, RFC 9935, Section 6: the seed alone is what others read.
			if size := map[testca.Kind]int{testca.MLDSA65: 32, testca.MLKEM512: 64, testca.MLKEM768: 64, testca.MLKEM1024: 64}[kind]; size != 0 && len(der) != size+22 {
				t.Errorf("%d octets where a seed of %d was to be written", len(der), size)
			}
			for n := range der {
				if _, err := ParsePrivateKey(der[:n]); err == nil {
					t.Errorf("cut at %d: taken", n)
				}
			}
			if _, err := ParsePrivateKey(append(der, 0)); err == nil {
				t.Error("data behind: taken")
			}
		})
	}
	der, err := MarshalPrivateKey(ca.Leaf("alice@example.com", testca.SLHDSA).Key)
	if err != nil {
		t.Fatal(err)
	}
	der[len(der)-1] ^= 1
	if _, err := ParsePrivateKey(der); !errors.Is(err, ErrMalformed) {
		t.Errorf("SLH-DSA key with another root: %v", err)
	}
}

// An expanded ML-DSA key may agree with itself and still be none: coefficients of
// its secrets that are too large are found by themselves.
func TestMLDSARange(t *testing.T) {
	for _, id := range []oid.OID{oid.MLDSA44, oid.MLDSA65, oid.MLDSA87} {
		set := mldsaParameters(id)
		_, key := set.scheme.DeriveKey(make([]byte, 32))
		expanded, err := key.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.parseExpanded(expanded); err != nil {
			t.Errorf("%s: %v", id.Name(), err)
		}
		expanded[128] |= 0x0f // the first coefficient of s1
		public, t0, _ := set.derive(expanded)
		copy(expanded[64:], sha3.SumSHAKE256(public, 64))
		copy(expanded[len(expanded)-len(t0):], t0)
		if _, err := set.parseExpanded(expanded); !errors.Is(err, errMLDSARange) {
			t.Errorf("%s: %v, want %v", id.Name(), err, errMLDSARange)
		}
	}
}
