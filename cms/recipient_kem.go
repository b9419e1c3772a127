package cms

import (
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// encapsulate makes KEMRecipientInfos (RFC 9629) with ML-KEM (RFC 9936):
// HKDF with SHA-256 and AES-256 key wrap, AES-128 for ML-KEM-512.
func encapsulate(c *cert.Certificate, pub crypto.Encapsulator, byKey bool) func(io.Reader, []byte) ([]byte, error) {
	return func(_ io.Reader, key []byte) ([]byte, error) {
		size := 32
		if c.SPKIAlgorithm.Algorithm == oid.MLKEM512 { // RFC 9936 §2.2.2
			size = 16
		}
		secret, ciphertext := pub.Encapsulate()
		wrap, err := AlgorithmIdentifier{Algorithm: wrapFor(size)}.DER()
		if err != nil {
			return nil, err
		}
		kek, err := kemKey(sha256.New, secret, wrap, nil, size)
		if err != nil {
			return nil, err
		}
		encrypted, err := wrapKey(kek, key)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.Tag(4).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			oid.Add(b, oid.ORIKEM)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				addRecipientIdentifier(b, c, byKey)
				AlgorithmIdentifier{Algorithm: c.SPKIAlgorithm.Algorithm}.Add(b)
				b.AddASN1OctetString(ciphertext)
				AlgorithmIdentifier{Algorithm: oid.HKDFSHA256}.Add(b)
				b.AddASN1Int64(int64(size))
				b.AddBytes(wrap)
				b.AddASN1OctetString(encrypted)
			})
		})
		return b.Bytes()
	}
}

// kemKey derives the key-encryption key (RFC 9629 §5, RFC 9936 §2.2.1): HKDF
// without a salt.
func kemKey(h func() hash.Hash, secret, wrap, ukm []byte, size int) ([]byte, error) {
	info, err := kemInfo(wrap, ukm, size)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(h, secret, nil, string(info), size)
}

// kemInfo is CMSORIforKEMOtherInfo (RFC 9629 §5).
func kemInfo(wrap, ukm []byte, size int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(wrap)
		b.AddASN1Int64(int64(size))
		if ukm != nil {
			b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
		}
	})
	return b.Bytes()
}

// kemri is what a KEMRecipientInfo holds.
type kemri struct {
	kem        AlgorithmIdentifier
	ciphertext []byte
	kdf        AlgorithmIdentifier
	size       int
	ukm        []byte // nil when absent, which differs from empty
	wrap       []byte // AlgorithmIdentifier, DER

	encryptedKey []byte
}

// parseOther reads OtherRecipientInfo; kinds other than KEM are shown and open
// to nobody.
func parseOther(s cryptobyte.String) ([]RecipientInfo, error) {
	var kind OID
	if !oid.Read(&s, &kind) {
		return nil, malformed("OtherRecipientInfo", nil)
	}
	if kind != oid.ORIKEM {
		return []RecipientInfo{{Kind: "ori", Algorithm: AlgorithmIdentifier{Algorithm: kind}}}, nil
	}
	bad := malformed("KEMRecipientInfo", nil)
	ri := RecipientInfo{Kind: "kemri"}
	i := &kemri{}
	var seq, ciphertext, ukm, wrap, encrypted cryptobyte.String
	var version int64
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1Integer(&version) || version != 0 {
		return nil, bad
	}
	if err := readIdentifier(&seq, &ri.Recipient); err != nil {
		return nil, err
	}
	var present bool
	if !oid.ReadAlgorithm(&seq, &i.kem) || !seq.ReadASN1(&ciphertext, asn1.OCTET_STRING) || !oid.ReadAlgorithm(&seq, &i.kdf) ||
		!seq.ReadASN1Integer(&i.size) || !seq.ReadOptionalASN1(&ukm, &present, context0.Constructed()) ||
		!seq.ReadASN1Element(&wrap, asn1.SEQUENCE) || !seq.ReadASN1(&encrypted, asn1.OCTET_STRING) || !seq.Empty() {
		return nil, bad
	}
	if present {
		var octets cryptobyte.String
		if !ukm.ReadASN1(&octets, asn1.OCTET_STRING) || !ukm.Empty() {
			return nil, bad
		}
		i.ukm = append([]byte{}, octets...)
	}
	i.ciphertext, i.wrap, i.encryptedKey = ciphertext, wrap, encrypted
	ri.Algorithm, ri.sealed = i.kem, i
	return []RecipientInfo{ri}, nil
}

func (i *kemri) fits(k *RecipientKey) bool {
	_, ok := k.Key.(crypto.Decapsulator)
	return ok && k.Certificate.SPKIAlgorithm.Algorithm == i.kem.Algorithm
}

func (i *kemri) open(_ io.Reader, k *RecipientKey, _ int) ([]byte, error) {
	if i.kem.Parameters != nil { // RFC 9936 §2.3
		return nil, fmt.Errorf("%w: parameters with %s", ErrUnsupported, i.kem.Algorithm.Name())
	}
	h, ok := kdfHash(i.kdf)
	if !ok {
		return nil, fmt.Errorf("%w: key derivation %s", ErrUnsupported, i.kdf.Algorithm.Name())
	}
	_, wrap, err := readWrap(i.wrap)
	if err != nil {
		return nil, err
	}
	if wrap.size != i.size { // RFC 9629 §3
		return nil, fmt.Errorf("%w: kekLength %d with a key wrap of %d octets", ErrUnsupported, i.size, wrap.size)
	}
	secret, err := k.Key.(crypto.Decapsulator).Decapsulate(i.ciphertext)
	if err != nil {
		return nil, err
	}
	kek, err := kemKey(h, secret, i.wrap, i.ukm, wrap.size)
	if err != nil {
		return nil, err
	}
	return wrap.unwrap(kek, i.encryptedKey)
}

func kdfHash(a AlgorithmIdentifier) (func() hash.Hash, bool) {
	if a.Parameters != nil { // RFC 8619 §2
		return nil, false
	}
	switch a.Algorithm {
	case oid.HKDFSHA256:
		return sha256.New, true
	case oid.HKDFSHA384:
		return sha512.New384, true
	case oid.HKDFSHA512:
		return sha512.New, true
	}
	return nil, false
}
