package cert

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on a file of certificates.
const (
	MaxBundleSize         = 64 << 20
	MaxBundleCertificates = 10000
)

// ParseAll reads certificates as files have them: a PEM bundle (other blocks
// in it are passed over), one DER certificate, several in a row, or a PKCS #7
// file with certificates (RFC 8551 §3.8), DER or BER or inside PEM. Finding
// none is an error.
func ParseAll(data []byte) ([]*Certificate, error) {
	if len(data) > MaxBundleSize {
		return nil, fmt.Errorf("read certificates: %d octets, more than %d", len(data), MaxBundleSize)
	}
	list, err := parseAll(data)
	if err == nil && len(list) == 0 {
		err = errors.New("none found; PEM, DER and PKCS #7 files are read")
	}
	if err != nil {
		return nil, within("read certificates", err)
	}
	return list, nil
}

func parseAll(data []byte) ([]*Certificate, error) {
	// A SEQUENCE of more than 127 octets, or of indefinite length: no text
	// begins so, and inside there may be any text.
	if data = bytes.TrimLeft(data, " \t\r\n"); len(data) < 2 || data[0] != 0x30 || data[1] < 0x80 {
		return parsePEM(data)
	}
	if der, err := ber.DER(data); err == nil {
		return parseElement(data, der)
	}
	// Several in a row, or a line end behind the last one. What looks like
	// white space at the end may as well belong to a signature.
	var list []*Certificate
	for s := cryptobyte.String(data); len(bytes.TrimLeft(s, " \t\r\n")) > 0; {
		var element cryptobyte.String
		if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
			return nil, malformed("certificate")
		}
		more, err := parseElement(element, element)
		if err != nil {
			return nil, err
		}
		if list = append(list, more...); len(list) > MaxBundleCertificates {
			return nil, fmt.Errorf("more than %d", MaxBundleCertificates)
		}
	}
	return list, nil
}

// parseElement reads a certificate or a PKCS #7 structure; der is the normal
// form of raw.
func parseElement(raw, der []byte) ([]*Certificate, error) {
	if isContentInfo(der) {
		return parsePKCS7(der)
	}
	c, err := Parse(raw)
	if err != nil {
		return nil, err
	}
	return []*Certificate{c}, nil
}

func parsePEM(data []byte) (list []*Certificate, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return list, nil
		}
		var more []*Certificate
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE": // RFC 7468 §5.3
			var c *Certificate
			c, err = Parse(block.Bytes)
			more = []*Certificate{c}
		case "TRUSTED CERTIFICATE": // OpenSSL's, with its own settings behind
			more, err = parseElements(firstOnly(block.Bytes))
		case "PKCS7", "CMS": // RFC 7468 §8, §9
			var der []byte
			if der, err = ber.DER(block.Bytes); err == nil {
				more, err = parsePKCS7(der)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("PEM block after %d certificates: %w", len(list), err)
		}
		if list = append(list, more...); len(list) > MaxBundleCertificates {
			return nil, fmt.Errorf("more than %d", MaxBundleCertificates)
		}
	}
}

func firstOnly(data []byte) cryptobyte.String {
	s := cryptobyte.String(data)
	var element cryptobyte.String
	if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
		return s
	}
	return element
}

// parseElements reads certificates one behind the other. Other choices of
// CertificateChoices (RFC 5652 §10.2.2) are passed over.
func parseElements(s cryptobyte.String) (list []*Certificate, err error) {
	for !s.Empty() {
		var element cryptobyte.String
		var tag asn1.Tag
		if !s.ReadAnyASN1Element(&element, &tag) {
			return nil, malformed("certificate")
		}
		if tag != asn1.SEQUENCE {
			continue
		}
		c, err := Parse(element)
		if err != nil {
			return nil, err
		}
		if list = append(list, c); len(list) > MaxBundleCertificates {
			return nil, fmt.Errorf("more than %d", MaxBundleCertificates)
		}
	}
	return list, nil
}

// isContentInfo tells a CMS structure, which begins with a content type, from
// a certificate, which begins with a SEQUENCE.
func isContentInfo(der []byte) bool {
	s := cryptobyte.String(der)
	var seq cryptobyte.String
	return s.ReadASN1(&seq, asn1.SEQUENCE) && seq.PeekASN1Tag(asn1.OBJECT_IDENTIFIER)
}

// parsePKCS7 reads the certificates of a SignedData (RFC 5652 §5.1), whatever
// it signs.
func parsePKCS7(der []byte) ([]*Certificate, error) {
	info, err := readSequence(der, "ContentInfo")
	if err != nil {
		return nil, err
	}
	var id oid.OID
	var explicit, signed, certificates cryptobyte.String
	if !oid.Read(&info, &id) {
		return nil, malformed("ContentInfo")
	}
	if id != oid.SignedData {
		return nil, fmt.Errorf("content type is %s, not signedData", id.Name())
	}
	var present bool
	if !info.ReadASN1(&explicit, constructedTag(0)) || !explicit.ReadASN1(&signed, asn1.SEQUENCE) ||
		!signed.SkipASN1(asn1.INTEGER) || !signed.SkipASN1(asn1.SET) || !signed.SkipASN1(asn1.SEQUENCE) ||
		!signed.ReadOptionalASN1(&certificates, &present, constructedTag(0)) {
		return nil, malformed("SignedData")
	}
	return parseElements(certificates)
}
