// Package ccm is AES-CCM (NIST SP 800-38C, RFC 3610) as a stream.
//
// CCM authenticates the length and the additional data ahead of the message,
// so both must be known when a message starts: [New] takes them, and holds the
// caller to the length.
package ccm

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
)

const blockSize = 16

var errLength = errors.New("ccm: message is not as long as was announced")

// Stream encrypts or decrypts one message. Nothing that it decrypts is good
// before [Stream.Check] has said so.
type Stream struct {
	mac     cipher.BlockMode
	ctr     cipher.Stream
	mask    [blockSize]byte // E(A0), for the tag
	state   [blockSize]byte // CBC-MAC so far
	partial []byte          // plaintext of an unfinished block
	left    uint64
	tagSize int
	scratch []byte
}

// New starts a message of length octets. The nonce has 7 to 13 octets and
// leaves 15 minus that many for the length; the tag has 4, 6, … 16.
func New(block cipher.Block, nonce []byte, tagSize int, length uint64, aad []byte) (*Stream, error) {
	q := 15 - len(nonce)
	if block.BlockSize() != blockSize || q < 2 || q > 8 {
		return nil, errors.New("ccm: block size or nonce length out of range")
	}
	if tagSize < 4 || tagSize > 16 || tagSize%2 != 0 {
		return nil, errors.New("ccm: tag length out of range")
	}
	if q < 8 && length >= 1<<(8*q) {
		return nil, errors.New("ccm: message too long for a nonce of this length")
	}
	s := &Stream{left: length, tagSize: tagSize, mac: cipher.NewCBCEncrypter(block, make([]byte, blockSize))}
	var counter [blockSize]byte // A0 (SP 800-38C A.3)
	counter[0] = byte(q - 1)
	copy(counter[1:], nonce)
	block.Encrypt(s.mask[:], counter[:])
	counter[blockSize-1] = 1
	s.ctr = cipher.NewCTR(block, counter[:])
	s.absorb(firstBlocks(nonce, q, tagSize, length, aad))
	return s, nil
}

// firstBlocks is B0 and the additional data (SP 800-38C A.2.1, A.2.2), padded.
func firstBlocks(nonce []byte, q, tagSize int, length uint64, aad []byte) []byte {
	out := make([]byte, blockSize, 2*blockSize+len(aad)+10)
	out[0] = byte((tagSize-2)/2<<3 | (q - 1))
	binary.BigEndian.PutUint64(out[8:], length)
	copy(out[1:], nonce)
	if len(aad) == 0 {
		return out
	}
	out[0] |= 0x40
	if len(aad) < 0xff00 {
		out = binary.BigEndian.AppendUint16(out, uint16(len(aad)))
	} else {
		out = binary.BigEndian.AppendUint32(append(out, 0xff, 0xfe), uint32(len(aad)))
	}
	out = append(out, aad...)
	return append(out, make([]byte, -len(out)&(blockSize-1))...)
}

// absorb runs whole blocks through the CBC-MAC.
func (s *Stream) absorb(p []byte) {
	if len(p) == 0 {
		return
	}
	if cap(s.scratch) < len(p) {
		s.scratch = make([]byte, len(p))
	}
	out := s.scratch[:len(p)]
	s.mac.CryptBlocks(out, p)
	copy(s.state[:], out[len(out)-blockSize:])
}

func (s *Stream) authenticate(p []byte) {
	if len(s.partial) > 0 {
		n := min(blockSize-len(s.partial), len(p))
		s.partial = append(s.partial, p[:n]...)
		p = p[n:]
		if len(s.partial) < blockSize {
			return
		}
		s.absorb(s.partial)
		s.partial = s.partial[:0]
	}
	whole := len(p) &^ (blockSize - 1)
	s.absorb(p[:whole])
	s.partial = append(s.partial, p[whole:]...)
}

// Encrypt writes the ciphertext of the next part of the message to dst, which
// may be src itself.
func (s *Stream) Encrypt(dst, src []byte) error {
	if uint64(len(src)) > s.left {
		return errLength
	}
	s.left -= uint64(len(src))
	s.authenticate(src)
	s.ctr.XORKeyStream(dst, src)
	return nil
}

// Decrypt writes the plaintext of the next part of the message to dst, which
// may be src itself.
func (s *Stream) Decrypt(dst, src []byte) error {
	if uint64(len(src)) > s.left {
		return errLength
	}
	s.left -= uint64(len(src))
	s.ctr.XORKeyStream(dst, src)
	s.authenticate(dst[:len(src)])
	return nil
}

// Tag ends the message and returns its tag.
func (s *Stream) Tag() ([]byte, error) {
	if s.left != 0 {
		return nil, errLength
	}
	if n := len(s.partial); n > 0 {
		s.absorb(append(s.partial, make([]byte, blockSize-n)...))
		s.partial = s.partial[:0]
	}
	tag := make([]byte, blockSize)
	subtle.XORBytes(tag, s.state[:], s.mask[:])
	return tag[:s.tagSize], nil
}

// Check ends the message and tells whether tag is its tag.
func (s *Stream) Check(tag []byte) bool {
	want, err := s.Tag()
	return err == nil && subtle.ConstantTimeCompare(want, tag) == 1
}
