package cms

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// keyTransport makes KeyTransRecipientInfos (RFC 5652 §6.2.1).
func keyTransport(c *cert.Certificate, pub *rsa.PublicKey, o *RecipientOptions) func(io.Reader, []byte) ([]byte, error) {
	return func(rand io.Reader, key []byte) ([]byte, error) {
		algorithm, options, err := transport(c, o)
		if err != nil {
			return nil, err
		}
		var encrypted []byte
		if options != nil {
			encrypted, err = rsa.EncryptOAEPWithOptions(rand, pub, key, options)
		} else {
			encrypted, err = rsa.EncryptPKCS1v15(rand, pub, key) //nolint:staticcheck // RFC 8551 §2.3: what deployed clients read
		}
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(map[bool]int64{false: 0, true: 2}[o.KeyIdentifier])
			addRecipientIdentifier(b, c, o.KeyIdentifier)
			algorithm.Add(b)
			b.AddASN1OctetString(encrypted)
		})
		return b.Bytes()
	}
}

// transport chooses the algorithm; the options are nil for PKCS #1 v1.5. A key
// that is bound to RSAES-OAEP gets nothing else, with its parameters where it
// has some (RFC 4055 §4).
func transport(c *cert.Certificate, o *RecipientOptions) (AlgorithmIdentifier, *rsa.OAEPOptions, error) {
	hash := o.OAEP
	if c.SPKIAlgorithm.Algorithm == oid.RSAESOAEP {
		if c.SPKIAlgorithm.Parameters != nil {
			options, err := readOAEP(c.SPKIAlgorithm.Parameters)
			return c.SPKIAlgorithm, options, err
		}
		if hash == 0 {
			hash = crypto.SHA256
		}
	}
	if hash == 0 {
		return AlgorithmIdentifier{Algorithm: oid.RSAEncryption, Parameters: oid.Null}, nil, nil
	}
	algorithm, err := oaep(hash, o.OAEPLabel)
	return algorithm, &rsa.OAEPOptions{Hash: hash, Label: o.OAEPLabel}, err
}

// ktri is what a KeyTransRecipientInfo holds.
type ktri struct {
	algorithm    AlgorithmIdentifier
	encryptedKey []byte
}

func parseKeyTransport(s cryptobyte.String) ([]RecipientInfo, error) {
	ri := RecipientInfo{Kind: "ktri"}
	var version int64
	if !s.ReadASN1Integer(&version) {
		return nil, malformed("KeyTransRecipientInfo", nil)
	}
	if err := readIdentifier(&s, &ri.Recipient); err != nil {
		return nil, err
	}
	var encrypted cryptobyte.String
	if !oid.ReadAlgorithm(&s, &ri.Algorithm) || !s.ReadASN1(&encrypted, asn1.OCTET_STRING) || !s.Empty() {
		return nil, malformed("KeyTransRecipientInfo", nil)
	}
	ri.sealed = &ktri{ri.Algorithm, encrypted}
	return []RecipientInfo{ri}, nil
}

func (i *ktri) fits(k *RecipientKey) bool {
	_, ok := k.Certificate.PublicKey.(*rsa.PublicKey)
	return ok
}

func (i *ktri) open(rand io.Reader, k *RecipientKey, size int) ([]byte, error) {
	key, ok := k.Key.(crypto.Decrypter)
	if !ok {
		return nil, fmt.Errorf("%w: a key of type %T cannot decrypt RSA", ErrUnsupported, k.Key)
	}
	switch i.algorithm.Algorithm {
	case oid.RSAEncryption:
		if k.Certificate != nil && k.Certificate.SPKIAlgorithm.Algorithm == oid.RSAESOAEP {
			return nil, fmt.Errorf("%w: PKCS #1 v1.5 with a key for RSAES-OAEP only", ErrUnsupported)
		}
		return key.Decrypt(rand, i.encryptedKey, &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}) //nolint:staticcheck // RFC 8551 §2.3: what deployed clients send
	case oid.RSAESOAEP:
		o, err := readOAEP(i.algorithm.Parameters)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return key.Decrypt(rand, i.encryptedKey, o)
	}
	return nil, fmt.Errorf("%w: key transport %s", ErrUnsupported, i.algorithm.Algorithm.Name())
}

// OAEPCapability says in SMIMECapabilities that a key reads RSAES-OAEP with the
// digest h in both places (RFC 3560 §4).
func OAEPCapability(h crypto.Hash) (Capability, error) { return oaep(h, nil) }

// oaep is RSAES-OAEP-params (RFC 4055 §4.1) with one digest in both places.
func oaep(h crypto.Hash, label []byte) (AlgorithmIdentifier, error) {
	hash, ok := signature.DigestAlgorithm(h)
	if !ok || h == crypto.MD5 || h == crypto.SHA1 {
		return hash, fmt.Errorf("%w: RSAES-OAEP with %v is not written", ErrUnsupported, h)
	}
	hash.Parameters = oid.Null
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(context0.Constructed(), hash.Add)
		b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) { addNested(b, oid.MGF1, hash.Add) })
		if len(label) > 0 {
			b.AddASN1(context2.Constructed(), func(b *cryptobyte.Builder) {
				addNested(b, oid.PSpecified, func(b *cryptobyte.Builder) { b.AddASN1OctetString(label) })
			})
		}
	})
	params, err := b.Bytes()
	return AlgorithmIdentifier{Algorithm: oid.RSAESOAEP, Parameters: params}, err
}

// addNested adds an AlgorithmIdentifier whose parameters params writes.
func addNested(b *cryptobyte.Builder, o OID, params func(*cryptobyte.Builder)) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, o)
		params(b)
	})
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
