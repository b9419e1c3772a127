package identity

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"fmt"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/cloudflare/circl/sign/slhdsa"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// parseCurve448 reads CurvePrivateKey (RFC 8410, Section 7).
func parseCurve448(id oid.OID, private cryptobyte.String) (crypto.PrivateKey, error) {
	var raw cryptobyte.String
	if !private.ReadASN1(&raw, asn1.OCTET_STRING) || !private.Empty() {
		return nil, fmt.Errorf("private key: %w: %s", ErrMalformed, id.Name())
	}
	if id == oid.X448 {
		key, err := cert.NewX448PrivateKey(raw)
		return parsed(key, err)
	}
	if len(raw) != ed448.SeedSize {
		return nil, fmt.Errorf("private key: %w: Ed448 key of %d octets", ErrMalformed, len(raw))
	}
	return ed448.NewKeyFromSeed(raw), nil
}

// parseSLHDSA reads a key that is its octets, with no ASN.1 around them
// (RFC 9909, Section 6): the seeds and the root of the tree that they make. The
// root is made again: with a wrong one, signatures give the seeds away.
func parseSLHDSA(set slhdsa.ID, private []byte) (crypto.PrivateKey, error) {
	key := slhdsa.PrivateKey{ID: set}
	if err := key.UnmarshalBinary(private); err != nil {
		return nil, fmt.Errorf("private key: %w: %s", ErrMalformed, signature.SLHDSAOID(set).Name())
	}
	_, again, err := slhdsa.GenerateKey(bytes.NewReader(private), set)
	if err != nil || !again.Equal(key) {
		return nil, fmt.Errorf("private key: %w: %s public and private half differ", ErrMalformed, signature.SLHDSAOID(set).Name())
	}
	return key, nil
}

// marshalRaw returns the algorithm and the privateKey of OneAsymmetricKey for
// the keys that crypto/x509 does not write; none for others.
func marshalRaw(key crypto.PrivateKey) (id oid.OID, private []byte, err error) {
	wrap := func(tag asn1.Tag, raw []byte) ([]byte, error) {
		var b cryptobyte.Builder
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(raw) })
		return b.Bytes()
	}
	seedTag := asn1.Tag(0).ContextSpecific()
	switch k := key.(type) {
	case ed448.PrivateKey:
		id = oid.Ed448
		private, err = wrap(asn1.OCTET_STRING, k.Seed())
	case *cert.X448PrivateKey:
		id = oid.X448
		private, err = wrap(asn1.OCTET_STRING, k.Bytes())
	case slhdsa.PrivateKey:
		id = signature.SLHDSAOID(k.ID)
		private, err = k.MarshalBinary()
	case *cert.MLKEM512PrivateKey:
		id = oid.MLKEM512
		private, err = wrap(seedTag, k.Bytes())
	case *mlkem.DecapsulationKey768:
		id = oid.MLKEM768
		private, err = wrap(seedTag, k.Bytes())
	case *mlkem.DecapsulationKey1024:
		id = oid.MLKEM1024
		private, err = wrap(seedTag, k.Bytes())
	case *expandedMLDSA:
		id = k.set.id
		private, err = wrap(asn1.OCTET_STRING, k.expanded)
	case *expandedMLKEM:
		id = k.id
		private, err = k.bytes()
	}
	return id, private, err
}
