package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
)

func TestPasswordAndSharedKey(t *testing.T) {
	longTest(t)
	leaf := testca.New(t).Leaf("a@example.com", testca.P256)
	to, keys := recipients(t, leaf)
	password, err := NewPasswordRecipient([]byte("correct horse"))
	if err != nil {
		t.Fatal(err)
	}
	kek, err := NewKEKRecipient(make([]byte, 24), []byte("office"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Cipher{AES128CBC, AES256GCM} {
		message := encrypted(t, []byte("text"), append(to, password, kek), &EncryptOptions{Cipher: c})
		for name, k := range map[string]*RecipientKey{
			"certificate": keys[0],
			"passphrase":  {Passphrase: []byte("correct horse")},
			"shared key":  {KEK: make([]byte, 24), KEKID: []byte("office")},
		} {
			if got, _, err := decrypt(message, k); err != nil || string(got) != "text" {
				t.Errorf("%v, %s: %q, %v", c, name, got, err)
			}
		}
		for name, k := range map[string]*RecipientKey{
			"wrong passphrase":           {Passphrase: []byte("wrong horse")},
			"wrong shared key":           {KEK: bytes.Repeat([]byte{1}, 24), KEKID: []byte("office")},
			"shared key of another size": {KEK: make([]byte, 32), KEKID: []byte("office")},
		} {
			got, _, err := decrypt(message, k)
			if c == AES128CBC && err == nil && string(got) != "text" {
				continue // one key in 256 gives what looks like padding
			}
			if err != ErrDecrypt { //nolint:errorlint // alike to the letter
				t.Errorf("%v, %s: %v", c, name, err)
			}
		}
		if _, _, err := decrypt(message, &RecipientKey{KEK: make([]byte, 24), KEKID: []byte("home")}); !errors.Is(err, ErrNoRecipient) {
			t.Errorf("%v, shared key of another name: %v", c, err)
		}
	}
}

func TestKeyIdentifier(t *testing.T) {
	ca := testca.New(t)
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256, testca.X25519, testca.X448, testca.MLKEM768} {
		leaf := ca.Leaf("a@example.com", kind, func(c *x509.Certificate) { c.SubjectKeyId = []byte("key identifier") })
		r, err := NewRecipient(leaf.Certificate, &RecipientOptions{KeyIdentifier: true})
		if err != nil {
			t.Fatal(err)
		}
		got, e, err := decrypt(encrypted(t, []byte("text"), []*Recipient{r}, nil), &RecipientKey{Key: leaf.Key, Certificate: leaf.Certificate})
		if err != nil || string(got) != "text" || e.Recipients()[0].Recipient.RawIssuer != nil {
			t.Errorf("%v: %q, %v", kind, got, err)
		}
	}
}

// RFC 3394 §4.
func TestKeyWrap(t *testing.T) {
	for _, v := range []struct{ kek, key, wrapped string }{
		{"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF", "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
		{"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF", "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
		{"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", "00112233445566778899AABBCCDDEEFF0001020304050607", "A8F9BC1612C68B3FF6E6F4FBE30E71E4769C8B80A32CB8958CD5D17D6B254DA1"},
	} {
		kek, key, want := unhex(t, v.kek), unhex(t, v.key), unhex(t, v.wrapped)
		wrapped, err := wrapKey(kek, key)
		if err != nil || !bytes.Equal(wrapped, want) {
			t.Errorf("wrapped %x, %v", wrapped, err)
		}
		if got, err := unwrapKey(kek, want); err != nil || !bytes.Equal(got, key) {
			t.Errorf("unwrapped %x, %v", got, err)
		}
		want[9] ^= 1
		if _, err := unwrapKey(kek, want); err == nil {
			t.Error("unwrapped an altered key")
		}
	}
}

// RFC 5649 §6.
func TestPaddedKeyWrap(t *testing.T) {
	kek := unhex(t, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8")
	for want, wrapped := range map[string]string{
		"c37b7e6492584340bed12207808941155068f738": "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
		"466f7250617369": "afbeb0f07dfbf5419200f2ccb50bb24f",
	} {
		if got, err := unwrapPaddedKey(kek, unhex(t, wrapped)); err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%x, %v", got, err)
		}
	}
}

// RFC 3217 §3.4.
func TestTripleDESWrap(t *testing.T) {
	kek := unhex(t, "255e0d1c07b646dfb3134cc843ba8aa71f025b7c0838251f")
	wrapped := unhex(t, "690107618ef092b3b48ca1796b234ae9fa33ebb4159604037db5d6a84eb3aac2768c632775a467d4")
	got, err := unwrapTripleDES(kek, wrapped)
	if err != nil || !bytes.Equal(got, unhex(t, "2923bf85e06dd6ae529149f1f1bae9eab3a7da3d860d3e98")) {
		t.Errorf("%x, %v", got, err)
	}
	wrapped[39] ^= 1
	if _, err := unwrapTripleDES(kek, wrapped); err == nil {
		t.Error("unwrapped an altered key")
	}
}

// RFC 3211 §2.3.1: what is wrapped comes back, for every key length, and
// nothing altered does but by one chance in 2²⁴.
func TestPasswordWrap(t *testing.T) {
	kek, iv := text(32), text(16)
	block, _ := aes.NewCipher(kek)
	for _, size := range []int{16, 24, 32, 33, 64} {
		key := text(size)
		wrapped, err := wrapPassword(random(nil), kek, iv, key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unwrapPassword(block, iv, wrapped); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%d octets: %x, %v", size, got, err)
		}
		for i := range wrapped {
			wrapped[i] ^= 1
			if got, err := unwrapPassword(block, iv, wrapped); err == nil && bytes.Equal(got, key) {
				t.Errorf("octet %d altered, same key", i)
			}
			wrapped[i] ^= 1
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
