package cms

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync/atomic"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// Signer is one who signs: a key, its certificate, and the chain that is sent
// along. The root stays out of the chain: a verifier has it or does not trust
// it. A Signer may sign many messages, several at a time; [Signer.Clone] copies it.
type Signer struct {
	Key         crypto.Signer
	Certificate *cert.Certificate
	Chain       []*cert.Certificate // issuing certificates, in any order
	// Encryption is the certificate that mail to the signer is to be encrypted
	// with, where it is another than the one that signs (RFC 8551 §2.5.3). It is
	// named in the signature and sent along; its issuers belong into Chain.
	Encryption *cert.Certificate
	// Digest is the digest; 0 is what suits the key: SHA-256, SHA-384 for
	// P-384, SHA-512 for P-521, Ed25519 and ML-DSA.
	Digest crypto.Hash
	// PSS signs with RSASSA-PSS where the key is RSA, instead of PKCS #1 v1.5. A
	// certificate that is for RSASSA-PSS alone needs no word.
	PSS bool

	constants atomic.Pointer[constants]
}

// Clone returns a copy that may be changed.
func (s *Signer) Clone() *Signer {
	return &Signer{Key: s.Key, Certificate: s.Certificate, Chain: s.Chain, Encryption: s.Encryption, Digest: s.Digest, PSS: s.PSS}
}

// constants are what all signatures of a signer share. They are made with the
// first one: beside an EC signature they would take as long again.
type constants struct {
	// What they were made of.
	key         crypto.Signer
	certificate *cert.Certificate
	encryption  *cert.Certificate
	digest      crypto.Hash
	pss         bool

	scheme signature.Scheme
	// head is what stands ahead of the signed attributes in a SignerInfo,
	// algorithm what stands behind (RFC 5652 §5.3).
	head, algorithm []byte
	digestAlgorithm []byte
	// attributes are signingCertificateV2 and cmsAlgorithmProtection, encoded.
	attributes [][]byte
	// preference is encryptionKeyPreference, encoded; nil for none.
	preference []byte
	// kept says that more signatures will have them; offered are the
	// capabilities of the last one, which most of these will have, too.
	kept    bool
	offered atomic.Pointer[offered]
}

// offered is an attribute smimeCapabilities, and what it was made of.
type offered struct {
	list      []Capability
	attribute []byte
}

// capabilities encodes the attribute smimeCapabilities.
func (c *constants) capabilities(list []Capability) ([]byte, error) {
	if o := c.offered.Load(); o != nil && slices.EqualFunc(o.list, list, encodeAlike) {
		return o.attribute, nil
	}
	value, err := cert.EncodeCapabilities(list)
	if err != nil {
		return nil, err
	}
	attribute, err := attributeOf(oid.AttrSMIMECapabilities, value)
	if err != nil || !c.kept {
		return attribute, err
	}
	o := &offered{slices.Clone(list), attribute}
	for i, a := range list {
		o.list[i].Parameters = bytes.Clone(a.Parameters)
	}
	c.offered.Store(o)
	return attribute, nil
}

// encodeAlike is stricter than Same, for which NULL is no parameters.
func encodeAlike(a, b Capability) bool {
	return a.Algorithm == b.Algorithm && bytes.Equal(a.Parameters, b.Parameters)
}

// prepare returns the signer's constants, made anew when the signer was changed.
func (s *Signer) prepare() (*constants, error) {
	if c := s.constants.Load(); c != nil && c.key == s.Key && c.certificate == s.Certificate && c.encryption == s.Encryption && c.digest == s.Digest && c.pss == s.PSS {
		return c, nil
	}
	scheme, err := s.scheme()
	if err != nil {
		return nil, err
	}
	c := &constants{key: s.Key, certificate: s.Certificate, encryption: s.Encryption, digest: s.Digest, pss: s.PSS, scheme: scheme}
	if c.attributes, err = constantAttributes(s.Certificate, scheme); err != nil {
		return nil, err
	}
	if e := s.encryptionCertificate(); e != nil {
		value, err := encryptionKeyPreference(e)
		if err != nil {
			return nil, err
		}
		if c.preference, err = attributeOf(oid.AttrEncryptionKeyPreference, value); err != nil {
			return nil, err
		}
	}
	var b cryptobyte.Builder
	b.AddASN1Int64(1) // the version that goes with issuerAndSerialNumber
	addIssuerAndSerial(&b, asn1.SEQUENCE, s.Certificate)
	scheme.Digest.Add(&b)
	if c.head, err = b.Bytes(); err != nil {
		return nil, err
	}
	if c.digestAlgorithm, err = scheme.Digest.DER(); err != nil {
		return nil, err
	}
	if c.algorithm, err = scheme.Algorithm.DER(); err != nil {
		return nil, err
	}
	if c.kept = reflect.ValueOf(s.Key).Comparable(); c.kept { // an Ed25519 key is a slice
		s.constants.Store(c)
	}
	return c, nil
}

// sign makes a SignerInfo (RFC 5652 §5.3) over the constant attributes and
// those given, encoded; the constant ones are appended to the list. unsigned,
// where it is not nil, returns the unsigned attributes for the signature.
func (c *constants) sign(attributes [][]byte, rand io.Reader, unsigned func(sig []byte) (Attributes, error)) ([]byte, error) {
	set := encodeSet(append(attributes, c.attributes...))
	sig, err := c.scheme.Sign(rand, c.key, set)
	if err != nil {
		return nil, fmt.Errorf("sign with the key of %s: %w", c.certificate.Subject, err)
	}
	var further []byte
	if unsigned != nil {
		attrs, err := unsigned(sig)
		if err != nil {
			return nil, err
		}
		if len(attrs) > 0 {
			if further, err = attrs.der(); err != nil {
				return nil, err
			}
			further[0] = byte(context1.Constructed())
		}
	}
	set[0] = byte(context0.Constructed()) // RFC 5652 §5.4: signed as SET OF, sent as [0]
	size := int64(len(c.head) + len(set) + len(c.algorithm) + len(sig) + len(further))
	size += ber.HeaderSize(int64(len(sig)))
	out := ber.AppendHeader(make([]byte, 0, ber.HeaderSize(size)+size), ber.Universal, true, ber.TagSequence, size)
	out = append(append(append(out, c.head...), set...), c.algorithm...)
	out = ber.AppendHeader(out, ber.Universal, false, ber.TagOctetString, int64(len(sig)))
	return append(append(out, sig...), further...), nil
}

func (s *Signer) scheme() (signature.Scheme, error) {
	if s.Key == nil || s.Certificate == nil {
		return signature.Scheme{}, errors.New("cms: a signer needs a key and a certificate")
	}
	public, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return signature.Scheme{}, fmt.Errorf("cms: the key does not belong to the certificate of %s", s.Certificate.Subject)
	}
	o := signature.Options{Hash: s.Digest, PSS: s.PSS}
	if key := s.Certificate.SPKIAlgorithm; key.Algorithm == oid.RSASSAPSS { // RFC 4055 §1.2
		o.PSS = true
		if bound, err := signature.Read(key, AlgorithmIdentifier{}); err == nil && o.Hash == 0 {
			o.Hash = bound.Hash()
		}
	}
	scheme, err := signature.For(s.Key.Public(), &o)
	if err != nil {
		return scheme, classify(err)
	}
	if err := s.Certificate.AllowsSignature(scheme.Algorithm); err != nil {
		return scheme, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return scheme, nil
}
