package cert_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"testing"

	"github.com/mailseal/mailseal/cert"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// RFC 7748 §6.2.
func TestX448(t *testing.T) {
	alice, err := cert.NewX448PrivateKey(unhex(t, "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b"))
	if err != nil {
		t.Fatal(err)
	}
	bob, err := cert.NewX448PublicKey(unhex(t, "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := alice.Public().(*cert.X448PublicKey).Bytes(), unhex(t, "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0"); !bytes.Equal(got, want) {
		t.Errorf("public key %x", got)
	}
	secret, err := alice.ECDH(bob)
	if want := unhex(t, "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d"); err != nil || !bytes.Equal(secret, want) {
		t.Errorf("secret %x, %v", secret, err)
	}
	other, err := cert.GenerateX448(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cert.NewX448PrivateKey(alice.Bytes())
	if err != nil || !alice.Equal(again) || alice.Equal(other) {
		t.Errorf("%v", err)
	}
	zero, err := cert.NewX448PublicKey(make([]byte, 56))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.ECDH(zero); err == nil {
		t.Error("agrees on zero")
	}
	if _, err := cert.NewX448PrivateKey(make([]byte, 57)); err == nil {
		t.Error("takes a long key")
	}
}

func TestMLKEM512(t *testing.T) {
	key, err := cert.GenerateMLKEM512(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := cert.NewMLKEM512PublicKey(key.Encapsulator().Bytes())
	if err != nil || !public.Equal(key.Encapsulator()) {
		t.Fatal(err)
	}
	sent, ciphertext := public.Encapsulate()
	got, err := key.Decapsulate(ciphertext)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%x and %x, %v", got, sent, err)
	}
	ciphertext[0] ^= 1
	if got, err = key.Decapsulate(ciphertext); err != nil || bytes.Equal(got, sent) {
		t.Errorf("altered ciphertext: %x, %v", got, err)
	}
	if _, err := key.Decapsulate(ciphertext[1:]); err == nil {
		t.Error("takes a short ciphertext")
	}
	again, err := cert.NewMLKEM512PrivateKey(key.Bytes())
	if err != nil || !key.Equal(again) {
		t.Errorf("%v", err)
	}
	if _, err := cert.NewMLKEM512PrivateKey(key.Bytes()[1:]); err == nil {
		t.Error("takes a short seed")
	}
	var _ crypto.Decapsulator = key
}
