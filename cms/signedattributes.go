package cms

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// attributes are those that RFC 8551 §2.5 wants in a signature, and those of
// the options.
func (w *signedWriter) attributes(c *constants) ([][]byte, error) {
	a := signedAttributes{list: make([][]byte, 0, 8)}
	if w.options.ContentType == oid.Data {
		a.list = append(a.list, contentTypeData())
	} else {
		a.addContentType(w.options.ContentType)
	}
	a.addCommon(w.digest(c.scheme.Digest.Algorithm).Sum(nil), w.options.Time)
	if w.options.Capabilities != nil {
		a.addEncoded(c.capabilities(w.options.Capabilities))
	}
	if c.preference != nil {
		a.list = append(a.list, c.preference)
	}
	for _, further := range w.options.Attributes {
		a.addEncoded(further.der())
	}
	return a.list, a.err
}

// contentTypeData is the attribute of all mail.
var contentTypeData = sync.OnceValue(func() []byte {
	var a signedAttributes
	a.addContentType(oid.Data)
	return a.list[0]
})

// signedAttributes gathers encoded attributes and what went wrong with them.
type signedAttributes struct {
	list [][]byte
	err  error
}

func (a *signedAttributes) addEncoded(der []byte, err error) {
	if err != nil {
		a.err = errors.Join(a.err, err)
		return
	}
	a.list = append(a.list, der)
}

func (a *signedAttributes) addValue(t OID, value []byte, err error) {
	if err != nil {
		a.err = errors.Join(a.err, err)
		return
	}
	a.addEncoded(attributeOf(t, value))
}

func (a *signedAttributes) addContentType(t OID) {
	a.add(oid.AttrContentType, func(b *cryptobyte.Builder) { oid.Add(b, t) })
}

func (a *signedAttributes) add(t OID, value func(*cryptobyte.Builder)) {
	var b cryptobyte.Builder
	value(&b)
	der, err := b.Bytes()
	a.addValue(t, der, err)
}

// addCommon adds what every signature of ours has beside the constant
// attributes, countersignatures too.
func (a *signedAttributes) addCommon(digest []byte, at time.Time) {
	var room [2 + 64]byte // of the longest digest
	value := ber.AppendHeader(room[:0], ber.Universal, false, ber.TagOctetString, int64(len(digest)))
	a.addValue(oid.AttrMessageDigest, append(value, digest...), nil)
	if !at.IsZero() {
		der, err := timeDER(at)
		a.addValue(oid.AttrSigningTime, der, err)
	}
}

// constantAttributes are those that depend on nothing but the signer, encoded.
func constantAttributes(c *cert.Certificate, scheme signature.Scheme) ([][]byte, error) {
	var a signedAttributes
	der, err := signingCertificateV2(c)
	a.addValue(oid.AttrSigningCertificateV2, der, err)
	a.add(oid.AttrAlgorithmProtection, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // RFC 6211 §2
			scheme.Digest.Add(b)
			scheme.Algorithm.AddTagged(b, context1.Constructed())
		})
	})
	return a.list, a.err
}

// checkFurther holds the attributes of SignOptions to their rules: each type
// once, with values, and none of those that decide what a signature means.
func checkFurther(attrs Attributes) error {
	if len(attrs) == 0 {
		return nil
	}
	seen := map[OID]bool{}
	for _, a := range attrs {
		switch a.Type {
		case oid.AttrContentType, oid.AttrMessageDigest, oid.AttrSigningTime, oid.AttrSMIMECapabilities, oid.AttrEncryptionKeyPreference,
			oid.AttrSigningCertificate, oid.AttrSigningCertificateV2, oid.AttrAlgorithmProtection:
			return fmt.Errorf("cms: signed attribute %s is written by Sign itself", a.Type.Name())
		case oid.AttrCountersignature, oid.AttrTimeStampToken: // RFC 5652 §11.4, RFC 3161 Appendix A
			return fmt.Errorf("cms: attribute %s cannot be a signed one", a.Type.Name())
		}
		if seen[a.Type] || len(a.Values) == 0 {
			return fmt.Errorf("cms: signed attribute %s must be there once, with a value", a.Type.Name())
		}
		seen[a.Type] = true
		for _, v := range a.Values {
			if der, err := ber.DER(v); err != nil || !bytes.Equal(der, v) {
				return fmt.Errorf("cms: signed attribute %s: a value is not DER", a.Type.Name())
			}
		}
	}
	return nil
}
