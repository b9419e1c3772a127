// Package softkey is an authenticator in software, for tests: it makes passkeys
// and signs with them as a browser would pass it on.
package softkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math/big"
)

// Flags of authenticator data.
const (
	Present  = 0x01
	Verified = 0x04
)

// Key is a passkey. Fields may be changed to make it lie.
type Key struct {
	ID     []byte
	Signer crypto.Signer
	Site   string // the relying party's id
	Origin string
	Handle []byte
	Count  uint32
	Flags  byte
	Format string // of the attestation
	Cross  bool
}

// New makes a passkey with a P-256 key for a site, as its options say.
func New(origin string, creation []byte) (*Key, error) {
	var o struct {
		RP   struct{ ID string }
		User struct{ ID string }
	}
	if err := json.Unmarshal(creation, &o); err != nil {
		return nil, err
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 32)
	rand.Read(id)
	return &Key{ID: id, Signer: signer, Site: o.RP.ID, Origin: origin, Handle: handle, Flags: Present | Verified, Format: "none"}, nil
}

// Create answers the options for a new passkey.
func (k *Key) Create(options []byte) []byte {
	id := make([]byte, 16+2, 64)
	binary.BigEndian.PutUint16(id[16:], uint16(len(k.ID)))
	data := append(k.data(0x40), append(append(id, k.ID...), COSE(k.Signer.Public())...)...)
	object := []byte{0xa3}
	object = append(append(object, 0x63), "fmt"...)
	object = append(append(object, 0x60|byte(len(k.Format))), k.Format...)
	object = append(append(object, 0x67), "attStmt"...)
	object = append(object, 0xa0)
	object = append(append(object, 0x68), "authData"...)
	object = append(object, octets(data)...)
	return k.answer(map[string]string{
		"clientDataJSON": k.page("webauthn.create", options), "attestationObject": encode(object),
	})
}

// Sign answers the options for a sign-in.
func (k *Key) Sign(options []byte) []byte {
	k.Count++
	data := k.data(0)
	page := k.page("webauthn.get", options)
	raw, _ := base64.RawURLEncoding.DecodeString(page)
	sum := sha256.Sum256(raw)
	message := append(append([]byte(nil), data...), sum[:]...)
	var signature []byte
	var err error
	if _, ed := k.Signer.(ed25519.PrivateKey); ed {
		signature, err = k.Signer.Sign(rand.Reader, message, crypto.Hash(0))
	} else {
		digest := sha256.Sum256(message)
		signature, err = k.Signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		panic(err)
	}
	return k.answer(map[string]string{
		"clientDataJSON": page, "authenticatorData": encode(data), "signature": encode(signature), "userHandle": encode(k.Handle),
	})
}

func (k *Key) answer(response map[string]string) []byte {
	raw, err := json.Marshal(map[string]any{"id": encode(k.ID), "rawId": encode(k.ID), "type": "public-key", "response": response})
	if err != nil {
		panic(err)
	}
	return raw
}

func (k *Key) page(kind string, options []byte) string {
	var o struct{ Challenge string }
	if err := json.Unmarshal(options, &o); err != nil {
		panic(err)
	}
	raw, err := json.Marshal(map[string]any{"type": kind, "challenge": o.Challenge, "origin": k.Origin, "crossOrigin": k.Cross})
	if err != nil {
		panic(err)
	}
	return encode(raw)
}

func (k *Key) data(more byte) []byte {
	site := sha256.Sum256([]byte(k.Site))
	return binary.BigEndian.AppendUint32(append(site[:], k.Flags|more), k.Count)
}

// COSE writes a public key as a COSE_Key (RFC 9052 §7).
func COSE(key crypto.PublicKey) []byte {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		b := []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21} // kty EC2, alg ES256, crv P-256, x
		b = append(b, octets(point[1:33])...)
		return append(append(b, 0x22), octets(point[33:])...)
	case ed25519.PublicKey:
		return append([]byte{0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21}, octets(key)...) // OKP, EdDSA, Ed25519
	case *rsa.PublicKey:
		b := append([]byte{0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20}, octets(key.N.Bytes())...) // RSA, RS256
		return append(append(b, 0x21), octets(big.NewInt(int64(key.E)).Bytes())...)
	}
	panic("softkey: no such key")
}

// octets writes a CBOR byte string.
func octets(b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		return append([]byte{0x40 | byte(n)}, b...)
	case n < 256:
		return append([]byte{0x58, byte(n)}, b...)
	default:
		return append([]byte{0x59, byte(n >> 8), byte(n)}, b...)
	}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
