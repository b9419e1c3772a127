package cert

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
)

// MLKEM512PublicKey is an ML-KEM-512 encapsulation key (FIPS 203), a parameter
// set that crypto/mlkem does not have. It is a crypto.Encapsulator.
type MLKEM512PublicKey struct {
	key mlkem512.PublicKey
	raw [mlkem512.PublicKeySize]byte
}

// NewMLKEM512PublicKey reads the 800 octets of an encapsulation key and checks
// it (FIPS 203 §7.2).
func NewMLKEM512PublicKey(raw []byte) (*MLKEM512PublicKey, error) {
	k := &MLKEM512PublicKey{}
	if err := k.key.Unpack(raw); err != nil {
		return nil, errors.New("ML-KEM-512 key is of a wrong length or not reduced")
	}
	copy(k.raw[:], raw)
	return k, nil
}

// Bytes returns the 800 octets of the key.
func (k *MLKEM512PublicKey) Bytes() []byte { return k.raw[:] }

// Equal tells whether x is the same key.
func (k *MLKEM512PublicKey) Equal(x crypto.PublicKey) bool {
	o, ok := x.(*MLKEM512PublicKey)
	return ok && k.raw == o.raw
}

// Encapsulate makes a shared key and the ciphertext that carries it.
func (k *MLKEM512PublicKey) Encapsulate() (sharedKey, ciphertext []byte) {
	sharedKey, ciphertext = make([]byte, mlkem512.SharedKeySize), make([]byte, mlkem512.CiphertextSize)
	k.key.EncapsulateTo(ciphertext, sharedKey, nil)
	return sharedKey, ciphertext
}

// MLKEM512PrivateKey is the private half of an [MLKEM512PublicKey]. It is a
// crypto.Decapsulator.
type MLKEM512PrivateKey struct {
	seed   [mlkem512.KeySeedSize]byte
	key    *mlkem512.PrivateKey
	public *MLKEM512PublicKey
}

// GenerateMLKEM512 makes a key.
func GenerateMLKEM512(rand io.Reader) (*MLKEM512PrivateKey, error) {
	seed := make([]byte, mlkem512.KeySeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, err
	}
	return NewMLKEM512PrivateKey(seed)
}

// NewMLKEM512PrivateKey expands a seed of 64 octets, "d || z" (FIPS 203 §7.1).
func NewMLKEM512PrivateKey(seed []byte) (*MLKEM512PrivateKey, error) {
	if len(seed) != mlkem512.KeySeedSize {
		return nil, fmt.Errorf("ML-KEM seed of %d octets, not %d", len(seed), mlkem512.KeySeedSize)
	}
	k := &MLKEM512PrivateKey{seed: [mlkem512.KeySeedSize]byte(seed), public: &MLKEM512PublicKey{}}
	public, private := mlkem512.NewKeyFromSeed(seed)
	public.Pack(k.public.raw[:])
	k.key, k.public.key = private, *public
	return k, nil
}

// Bytes returns the seed.
func (k *MLKEM512PrivateKey) Bytes() []byte { return k.seed[:] }

// Encapsulator returns the [*MLKEM512PublicKey].
func (k *MLKEM512PrivateKey) Encapsulator() crypto.Encapsulator { return k.public }

// Equal tells whether x is the same key.
func (k *MLKEM512PrivateKey) Equal(x crypto.PrivateKey) bool {
	o, ok := x.(*MLKEM512PrivateKey)
	return ok && subtle.ConstantTimeCompare(k.seed[:], o.seed[:]) == 1
}

// Decapsulate returns the shared key in ciphertext. A ciphertext that was not
// made for this key gives another key, and no error (FIPS 203 §6.3).
func (k *MLKEM512PrivateKey) Decapsulate(ciphertext []byte) (sharedKey []byte, err error) {
	if len(ciphertext) != mlkem512.CiphertextSize {
		return nil, errors.New("ML-KEM-512 ciphertext of a wrong length")
	}
	sharedKey = make([]byte, mlkem512.SharedKeySize)
	k.key.DecapsulateTo(sharedKey, ciphertext)
	return sharedKey, nil
}

// SameKey tells whether two public keys of the types in [Certificate.PublicKey]
// are the same.
func SameKey(a, b crypto.PublicKey) bool {
	if k, ok := a.(interface{ Equal(crypto.PublicKey) bool }); ok {
		return b != nil && k.Equal(b)
	}
	// crypto/mlkem's keys have no Equal.
	x, ok := a.(crypto.Encapsulator)
	y, also := b.(crypto.Encapsulator)
	return ok && also && bytes.Equal(x.Bytes(), y.Bytes())
}
