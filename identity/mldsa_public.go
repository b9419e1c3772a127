package identity

import (
	"crypto/sha3"
	"crypto/subtle"
	"errors"
	"math/bits"
)

// The ring of FIPS 204, Section 2.3: polynomials of 256 coefficients modulo q.
// What is here makes a public key once, when a private one is read: it is plain
// rather than fast, and takes the same time for every key.
const (
	mldsaQ = 8380417
	// mldsaD is the number of bits that a public key drops (FIPS 204, Table 1).
	mldsaD = 13
)

type mldsaPoly [256]uint64 // each below q

var (
	errMLDSARange = errors.New("s1 or s2 is out of range")
	errMLDSAPair  = errors.New("public and private half differ")
)

// publicOf makes the encoded public key of an expanded private key of the right
// size, and holds tr and t0 in it against what they must be.
func (set mldsaSet) publicOf(expanded []byte) ([]byte, error) {
	public, t0, inRange := set.derive(expanded)
	if !inRange {
		return nil, errMLDSARange
	}
	tr := expanded[64:128]
	same := subtle.ConstantTimeCompare(t0, expanded[len(expanded)-len(t0):]) & subtle.ConstantTimeCompare(sha3.SumSHAKE256(public, 64), tr)
	if same != 1 {
		return nil, errMLDSAPair
	}
	return public, nil
}

// derive makes what follows from rho, s1 and s2 (FIPS 204, Algorithm 6), and tells
// whether these two are in range.
func (set mldsaSet) derive(expanded []byte) (public, t0 []byte, inRange bool) {
	rho, rest := expanded[:32], expanded[128:]
	width := bits.Len(uint(2 * set.eta))
	vectors := make([]mldsaPoly, set.l+set.k) // s1, s2
	inRange = true
	for i := range vectors {
		inRange = vectors[i].unpackShort(rest[:32*width], width, uint64(set.eta)) && inRange
		rest = rest[32*width:]
	}
	s1, s2 := vectors[:set.l], vectors[set.l:]
	for i := range s1 {
		s1[i].transform()
	}
	public = append(public, rho...)
	for i := range s2 {
		t := mldsaRow(rho, i, s1)
		high, low := t.split(&s2[i])
		public = appendBits(public, &high, 10)
		t0 = appendBits(t0, &low, mldsaD)
	}
	return public, t0, inRange
}

// unpackShort reads coefficients from -eta to eta (FIPS 204, Algorithm 19).
func (p *mldsaPoly) unpackShort(packed []byte, width int, eta uint64) (inRange bool) {
	inRange = true
	for i := range p {
		var v uint64
		for b := range width {
			at := i*width + b
			v |= uint64(packed[at/8]>>(at%8)&1) << b
		}
		inRange = v <= 2*eta && inRange
		p[i] = (mldsaQ + eta - v) % mldsaQ
	}
	return inRange
}

// appendBits packs coefficients of width bits (FIPS 204, Algorithm 16).
func appendBits(out []byte, p *mldsaPoly, width int) []byte {
	packed := make([]byte, 32*width)
	for i, v := range p {
		for b := range width {
			at := i*width + b
			packed[at/8] |= byte(v>>b&1) << (at % 8)
		}
	}
	return append(out, packed...)
}

// mldsaRow is one row of A*s1, with A made from rho (FIPS 204, Algorithms 32 and
// 48) and s1 transformed already.
func mldsaRow(rho []byte, row int, s1 []mldsaPoly) (sum mldsaPoly) {
	for column := range s1 {
		a := mldsaUniform(rho, column, row)
		for i := range sum {
			sum[i] = (sum[i] + a[i]*s1[column][i]) % mldsaQ
		}
	}
	sum.transformBack()
	return sum
}

// mldsaUniform is RejNTTPoly (FIPS 204, Algorithm 30).
func mldsaUniform(rho []byte, column, row int) (p mldsaPoly) {
	h := sha3.NewSHAKE128()
	_, _ = h.Write(append(append([]byte(nil), rho...), byte(column), byte(row))) // never fails
	for i := 0; i < len(p); {
		var b [3]byte
		_, _ = h.Read(b[:]) // likewise
		if v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2]&0x7f)<<16; v < mldsaQ {
			p[i] = v
			i++
		}
	}
	return p
}

// split is Power2Round (FIPS 204, Algorithm 35) of p + s: the high bits, and the
// low ones as a private key packs them.
func (p *mldsaPoly) split(s *mldsaPoly) (high, low mldsaPoly) {
	const half = 1 << (mldsaD - 1)
	for i := range p {
		t := (p[i] + s[i]) % mldsaQ
		high[i] = (t + half - 1) >> mldsaD
		low[i] = half - (t - high[i]<<mldsaD)
	}
	return high, low
}

// transform is NTT (FIPS 204, Algorithm 41).
func (p *mldsaPoly) transform() {
	m := 0
	for n := 128; n >= 1; n /= 2 {
		for start := 0; start < 256; start += 2 * n {
			m++
			z := mldsaZeta(m)
			for j := start; j < start+n; j++ {
				t := z * p[j+n] % mldsaQ
				p[j], p[j+n] = (p[j]+t)%mldsaQ, (p[j]+mldsaQ-t)%mldsaQ
			}
		}
	}
}

// transformBack is its inverse (FIPS 204, Algorithm 42).
func (p *mldsaPoly) transformBack() {
	m := 256
	for n := 1; n < 256; n *= 2 {
		for start := 0; start < 256; start += 2 * n {
			m--
			z := mldsaQ - mldsaZeta(m)
			for j := start; j < start+n; j++ {
				t := p[j]
				p[j], p[j+n] = (t+p[j+n])%mldsaQ, z*(t+mldsaQ-p[j+n])%mldsaQ
			}
		}
	}
	const inverse = 8347681 // of 256
	for i := range p {
		p[i] = p[i] * inverse % mldsaQ
	}
}

// mldsaZeta is the power of 1753 whose exponent is m with its bits reversed
// (FIPS 204, Appendix B).
func mldsaZeta(m int) uint64 {
	z := uint64(1)
	for range bits.Reverse8(uint8(m)) {
		z = z * 1753 % mldsaQ
	}
	return z
}
