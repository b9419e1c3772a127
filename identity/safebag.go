package identity

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// safeBag is SafeBag of RFC 7292, Section 4.2.
type safeBag struct {
	id    oid.OID
	value cryptobyte.String // one element
	attributes
}

// attributes are the two bag attributes that matter (RFC 2985, Section 5.5).
type attributes struct {
	friendlyName string
	localKeyID   []byte
}

func readBag(s *cryptobyte.String) (*safeBag, error) {
	var seq cryptobyte.String
	b := &safeBag{}
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.Read(&seq, &b.id) ||
		!seq.ReadASN1(&b.value, asn1.Tag(0).ContextSpecific().Constructed()) {
		return nil, fmt.Errorf("%w: SafeBag", ErrMalformed)
	}
	if seq.Empty() {
		return b, nil
	}
	var set cryptobyte.String
	if !seq.ReadASN1(&set, asn1.SET) || !seq.Empty() {
		return nil, fmt.Errorf("%w: bag attributes", ErrMalformed)
	}
	for !set.Empty() {
		if !b.readAttribute(&set) {
			return nil, fmt.Errorf("%w: bag attribute", ErrMalformed)
		}
	}
	return b, nil
}

// readAttribute reads one PKCS12Attribute. Values of a wrong type are passed
// over: they name things for people, and nothing rests on them.
func (a *attributes) readAttribute(set *cryptobyte.String) bool {
	var seq, values, value cryptobyte.String
	var id oid.OID
	if !set.ReadASN1(&seq, asn1.SEQUENCE) || !oid.Read(&seq, &id) || !seq.ReadASN1(&values, asn1.SET) {
		return false
	}
	switch id {
	case oid.AttrFriendlyName:
		if values.ReadASN1(&value, asn1.Tag(30)) { // BMPString
			a.friendlyName = decodeBMP(value)
		}
	case oid.AttrLocalKeyID:
		if values.ReadASN1(&value, asn1.OCTET_STRING) {
			a.localKeyID = value
		}
	}
	return true
}

// decodeBMP decodes UTF-16 in big-endian order, of which BMPString is a part.
func decodeBMP(b []byte) string {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, binary.BigEndian.Uint16(b))
	}
	for len(units) > 0 && units[len(units)-1] == 0 { // some writers add the NUL of passphrases
		units = units[:len(units)-1]
	}
	return string(utf16.Decode(units))
}

// readCertificate reads CertBag (RFC 7292, Section 4.2.3).
func readCertificate(s cryptobyte.String) (*cert.Certificate, error) {
	var seq, value, der cryptobyte.String
	var id oid.OID
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !oid.Read(&seq, &id) ||
		!seq.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !seq.Empty() {
		return nil, fmt.Errorf("%w: CertBag", ErrMalformed)
	}
	if id != oid.BagX509Certificate {
		return nil, fmt.Errorf("%w: certificate of type %s", ErrUnsupported, id.Name())
	}
	if !value.ReadASN1(&der, asn1.OCTET_STRING) || !value.Empty() {
		return nil, fmt.Errorf("%w: CertBag", ErrMalformed)
	}
	return cert.Parse(der)
}
