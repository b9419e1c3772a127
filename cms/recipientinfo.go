package cms

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// RecipientInfo says for whom a content key is encrypted, and how (RFC 5652
// §6.2). A KeyAgreeRecipientInfo for several recipients becomes several.
type RecipientInfo struct {
	// Kind is "ktri", "kari", "kekri", "pwri" or "ori" (RFC 5652 §6.2), and
	// "kemri" for the ori that is a KEMRecipientInfo (RFC 9629).
	Kind string
	// Recipient names the recipient's certificate, for ktri, kari and kemri.
	Recipient Identifier
	// KEKID names the shared key, for kekri.
	KEKID []byte
	// Algorithm is keyEncryptionAlgorithm, of kemri kem.
	Algorithm AlgorithmIdentifier

	sealed sealedKey
}

// sealedKey is a content key as one kind of RecipientInfo holds it.
type sealedKey interface {
	// fits tells whether the key is of a kind that opens it.
	fits(k *RecipientKey) bool
	// open decrypts the content key. ErrUnsupported is about what the message
	// says; every other error is one that the sender must not learn of.
	open(rand io.Reader, k *RecipientKey, size int) ([]byte, error)
}

// parseRecipientInfo reads one RecipientInfo (RFC 5652 §6.2).
func parseRecipientInfo(der []byte) ([]RecipientInfo, error) {
	in := cryptobyte.String(der)
	var s cryptobyte.String
	var tag asn1.Tag
	if !in.ReadAnyASN1(&s, &tag) {
		return nil, malformed("RecipientInfo", nil)
	}
	switch tag {
	case asn1.SEQUENCE:
		return parseKeyTransport(s)
	case context1.Constructed():
		return parseKeyAgree(s)
	case context2.Constructed():
		return parseKEK(s)
	case asn1.Tag(3).ContextSpecific().Constructed():
		return parsePassword(s)
	case asn1.Tag(4).ContextSpecific().Constructed():
		return parseOther(s)
	}
	return nil, malformed(fmt.Sprintf("RecipientInfo of an unknown kind (tag %#x)", byte(tag)), nil)
}

// keyAmong returns the first of keys that the recipient info is for.
func (ri *RecipientInfo) keyAmong(keys []*RecipientKey) *RecipientKey {
	if ri.sealed == nil {
		return nil
	}
	byCertificate := ri.Recipient.RawIssuer != nil || ri.Recipient.SubjectKeyID != nil
	for _, k := range keys {
		if byCertificate && (k.Certificate == nil || !ri.Recipient.Matches(k.Certificate)) {
			continue
		}
		if ri.sealed.fits(k) {
			return k
		}
	}
	return nil
}
