package cert

import (
	"crypto"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/dh/x448"
)

// X448PublicKey is a public key for Diffie-Hellman on curve448 (RFC 7748 §6.2),
// which crypto/ecdh does not have.
type X448PublicKey struct{ point x448.Key }

// NewX448PublicKey takes the 56 octets of a public key. Every string of that
// length is one; see [X448PrivateKey.ECDH] for those that agree on nothing.
func NewX448PublicKey(point []byte) (*X448PublicKey, error) {
	if len(point) != x448.Size {
		return nil, fmt.Errorf("X448 key of %d octets, not %d", len(point), x448.Size)
	}
	return &X448PublicKey{x448.Key(point)}, nil
}

// Bytes returns the 56 octets of the key.
func (k *X448PublicKey) Bytes() []byte { return k.point[:] }

// Equal tells whether x is the same key.
func (k *X448PublicKey) Equal(x crypto.PublicKey) bool {
	o, ok := x.(*X448PublicKey)
	return ok && k.point == o.point
}

// X448PrivateKey is the private half of an [X448PublicKey].
type X448PrivateKey struct {
	scalar x448.Key
	public X448PublicKey
}

// GenerateX448 makes a key.
func GenerateX448(rand io.Reader) (*X448PrivateKey, error) {
	scalar := make([]byte, x448.Size)
	if _, err := io.ReadFull(rand, scalar); err != nil {
		return nil, err
	}
	return NewX448PrivateKey(scalar)
}

// NewX448PrivateKey takes the 56 octets of a private key (RFC 8410 §7).
func NewX448PrivateKey(scalar []byte) (*X448PrivateKey, error) {
	if len(scalar) != x448.Size {
		return nil, fmt.Errorf("X448 key of %d octets, not %d", len(scalar), x448.Size)
	}
	k := &X448PrivateKey{scalar: x448.Key(scalar)}
	x448.KeyGen(&k.public.point, &k.scalar)
	return k, nil
}

// Bytes returns the 56 octets of the private key.
func (k *X448PrivateKey) Bytes() []byte { return k.scalar[:] }

// Public returns the [*X448PublicKey].
func (k *X448PrivateKey) Public() crypto.PublicKey { return &k.public }

// Equal tells whether x is the same key.
func (k *X448PrivateKey) Equal(x crypto.PrivateKey) bool {
	o, ok := x.(*X448PrivateKey)
	return ok && subtle.ConstantTimeCompare(k.scalar[:], o.scalar[:]) == 1
}

// ECDH returns the shared secret. A key of low order, with which every secret
// would be zero, is an error (RFC 8418 §2).
func (k *X448PrivateKey) ECDH(remote *X448PublicKey) ([]byte, error) {
	var secret x448.Key
	if !x448.Shared(&secret, &k.scalar, &remote.point) {
		return nil, errors.New("X448 key of low order")
	}
	return secret[:], nil
}
