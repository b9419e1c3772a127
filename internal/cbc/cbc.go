// Package cbc encrypts with AES (FIPS 197) in CBC mode (NIST SP 800-38A §6.2), as fast as
// processors of the amd64 kind do the rounds. Everywhere else, and in FIPS 140 mode,
// NewEncrypter returns crypto/cipher's; so it does with the build tag purego.
//
// Each block waits for the one before. What crypto/cipher does for a block besides its
// rounds takes a third to a half of their time again; here it is done while they run.
// Decryption is left to crypto/cipher: its blocks do not wait.
package cbc

import (
	"crypto/aes"
	"crypto/cipher"
)

// NewEncrypter is cipher.NewCBCEncrypter under aes.NewCipher, whose error it returns.
func NewEncrypter(key, iv []byte) (cipher.BlockMode, error) {
	if preferred {
		return newEncrypter(key, iv)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewCBCEncrypter(block, iv), nil
}
