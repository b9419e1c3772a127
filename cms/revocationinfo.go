package cms

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// revocationInfo returns the elements of RevocationInfoChoices (RFC 5652
// §10.2.1): CRLs as they are, OCSP responses as OtherRevocationInfoFormat
// (RFC 5940 §2.1).
func revocationInfo(crls, ocsp [][]byte) ([][]byte, error) {
	var out [][]byte
	for i, crl := range crls {
		if !isSequence(crl) {
			return nil, fmt.Errorf("%w: CRL %d to be sent is not DER", ErrMalformed, i+1)
		}
		out = append(out, crl)
	}
	for i, response := range ocsp {
		if !isSequence(response) {
			return nil, fmt.Errorf("%w: OCSP response %d to be sent is not DER", ErrMalformed, i+1)
		}
		var b cryptobyte.Builder
		b.AddASN1(context1.Constructed(), func(b *cryptobyte.Builder) {
			oid.Add(b, oid.RevocationOCSP)
			b.AddBytes(response)
		})
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	return out, nil
}

// isSequence reports whether b is one SEQUENCE with the lengths of DER.
func isSequence(b []byte) bool {
	der, err := ber.DER(b)
	return err == nil && bytes.Equal(der, b) && b[0] == byte(asn1.SEQUENCE)
}

// addSetOf adds a SET OF under tag, and nothing where it would be empty: the
// SETs of certificates and crls are OPTIONAL.
func addSetOf(b *cryptobyte.Builder, tag asn1.Tag, elements [][]byte) {
	if len(elements) == 0 {
		return
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, e := range sortedSet(elements) {
			b.AddBytes(e)
		}
	})
}
