package pbe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rc4"
	"fmt"

	"github.com/mailseal/mailseal/internal/rc2"
)

// blockCipher is a cipher in CBC mode with the padding of RFC 8018, Section
// 6.1.1, or, when block is nil, RC4.
type blockCipher struct {
	name    string
	keySize int // bytes
	ivSize  int // bytes; 0 for a stream cipher
	block   func(key []byte) (cipher.Block, error)
}

func aesCBC(bits int) blockCipher {
	return blockCipher{fmt.Sprintf("AES-%d-CBC", bits), bits / 8, aes.BlockSize, aes.NewCipher}
}

func tripleDES() blockCipher {
	return blockCipher{"3DES-CBC", 24, des.BlockSize, des.NewTripleDESCipher}
}

// twoKeyTripleDES is 3DES whose third key is the first (RFC 7292, Appendix C).
func twoKeyTripleDES() blockCipher {
	return blockCipher{"3DES-CBC with two keys", 16, des.BlockSize, func(key []byte) (cipher.Block, error) {
		return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
	}}
}

func singleDES() blockCipher {
	return blockCipher{"DES-CBC", 8, des.BlockSize, des.NewCipher}
}

func rc2CBC(bits int) blockCipher {
	return blockCipher{fmt.Sprintf("RC2-%d-CBC", bits), bits / 8, rc2.BlockSize, func(key []byte) (cipher.Block, error) {
		return rc2.New(key, bits)
	}}
}

func rc4Stream(bits int) blockCipher {
	return blockCipher{name: fmt.Sprintf("RC4-%d", bits), keySize: bits / 8}
}

func (c blockCipher) decrypt(key, iv, ciphertext []byte) ([]byte, error) {
	plain := make([]byte, len(ciphertext))
	if c.block == nil {
		s, err := rc4.NewCipher(key)
		if err != nil {
			return nil, err
		}
		s.XORKeyStream(plain, ciphertext)
		return plain, nil
	}
	b, err := c.block(key)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) == 0 || len(ciphertext)%b.BlockSize() != 0 {
		return nil, fmt.Errorf("%w: ciphertext of %d bytes is not a number of %d-byte blocks", ErrMalformed, len(ciphertext), b.BlockSize())
	}
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(plain, ciphertext)
	return unpad(plain, b.BlockSize())
}

// unpad removes the padding. It may take its time to say what is wrong: whoever
// holds the file and this program holds no one else's secret.
func unpad(plain []byte, size int) ([]byte, error) {
	n := int(plain[len(plain)-1])
	if n < 1 || n > size {
		return nil, ErrPassphrase
	}
	for _, c := range plain[len(plain)-n:] {
		if int(c) != n {
			return nil, ErrPassphrase
		}
	}
	return plain[:len(plain)-n], nil
}

func (c blockCipher) encrypt(key, iv, plain []byte) ([]byte, error) {
	b, err := c.block(key)
	if err != nil {
		return nil, err
	}
	n := b.BlockSize() - len(plain)%b.BlockSize()
	padded := append(make([]byte, 0, len(plain)+n), plain...)
	for range n {
		padded = append(padded, byte(n))
	}
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(padded, padded)
	return padded, nil
}
