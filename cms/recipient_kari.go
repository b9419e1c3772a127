package cms

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// keyAgree makes KeyAgreeRecipientInfos (RFC 5652 §6.2.2).
func keyAgree(c *cert.Certificate, pub partner, byKey bool) func(io.Reader, []byte) ([]byte, error) {
	return func(rand io.Reader, key []byte) ([]byte, error) {
		scheme, point, encrypted, err := agree(rand, pub, key)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { addOriginatorKey(b, pub.algorithm(), point) })
			scheme.Add(b)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					if byKey { // RecipientKeyIdentifier
						b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.SubjectKeyID) })
					} else {
						addIssuerAndSerial(b, asn1.SEQUENCE, c)
					}
					b.AddASN1OctetString(encrypted)
				})
			})
		})
		return b.Bytes()
	}
}

// kari is what a KeyAgreeRecipientInfo holds for one recipient.
type kari struct {
	algorithm    AlgorithmIdentifier
	encryptedKey []byte
	point        []byte // the sender's ephemeral key; nil when it is static
	ukm          []byte // nil when absent
}

func (i *kari) fits(k *RecipientKey) bool {
	_, ok := partnerFor(k.Certificate.PublicKey)
	return ok
}

func (i *kari) open(_ io.Reader, k *RecipientKey, _ int) ([]byte, error) {
	self, ok := partnerFor(k.Certificate.PublicKey)
	if !ok {
		return nil, cannotAgree(k.Key)
	}
	a, ok := agreementFor(i.algorithm.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: key agreement %s", ErrUnsupported, i.algorithm.Algorithm.Name())
	}
	wrap, kind, err := readWrap(i.algorithm.Parameters)
	if err != nil {
		return nil, err
	}
	secret, err := self.meet(k.Key, i.point)
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
		kek, err := a.derive(secret, der, i.ukm, kind.size)
		if err != nil {
			return nil, err
		}
		if opened, err := kind.unwrap(kek, i.encryptedKey); err == nil {
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

// readWrap reads the AlgorithmIdentifier of a key wrap, DER.
func readWrap(der []byte) (AlgorithmIdentifier, keyWrap, error) {
	in := cryptobyte.String(der)
	var a AlgorithmIdentifier
	if !oid.ReadAlgorithm(&in, &a) || !in.Empty() {
		return a, keyWrap{}, fmt.Errorf("%w: key wrap", ErrUnsupported)
	}
	w, err := readKeyWrap(a)
	return a, w, err
}

func parseKeyAgree(s cryptobyte.String) ([]RecipientInfo, error) {
	bad := malformed("KeyAgreeRecipientInfo", nil)
	var version int64
	var from, keys cryptobyte.String
	var shared kari
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&from, context0.Constructed()) || !shared.readOriginator(from) || !shared.readUKM(&s) ||
		!oid.ReadAlgorithm(&s, &shared.algorithm) || !s.ReadASN1(&keys, asn1.SEQUENCE) || !s.Empty() {
		return nil, bad
	}
	var out []RecipientInfo
	for !keys.Empty() {
		one := shared
		ri := RecipientInfo{Kind: "kari", Algorithm: shared.algorithm, sealed: &one}
		var k, encrypted cryptobyte.String
		if !keys.ReadASN1(&k, asn1.SEQUENCE) || !readKeyAgreeIdentifier(&k, &ri.Recipient) ||
			!k.ReadASN1(&encrypted, asn1.OCTET_STRING) || !k.Empty() {
			return nil, bad
		}
		one.encryptedKey = encrypted
		if len(out) >= MaxRecipients {
			return nil, malformed("too many recipients", nil)
		}
		out = append(out, ri)
	}
	return out, nil
}

// readOriginator reads OriginatorIdentifierOrKey. A static key of the sender's,
// named by its certificate, has no point here and opens nothing.
func (i *kari) readOriginator(from cryptobyte.String) bool {
	var key cryptobyte.String
	var tag asn1.Tag
	if !from.ReadAnyASN1(&key, &tag) || !from.Empty() {
		return false
	}
	if tag != context1.Constructed() {
		return true
	}
	var algorithm AlgorithmIdentifier
	return oid.ReadAlgorithm(&key, &algorithm) && key.ReadASN1BitStringAsBytes(&i.point) && key.Empty()
}

func (i *kari) readUKM(s *cryptobyte.String) bool {
	var ukm, octets cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&ukm, &present, context1.Constructed()) || present && (!ukm.ReadASN1(&octets, asn1.OCTET_STRING) || !ukm.Empty()) {
		return false
	}
	if present {
		i.ukm = append([]byte{}, octets...) // empty is not absent (RFC 5753 §7.2)
	}
	return true
}

// readKeyAgreeIdentifier reads KeyAgreeRecipientIdentifier: issuer and serial,
// or [0] RecipientKeyIdentifier with the subject key identifier in front.
func readKeyAgreeIdentifier(s *cryptobyte.String, id *Identifier) bool {
	if s.PeekASN1Tag(asn1.SEQUENCE) {
		return readIssuerAndSerial(s, asn1.SEQUENCE, id) == nil
	}
	var r, ski cryptobyte.String
	if !s.ReadASN1(&r, context0.Constructed()) || !r.ReadASN1(&ski, asn1.OCTET_STRING) || len(ski) == 0 {
		return false
	}
	id.SubjectKeyID = ski
	return true
}
