package weakkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	good := &generate(t, 2048).PublicKey
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{
		"RSA-2048": good, "larger exponent": &rsa.PublicKey{N: good.N, E: 1<<20 + 1}, "P-384": p384.Public(), "Ed25519": edKey,
	} {
		if err := Check(key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, test := range []struct {
		name string
		key  crypto.PublicKey
		want string
	}{
		{"RSA-1024", &rsa.PublicKey{N: withBits(good.N, 1024), E: 65537}, "1024 bits"},
		{"RSA-2047", &rsa.PublicKey{N: withBits(good.N, 2047), E: 65537}, "2047 bits"},
		{"RSA-2049", &rsa.PublicKey{N: withBits(good.N, 2049), E: 65537}, "multiple of 8"},
		{"RSA-8200", &rsa.PublicKey{N: withBits(good.N, 8200), E: 65537}, "at most 8192"},
		{"exponent 1", &rsa.PublicKey{N: good.N, E: 1}, "exponent"},
		{"exponent 3", &rsa.PublicKey{N: good.N, E: 3}, "exponent"},
		{"exponent 65535", &rsa.PublicKey{N: good.N, E: 65535}, "exponent"},
		{"exponent 65538", &rsa.PublicKey{N: good.N, E: 65538}, "exponent"},
		{"factor 8191", &rsa.PublicKey{N: multipleOf(8191, 2048), E: 65537}, "small factor"},
		{"factor 3", &rsa.PublicKey{N: multipleOf(3, 2048), E: 65537}, "small factor"},
		{"close factors", &rsa.PublicKey{N: closeFactors(), E: 65537}, "too close"},
		{"square", &rsa.PublicKey{N: square(), E: 65537}, "too close"},
		{"ROCA", &rsa.PublicKey{N: roca(), E: 65537}, "ROCA"},
		{"point off its curve", &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, "not on its curve"},
		{"Ed25519 zero", make(ed25519.PublicKey, 32), "no usable point"},
		{"Ed25519 short", make(ed25519.PublicKey, 31), "no usable point"},
		{"Ed25519 of order 8", fromHex(t, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "no usable point"},
		{"Ed25519 of order 8, the other sign", fromHex(t, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"), "no usable point"},
		{"Ed25519 above the prime", fromHex(t, "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), "no usable point"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := Check(test.key); !errors.Is(err, Err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

func generate(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func fromHex(t *testing.T, s string) ed25519.PublicKey {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withBits returns a number with that many bits that no check but the length's
// can object to.
func withBits(like *big.Int, bits int) *big.Int {
	n := new(big.Int).Set(like)
	for n.BitLen() < bits {
		n.Lsh(n, 1).Add(n, big.NewInt(1))
	}
	return n.Rsh(n, uint(n.BitLen()-bits))
}

func multipleOf(p int64, bits uint) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	n.Add(n, big.NewInt(12345))
	n.Div(n, big.NewInt(p)).Add(n, big.NewInt(2))
	return n.SetBit(n, 0, 1).Mul(n, big.NewInt(p))
}

// rough returns a random odd number of 1024 bits, the two highest set.
func rough() *big.Int {
	b := make([]byte, 128)
	rand.Read(b)
	b[0] |= 0xc0
	b[127] |= 1
	return new(big.Int).SetBytes(b)
}

func square() *big.Int {
	for {
		if p := rough(); !hasSmallFactor(p) {
			return p.Mul(p, p)
		}
	}
}

// closeFactors multiplies two numbers that are 100 apart.
func closeFactors() *big.Int {
	for {
		p := rough()
		if p.Mul(p, new(big.Int).Add(p, big.NewInt(100))); !hasSmallFactor(p) {
			return p
		}
	}
}

// roca builds a modulus as the flawed library does: a power of 65537 modulo
// the product of the small primes, and a multiple of that product.
func roca() *big.Int {
	m := product(rocaPrimes())
	for try := int64(3); ; try += 2 {
		n := new(big.Int).Exp(big.NewInt(65537), big.NewInt(try), m)
		k := rough()
		k.Mul(k, rough()).Rsh(k, uint(m.BitLen()))
		n.Add(n, k.Mul(k, m))
		if n.BitLen() == 2048 && n.Bit(0) == 1 && !hasSmallFactor(n) {
			return n
		}
	}
}

// Random keys must not be taken for flawed ones.
func TestNoFalseAlarm(t *testing.T) {
	for range 300 {
		n := make([]byte, 256)
		rand.Read(n)
		n[0] |= 0x80
		n[255] |= 1
		if v := new(big.Int).SetBytes(n); isROCA(v) || hasCloseFactors(v) {
			t.Errorf("%x is called flawed", v)
		}
	}
}
