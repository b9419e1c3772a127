package lint

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

var errTBS = errors.New("malformed tbsCertificate")

// extensionsTag is [3] of TBSCertificate (RFC 5280 §4.1).
const extensionsTag = asn1.Tag(3) | 0xa0

// Twin returns a certificate with the bytes of tbs, and policy alone in its
// certificatePolicies; everything else is the same, octet for octet. It is
// signed by nobody, so that it can be mistaken for a certificate nowhere: where
// the signature would be, there are zeros. Lints do not look at it.
func Twin(tbs []byte, policy oid.OID) ([]byte, error) {
	input := cryptobyte.String(tbs)
	var fields cryptobyte.String
	if !input.ReadASN1(&fields, asn1.SEQUENCE) || !input.Empty() {
		return nil, errTBS
	}
	algorithm, err := innerAlgorithm(fields)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addWithPolicy(b, fields, policy) })
		b.AddBytes(algorithm)
		b.AddASN1BitString(make([]byte, 64))
	})
	return b.Bytes()
}

// innerAlgorithm returns the signature field: after version and serialNumber.
func innerAlgorithm(fields cryptobyte.String) ([]byte, error) {
	var algorithm cryptobyte.String
	if !fields.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) || !fields.SkipASN1(asn1.INTEGER) ||
		!fields.ReadASN1Element(&algorithm, asn1.SEQUENCE) {
		return nil, errTBS
	}
	return algorithm, nil
}

func addWithPolicy(b *cryptobyte.Builder, fields cryptobyte.String, policy oid.OID) {
	for !fields.Empty() {
		var element cryptobyte.String
		var tag asn1.Tag
		if !fields.ReadAnyASN1Element(&element, &tag) {
			b.SetError(errTBS)
			return
		}
		if tag != extensionsTag {
			b.AddBytes(element)
			continue
		}
		var list cryptobyte.String
		if !element.ReadASN1(&element, extensionsTag) || !element.ReadASN1(&list, asn1.SEQUENCE) {
			b.SetError(errTBS)
			return
		}
		b.AddASN1(extensionsTag, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addExtensions(b, list, policy) })
		})
	}
}

func addExtensions(b *cryptobyte.Builder, list cryptobyte.String, policy oid.OID) {
	for !list.Empty() {
		var whole, e cryptobyte.String
		var id oid.OID
		if !list.ReadASN1Element(&whole, asn1.SEQUENCE) {
			b.SetError(errTBS)
			return
		}
		e = whole
		if !e.ReadASN1(&e, asn1.SEQUENCE) || !oid.Read(&e, &id) {
			b.SetError(errTBS)
			return
		}
		if id != oid.ExtCertificatePolicies {
			b.AddBytes(whole)
			continue
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, id)
			if e.PeekASN1Tag(asn1.BOOLEAN) {
				b.AddASN1Boolean(true)
			}
			b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { oid.Add(b, policy) })
				})
			})
		})
	}
}
