// Package sha256 is SHA-256 (FIPS 180-4) for long messages on processors of the amd64
// kind that have AVX2 and BMI2 but not the SHA extensions: with AVX-512 it hashes a
// quarter more a second than crypto/sha256, with AVX2 a sixth. Everywhere else, and in
// FIPS 140 mode, New returns crypto/sha256's; so it does with the build tag purego.
//
// Only the rounds have to go through a message block by block. The schedule of a block,
// W[0] to W[63] of §6.2.2, follows from the block alone, and those of eight blocks are
// computed at once, a lane of the vectors for each.
package sha256

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// group is what is hashed at once, in bytes: eight blocks.
const group = 8 * sha256.BlockSize

// New returns a hash.Hash of SHA-256. It is a hash.Cloner, and cannot be marshaled on
// every processor.
func New() hash.Hash {
	if preferred == standard {
		return sha256.New()
	}
	return newDigest(preferred)
}

// digest is a hash whose message may go on.
type digest struct {
	with   instructions
	state  [8]uint32
	length uint64 // of the message, in bytes
	tail   [group]byte
	n      int // bytes of tail
}

// instructions are those that compute schedules.
type instructions int

const (
	standard instructions = iota // those of crypto/sha256
	avx2
	avx512
)

func newDigest(with instructions) *digest {
	d := &digest{with: with}
	d.Reset()
	return d
}

func (d *digest) Size() int      { return sha256.Size }
func (d *digest) BlockSize() int { return sha256.BlockSize }

func (d *digest) Reset() {
	d.state = [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
	d.length, d.n = 0, 0
}

// Clone implements hash.Cloner.
func (d *digest) Clone() (hash.Cloner, error) {
	c := *d
	return &c, nil
}

// Write never returns an error.
func (d *digest) Write(p []byte) (int, error) {
	length := len(p)
	d.length += uint64(length)
	if d.n > 0 {
		n := copy(d.tail[d.n:], p)
		d.n += n
		if d.n < group {
			return length, nil
		}
		d.with.compress(&d.state, d.tail[:])
		d.n = 0
		p = p[n:]
	}
	if whole := len(p) &^ (group - 1); whole > 0 {
		d.with.compress(&d.state, p[:whole])
		p = p[whole:]
	}
	d.n = copy(d.tail[:], p)
	return length, nil
}

// Sum appends the hash of what was written so far, which may go on.
func (d *digest) Sum(b []byte) []byte {
	if d.length < group { // too short for eight lanes
		sum := sha256.Sum256(d.tail[:d.n])
		return append(b, sum[:]...)
	}
	// §5.1.1: a one, zeros, and the length in bits at the end of a block.
	var padded [group + sha256.BlockSize]byte
	copy(padded[:], d.tail[:d.n])
	padded[d.n] = 0x80
	end := (d.n + 1 + 8 + sha256.BlockSize - 1) &^ (sha256.BlockSize - 1)
	binary.BigEndian.PutUint64(padded[end-8:], d.length<<3)
	state := d.state
	d.with.compress(&state, padded[:end])
	for _, word := range state {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	return b
}

// compress goes on from state by whole blocks.
func (i instructions) compress(state *[8]uint32, p []byte) {
	var sums [64][8]uint32 // W[t] and the constant of round t, for each block
	for ; len(p) >= group; p = p[group:] {
		i.schedule(&sums, (*[group]byte)(p))
		rounds(state, &sums, group/sha256.BlockSize)
	}
	if len(p) > 0 {
		var last [group]byte
		copy(last[:], p)
		i.schedule(&sums, &last)
		rounds(state, &sums, len(p)/sha256.BlockSize)
	}
}
