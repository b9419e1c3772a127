package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"testing"
)

// TestCBCPieces decrypts in pieces of many sizes, shared among the cores and
// not, and holds the result to what crypto/cipher encrypted.
func TestCBCPieces(t *testing.T) {
	key := make([]byte, 24)
	_, _ = rand.Read(key)
	aesBlock, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	desBlock, err := des.NewTripleDESCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range []cipher.Block{aesBlock, desBlock} {
		size := block.BlockSize()
		iv, plain := make([]byte, size), make([]byte, 5*cbcShare+3*size-1)
		_, _ = rand.Read(iv)
		_, _ = rand.Read(plain)
		ciphertext := append(bytes.Clone(plain), 1) // padding of one octet
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(ciphertext, ciphertext)
		for _, step := range []int{size - 1, size, 1000, cbcShare, cbcShare + 1, 2*cbcShare - 1, 3*cbcShare + size, len(ciphertext)} {
			c := &cbcPlaintext{block: block, iv: bytes.Clone(iv)}
			var got []byte
			for rest := ciphertext; len(rest) > 0; {
				n := min(step, len(rest))
				out, err := c.next(rest[:n])
				if err != nil {
					t.Fatal(err)
				}
				got, rest = append(got, out...), rest[n:]
			}
			last, err := c.last(nil, nil)
			if err != nil || !bytes.Equal(append(got, last...), plain) {
				t.Errorf("blocks of %d, pieces of %d: %v, or another plaintext", size, step, err)
			}
		}
	}
}
