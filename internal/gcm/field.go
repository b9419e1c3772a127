package gcm

import "encoding/binary"

// element is a member of GF(2¹²⁸) as GCM writes it (SP 800-38D §6.3): the
// first bit of the first octet is the coefficient of x⁰.
type element struct{ hi, lo uint64 }

func load(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a element) store(b []byte) {
	binary.BigEndian.PutUint64(b, a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
}

// lengths is the last block that GHASH takes: both lengths in bits.
func lengths(aad, message uint64) element { return element{aad * 8, message * 8} }

func (a element) xor(b element) element { return element{a.hi ^ b.hi, a.lo ^ b.lo} }

// mul multiplies modulo x¹²⁸ + x⁷ + x² + x + 1 (SP 800-38D §6.3), one bit at a
// time and without branches on the operands.
func (a element) mul(b element) element {
	var z element
	v := b
	for _, word := range [2]uint64{a.hi, a.lo} {
		for i := 63; i >= 0; i-- {
			take := -(word >> uint(i) & 1)
			z.hi ^= v.hi & take
			z.lo ^= v.lo & take
			reduce := -(v.lo & 1)
			v.lo = v.lo>>1 | v.hi<<63
			v.hi = v.hi>>1 ^ 0xe1<<56&reduce
		}
	}
	return z
}

// power raises a to n by squaring; n is a public length.
func (a element) power(n uint64) element {
	result := element{hi: 1 << 63}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result = result.mul(a)
		}
		a = a.mul(a)
	}
	return result
}

// invert returns a⁻¹ = a^(2¹²⁸−2), and zero for zero.
func (a element) invert() element {
	result := element{hi: 1 << 63}
	for range 127 {
		a = a.mul(a)
		result = result.mul(a)
	}
	return result
}
