package identity

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/subtle"
	"fmt"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// parseMLKEM reads ML-KEM-*-PrivateKey (RFC 9935, Section 6): the seed, the
// expanded key, or both.
func parseMLKEM(id oid.OID, private cryptobyte.String) (crypto.PrivateKey, error) {
	seed, expanded, ok := seedAndExpanded(private)
	if !ok {
		return nil, fmt.Errorf("private key: %w: %s", ErrMalformed, id.Name())
	}
	if seed == nil {
		return parseExpandedMLKEM(id, expanded)
	}
	scheme := mlkemScheme(id)
	if len(seed) != scheme.SeedSize() {
		return nil, fmt.Errorf("private key: %w: %s seed of %d octets", ErrMalformed, id.Name(), len(seed))
	}
	if expanded != nil {
		_, derived := scheme.DeriveKeyPair(seed)
		want, err := derived.MarshalBinary()
		if err != nil || subtle.ConstantTimeCompare(want, expanded) != 1 {
			// RFC 9935, Section 8: a key whose two forms differ is refused.
			return nil, fmt.Errorf("private key: %w: %s seed and expanded key differ", ErrMalformed, id.Name())
		}
	}
	switch id {
	case oid.MLKEM512:
		key, err := cert.NewMLKEM512PrivateKey(seed)
		return parsed(key, err)
	case oid.MLKEM768:
		key, err := mlkem.NewDecapsulationKey768(seed)
		return parsed(key, err)
	}
	key, err := mlkem.NewDecapsulationKey1024(seed)
	return parsed(key, err)
}

// seedAndExpanded reads the CHOICE that RFC 9881 and RFC 9935 share. What is
// absent is nil.
func seedAndExpanded(private cryptobyte.String) (seed, expanded cryptobyte.String, ok bool) {
	seedTag := asn1.Tag(0).ContextSpecific()
	var both cryptobyte.String
	switch {
	case private.PeekASN1Tag(seedTag):
		ok = private.ReadASN1(&seed, seedTag)
	case private.PeekASN1Tag(asn1.OCTET_STRING):
		ok = private.ReadASN1(&expanded, asn1.OCTET_STRING)
	default:
		ok = private.ReadASN1(&both, asn1.SEQUENCE) && both.ReadASN1(&seed, asn1.OCTET_STRING) &&
			both.ReadASN1(&expanded, asn1.OCTET_STRING) && both.Empty()
	}
	return seed, expanded, ok && private.Empty()
}

func mlkemScheme(id oid.OID) kem.Scheme {
	switch id {
	case oid.MLKEM512:
		return mlkem512.Scheme()
	case oid.MLKEM768:
		return mlkem768.Scheme()
	}
	return mlkem1024.Scheme()
}

// expandedMLKEM is an ML-KEM key of which the seed is not known. Such keys
// decrypt like others; crypto/mlkem takes seeds alone. It is a
// crypto.Decapsulator.
type expandedMLKEM struct {
	id     oid.OID
	key    kem.PrivateKey
	public crypto.Encapsulator
}

// parseExpandedMLKEM reads dk = dk_PKE || ek || H(ek) || z and checks it: the
// length and the hash (FIPS 203, Section 7.3), that ek is reduced (Section 7.2),
// and that the halves belong together.
func parseExpandedMLKEM(id oid.OID, expanded []byte) (crypto.PrivateKey, error) {
	scheme := mlkemScheme(id)
	key, err := scheme.UnmarshalBinaryPrivateKey(expanded)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: expanded %s key", ErrMalformed, id.Name())
	}
	end := len(expanded) - 2*32 // H(ek) and z
	k := &expandedMLKEM{id: id, key: key}
	if k.public, err = mlkemPublic(id, expanded[end-scheme.PublicKeySize():end]); err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrMalformed, err)
	}
	secret, ciphertext := k.public.Encapsulate()
	if got, err := k.Decapsulate(ciphertext); err != nil || !bytes.Equal(got, secret) {
		return nil, fmt.Errorf("private key: %w: %s public and private half differ", ErrMalformed, id.Name())
	}
	return k, nil
}

func mlkemPublic(id oid.OID, raw []byte) (crypto.Encapsulator, error) {
	switch id {
	case oid.MLKEM512:
		return cert.NewMLKEM512PublicKey(raw)
	case oid.MLKEM768:
		return mlkem.NewEncapsulationKey768(raw)
	}
	return mlkem.NewEncapsulationKey1024(raw)
}

func (k *expandedMLKEM) Encapsulator() crypto.Encapsulator { return k.public }

func (k *expandedMLKEM) Decapsulate(ciphertext []byte) ([]byte, error) {
	return mlkemScheme(k.id).Decapsulate(k.key, ciphertext)
}

func (k *expandedMLKEM) Equal(x crypto.PrivateKey) bool {
	o, ok := x.(*expandedMLKEM)
	return ok && k.id == o.id && k.key.Equal(o.key)
}

// bytes is the expanded key as RFC 9935 has it.
func (k *expandedMLKEM) bytes() ([]byte, error) {
	raw, err := k.key.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1OctetString(raw)
	return b.Bytes()
}
