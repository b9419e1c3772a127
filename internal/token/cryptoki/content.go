//go:build cgo

package cryptoki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/token"
)

// content lists the private keys that the URI names, and all certificates: the
// issuers among them have other labels.
func (m *module) content(u *token.URI) (*token.Content, error) {
	certs, err := m.certificates()
	if err != nil {
		return nil, err
	}
	c := &token.Content{}
	for _, found := range certs {
		c.Certificates = append(c.Certificates, found.der)
	}
	query := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY)}
	if u.Object != "" {
		query = append(query, pkcs11.NewAttribute(pkcs11.CKA_LABEL, u.Object))
	}
	if u.ID != nil {
		query = append(query, pkcs11.NewAttribute(pkcs11.CKA_ID, u.ID))
	}
	handles, err := m.find(query, token.MaxKeys)
	if err != nil {
		return nil, err
	}
	for _, h := range handles {
		k := token.Key{Label: string(m.attribute(h, pkcs11.CKA_LABEL)), ID: m.attribute(h, pkcs11.CKA_ID)}
		if k.Public = m.publicOf(h, k.ID, certs); k.Public == nil {
			continue
		}
		always := m.attribute(h, pkcs11.CKA_ALWAYS_AUTHENTICATE)
		m.keys = append(m.keys, object{h, len(always) == 1 && always[0] == 1})
		c.Keys = append(c.Keys, k)
	}
	if len(handles) == 0 {
		return nil, fmt.Errorf("%w: no private key in the token matches", token.ErrNotFound)
	}
	if len(c.Keys) == 0 {
		return nil, fmt.Errorf("%w: %d private keys in the token match, none of them RSA or EC with a public half that is shown", token.ErrNotFound, len(handles))
	}
	return c, nil
}

type certificate struct{ id, der []byte }

func (m *module) certificates() ([]certificate, error) {
	handles, err := m.find([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
	}, token.MaxCertificates)
	if err != nil {
		return nil, err
	}
	var all []certificate
	for _, h := range handles {
		if der := m.attribute(h, pkcs11.CKA_VALUE); len(der) > 0 {
			all = append(all, certificate{m.attribute(h, pkcs11.CKA_ID), der})
		}
	}
	return all, nil
}

// find returns at most limit objects, and an error when there are more.
func (m *module) find(query []*pkcs11.Attribute, limit int) ([]pkcs11.ObjectHandle, error) {
	if err := m.ctx.FindObjectsInit(m.session, query); err != nil {
		return nil, failed("look for objects", err)
	}
	defer func() { _ = m.ctx.FindObjectsFinal(m.session) }()
	var all []pkcs11.ObjectHandle
	for len(all) <= limit {
		found, _, err := m.ctx.FindObjects(m.session, limit)
		if err != nil {
			return nil, failed("look for objects", err)
		}
		if len(found) == 0 {
			return all, nil
		}
		all = append(all, found...)
	}
	return nil, fmt.Errorf("%w: more than %d objects of a kind; name the key with object= or id=", token.ErrUnsupported, limit)
}

// attribute returns one attribute of an object, or nil where it has none or keeps
// it to itself.
func (m *module) attribute(h pkcs11.ObjectHandle, kind uint) []byte {
	got, err := m.ctx.GetAttributeValue(m.session, h, []*pkcs11.Attribute{pkcs11.NewAttribute(kind, nil)})
	if err != nil || len(got) != 1 {
		return nil
	}
	return got[0].Value
}

// publicOf finds the public half of a private key as SubjectPublicKeyInfo: in its
// own attributes, in the public key with the same ID, in the certificate with it.
func (m *module) publicOf(private pkcs11.ObjectHandle, id []byte, certs []certificate) []byte {
	if der := m.publicFrom(private); der != nil {
		return der
	}
	if len(id) == 0 {
		return nil
	}
	handles, err := m.find([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}, token.MaxKeys)
	if err == nil {
		for _, h := range handles {
			if der := m.publicFrom(h); der != nil {
				return der
			}
		}
	}
	for _, c := range certs {
		if bytes.Equal(c.id, id) {
			if parsed, err := x509.ParseCertificate(c.der); err == nil {
				return parsed.RawSubjectPublicKeyInfo
			}
		}
	}
	return nil
}

// publicFrom makes a SubjectPublicKeyInfo of what an object shows.
func (m *module) publicFrom(h pkcs11.ObjectHandle) []byte {
	var public any
	if modulus, exponent := m.attribute(h, pkcs11.CKA_MODULUS), m.attribute(h, pkcs11.CKA_PUBLIC_EXPONENT); len(modulus) > 0 && len(exponent) > 0 && len(exponent) <= 4 {
		public = &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
	} else if key := ecPublic(m.attribute(h, pkcs11.CKA_EC_PARAMS), m.attribute(h, pkcs11.CKA_EC_POINT)); key != nil {
		public = key
	} else {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil
	}
	return der
}

// ecPublic reads CKA_EC_PARAMS and CKA_EC_POINT, which is the point in an OCTET
// STRING, or, from some tokens, bare.
func ecPublic(params, point []byte) *ecdsa.PublicKey {
	s := cryptobyte.String(params)
	var id oid.OID
	if !oid.Read(&s, &id) || !s.Empty() || len(point) == 0 {
		return nil
	}
	var curve elliptic.Curve
	switch id {
	case oid.P256:
		curve = elliptic.P256()
	case oid.P384:
		curve = elliptic.P384()
	case oid.P521:
		curve = elliptic.P521()
	default:
		return nil
	}
	wrapped := cryptobyte.String(point)
	var bare cryptobyte.String
	if wrapped.ReadASN1(&bare, asn1.OCTET_STRING) && wrapped.Empty() {
		point = bare
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil
	}
	return key
}
