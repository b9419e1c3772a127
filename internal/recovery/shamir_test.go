package recovery

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// FIPS 197 §4.2 and §4.2.1 have these products, and §4.2 defines the inverse.
func TestField(t *testing.T) {
	for _, v := range [][3]byte{{0x57, 0x83, 0xc1}, {0x57, 0x13, 0xfe}, {0x57, 0x02, 0xae}, {0x57, 0x04, 0x47}, {0x57, 0x08, 0x8e}, {0x57, 0x10, 0x07}} {
		if got := multiply(v[0], v[1]); got != v[2] || multiply(v[1], v[0]) != v[2] {
			t.Errorf("%02x * %02x = %02x, want %02x", v[0], v[1], got, v[2])
		}
	}
	for a := 1; a < 256; a++ {
		if got := multiply(byte(a), invert(byte(a))); got != 1 {
			t.Errorf("%02x * its inverse = %02x", a, got)
		}
	}
	if multiply(0, 0x53) != 0 || invert(0) != 0 {
		t.Error("zero")
	}
}

// "Knowledge of any k or more pieces makes D easily computable" (Shamir 1979):
// every set of enough shares gives the secret, in any order.
func TestEnough(t *testing.T) {
	secret := make([]byte, secretSize)
	rand.Read(secret)
	for n := 1; n <= 6; n++ {
		positions := []byte{1, 2, 7, 100, 254, 255}[:n]
		for m := 1; m <= n; m++ {
			shares, err := split(rand.Reader, secret, m, positions)
			if err != nil {
				t.Fatal(err)
			}
			for set := range 1 << n {
				var some []share
				for i := n - 1; i >= 0; i-- {
					if set>>i&1 == 1 {
						some = append(some, shares[i])
					}
				}
				if len(some) == 0 {
					continue
				}
				got, err := combine(some)
				if err != nil {
					t.Fatal(err)
				}
				if enough := len(some) >= m; bytes.Equal(got, secret) != enough {
					t.Errorf("%d of %d: %d shares give the secret: %v", m, n, len(some), !enough)
				}
			}
		}
	}
}

// "Knowledge of any k-1 or fewer pieces leaves D completely undetermined (in the
// sense that all its possible values are equally likely)": over all polynomials
// of degree 1 and 2, what fewer shares show is spread alike for each secret.
func TestTooFew(t *testing.T) {
	for _, secret := range []byte{0, 1, 0xa7} {
		var seen [256]int
		for c := range 256 {
			shares, err := split(bytes.NewReader([]byte{byte(c)}), []byte{secret}, 2, []byte{1, 3, 9})
			if err != nil {
				t.Fatal(err)
			}
			seen[shares[1].value[0]]++
		}
		for v, n := range seen {
			if n != 1 {
				t.Fatalf("secret %d: one share is %d for %d polynomials", secret, v, n)
			}
		}
		var pairs [256 * 256]byte
		for c := range 256 * 256 {
			shares, err := split(bytes.NewReader([]byte{byte(c), byte(c >> 8)}), []byte{secret}, 3, []byte{1, 3, 9})
			if err != nil {
				t.Fatal(err)
			}
			pairs[int(shares[0].value[0])<<8|int(shares[2].value[0])]++
		}
		for v, n := range pairs {
			if n != 1 {
				t.Fatalf("secret %d: two shares are %04x for %d polynomials", secret, v, n)
			}
		}
	}
}

// Shares of shares: whoever gets a part from each of enough holders has a share
// of the same secret, of another polynomial.
func TestShareOfShares(t *testing.T) {
	secret := []byte("a secret of thirty-two octets...")
	old, err := split(rand.Reader, secret, 2, []byte{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	next := []byte{1, 2, 3, 4, 5}
	parts := map[byte][]share{}
	for _, holder := range []share{old[2], old[0]} {
		given, err := split(rand.Reader, holder.value, 3, next)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range given {
			parts[g.position] = append(parts[g.position], share{holder.position, g.value})
		}
	}
	var shares []share
	for _, x := range next {
		value, err := combine(parts[x])
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share{x, value})
	}
	for _, some := range [][]share{shares[:3], shares[2:], {shares[0], shares[2], shares[4]}} {
		if got, err := combine(some); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("three shares: %x, %v", got, err)
		}
	}
	if got, _ := combine(shares[:2]); bytes.Equal(got, secret) {
		t.Error("two shares give the secret")
	}
	if got, _ := combine([]share{old[0], shares[1]}); bytes.Equal(got, secret) {
		t.Error("an old and a new share give the secret")
	}
}

func TestNoSuchShares(t *testing.T) {
	for _, positions := range [][]byte{nil, {1}, {0, 1}, {1, 1}} {
		if _, err := split(rand.Reader, []byte{1}, 2, positions); err == nil {
			t.Errorf("split among %v", positions)
		}
	}
	for _, shares := range [][]share{nil, {{1, []byte{1}}, {1, []byte{1}}}, {{0, []byte{1}}}, {{1, []byte{1}}, {2, []byte{1, 2}}}} {
		if _, err := combine(shares); err == nil {
			t.Errorf("combine %v", shares)
		}
	}
	if _, err := split(bytes.NewReader(nil), []byte{1}, 2, []byte{1, 2}); err == nil {
		t.Error("split without randomness")
	}
}
