package identity

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// safeContents reads SafeContents (RFC 7292, Section 4.2).
func (d *pkcs12Decoder) safeContents(content []byte, depth int) error {
	if depth > maxSafeDepth {
		return fmt.Errorf("%w: SafeContents nested more than %d deep", ErrLimit, maxSafeDepth)
	}
	der, err := ber.DER(content)
	if err != nil {
		return fmt.Errorf("SafeContents: %w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var bags cryptobyte.String
	if !s.ReadASN1(&bags, asn1.SEQUENCE) || !s.Empty() {
		return fmt.Errorf("SafeContents: %w", ErrMalformed)
	}
	for n := 1; !bags.Empty(); n++ {
		if err := d.count(); err != nil {
			return err
		}
		b, err := readBag(&bags)
		if err == nil {
			err = d.bag(b, depth)
		}
		if err != nil {
			return fmt.Errorf("bag %d: %w", n, err)
		}
	}
	return nil
}

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

func (d *pkcs12Decoder) bag(b *safeBag, depth int) error {
	switch b.id {
	case oid.BagKey:
		if d.locked {
			return nil
		}
		key, err := ParsePrivateKey(b.value)
		if err != nil {
			return d.skip(err)
		}
		d.keys = append(d.keys, keyBag{key, b.attributes})
	case oid.BagShroudedKey:
		return d.shroudedKey(b)
	case oid.BagCertificate:
		c, err := readCertificate(b.value)
		if err != nil {
			return d.skip(err)
		}
		d.certs = append(d.certs, certBag{c, b.attributes})
	case oid.BagSafeContents:
		return d.safeContents(b.value, depth+1)
	}
	// CRL and secret bags, and types made up since, hold no identity.
	return nil
}

func (d *pkcs12Decoder) shroudedKey(b *safeBag) error {
	if d.locked {
		return nil
	}
	pass, err := d.asker.get()
	if err != nil {
		return err
	}
	key, err := decryptKeyInfo(pass, b.value)
	if err != nil {
		return d.skip(err)
	}
	d.keys = append(d.keys, keyBag{key, b.attributes})
	return nil
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
