// Package weakkey knows public keys whose private half is not private, or that
// are no keys at all: short or oddly made RSA moduli, points off their curve.
// Which kinds of keys somebody wants to see is not its business.
package weakkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"sync"
)

// Limits on RSA keys: S/MIME BR §6.1.5 and §6.1.6 from below, the patience of
// those who verify from above.
const (
	MinRSABits  = 2048
	MaxRSABits  = 8192
	MinExponent = 65537 // BR allow 3, and advise against it
	MaxExponent = 1<<31 - 1
)

// Err is wrapped by every refusal of a public key; what follows it says what
// is wrong.
var Err = errors.New("public key not accepted")

// Refuse makes such a refusal.
func Refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", Err, fmt.Sprintf(format, args...))
}

// Check refuses what is known to be weak or broken (S/MIME BR §6.1.1.3,
// §6.1.5, §6.1.6). Kinds of keys about which nothing of that sort is known are
// left alone: reading an ML-DSA or ML-KEM key checks all there is to check
// (FIPS 204 §4, FIPS 203 §7.2).
func Check(key crypto.PublicKey) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return checkRSA(key)
	case *ecdsa.PublicKey:
		if _, err := key.Bytes(); err != nil { // on the curve and not at infinity
			return Refuse("the point is not on its curve")
		}
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize || lowOrder25519(key) {
			return Refuse("the Ed25519 key is no usable point")
		}
	}
	return nil
}

func checkRSA(key *rsa.PublicKey) error {
	bits := key.N.BitLen()
	switch {
	case bits < MinRSABits:
		return Refuse("RSA modulus of %d bits; at least %d", bits, MinRSABits)
	case bits > MaxRSABits:
		return Refuse("RSA modulus of %d bits; at most %d", bits, MaxRSABits)
	case bits%8 != 0:
		return Refuse("RSA modulus of %d bits; a multiple of 8", bits)
	case key.E < MinExponent || key.E > MaxExponent || key.E%2 == 0:
		return Refuse("RSA exponent %d; an odd number from %d", key.E, MinExponent)
	}
	return CheckModulus(key.N)
}

// CheckModulus refuses an RSA modulus that can be factored without being
// short.
func CheckModulus(n *big.Int) error {
	switch {
	case n.Sign() <= 0 || hasSmallFactor(n):
		return Refuse("the RSA modulus has a small factor")
	case isROCA(n):
		return Refuse("the RSA key was made by a library with the ROCA flaw (CVE-2017-15361)")
	case hasCloseFactors(n):
		return Refuse("the two factors of the RSA modulus are too close")
	}
	return nil
}

// smallPrimes are those below 2^13; S/MIME BR asks for 752 and above. They are
// computed when first needed: most runs of the program look at no key.
var smallPrimes = sync.OnceValue(func() []int64 { return primesBelow(1 << 13) })

func primesBelow(limit int) []int64 {
	composite := make([]bool, limit)
	var primes []int64
	for p := 2; p < limit; p++ {
		if composite[p] {
			continue
		}
		primes = append(primes, int64(p))
		for m := p * p; m < limit; m += p {
			composite[m] = true
		}
	}
	return primes
}

// hasSmallFactor compares with the product of all small primes at once.
func hasSmallFactor(n *big.Int) bool {
	return new(big.Int).GCD(nil, nil, n, primorial()).Cmp(big.NewInt(1)) != 0
}

// primorial is their product, some 11,000 bits.
var primorial = sync.OnceValue(func() *big.Int { return product(smallPrimes()) })

func product(list []int64) *big.Int {
	if len(list) == 1 {
		return big.NewInt(list[0])
	}
	half := len(list) / 2
	return new(big.Int).Mul(product(list[:half]), product(list[half:]))
}

// rocaResidue is a prime and the powers of 65537 modulo it.
type rocaResidue struct {
	prime  *big.Int
	powers map[int64]bool
}

// rocaPrimes are those from 3 to 167.
func rocaPrimes() []int64 { return smallPrimes()[1:39] }

// rocaResidues: keys of the flawed library are powers of 65537 modulo each of
// these primes. A random modulus passes for one with a chance below 2^-27
// (Nemec et al., CCS 2017, §2.3).
var rocaResidues = sync.OnceValue(func() []rocaResidue {
	var all []rocaResidue
	for _, p := range rocaPrimes() {
		powers := map[int64]bool{}
		for v := int64(1); !powers[v]; v = v * 65537 % p {
			powers[v] = true
		}
		all = append(all, rocaResidue{big.NewInt(p), powers})
	}
	return all
})

func isROCA(n *big.Int) bool {
	var r big.Int
	for _, residue := range rocaResidues() {
		if !residue.powers[r.Mod(n, residue.prime).Int64()] {
			return false
		}
	}
	return true
}

// fermatRounds is what the TLS BR §6.1.1.3 ask for.
const fermatRounds = 100

// hasCloseFactors runs Fermat's factorization for a while: n = a²-b².
func hasCloseFactors(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	var b2, b big.Int
	for range fermatRounds {
		a.Add(a, big.NewInt(1))
		b2.Sub(b2.Mul(a, a), n)
		if b.Sqrt(&b2); new(big.Int).Mul(&b, &b).Cmp(&b2) == 0 {
			return true
		}
	}
	return false
}

// lowOrder25519 tells whether the point has one of the y coordinates of the
// eight points of small order (RFC 7748 §6.1 has them for Montgomery form;
// these are their Edwards images), with either sign.
func lowOrder25519(key ed25519.PublicKey) bool {
	y := make([]byte, 32)
	copy(y, key)
	y[31] &= 0x7f
	for i, j := 0, 31; i < j; i, j = i+1, j-1 { // little endian
		y[i], y[j] = y[j], y[i]
	}
	v := new(big.Int).SetBytes(y)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	if v.Cmp(p) >= 0 {
		return true // not a canonical coordinate (RFC 8032 §5.1.3)
	}
	// Order 1 and 2: y = 1, -1; order 4: y = 0; order 8: y⁴ d = ... gives these two.
	for _, s := range []string{
		"0", "1",
		"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
		"7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
		"05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
	} {
		low, _ := new(big.Int).SetString(s, 16)
		if v.Cmp(low) == 0 {
			return true
		}
	}
	return false
}
