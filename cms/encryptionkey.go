package cms

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// encryptionCertificate is the one that encryptionKeyPreference names; nil when
// the signer has none that may be encrypted to.
func (s *Signer) encryptionCertificate() *cert.Certificate {
	for _, c := range []*cert.Certificate{s.Encryption, s.Certificate} {
		if c != nil && c.CanEncrypt() {
			return c
		}
	}
	return nil
}

// encryptionKeyPreference (RFC 8551 §2.5.3) says with which certificate mail to
// the signer is to be encrypted.
func encryptionKeyPreference(c *cert.Certificate) ([]byte, error) {
	var b cryptobyte.Builder
	addIssuerAndSerial(&b, context0.Constructed(), c)
	return b.Bytes()
}

// EncryptionKeyPreference returns the certificate that the signer wants mail to
// be encrypted with (RFC 8551 §2.5.3), or as Outlook names it; false when it
// names none, or not in one way.
func (si *SignerInfo) EncryptionKeyPreference() (Identifier, bool) {
	v, present, err := si.SignedAttrs.single(oid.AttrEncryptionKeyPreference)
	if err != nil {
		return Identifier{}, false
	}
	var id Identifier
	if !present {
		if v, present, err = si.SignedAttrs.single(oid.AttrMSEncryptionKeyReference); err != nil || !present {
			return Identifier{}, false
		}
		s := cryptobyte.String(v)
		err := readIssuerAndSerial(&s, asn1.SEQUENCE, &id)
		return id, err == nil && s.Empty()
	}
	s := cryptobyte.String(v)
	switch {
	case s.PeekASN1Tag(context0.Constructed()):
		err := readIssuerAndSerial(&s, context0.Constructed(), &id)
		return id, err == nil && s.Empty()
	case s.PeekASN1Tag(context1.Constructed()): // RecipientKeyIdentifier
		var r, key cryptobyte.String
		ok := s.ReadASN1(&r, context1.Constructed()) && s.Empty() && r.ReadASN1(&key, asn1.OCTET_STRING) && len(key) > 0
		id.SubjectKeyID = key
		return id, ok
	}
	var key cryptobyte.String
	ok := s.ReadASN1(&key, context2) && s.Empty() && len(key) > 0
	id.SubjectKeyID = key
	return id, ok
}
