// Package gcm is AES-GCM (NIST SP 800-38D) as a stream.
//
// crypto/cipher seals and opens whole messages only, and CMS puts the
// attributes that GCM authenticates before the ciphertext behind it (RFC 5083
// §2.1). Both are met by the algebra of GHASH: it is a polynomial in the hash
// key H, so pieces can be hashed apart and joined by powers of H. The pieces
// are hashed by crypto/cipher's own GCM, as additional data of an empty
// message: the tag T of a piece p of m blocks is
//
//	T = (S(p) ⊕ len(p))·H ⊕ E(J),  S(p) = p₁·Hᵐ ⊕ … ⊕ pₘ·H
//
// from which S(p) follows by one multiplication with H⁻¹. So the speed is that
// of the standard library's assembly, and only a few multiplications for each
// 64 KiB are done here, in constant time.
package gcm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

const (
	// TagSize is the length of a full tag in octets.
	TagSize = 16
	// MaxLength is the longest message under one key and nonce
	// (SP 800-38D §5.2.1.1), in octets.
	MaxLength = 1<<36 - 32
	// MaxNonce bounds the nonce in octets; SP 800-38D allows absurd lengths.
	MaxNonce = 512

	blockSize = 16
	chunk     = 64 << 10
)

// ErrTooLong says that a message exceeds MaxLength.
var ErrTooLong = errors.New("gcm: message longer than 64 GiB under one key")

// Stream encrypts or decrypts one message. Nothing that it decrypts is good
// before [Stream.Check] has said so.
type Stream struct {
	block cipher.Block
	mac   cipher.AEAD
	zero  []byte // nonce of the internal tags, which never leave the package
	mask  element
	h     element
	// Short messages need neither of these, which take longer than their cipher.
	invH   element // zero until it is needed
	hChunk element // H to the number of blocks in a chunk; likewise

	tagMask [blockSize]byte // E(J0)
	ctr     cipher.Stream
	counter [blockSize]byte
	wrap    uint64 // octets until the 32-bit counter wraps

	sum    element // S of the full blocks of ciphertext so far
	length uint64
	rest   []byte // ciphertext not hashed yet, less than a chunk
}

// New starts a message under the block cipher, which must have 16-octet
// blocks, with a nonce of 1 to MaxNonce octets.
func New(block cipher.Block, nonce []byte) (*Stream, error) {
	if block.BlockSize() != blockSize || len(nonce) == 0 || len(nonce) > MaxNonce {
		return nil, errors.New("gcm: block size or nonce length out of range")
	}
	mac, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	s := &Stream{block: block, mac: mac, zero: make([]byte, mac.NonceSize())}
	var h, j [blockSize]byte
	block.Encrypt(h[:], h[:])
	s.h = load(h[:])
	j[blockSize-1] = 1
	block.Encrypt(j[:], j[:])
	s.mask = load(j[:])
	s.start(nonce)
	return s, nil
}

// start derives J0 (SP 800-38D §7.1 step 2) and sets the counter behind it.
func (s *Stream) start(nonce []byte) {
	var j0 [blockSize]byte
	if len(nonce) == 12 {
		copy(j0[:], nonce)
		j0[blockSize-1] = 1
	} else {
		s.last(pad(nonce), lengths(0, uint64(len(nonce)))).store(j0[:])
	}
	s.block.Encrypt(s.tagMask[:], j0[:])
	s.counter = j0
	low := binary.BigEndian.Uint32(j0[12:]) + 1
	s.restart(low)
}

// restart sets the counter's low 32 bits. GCM counts in these alone, where
// crypto/cipher's CTR carries into the rest.
func (s *Stream) restart(low uint32) {
	binary.BigEndian.PutUint32(s.counter[12:], low)
	s.wrap = (1<<32 - uint64(low)) * blockSize
	s.ctr = cipher.NewCTR(s.block, s.counter[:])
}

func (s *Stream) xor(dst, src []byte) {
	for len(src) > 0 {
		n := int(min(uint64(len(src)), s.wrap))
		s.ctr.XORKeyStream(dst[:n], src[:n])
		if s.wrap -= uint64(n); s.wrap == 0 {
			s.restart(0)
		}
		dst, src = dst[n:], src[n:]
	}
}

// Encrypt writes the ciphertext of the next part of the message to dst, which
// may be src itself and must not overlap it otherwise.
func (s *Stream) Encrypt(dst, src []byte) error {
	if uint64(len(src)) > MaxLength-s.length {
		return ErrTooLong
	}
	s.xor(dst, src)
	s.absorb(dst[:len(src)])
	return nil
}

// Decrypt writes the plaintext of the next part of the message to dst, which
// may be src itself and must not overlap it otherwise.
func (s *Stream) Decrypt(dst, src []byte) error {
	if uint64(len(src)) > MaxLength-s.length {
		return ErrTooLong
	}
	s.absorb(src)
	s.xor(dst, src)
	return nil
}

// absorb hashes ciphertext by whole chunks and keeps the rest.
func (s *Stream) absorb(c []byte) {
	s.length += uint64(len(c))
	if len(s.rest) > 0 {
		n := min(chunk-len(s.rest), len(c))
		s.rest = append(s.rest, c[:n]...)
		c = c[n:]
		if len(s.rest) < chunk {
			return
		}
		s.add(s.rest)
		s.rest = s.rest[:0]
	}
	for len(c) >= chunk {
		s.add(c[:chunk])
		c = c[chunk:]
	}
	s.rest = append(s.rest, c...)
}

func (s *Stream) add(c []byte) {
	if s.hChunk == (element{}) {
		s.hChunk = s.h.power(chunk / blockSize)
	}
	s.sum = s.sum.mul(s.hChunk).xor(s.hash(c))
}

// hash returns S(p); len(p) is a multiple of the block size.
func (s *Stream) hash(p []byte) element {
	if len(p) == 0 {
		return element{}
	}
	if s.invH == (element{}) {
		s.invH = s.h.invert()
	}
	return s.tag(p).mul(s.invH).xor(lengths(uint64(len(p)), 0))
}

// last returns (S(p) + end)·H, which is p and a last block hashed, and needs no
// inverse: the library's tag has the same but for its own last block.
func (s *Stream) last(p []byte, end element) element {
	if len(p) == 0 {
		return end.mul(s.h)
	}
	return s.tag(p).xor(lengths(uint64(len(p)), 0).xor(end).mul(s.h))
}

// tag returns (S(p) + len(p))·H, which is the library's tag without its mask.
func (s *Stream) tag(p []byte) element { return load(s.mac.Seal(nil, s.zero, nil, p)).xor(s.mask) }

// Tag ends the message and returns its tag over the ciphertext and the
// additional data.
func (s *Stream) Tag(aad []byte) [TagSize]byte {
	last := pad(s.rest)
	sum := s.last(last, lengths(uint64(len(aad)), s.length))
	if s.sum != (element{}) {
		sum = sum.xor(s.sum.mul(s.h.power(uint64(len(last)/blockSize + 1))))
	}
	if len(aad) > 0 {
		total := (s.length + blockSize - 1) / blockSize
		sum = sum.xor(s.hash(pad(aad)).mul(s.h.power(total + 1)))
	}
	var tag [TagSize]byte
	sum.store(tag[:])
	subtle.XORBytes(tag[:], tag[:], s.tagMask[:])
	return tag
}

// Check ends the message and tells whether tag, which may be shortened by the
// sender, is its tag. The caller decides which lengths it takes; below 12
// octets none is safe.
func (s *Stream) Check(aad, tag []byte) bool {
	want := s.Tag(aad)
	if len(tag) == 0 || len(tag) > TagSize {
		return false
	}
	return subtle.ConstantTimeCompare(want[:len(tag)], tag) == 1
}

func pad(p []byte) []byte {
	if len(p)%blockSize == 0 {
		return p
	}
	out := make([]byte, (len(p)+blockSize-1)/blockSize*blockSize)
	copy(out, p)
	return out
}
