package recovery

import (
	"errors"
	"io"
)

// A. Shamir, How to share a secret (1979), octet by octet over GF(256): each
// octet of the secret is the value at 0 of a polynomial of degree m-1, and each
// share its values at the share's own position. m values determine the
// polynomial; with fewer, every secret is as likely as any other.
//
// Nothing below looks anything up by a secret or branches on one.

// multiply multiplies in GF(256) with the polynomial of AES (FIPS 197 §4.2).
func multiply(a, b byte) (product byte) {
	for range 8 {
		product ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return product
}

// invert returns a to the power of 254, which is 1/a.
func invert(a byte) byte {
	square, inverse := a, byte(1)
	for range 7 { // 254 = 2 + 4 + ... + 128
		square = multiply(square, square)
		inverse = multiply(inverse, square)
	}
	return inverse
}

// share is the value of the polynomials at a position, which is not 0.
type share struct {
	position byte
	value    []byte
}

// split returns the shares of a secret at the positions, any threshold of which
// give it back.
func split(rand io.Reader, secret []byte, threshold int, positions []byte) ([]share, error) {
	if threshold < 1 || threshold > len(positions) || !distinct(positions) {
		return nil, errors.New("recovery: no such shares")
	}
	// Of the lowest degree first; what stands at 0 is the secret.
	coefficients := make([][]byte, threshold)
	coefficients[0] = secret
	for i := 1; i < threshold; i++ {
		coefficients[i] = make([]byte, len(secret))
		if _, err := io.ReadFull(rand, coefficients[i]); err != nil {
			return nil, err
		}
		defer clear(coefficients[i])
	}
	shares := make([]share, len(positions))
	for i, x := range positions {
		value := make([]byte, len(secret))
		for k := threshold - 1; k >= 0; k-- {
			for j := range value {
				value[j] = multiply(value[j], x) ^ coefficients[k][j]
			}
		}
		shares[i] = share{x, value}
	}
	return shares, nil
}

// combine returns the values at 0 of the polynomials through the shares.
func combine(shares []share) ([]byte, error) {
	if len(shares) == 0 {
		return nil, errors.New("recovery: no shares")
	}
	positions := make([]byte, len(shares))
	for i, s := range shares {
		positions[i] = s.position
		if len(s.value) != len(shares[0].value) {
			return nil, errors.New("recovery: shares of different lengths")
		}
	}
	if !distinct(positions) {
		return nil, errors.New("recovery: two shares of one position")
	}
	secret := make([]byte, len(shares[0].value))
	for i, s := range shares {
		weight := byte(1) // of Lagrange, at 0
		for j, x := range positions {
			if j != i {
				weight = multiply(weight, multiply(x, invert(x^s.position)))
			}
		}
		for j, v := range s.value {
			secret[j] ^= multiply(weight, v)
		}
	}
	return secret, nil
}

// distinct tells whether every position is there once, and none is 0, where the
// secret itself stands.
func distinct(positions []byte) bool {
	var seen [256]bool
	seen[0] = true
	for _, x := range positions {
		if seen[x] {
			return false
		}
		seen[x] = true
	}
	return true
}
