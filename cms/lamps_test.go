package cms

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/test/vectors"
)

// TestKEMExample holds every value on the way of the message of RFC 9936
// Appendix C to the published one; test/vectors decrypts the message itself.
func TestKEMExample(t *testing.T) {
	dir := vectors.Dir(t, "lamps-wg/cms-kyber/example")
	value := func(name string) []byte {
		return unhex(t, strings.Join(strings.Fields(string(vectors.Read(t, dir, name+".txt"))), ""))
	}
	block, _ := pem.Decode(vectors.Read(t, dir, "ML-KEM-512.cms"))
	r, err := NewReader(bytes.NewReader(block.Bytes), nil)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := r.EnvelopedData(nil)
	i, ok := e.Recipients()[0].sealed.(*kemri)
	if !ok || !bytes.Equal(i.ciphertext, value("ciphertext")) || !bytes.Equal(i.encryptedKey, value("encrypted_cek")) {
		t.Fatalf("%+v", i)
	}
	if id := strings.TrimSpace(string(vectors.Read(t, dir, "ML-KEM-512.keyid"))); !strings.EqualFold(hex.EncodeToString(e.Recipients()[0].Recipient.SubjectKeyID), id) {
		t.Errorf("recipient %s, want %s", e.Recipients()[0].Recipient, id)
	}
	seed := make([]byte, 64) // 00 01 02 and so on, as the keys of RFC 9935
	for i := range seed {
		seed[i] = byte(i)
	}
	key, err := cert.NewMLKEM512PrivateKey(seed)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := key.Decapsulate(i.ciphertext)
	if err != nil || !bytes.Equal(secret, value("shared_secret")) {
		t.Errorf("shared secret %x, %v", secret, err)
	}
	info, err := kemInfo(i.wrap, i.ukm, i.size)
	if err != nil || !bytes.Equal(info, value("ori_info")) {
		t.Errorf("CMSORIforKEMOtherInfo %x, %v", info, err)
	}
	if i.kdf.Algorithm != oid.HKDFSHA256 {
		t.Fatalf("key derivation %s", i.kdf.Algorithm.Name())
	}
	kek, err := kemKey(sha256.New, secret, i.wrap, i.ukm, i.size)
	if err != nil || !bytes.Equal(kek, value("kek")) {
		t.Errorf("key-encryption key %x, %v", kek, err)
	}
	cek, err := unwrapKey(kek, i.encryptedKey)
	if err != nil || !bytes.Equal(cek, value("cek")) {
		t.Errorf("content-encryption key %x, %v", cek, err)
	}
}
