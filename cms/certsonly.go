package cms

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// CertsOnly writes a SignedData without content and signers to dst, which
// carries certificates and CRLs (DER) to another (RFC 8551 §3.8, RFC 5652 §5.2).
// It proves nothing about them.
func CertsOnly(dst io.Writer, certs []*cert.Certificate, crls [][]byte) error {
	if len(certs) == 0 && len(crls) == 0 {
		return errors.New("cms: neither a certificate nor a CRL to send")
	}
	revocation, err := revocationInfo(crls, nil)
	if err != nil {
		return err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { oid.Add(b, oid.Data) })
				addSetOf(b, context0.Constructed(), raws(certs))
				addSetOf(b, context1.Constructed(), revocation)
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return err
	}
	_, err = dst.Write(der)
	return err
}

// raws returns the certificates' encodings, each once.
func raws(certs []*cert.Certificate) [][]byte {
	out := make([][]byte, 0, len(certs))
	if len(certs) <= 16 { // as in most messages, for which a map takes long
		for _, c := range certs {
			if !slices.ContainsFunc(out, func(raw []byte) bool { return bytes.Equal(raw, c.Raw) }) {
				out = append(out, c.Raw)
			}
		}
		return out
	}
	seen := map[string]bool{}
	for _, c := range certs {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			out = append(out, c.Raw)
		}
	}
	return out
}
