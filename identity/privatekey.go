package identity

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// ParsePrivateKey reads one unencrypted private key: PKCS #8 (RFC 5958), PKCS #1
// (RFC 8017, Appendix A.1.2) or SEC 1 (RFC 5915), in DER or BER. For the types
// that it returns see [Identity].
func ParsePrivateKey(der []byte) (crypto.PrivateKey, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("private key: %w: %d bytes", ErrLimit, len(der))
	}
	der, err := ber.DER(der)
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrMalformed, err)
	}
	switch formOf(der) {
	case formPKCS8:
		return parsePKCS8(der)
	case formPKCS1:
		key, err := x509.ParsePKCS1PrivateKey(der)
		return parsed(key, err)
	case formSEC1:
		key, err := x509.ParseECPrivateKey(der)
		return parsed(key, err)
	case formEncryptedPKCS8:
		return nil, fmt.Errorf("private key: %w: it is encrypted", ErrPassphrase)
	}
	return nil, fmt.Errorf("private key: %w: neither PKCS #8 nor PKCS #1 nor SEC 1", ErrMalformed)
}

func parsed(key crypto.PrivateKey, err error) (crypto.PrivateKey, error) {
	if err != nil {
		return nil, fmt.Errorf("private key: %w: %w", ErrMalformed, err)
	}
	return key, nil
}

// parsePKCS8 reads OneAsymmetricKey (RFC 5958, Section 2).
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	s := cryptobyte.String(der)
	var seq, private cryptobyte.String
	var version int
	var alg oid.AlgorithmIdentifier
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1Integer(&version) ||
		!oid.ReadAlgorithm(&seq, &alg) || !seq.ReadASN1(&private, asn1.OCTET_STRING) {
		return nil, fmt.Errorf("private key: %w: PKCS #8", ErrMalformed)
	}
	switch alg.Algorithm {
	case oid.RSASSAPSS, oid.RSAESOAEP:
		// RFC 4055, Sections 1.2 and 3.1: the key itself is a PKCS #1 key.
		key, err := x509.ParsePKCS1PrivateKey(private)
		return parsed(key, err)
	case oid.MLDSA44, oid.MLDSA65, oid.MLDSA87:
		return parseMLDSA(alg.Algorithm, private)
	case oid.MLKEM512, oid.MLKEM768, oid.MLKEM1024:
		return parseMLKEM(alg.Algorithm, private)
	case oid.Ed448, oid.X448:
		return parseCurve448(alg.Algorithm, private)
	case oid.ECPublicKey:
		if err := knownCurve(alg.Parameters); err != nil {
			return nil, err
		}
		fallthrough
	case oid.RSAEncryption, oid.Ed25519, oid.X25519:
		key, err := x509.ParsePKCS8PrivateKey(der)
		return parsed(key, err)
	}
	if set, ok := signature.SLHDSA(alg.Algorithm); ok {
		return parseSLHDSA(set, private)
	}
	return nil, fmt.Errorf("private key: %w: %s", ErrUnsupported, alg.Algorithm.Name())
}

// knownCurve refuses curves other than those of RFC 5480, Section 2.1.1.1, and
// curves that are spelled out: such parameters may be anything.
func knownCurve(params []byte) error {
	s := cryptobyte.String(params)
	var curve oid.OID
	if !oid.Read(&s, &curve) {
		return fmt.Errorf("private key: %w: elliptic curve without a name", ErrUnsupported)
	}
	switch curve {
	case oid.P224, oid.P256, oid.P384, oid.P521:
		return nil
	}
	return fmt.Errorf("private key: %w: elliptic curve %s", ErrUnsupported, curve.Name())
}

// MarshalPrivateKey writes a private key as PKCS #8 (RFC 5958), ML-DSA and
// ML-KEM as their seed (RFC 9881, RFC 9935, Section 6), except for a key that
// was read without one. It takes the types that [Identity] names.
func MarshalPrivateKey(key crypto.PrivateKey) ([]byte, error) {
	id, private, err := marshalRaw(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if id == "" {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, fmt.Errorf("private key: %w: %w", ErrUnsupported, err)
		}
		return der, nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		oid.AlgorithmIdentifier{Algorithm: id}.Add(b)
		b.AddASN1OctetString(private)
	})
	return b.Bytes()
}

// form is what a file holds, as far as its outermost tags tell.
type form int

const (
	formUnknown form = iota
	formPKCS1
	formSEC1
	formPKCS8
	formEncryptedPKCS8
	formPKCS12
)

// formOf tells the forms apart by what follows the outer SEQUENCE.
func formOf(der []byte) form {
	s := cryptobyte.String(der)
	var seq, element cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return formUnknown
	}
	if seq.PeekASN1Tag(asn1.SEQUENCE) {
		if seq.ReadASN1(&element, asn1.SEQUENCE) && seq.PeekASN1Tag(asn1.OCTET_STRING) {
			return formEncryptedPKCS8
		}
		return formUnknown
	}
	var version int
	if !seq.ReadASN1Integer(&version) {
		return formUnknown
	}
	switch {
	case seq.PeekASN1Tag(asn1.INTEGER):
		return formPKCS1
	case seq.PeekASN1Tag(asn1.OCTET_STRING):
		return formSEC1
	case seq.PeekASN1Tag(asn1.SEQUENCE) && version < 2:
		return formPKCS8
	case seq.PeekASN1Tag(asn1.SEQUENCE):
		return formPKCS12
	}
	return formUnknown
}
