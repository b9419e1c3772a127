package pbe

import (
	"bytes"
	"crypto/rand"
	"testing"
)

// The parts of one file share the salt, and so the work; each has an
// initialization vector of its own, and opens by itself.
func TestOnePBES2(t *testing.T) {
	p := NewPassphrase([]byte("secret"))
	p.Limit(1000) // enough for one derivation
	e := OnePBES2()
	plain := []byte{0x30, 1, 2}
	var schemes []*scheme
	for range 2 {
		alg, ciphertext, err := p.Encrypt(rand.Reader, e, 1000, plain)
		if err != nil {
			t.Fatal(err)
		}
		got, err := NewPassphrase([]byte("secret")).Decrypt(alg, ciphertext)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%x %v", got, err)
		}
		s, err := parseScheme(alg)
		if err != nil {
			t.Fatal(err)
		}
		schemes = append(schemes, s)
	}
	if schemes[0].same != schemes[1].same || bytes.Equal(schemes[0].iv, schemes[1].iv) {
		t.Errorf("salts %q, %q; vectors %x, %x", schemes[0].same, schemes[1].same, schemes[0].iv, schemes[1].iv)
	}
	if _, _, err := p.Encrypt(rand.Reader, OnePBES2(), 1000, plain); err == nil {
		t.Error("another file costs nothing")
	}
	if _, _, err := NewPassphrase([]byte("secret")).Encrypt(rand.Reader, PBES2, 1000, plain); err != nil {
		t.Error(err)
	}
}
