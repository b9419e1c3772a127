//go:build !amd64 || !gc || purego

package cbc

import "crypto/cipher"

// preferred says that crypto/cipher has what there is.
const preferred = false

func newEncrypter(_, _ []byte) (cipher.BlockMode, error) { panic("cbc: no instructions") }
