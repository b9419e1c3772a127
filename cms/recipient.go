package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Recipient is one who shall be able to read a message.
type Recipient struct {
	certificate *cert.Certificate
	oaep        bool
	agreement   *ecdh.PublicKey // nil: RSA
}

// RecipientOptions choose how the content key gets to a recipient. The zero
// value is what every client reads.
type RecipientOptions struct {
	// OAEP uses RSAES-OAEP with SHA-256 instead of PKCS #1 v1.5 for RSA keys.
	// Apple Mail and older clients cannot read it.
	OAEP bool
}

// NewRecipient makes a recipient of the holder of c. The error says why c
// cannot be encrypted to: its key usage, or its kind of key.
func NewRecipient(c *cert.Certificate, o *RecipientOptions) (*Recipient, error) {
	if o == nil {
		o = &RecipientOptions{}
	}
	if !c.CanEncrypt() {
		return nil, fmt.Errorf("the certificate of %s does not allow encryption to it (key usage %s)", c.Subject, c.KeyUsage)
	}
	r := &Recipient{certificate: c, oaep: o.OAEP}
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok {
		if bits := key.N.BitLen(); bits < signature.MinRSABits || bits > signature.MaxRSABits {
			return nil, fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, bits)
		}
		return r, nil
	}
	pub, ok := ecdhPublic(c.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: encryption to a key of algorithm %s", ErrUnsupported, c.SPKIAlgorithm.Algorithm.Name())
	}
	r.agreement = pub
	return r, nil
}

// Certificate returns the recipient's certificate.
func (r *Recipient) Certificate() *cert.Certificate { return r.certificate }

// info encrypts the content key and returns the RecipientInfo.
func (r *Recipient) info(rand io.Reader, key []byte) ([]byte, error) {
	if r.agreement != nil {
		return r.keyAgree(rand, key)
	}
	return r.keyTransport(rand, key)
}

// keyTransport makes a KeyTransRecipientInfo (RFC 5652 §6.2.1).
func (r *Recipient) keyTransport(rand io.Reader, key []byte) ([]byte, error) {
	pub := r.certificate.PublicKey.(*rsa.PublicKey)
	algorithm := AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}
	var encrypted []byte
	var err error
	if r.oaep {
		algorithm, err = oaepSHA256()
		if err == nil {
			encrypted, err = rsa.EncryptOAEP(sha256.New(), rand, pub, key, nil)
		}
	} else {
		encrypted, err = rsa.EncryptPKCS1v15(rand, pub, key) //nolint:staticcheck // RFC 8551 §2.3: what deployed clients read
	}
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0) // issuerAndSerialNumber
		addIssuerAndSerial(b, asn1.SEQUENCE, r.certificate)
		algorithm.Add(b)
		b.AddASN1OctetString(encrypted)
	})
	return b.Bytes()
}

// keyAgree makes a KeyAgreeRecipientInfo (RFC 5652 §6.2.2).
func (r *Recipient) keyAgree(rand io.Reader, key []byte) ([]byte, error) {
	scheme, ephemeral, encrypted, err := agree(rand, r.agreement, key)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { addOriginatorKey(b, ephemeral) })
		scheme.Add(b)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addIssuerAndSerial(b, asn1.SEQUENCE, r.certificate)
				b.AddASN1OctetString(encrypted)
			})
		})
	})
	return b.Bytes()
}

// oaepSHA256 is RSAES-OAEP-params (RFC 4055 §4.1) with SHA-256 in both places
// and no label.
func oaepSHA256() (AlgorithmIdentifier, error) {
	hash := AlgorithmIdentifier{Algorithm: oid.SHA256, Parameters: oid.Null}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context0.Constructed(), hash.Add)
		b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
			params, err := hash.DER()
			if err != nil {
				b.SetError(err)
			}
			AlgorithmIdentifier{Algorithm: oid.MGF1, Parameters: params}.Add(b)
		})
	})
	params, err := b.Bytes()
	return AlgorithmIdentifier{Algorithm: oid.RSAESOAEP, Parameters: params}, err
}

// readOAEP reads RSAES-OAEP-params; absent fields are SHA-1 and no label.
func readOAEP(params []byte) (*rsa.OAEPOptions, error) {
	in := cryptobyte.String(params)
	var s cryptobyte.String
	bad := malformed("RSAES-OAEP parameters", nil)
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() {
		return nil, bad
	}
	hash := AlgorithmIdentifier{Algorithm: oid.SHA1}
	mgfHash := hash
	o := &rsa.OAEPOptions{}
	for tag, read := range []func(*cryptobyte.String) bool{
		func(v *cryptobyte.String) bool { return oid.ReadAlgorithm(v, &hash) },
		func(v *cryptobyte.String) bool {
			var mgf AlgorithmIdentifier
			if !oid.ReadAlgorithm(v, &mgf) || mgf.Algorithm != oid.MGF1 {
				return false
			}
			inner := cryptobyte.String(mgf.Parameters)
			return oid.ReadAlgorithm(&inner, &mgfHash) && inner.Empty()
		},
		func(v *cryptobyte.String) bool {
			var source AlgorithmIdentifier
			if !oid.ReadAlgorithm(v, &source) || source.Algorithm != oid.PSpecified {
				return false
			}
			label := cryptobyte.String(source.Parameters)
			return label.ReadASN1((*cryptobyte.String)(&o.Label), asn1.OCTET_STRING) && label.Empty()
		},
	} {
		var v cryptobyte.String
		var present bool
		if !s.ReadOptionalASN1(&v, &present, asn1.Tag(tag).ContextSpecific().Constructed()) || present && (!read(&v) || !v.Empty()) {
			return nil, bad
		}
	}
	if !s.Empty() {
		return nil, bad
	}
	var ok, mgfOK bool
	o.Hash, ok = signature.Hash(hash)
	o.MGFHash, mgfOK = signature.Hash(mgfHash)
	if !ok || !mgfOK {
		return nil, fmt.Errorf("%w: RSAES-OAEP with %s", ErrUnsupported, hash.Algorithm.Name())
	}
	return o, nil
}

// RecipientKey is a private key with the certificate by which messages are
// addressed to it. Key is a crypto.Decrypter for RSA, and for key agreement an
// *ecdsa.PrivateKey, *ecdh.PrivateKey or [ECDHKey].
type RecipientKey struct {
	Key         crypto.PrivateKey
	Certificate *cert.Certificate
}

// open decrypts the content key of size octets. When that fails, and when the
// key comes out with another size, a random one takes its place, so that the
// failure shows as late and in the same way as any other (RFC 3218 §2.3).
func (k *RecipientKey) open(rand io.Reader, ri *RecipientInfo, size int) ([]byte, error) {
	key := make([]byte, size)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, err
	}
	var opened []byte
	var err error
	if ri.agreement != nil {
		opened, err = k.openAgreement(ri)
	} else {
		opened, err = k.openTransport(rand, ri, size)
	}
	if errors.Is(err, ErrUnsupported) {
		return nil, err
	}
	if err == nil && len(opened) == size {
		return opened, nil
	}
	return key, nil
}

func (k *RecipientKey) openTransport(rand io.Reader, ri *RecipientInfo, size int) ([]byte, error) {
	key, ok := k.Key.(crypto.Decrypter)
	if !ok {
		return nil, fmt.Errorf("%w: a key of type %T cannot decrypt RSA", ErrUnsupported, k.Key)
	}
	switch ri.Algorithm.Algorithm {
	case oid.RSAEncryption:
		return key.Decrypt(rand, ri.encryptedKey, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size})
	case oid.RSAESOAEP:
		o, err := readOAEP(ri.Algorithm.Parameters)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return key.Decrypt(rand, ri.encryptedKey, o)
	}
	return nil, fmt.Errorf("%w: key transport %s", ErrUnsupported, ri.Algorithm.Algorithm.Name())
}

func (k *RecipientKey) openAgreement(ri *RecipientInfo) ([]byte, error) {
	key, ok := ecdhPrivate(k.Key)
	pub, known := ecdhPublic(k.Certificate.PublicKey)
	if !ok || !known {
		return nil, fmt.Errorf("%w: a key of type %T cannot do key agreement", ErrUnsupported, k.Key)
	}
	a, ok := agreementFor(ri.Algorithm.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: key agreement %s", ErrUnsupported, ri.Algorithm.Algorithm.Name())
	}
	in := cryptobyte.String(ri.Algorithm.Parameters)
	var wrap AlgorithmIdentifier
	size, known := 0, false
	if oid.ReadAlgorithm(&in, &wrap) && in.Empty() && wrap.NoParameters() {
		size, known = wrapKeySize(wrap.Algorithm)
	}
	if !known {
		return nil, fmt.Errorf("%w: key wrap %s", ErrUnsupported, wrap.Algorithm.Name())
	}
	remote, err := pub.Curve().NewPublicKey(ri.agreement.point)
	if err != nil {
		return nil, err
	}
	secret, err := key.ECDH(remote)
	if err != nil {
		return nil, err
	}
	// QUIRK: senders disagree whether the parameters of the wrap algorithm are
	// absent or NULL in what the key is derived from, whatever they send. Both
	// are tried; the integrity check of the wrap tells which.
	for _, params := range [][]byte{wrap.Parameters, otherNull(wrap.Parameters)} {
		der, err := AlgorithmIdentifier{Algorithm: wrap.Algorithm, Parameters: params}.DER()
		if err != nil {
			return nil, err
		}
		kek, err := a.derive(secret, der, ri.agreement.ukm, size)
		if err != nil {
			return nil, err
		}
		if opened, err := unwrapKey(kek, ri.encryptedKey); err == nil {
			return opened, nil
		}
	}
	return nil, errUnwrap
}

func otherNull(params []byte) []byte {
	if params == nil {
		return oid.Null
	}
	return nil
}
