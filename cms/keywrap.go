package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"github.com/mailseal/mailseal/internal/oid"
)

var errUnwrap = errors.New("key wrap: integrity check failed")

// wrapIV is the default initial value of RFC 3394 §2.2.3.1.
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKeySize returns the key size of an AES key wrap algorithm (RFC 3565 §2.3.2).
func wrapKeySize(o OID) (int, bool) {
	switch o {
	case oid.AES128Wrap:
		return 16, true
	case oid.AES192Wrap:
		return 24, true
	case oid.AES256Wrap:
		return 32, true
	}
	return 0, false
}

// wrapFor returns the wrap algorithm whose key is as long as the content's,
// as RFC 8551 §2.3 wants it.
func wrapFor(keySize int) OID {
	switch keySize {
	case 16:
		return oid.AES128Wrap
	case 24:
		return oid.AES192Wrap
	}
	return oid.AES256Wrap
}

// wrapKey is RFC 3394 §2.2.1. key is a multiple of 8 octets and at least 16.
func wrapKey(kek, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	if len(key) < 16 || len(key)%8 != 0 {
		return nil, errors.New("key wrap: key of a length that cannot be wrapped")
	}
	n := len(key) / 8
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], wrapIV)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			copy(b[8:], out[8*i:])
			block.Encrypt(b[:], b[:])
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(n*j+i))
			copy(out[8*i:8*i+8], b[8:])
		}
	}
	copy(out, b[:8])
	return out, nil
}

// unwrapKey is RFC 3394 §2.2.2.
func unwrapKey(kek, wrapped []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 24 || len(wrapped)%8 != 0 || len(wrapped) > 1<<10 {
		return nil, errUnwrap
	}
	n := len(wrapped)/8 - 1
	out := make([]byte, 8*n)
	copy(out, wrapped[8:])
	var b [16]byte
	copy(b[:8], wrapped)
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(n*j+i))
			copy(b[8:], out[8*(i-1):8*i])
			block.Decrypt(b[:], b[:])
			copy(out[8*(i-1):8*i], b[8:])
		}
	}
	var want [8]byte
	binary.BigEndian.PutUint64(want[:], wrapIV)
	if subtle.ConstantTimeCompare(b[:8], want[:]) != 1 {
		return nil, errUnwrap
	}
	return out, nil
}
