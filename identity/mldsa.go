package identity

import (
	"crypto"
	"crypto/mldsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/oid"
)

// mldsaSet is a parameter set of FIPS 204, Table 1.
type mldsaSet struct {
	mldsa.Parameters
	id        oid.OID
	scheme    sign.Scheme
	k, l, eta int
}

func mldsaParameters(id oid.OID) mldsaSet {
	switch id {
	case oid.MLDSA44:
		return mldsaSet{mldsa.MLDSA44(), id, mldsa44.Scheme(), 4, 4, 2}
	case oid.MLDSA65:
		return mldsaSet{mldsa.MLDSA65(), id, mldsa65.Scheme(), 6, 5, 4}
	}
	return mldsaSet{mldsa.MLDSA87(), id, mldsa87.Scheme(), 8, 7, 2}
}

// parseMLDSA reads ML-DSA-*-PrivateKey (RFC 9881, Section 6): the seed, the
// expanded key, or both.
func parseMLDSA(id oid.OID, private cryptobyte.String) (crypto.PrivateKey, error) {
	set := mldsaParameters(id)
	seed, expanded, ok := seedAndExpanded(private)
	if !ok {
		return nil, fmt.Errorf("private key: %w: %s", ErrMalformed, id.Name())
	}
	if seed == nil {
		key, err := set.parseExpanded(expanded)
		return parsed(key, err)
	}
	key, err := mldsa.NewPrivateKey(set.Parameters, seed)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrMalformed, err)
	}
	if expanded != nil && !set.derives(seed, expanded) {
		// RFC 9881, Section 8.2: a key whose two forms differ is refused.
		return nil, fmt.Errorf("private key: %w: %s seed and expanded key differ", ErrMalformed, id.Name())
	}
	return key, nil
}

// derives tells whether the seed, of the right length, makes the expanded key.
func (set mldsaSet) derives(seed, expanded []byte) bool {
	_, derived := set.scheme.DeriveKey(seed)
	want, err := derived.MarshalBinary()
	return err == nil && subtle.ConstantTimeCompare(want, expanded) == 1
}

// expandedMLDSA is an ML-DSA key of which the seed is not known. Such keys sign
// like others; crypto/mldsa takes seeds alone. It is a crypto.Signer.
type expandedMLDSA struct {
	set      mldsaSet
	expanded []byte
	key      sign.PrivateKey
	public   *mldsa.PublicKey
}

// parseExpanded reads sk = rho || K || tr || s1 || s2 || t0 (FIPS 204, Algorithm
// 24) and makes everything again that follows from rho, s1 and s2: signatures
// of a key that has been tampered with give it away (RFC 9881, Section 8.2).
func (set mldsaSet) parseExpanded(expanded []byte) (*expandedMLDSA, error) {
	if len(expanded) != set.scheme.PrivateKeySize() {
		return nil, fmt.Errorf("expanded %s key of %d octets", set.id.Name(), len(expanded))
	}
	public, err := set.publicOf(expanded)
	if err != nil {
		return nil, fmt.Errorf("expanded %s key: %w", set.id.Name(), err)
	}
	k := &expandedMLDSA{set: set, expanded: append([]byte(nil), expanded...)}
	if k.key, err = set.scheme.UnmarshalBinaryPrivateKey(k.expanded); err != nil {
		return nil, fmt.Errorf("expanded %s key: %w", set.id.Name(), err)
	}
	k.public, err = mldsa.NewPublicKey(set.Parameters, public)
	return k, err
}

func (k *expandedMLDSA) Public() crypto.PublicKey { return k.public }

// Sign signs the message itself, as crypto/mldsa does with the same options.
func (k *expandedMLDSA) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	var context []byte
	if o, ok := opts.(*mldsa.Options); ok && o != nil {
		context = []byte(o.Context)
	} else if opts != nil && opts.HashFunc() != 0 {
		return nil, errors.New("ML-DSA signs messages, not their digests")
	}
	sig := make([]byte, k.set.scheme.SignatureSize())
	var err error
	switch key := k.key.(type) { // randomized: it is harder to disturb (FIPS 204, Section 3.4)
	case *mldsa44.PrivateKey:
		err = mldsa44.SignTo(key, message, context, true, sig)
	case *mldsa65.PrivateKey:
		err = mldsa65.SignTo(key, message, context, true, sig)
	case *mldsa87.PrivateKey:
		err = mldsa87.SignTo(key, message, context, true, sig)
	}
	return sig, err
}

func (k *expandedMLDSA) Equal(x crypto.PrivateKey) bool {
	o, ok := x.(*expandedMLDSA)
	return ok && k.set.id == o.set.id && subtle.ConstantTimeCompare(k.expanded, o.expanded) == 1
}
