package cert

import (
	"bytes"
	"crypto"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// CertID names a certificate for OCSP (RFC 6960 §4.1.1): by hashes of its
// issuer's name and key, and its serial number.
type CertID struct {
	HashAlgorithm  oid.AlgorithmIdentifier
	IssuerNameHash []byte
	IssuerKeyHash  []byte
	Serial         *big.Int
}

// certIDHashes are those that a CertID may be made with. SHA-1 is one of them:
// a collision between two names of issuers gains nobody anything, and most
// responders know no other (RFC 9919 allows both).
var certIDHashes = map[crypto.Hash]oid.OID{
	crypto.SHA1: oid.SHA1, crypto.SHA256: oid.SHA256, crypto.SHA384: oid.SHA384, crypto.SHA512: oid.SHA512,
}

// NewCertID names c, which issuer has issued, with hashes by h: SHA-1, SHA-256,
// SHA-384 or SHA-512.
func NewCertID(c, issuer *Certificate, h crypto.Hash) (CertID, error) {
	id, known := certIDHashes[h]
	if !known {
		return CertID{}, fmt.Errorf("no CertID with hash %v: SHA-1 and SHA-2 are known", h)
	}
	key, err := issuer.keyBits()
	if err != nil {
		return CertID{}, err
	}
	// Parameters are NULL: responders compare octets with what OpenSSL sends.
	algorithm := oid.AlgorithmIdentifier{Algorithm: id, Parameters: oid.Null}
	return CertID{algorithm, sum(h, c.RawIssuer), sum(h, key), c.Serial}, nil
}

// Matches tells whether the CertID names c, issued by issuer.
func (id *CertID) Matches(c, issuer *Certificate) bool {
	h, ok := signature.Hash(id.HashAlgorithm)
	if _, known := certIDHashes[h]; !ok || !known || id.Serial.Cmp(c.Serial) != 0 {
		return false
	}
	key, err := issuer.keyBits()
	return err == nil && bytes.Equal(id.IssuerNameHash, sum(h, c.RawIssuer)) && bytes.Equal(id.IssuerKeyHash, sum(h, key))
}

func sum(h crypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

// keyBits returns the content of subjectPublicKey without tag, length and
// count of unused bits (RFC 6960 §4.1.1).
func (c *Certificate) keyBits() ([]byte, error) {
	spki := cryptobyte.String(c.RawSPKI)
	var seq cryptobyte.String
	if !spki.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.SEQUENCE) {
		return nil, malformed("subjectPublicKeyInfo")
	}
	bits, ok := readOctetBits(&seq)
	if !ok {
		return nil, malformed("subjectPublicKey")
	}
	return bits, nil
}

func readCertID(s *cryptobyte.String, id *CertID) bool {
	var seq, name, key cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.ReadAlgorithm(&seq, &id.HashAlgorithm) ||
		!seq.ReadASN1(&name, asn1.OCTET_STRING) || !seq.ReadASN1(&key, asn1.OCTET_STRING) ||
		!readInteger(&seq, &id.Serial) || !seq.Empty() {
		return false
	}
	id.IssuerNameHash, id.IssuerKeyHash = name, key
	return true
}

func (id *CertID) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		id.HashAlgorithm.Add(b)
		b.AddASN1OctetString(id.IssuerNameHash)
		b.AddASN1OctetString(id.IssuerKeyHash)
		b.AddASN1BigInt(id.Serial)
	})
}

// KeyHash returns the SHA-1 of the key, as OCSP responders name themselves by
// it (RFC 6960 §4.2.1).
func (c *Certificate) KeyHash() ([]byte, error) {
	key, err := c.keyBits()
	if err != nil {
		return nil, err
	}
	return sum(crypto.SHA1, key), nil
}
