package pbe

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/mailseal/mailseal/internal/oid"
)

// digest is a hash function by the names it has as a digest and as an HMAC.
type digest struct {
	id, hmac oid.OID
	name     string
	size     int
	new      func() hash.Hash
}

// digests holds what RFC 8018, Appendix B.1, and RFC 7292, Section 4, may name.
func digests() []digest {
	return []digest{
		{oid.SHA1, oid.HMACWithSHA1, "SHA-1", sha1.Size, sha1.New},
		{oid.SHA224, oid.HMACSHA224, "SHA-224", sha256.Size224, sha256.New224},
		{oid.SHA256, oid.HMACSHA256, "SHA-256", sha256.Size, sha256.New},
		{oid.SHA384, oid.HMACSHA384, "SHA-384", sha512.Size384, sha512.New384},
		{oid.SHA512, oid.HMACSHA512, "SHA-512", sha512.Size, sha512.New},
		{oid.SHA512_256, oid.HMACSHA512256, "SHA-512/256", sha512.Size256, sha512.New512_256},
	}
}

func digestByID(id oid.OID) (digest, bool) {
	for _, d := range digests() {
		if d.id == id {
			return d, true
		}
	}
	return digest{}, false
}

func digestByHMAC(id oid.OID) (digest, bool) {
	for _, d := range digests() {
		if d.hmac == id {
			return d, true
		}
	}
	return digest{}, false
}

// blocks is the number of hash-sized blocks that a key of n bytes takes: a
// derivation's work is that times the iteration count.
func (d digest) blocks(n int) int { return (n + d.size - 1) / d.size }

// Purposes of key material (RFC 7292, Appendix B.3).
const (
	forKey byte = 1
	forIV  byte = 2
	forMAC byte = 3
)

// pkcs12Key derives n bytes for a purpose as RFC 7292, Appendix B.2, says.
func pkcs12Key(d digest, purpose byte, secret, salt []byte, iterations, n int) []byte {
	h := d.new()
	v := h.BlockSize()
	diversifier := bytes.Repeat([]byte{purpose}, v)
	input := append(fill(salt, v), fill(secret, v)...)

	out := make([]byte, 0, d.blocks(n)*d.size)
	var a []byte
	for len(out) < n {
		h.Reset()
		h.Write(diversifier)
		h.Write(input)
		a = h.Sum(a[:0])
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		b := fill(a, v)[:v]
		for j := 0; j < len(input); j += v {
			addOne(input[j:j+v], b)
		}
	}
	return out[:n]
}

// fill repeats data to a multiple of v bytes.
func fill(data []byte, v int) []byte {
	if len(data) == 0 {
		return nil
	}
	n := (len(data) + v - 1) / v * v
	return bytes.Repeat(data, n/len(data)+1)[:n]
}

// addOne sets i to i + b + 1 modulo 2^(8*len(i)), both big-endian.
func addOne(i, b []byte) {
	carry := 1
	for k := len(i) - 1; k >= 0; k-- {
		carry += int(i[k]) + int(b[k])
		i[k] = byte(carry)
		carry >>= 8
	}
}

// pbkdf1 is PBKDF1 of RFC 8018, Section 5.1; n is at most the digest's size.
func pbkdf1(h hash.Hash, secret, salt []byte, iterations, n int) []byte {
	h.Write(secret)
	h.Write(salt)
	a := h.Sum(nil)
	for range iterations - 1 {
		h.Reset()
		h.Write(a)
		a = h.Sum(a[:0])
	}
	return a[:n]
}

func newMD5() hash.Hash { return md5.New() }
