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

	"github.com/mailseal/mailseal/cert"
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

// partner is the public key of one with whom a key is agreed. Its methods'
// points are those of RFC 5480 §2.2 and RFC 7748 §5.
type partner interface {
	// encounter makes an ephemeral key and the secret that it shares with the
	// partner's.
	encounter(rand io.Reader) (point, secret []byte, err error)
	// meet returns the secret that key, the partner's own, shares with point.
	meet(key crypto.PrivateKey, point []byte) (secret []byte, err error)
	// algorithm is that of ephemeral keys, and scheme what is written.
	algorithm() OID
	scheme() OID
}

// partnerFor returns a recipient's key for key agreement.
func partnerFor(pub crypto.PublicKey) (partner, bool) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		e, err := k.ECDH()
		return ecdhPartner{e}, err == nil
	case *ecdh.PublicKey:
		return ecdhPartner{k}, true
	case *cert.X448PublicKey:
		return x448Partner{k}, true
	}
	return nil, false
}

// ECDHKey is a private key on a NIST curve or X25519 that can do key agreement:
// *ecdh.PrivateKey, or one kept elsewhere.
type ECDHKey interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

// X448Key is the same for X448: *cert.X448PrivateKey, or one kept elsewhere.
type X448Key interface {
	ECDH(remote *cert.X448PublicKey) ([]byte, error)
}

func cannotAgree(key crypto.PrivateKey) error {
	return fmt.Errorf("%w: a key of type %T cannot do this key agreement", ErrUnsupported, key)
}

type ecdhPartner struct{ key *ecdh.PublicKey }

func (p ecdhPartner) encounter(rand io.Reader) (point, secret []byte, err error) {
	private, err := p.key.Curve().GenerateKey(rand)
	if err != nil {
		return nil, nil, err
	}
	secret, err = private.ECDH(p.key)
	return private.PublicKey().Bytes(), secret, err
}

func (p ecdhPartner) meet(key crypto.PrivateKey, point []byte) ([]byte, error) {
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		e, err := k.ECDH()
		if err != nil {
			return nil, err
		}
		key = e
	}
	private, ok := key.(ECDHKey)
	if !ok {
		return nil, cannotAgree(key)
	}
	remote, err := p.key.Curve().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	return private.ECDH(remote)
}

func (p ecdhPartner) algorithm() OID {
	if p.key.Curve() == ecdh.X25519() {
		return oid.X25519
	}
	return oid.ECPublicKey
}

// scheme is the curve's: the standard's pairs for the NIST curves (RFC 5753
// §7.1.4), HKDF for X25519 (RFC 8551 §2.3).
func (p ecdhPartner) scheme() OID {
	switch p.key.Curve() {
	case ecdh.P256():
		return oid.ECDHStdSHA256KDF
	case ecdh.P384():
		return oid.ECDHStdSHA384KDF
	case ecdh.P521():
		return oid.ECDHStdSHA512KDF
	}
	return oid.ECDHHKDFSHA256
}

type x448Partner struct{ key *cert.X448PublicKey }

func (p x448Partner) encounter(rand io.Reader) (point, secret []byte, err error) {
	private, err := cert.GenerateX448(rand)
	if err != nil {
		return nil, nil, err
	}
	secret, err = private.ECDH(p.key)
	return private.Public().(*cert.X448PublicKey).Bytes(), secret, err
}

func (p x448Partner) meet(key crypto.PrivateKey, point []byte) ([]byte, error) {
	private, ok := key.(X448Key)
	if !ok {
		return nil, cannotAgree(key)
	}
	remote, err := cert.NewX448PublicKey(point)
	if err != nil {
		return nil, err
	}
	return private.ECDH(remote)
}

func (p x448Partner) algorithm() OID { return oid.X448 }

// scheme: as strong as the curve (RFC 8418 §2.3).
func (p x448Partner) scheme() OID { return oid.ECDHHKDFSHA512 }

// addOriginatorKey writes the ephemeral key. The curve is the recipient's, and
// so the parameters stay absent (RFC 5753 §7.1.2).
func addOriginatorKey(b *cryptobyte.Builder, algorithm OID, point []byte) {
	b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
		AlgorithmIdentifier{Algorithm: algorithm}.Add(b)
		b.AddASN1BitString(point)
	})
}

// agree encrypts key to the partner: a new ephemeral key each time.
func agree(rand io.Reader, p partner, key []byte) (scheme AlgorithmIdentifier, point, encrypted []byte, err error) {
	point, secret, err := p.encounter(rand)
	if err != nil {
		return scheme, nil, nil, err
	}
	wrap, err := AlgorithmIdentifier{Algorithm: wrapFor(len(key))}.DER()
	if err != nil {
		return scheme, nil, nil, err
	}
	scheme = AlgorithmIdentifier{Algorithm: p.scheme(), Parameters: wrap}
	a, _ := agreementFor(scheme.Algorithm)
	kek, err := a.derive(secret, wrap, nil, len(key))
	if err != nil {
		return scheme, nil, nil, err
	}
	encrypted, err = wrapKey(kek, key)
	return scheme, point, encrypted, err
}
