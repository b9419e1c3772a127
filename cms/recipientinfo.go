package cms

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// RecipientInfo says for whom a content key is encrypted, and how (RFC 5652
// §6.2). A KeyAgreeRecipientInfo for several recipients becomes several.
type RecipientInfo struct {
	// Kind is "ktri", "kari", "kekri", "pwri" or "ori" (RFC 5652 §6.2).
	Kind string
	// Recipient names the recipient's certificate, for ktri and kari.
	Recipient Identifier
	// Algorithm is keyEncryptionAlgorithm.
	Algorithm AlgorithmIdentifier

	encryptedKey []byte
	agreement    *originator // kari
}

// originator is the sender's side of a key agreement.
type originator struct {
	point []byte // ephemeral public key; nil when it is in a certificate
	ukm   []byte // nil when absent
}

// parseRecipientInfo reads one RecipientInfo and appends what it holds.
func parseRecipientInfo(out []RecipientInfo, der []byte) ([]RecipientInfo, error) {
	in := cryptobyte.String(der)
	var s cryptobyte.String
	var tag asn1.Tag
	if !in.ReadAnyASN1(&s, &tag) {
		return nil, malformed("RecipientInfo", nil)
	}
	switch tag {
	case asn1.SEQUENCE:
		return parseKeyTransport(out, s)
	case context1.Constructed():
		return parseKeyAgree(out, s)
	case context2.Constructed():
		return append(out, RecipientInfo{Kind: "kekri"}), nil
	case asn1.Tag(3).ContextSpecific().Constructed():
		return append(out, RecipientInfo{Kind: "pwri"}), nil
	case asn1.Tag(4).ContextSpecific().Constructed():
		return append(out, RecipientInfo{Kind: "ori"}), nil
	}
	return nil, malformed(fmt.Sprintf("RecipientInfo of an unknown kind (tag %#x)", byte(tag)), nil)
}

func parseKeyTransport(out []RecipientInfo, s cryptobyte.String) ([]RecipientInfo, error) {
	ri := RecipientInfo{Kind: "ktri"}
	var version int64
	if !s.ReadASN1Integer(&version) {
		return nil, malformed("KeyTransRecipientInfo", nil)
	}
	if err := readIdentifier(&s, &ri.Recipient); err != nil {
		return nil, err
	}
	if !oid.ReadAlgorithm(&s, &ri.Algorithm) || !s.ReadASN1((*cryptobyte.String)(&ri.encryptedKey), asn1.OCTET_STRING) || !s.Empty() {
		return nil, malformed("KeyTransRecipientInfo", nil)
	}
	return append(out, ri), nil
}

func parseKeyAgree(out []RecipientInfo, s cryptobyte.String) ([]RecipientInfo, error) {
	bad := malformed("KeyAgreeRecipientInfo", nil)
	var version int64
	var from, keys cryptobyte.String
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&from, context0.Constructed()) {
		return nil, bad
	}
	o := &originator{}
	var key cryptobyte.String
	var tag asn1.Tag
	if !from.ReadAnyASN1(&key, &tag) || !from.Empty() {
		return nil, bad
	}
	if tag == context1.Constructed() {
		var algorithm AlgorithmIdentifier
		if !oid.ReadAlgorithm(&key, &algorithm) || !key.ReadASN1BitStringAsBytes(&o.point) || !key.Empty() {
			return nil, bad
		}
	}
	var ukm, octets cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&ukm, &present, context1.Constructed()) || present && (!ukm.ReadASN1(&octets, asn1.OCTET_STRING) || !ukm.Empty()) {
		return nil, bad
	}
	if present {
		o.ukm = append([]byte{}, octets...) // empty is not absent (RFC 5753 §7.2)
	}
	var algorithm AlgorithmIdentifier
	if !oid.ReadAlgorithm(&s, &algorithm) || !s.ReadASN1(&keys, asn1.SEQUENCE) || !s.Empty() {
		return nil, bad
	}
	for !keys.Empty() {
		ri := RecipientInfo{Kind: "kari", Algorithm: algorithm, agreement: o}
		var k cryptobyte.String
		if !keys.ReadASN1(&k, asn1.SEQUENCE) || !readKeyAgreeIdentifier(&k, &ri.Recipient) ||
			!k.ReadASN1((*cryptobyte.String)(&ri.encryptedKey), asn1.OCTET_STRING) || !k.Empty() {
			return nil, bad
		}
		if len(out) >= MaxRecipients {
			return nil, malformed("too many recipients", nil)
		}
		out = append(out, ri)
	}
	return out, nil
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

// keyAmong returns the first key that the recipient info is for.
func (ri *RecipientInfo) keyAmong(keys []*RecipientKey) *RecipientKey {
	if ri.Recipient.RawIssuer == nil && ri.Recipient.SubjectKeyID == nil {
		return nil
	}
	for _, k := range keys {
		if ri.Recipient.Matches(k.Certificate) && ri.fits(k.Certificate) {
			return k
		}
	}
	return nil
}

// fits keeps certificates that share a key identifier apart by kind of key.
func (ri *RecipientInfo) fits(c *cert.Certificate) bool {
	_, ec := ecdhPublic(c.PublicKey)
	return ec == (ri.agreement != nil)
}
