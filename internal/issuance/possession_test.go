package issuance

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/mlkem"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
)

// encryptionKeys are of every kind that can be certified for encryption.
func encryptionKeys(t testing.TB) map[string][2]any {
	t.Helper()
	small, err := cert.GenerateMLKEM512(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	middle, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	large, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	r, p256, p384 := rsaKey(t, 2048), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384())
	return map[string][2]any{
		"RSA": {r.Public(), r}, "P-256": {p256.Public(), p256}, "P-384": {p384.Public(), p384},
		"ML-KEM-512": {small.Encapsulator(), small}, "ML-KEM-768": {middle.EncapsulationKey(), middle}, "ML-KEM-1024": {large.EncapsulationKey(), large},
	}
}

func TestPossession(t *testing.T) {
	keys := encryptionKeys(t)
	for name, pair := range keys {
		t.Run(name, func(t *testing.T) {
			public, private := pair[0].(crypto.PublicKey), pair[1].(crypto.PrivateKey)
			c, err := ChallengePossession(nil, public, "order 7")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Envelope) > maxPossessionEnvelope {
				t.Errorf("an envelope of %d octets is not read again", len(c.Envelope))
			}
			answer, err := AnswerPossession(c.Envelope, public, private, "order 7")
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckPossession(c.AnswerHash, answer); err != nil {
				t.Error(err)
			}
			for what, wrong := range map[string][]byte{"nothing": nil, "the hash": c.AnswerHash, "a bit": flip(answer)} {
				if err := CheckPossession(c.AnswerHash, wrong); !errors.Is(err, ErrPossession) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := AnswerPossession(c.Envelope, public, private, "order 8"); !errors.Is(err, ErrPossession) {
				t.Errorf("for another order: %v", err)
			}
			if _, err := AnswerPossession(flip(c.Envelope), public, private, "order 7"); err == nil {
				t.Error("a changed challenge was answered")
			}
			again, err := ChallengePossession(nil, public, "order 7")
			if err != nil || bytes.Equal(again.AnswerHash, c.AnswerHash) {
				t.Errorf("two challenges have one answer, or %v", err)
			}
		})
	}
	// The challenge of one key says nothing to the holder of another.
	one, other := keys["P-256"], keys["P-384"]
	c, err := ChallengePossession(nil, one[0], "order 7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AnswerPossession(c.Envelope, other[0], other[1], "order 7"); !errors.Is(err, ErrPossession) {
		t.Errorf("another key: %v", err)
	}
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}

// Nobody gets a mail decrypted by calling it a challenge.
func TestPossessionIsNoOracle(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	c, err := standIn(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := cms.NewRecipient(c, &cms.RecipientOptions{KeyIdentifier: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text   string
		cipher cms.Cipher
	}{
		"a mail":              {"Content-Type: text/plain\r\n\r\nlet us meet at noon", cms.AES256GCM},
		"too long":            {possessionLabel + "order 7\n" + strings.Repeat("x", 33), cms.AES256GCM},
		"not authenticated":   {possessionLabel + "order 7\n" + strings.Repeat("x", 32), cms.AES256CBC},
		"without its label":   {"order 7\n" + strings.Repeat("x", 32), cms.AES256GCM},
		"longer than allowed": {strings.Repeat("x", maxPossessionEnvelope), cms.AES256GCM},
	} {
		var out bytes.Buffer
		w, err := cms.Encrypt(&out, []*cms.Recipient{recipient}, &cms.EncryptOptions{Cipher: tt.cipher})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if answer, err := AnswerPossession(out.Bytes(), key.Public(), key, "order 7"); !errors.Is(err, ErrPossession) || answer != nil {
			t.Errorf("%s: answered %x, %v", name, answer, err)
		}
	}
}

func TestPossessionRefused(t *testing.T) {
	for name, err := range map[string]error{
		"a key that signs":   second(ChallengePossession(nil, edKey(t).Public(), "order 7")),
		"no context":         second(ChallengePossession(nil, ecKey(t, elliptic.P256()).Public(), "")),
		"a long context":     second(ChallengePossession(nil, ecKey(t, elliptic.P256()).Public(), strings.Repeat("x", MaxPossessionContext+1))),
		"no key":             second(ChallengePossession(nil, nil, "order 7")),
		"broken randomness":  second(ChallengePossession(strings.NewReader("short"), ecKey(t, elliptic.P256()).Public(), "order 7")),
		"nonsense to answer": second(AnswerPossession([]byte("x"), ecKey(t, elliptic.P256()).Public(), ecKey(t, elliptic.P256()), "order 7")),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// FuzzAnswerPossession: whatever comes as a challenge, the answer is none, or
// that of the key's holder.
func FuzzAnswerPossession(f *testing.F) {
	key := ecKey(f, elliptic.P256())
	c, err := ChallengePossession(nil, key.Public(), "order 7")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Envelope)
	f.Fuzz(func(t *testing.T, envelope []byte) {
		answer, err := AnswerPossession(envelope, key.Public(), key, "order 7")
		if err == nil && CheckPossession(c.AnswerHash, answer) != nil {
			t.Error("an answer to no challenge of ours")
		}
	})
}
