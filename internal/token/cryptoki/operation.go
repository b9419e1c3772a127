//go:build cgo

package cryptoki

import (
	"encoding/asn1"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/token"
)

// hash is a digest by its names in PKCS #11.
type hash struct {
	id     oid.OID
	kind   uint // CKM_SHA256
	mgf    uint // CKG_MGF1_SHA256
	length int
}

func hashByName(name string) (hash, error) {
	h, ok := map[string]hash{
		"SHA-1":   {oid.SHA1, pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1, 20},
		"SHA-256": {oid.SHA256, pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, 32},
		"SHA-384": {oid.SHA384, pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, 48},
		"SHA-512": {oid.SHA512, pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, 64},
	}[name]
	if !ok {
		return h, fmt.Errorf("%w: digest %q", token.ErrUnsupported, name)
	}
	return h, nil
}

// Sign is of token.Module.
func (m *module) Sign(key int, o *token.Mechanism, digest []byte) ([]byte, error) {
	var mechanism *pkcs11.Mechanism
	input := digest
	switch o.Name {
	case "rsa-pkcs1":
		h, err := hashByName(o.Hash)
		if err != nil {
			return nil, err
		}
		if input, err = digestInfo(h, digest); err != nil {
			return nil, err
		}
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)
	case "rsa-pss":
		h, err := hashByName(o.Hash)
		if err != nil {
			return nil, err
		}
		g, err := hashByName(o.MGF)
		if err != nil {
			return nil, err
		}
		if o.Salt < 0 || o.Salt > token.MaxInput {
			return nil, fmt.Errorf("%w: salt of %d octets", token.ErrUnsupported, o.Salt)
		}
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(h.kind, g.mgf, uint(o.Salt)))
	case "ecdsa":
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil)
	default:
		return nil, fmt.Errorf("%w: signature %q", token.ErrUnsupported, o.Name)
	}
	if err := m.ctx.SignInit(m.session, []*pkcs11.Mechanism{mechanism}, m.keys[key].handle); err != nil {
		return nil, failed("sign", err)
	}
	if err := m.authenticate(key); err != nil {
		return nil, err
	}
	sig, err := m.ctx.Sign(m.session, input)
	if err != nil {
		return nil, failed("sign", err)
	}
	if o.Name == "ecdsa" {
		return ecdsaValue(sig)
	}
	return sig, nil
}

// authenticate shows the PIN again to a key that wants it for each use.
func (m *module) authenticate(key int) error {
	if !m.keys[key].always {
		return nil
	}
	if err := m.ctx.Login(m.session, pkcs11.CKU_CONTEXT_SPECIFIC, string(m.pin)); err != nil {
		return failed("show the PIN for this use of the key", err)
	}
	return nil
}

// digestInfo is DigestInfo (RFC 8017 §9.2).
func digestInfo(h hash, digest []byte) ([]byte, error) {
	if len(digest) != h.length {
		return nil, fmt.Errorf("%w: digest of %d octets", token.ErrUnsupported, len(digest))
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.AlgorithmIdentifier{Algorithm: h.id, Parameters: oid.Null}.Add(b)
		b.AddASN1OctetString(digest)
	})
	return b.Bytes()
}

// ecdsaValue makes Ecdsa-Sig-Value of the r || s of PKCS #11.
func ecdsaValue(raw []byte) ([]byte, error) {
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, fmt.Errorf("%w: ECDSA signature of %d octets", token.ErrToken, len(raw))
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:len(raw)/2]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[len(raw)/2:]))
	})
	return b.Bytes()
}

// Decrypt is of token.Module.
func (m *module) Decrypt(key int, o *token.Mechanism, ciphertext []byte) ([]byte, error) {
	var mechanism *pkcs11.Mechanism
	switch o.Name {
	case "rsa-pkcs1":
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil)
	case "rsa-raw":
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_X_509, nil)
	case "rsa-oaep":
		h, err := hashByName(o.Hash)
		if err != nil {
			return nil, err
		}
		g, err := hashByName(o.MGF)
		if err != nil {
			return nil, err
		}
		mechanism = pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, pkcs11.NewOAEPParams(h.kind, g.mgf, pkcs11.CKZ_DATA_SPECIFIED, o.Label))
	default:
		return nil, fmt.Errorf("%w: decryption %q", token.ErrUnsupported, o.Name)
	}
	if err := m.ctx.DecryptInit(m.session, []*pkcs11.Mechanism{mechanism}, m.keys[key].handle); err != nil {
		return nil, failed("decrypt with "+o.Name+" "+o.Hash, err)
	}
	if err := m.authenticate(key); err != nil {
		return nil, err
	}
	out, err := m.ctx.Decrypt(m.session, ciphertext)
	if err != nil {
		// What exactly was wrong with the ciphertext is nobody's business.
		return nil, fmt.Errorf("%w: decrypt", token.ErrToken)
	}
	return out, nil
}

// Derive is of token.Module.
func (m *module) Derive(key int, point []byte) ([]byte, error) {
	if len(point) < 3 || len(point)%2 != 1 || point[0] != 4 {
		return nil, fmt.Errorf("%w: point of %d octets", token.ErrUnsupported, len(point))
	}
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, false),
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_GENERIC_SECRET),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, false),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, true),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, len(point)/2),
	}
	var secret pkcs11.ObjectHandle
	derive := func(public []byte) (err error) {
		params := pkcs11.NewECDH1DeriveParams(pkcs11.CKD_NULL, nil, public)
		secret, err = m.ctx.DeriveKey(m.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_ECDH1_DERIVE, params)}, m.keys[key].handle, template)
		return err
	}
	err := derive(point)
	if err != nil { // older modules want the point in an OCTET STRING, as CKA_EC_POINT has it
		wrapped, wrapErr := asn1.Marshal(point)
		if wrapErr == nil && derive(wrapped) == nil {
			err = nil
		}
	}
	if err != nil {
		return nil, failed("derive a shared secret", err)
	}
	value := m.attribute(secret, pkcs11.CKA_VALUE)
	if err := m.ctx.DestroyObject(m.session, secret); err != nil {
		return nil, failed("forget the shared secret", err)
	}
	if value == nil {
		return nil, fmt.Errorf("%w: the token keeps the shared secret to itself", token.ErrUnsupported)
	}
	return value, nil
}
