package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hkdf"
	"encoding/binary"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// agreement is a key agreement scheme: ephemeral-static Diffie-Hellman with a
// derivation of the key-encryption key (RFC 5753 §7.1.4, RFC 8418 §2). For
// curves of cofactor 1, which are the only ones here, standard and cofactor
// Diffie-Hellman are the same.
type agreement struct {
	hash crypto.Hash
	hkdf bool
}

func agreementFor(o OID) (agreement, bool) {
	switch o {
	case oid.ECDHStdSHA1KDF, oid.ECDHCofactorSHA1KDF:
		return agreement{hash: crypto.SHA1}, true
	case oid.ECDHStdSHA224KDF, oid.ECDHCofactorSHA224KDF:
		return agreement{hash: crypto.SHA224}, true
	case oid.ECDHStdSHA256KDF, oid.ECDHCofactorSHA256KDF:
		return agreement{hash: crypto.SHA256}, true
	case oid.ECDHStdSHA384KDF, oid.ECDHCofactorSHA384KDF:
		return agreement{hash: crypto.SHA384}, true
	case oid.ECDHStdSHA512KDF, oid.ECDHCofactorSHA512KDF:
		return agreement{hash: crypto.SHA512}, true
	case oid.ECDHHKDFSHA256:
		return agreement{hash: crypto.SHA256, hkdf: true}, true
	case oid.ECDHHKDFSHA384:
		return agreement{hash: crypto.SHA384, hkdf: true}, true
	case oid.ECDHHKDFSHA512:
		return agreement{hash: crypto.SHA512, hkdf: true}, true
	}
	return agreement{}, false
}

// derive returns the key-encryption key for the wrap algorithm, given as the
// DER of its identifier, from the shared secret.
func (a agreement) derive(secret, wrap, ukm []byte, size int) ([]byte, error) {
	info, err := sharedInfo(wrap, ukm, size)
	if err != nil {
		return nil, err
	}
	if a.hkdf { // RFC 8418 §2.2
		return hkdf.Key(a.hash.New, secret, ukm, string(info), size)
	}
	// ANSI X9.63 KDF, as SEC 1 §3.6.1 has it.
	var out []byte
	for counter := uint32(1); len(out) < size; counter++ {
		h := a.hash.New()
		h.Write(secret)
		h.Write(binary.BigEndian.AppendUint32(nil, counter))
		h.Write(info)
		out = h.Sum(out)
	}
	return out[:size], nil
}

// sharedInfo is ECC-CMS-SharedInfo (RFC 5753 §7.2).
func sharedInfo(wrap, ukm []byte, size int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(wrap)
		if ukm != nil {
			b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
		}
		b.AddASN1(context2.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(size)*8))
		})
	})
	return b.Bytes()
}

// ecdhPublic returns a recipient's key for key agreement.
func ecdhPublic(pub crypto.PublicKey) (*ecdh.PublicKey, bool) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		e, err := k.ECDH()
		return e, err == nil
	case *ecdh.PublicKey:
		return k, true
	}
	return nil, false
}

// ECDHKey is a private key that can do key agreement: *ecdh.PrivateKey, or one
// kept elsewhere.
type ECDHKey interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

func ecdhPrivate(key crypto.PrivateKey) (ECDHKey, bool) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		e, err := k.ECDH()
		return e, err == nil
	case ECDHKey:
		return k, true
	}
	return nil, false
}

// schemeFor chooses what a curve is used with: the standard's pairs for the
// NIST curves (RFC 5753 §7.1.4), HKDF for X25519 (RFC 8551 §2.3).
func schemeFor(curve ecdh.Curve) (scheme OID, ok bool) {
	switch curve {
	case ecdh.P256():
		return oid.ECDHStdSHA256KDF, true
	case ecdh.P384():
		return oid.ECDHStdSHA384KDF, true
	case ecdh.P521():
		return oid.ECDHStdSHA512KDF, true
	case ecdh.X25519():
		return oid.ECDHHKDFSHA256, true
	}
	return "", false
}

// addOriginatorKey writes the ephemeral key. The curve is the recipient's, and
// so the parameters stay absent (RFC 5753 §7.1.2).
func addOriginatorKey(b *cryptobyte.Builder, key *ecdh.PublicKey) {
	algorithm := oid.ECPublicKey
	if key.Curve() == ecdh.X25519() {
		algorithm = oid.X25519
	}
	b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
		AlgorithmIdentifier{Algorithm: algorithm}.Add(b)
		b.AddASN1BitString(key.Bytes())
	})
}

// agree encrypts key to pub: a new ephemeral key each time.
func agree(rand io.Reader, pub *ecdh.PublicKey, key []byte) (scheme AlgorithmIdentifier, ephemeral *ecdh.PublicKey, encrypted []byte, err error) {
	o, ok := schemeFor(pub.Curve())
	if !ok {
		return scheme, nil, nil, fmt.Errorf("%w: key agreement on this curve", ErrUnsupported)
	}
	private, err := pub.Curve().GenerateKey(rand)
	if err != nil {
		return scheme, nil, nil, err
	}
	secret, err := private.ECDH(pub)
	if err != nil {
		return scheme, nil, nil, err
	}
	wrap, err := AlgorithmIdentifier{Algorithm: wrapFor(len(key))}.DER()
	if err != nil {
		return scheme, nil, nil, err
	}
	a, _ := agreementFor(o)
	kek, err := a.derive(secret, wrap, nil, len(key))
	if err != nil {
		return scheme, nil, nil, err
	}
	encrypted, err = wrapKey(kek, key)
	return AlgorithmIdentifier{Algorithm: o, Parameters: wrap}, private.PublicKey(), encrypted, err
}
