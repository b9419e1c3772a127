package cert

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/text/unicode/norm"

	"github.com/mailseal/mailseal/internal/oid"
)

// MaxNameAttributes limits one Name. Real ones have fewer than twenty.
const MaxNameAttributes = 10000

// Name is a distinguished name (RFC 5280 §4.1.2.4).
type Name struct {
	Raw  []byte // DER of the Name
	RDNs []RDN  // in the order of the certificate: the broadest first

	key  string // see foldName
	text *text  // of String; nil when not made by a reader
}

// text is made when it is first asked for, and once: the same name is shown
// with every mail of its holder.
type text struct {
	once sync.Once
	line string
}

// RDN is a relative distinguished name: a set of attributes, most often one.
type RDN []Attribute

// Attribute is one attribute type and value of a Name.
type Attribute struct {
	Type  oid.OID
	Value string // the text, UTF-8; empty when the value is no string
	Text  bool   // the value is a string of a known type and was decoded
	Raw   []byte // DER of the value
}

// ParseName reads a Name in DER, as it stands outside certificates: in an OCSP
// response, in the issuerAndSerialNumber of CMS.
func ParseName(der []byte) (Name, error) {
	s := cryptobyte.String(der)
	_, n, err := readName(&s)
	if err == nil && !s.Empty() {
		err = malformed("name")
	}
	return n, err
}

// readName consumes a Name. DER elements of other string types than the
// standard's are kept as they are.
func readName(s *cryptobyte.String) (raw []byte, n Name, err error) {
	var element, seq cryptobyte.String
	if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
		return nil, Name{}, malformed("name")
	}
	n.Raw = element
	if !element.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, Name{}, malformed("name")
	}
	if n.RDNs, err = readRDNs(seq); err != nil {
		return nil, Name{}, err
	}
	n.key, n.text = foldName(n.RDNs), new(text)
	return n.Raw, n, nil
}

func readRDNs(seq cryptobyte.String) (list []RDN, err error) {
	for total := 0; !seq.Empty(); {
		var set cryptobyte.String
		if !seq.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, malformed("relative distinguished name")
		}
		var rdn RDN
		for !set.Empty() {
			if total++; total > MaxNameAttributes {
				return nil, errors.New("too many attributes")
			}
			var a Attribute
			if !readAttribute(&set, &a) {
				return nil, malformed("name attribute")
			}
			rdn = append(rdn, a)
		}
		list = append(list, rdn)
	}
	return list, nil
}

func readAttribute(s *cryptobyte.String, a *Attribute) bool {
	var seq, value, content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.Read(&seq, &a.Type) ||
		!seq.ReadAnyASN1Element(&value, &tag) || !seq.Empty() {
		return false
	}
	a.Raw = value
	if !value.ReadAnyASN1(&content, &tag) {
		return false
	}
	a.Value, a.Text = decodeString(tag, content)
	return true
}

// The string types that cryptobyte has no name for.
const (
	tagNumericString   = asn1.Tag(18)
	tagVisibleString   = asn1.Tag(26)
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

// decodeString returns the text of a directory string as UTF-8. Strings that
// should be ASCII and are not are taken as UTF-8 where that fits and as
// Latin-1 where it does not, which is also what T61String holds in practice.
func decodeString(tag asn1.Tag, b []byte) (string, bool) {
	switch tag {
	case asn1.UTF8String:
		return string(b), utf8.Valid(b)
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString, asn1.T61String:
		if utf8.Valid(b) && tag != asn1.T61String {
			return string(b), true
		}
		return latin1(b), true
	case tagBMPString:
		if len(b)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)), true
	case tagUniversalString:
		if len(b)%4 != 0 {
			return "", false
		}
		var text strings.Builder
		for ; len(b) > 0; b = b[4:] {
			text.WriteRune(rune(binary.BigEndian.Uint32(b) & 0x7fffffff))
		}
		return text.String(), true
	}
	return "", false
}

func latin1(b []byte) string {
	var text strings.Builder
	for _, c := range b {
		text.WriteRune(rune(c))
	}
	return text.String()
}

// Empty tells whether the name has no attributes.
func (n Name) Empty() bool { return len(n.RDNs) == 0 }

// Get returns the values of all attributes of that type, broadest first.
func (n Name) Get(id oid.OID) []string {
	var values []string
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if a.Type == id && a.Text {
				values = append(values, a.Value)
			}
		}
	}
	return values
}

// Equal compares as RFC 5280 §7.1: the same bytes, or the same attributes
// after folding case, normalizing and collapsing white space.
func (n Name) Equal(o Name) bool { return n.key == o.key }

// HasPrefix tells whether n lies in the subtree of base: base's relative
// distinguished names are the first of n (RFC 5280 §4.2.1.10, directoryName).
func (n Name) HasPrefix(base Name) bool { return strings.HasPrefix(n.key, base.key) }

// foldName writes a name so that equal names have equal keys, and a name in a
// subtree begins with the subtree's key: relative names in order, the
// attributes in each sorted, everything with its length before it.
func foldName(list []RDN) string {
	var key []byte
	for _, rdn := range list {
		parts := make([]string, len(rdn))
		for i, a := range rdn {
			parts[i] = a.fold()
		}
		slices.Sort(parts)
		key = strconv.AppendInt(key, int64(len(parts)), 10)
		for _, p := range parts {
			key = append(strconv.AppendInt(append(key, ':'), int64(len(p)), 10), ':')
			key = append(key, p...)
		}
		key = append(key, ';')
	}
	return string(key)
}

func (a Attribute) fold() string {
	if !a.Text {
		return string(a.Type) + "#" + string(a.Raw)
	}
	return string(a.Type) + "=" + foldText(a.Value)
}

// foldText prepares a string for comparison (RFC 4518, as far as it decides
// anything between real names): NFKC, lower case, white space at the ends
// dropped and collapsed inside. Control characters stay and so stay different.
func foldText(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFKC.String(s))), " ")
}

// attributeNames are those of RFC 4514 §3 and what people expect beside them.
func attributeName(id oid.OID) string {
	switch id {
	case oid.CommonName:
		return "CN"
	case oid.Locality:
		return "L"
	case oid.StateOrProvince:
		return "ST"
	case oid.Organization:
		return "O"
	case oid.OrganizationalUnit:
		return "OU"
	case oid.Country:
		return "C"
	case oid.StreetAddress:
		return "STREET"
	case oid.DomainComponent:
		return "DC"
	case oid.UserID:
		return "UID"
	case oid.Surname:
		return "SN"
	case oid.GivenName:
		return "GN"
	}
	return id.Name()
}

// String returns the name for people in the form of RFC 4514: the most
// specific attribute first, "CN=Alice,O=Example,C=DE". Everything that could
// play tricks on a reader (control, bidi and invisible characters, separators
// inside values) is escaped, so that one line of visible text comes out and
// equal strings mean equal values.
func (n Name) String() string {
	if n.text == nil {
		return n.line()
	}
	n.text.once.Do(func() { n.text.line = n.line() })
	return n.text.line
}

func (n Name) line() string {
	var b strings.Builder
	for i := len(n.RDNs) - 1; i >= 0; i-- {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		for j, a := range n.RDNs[i] {
			if j > 0 {
				b.WriteByte('+')
			}
			b.WriteString(attributeName(a.Type))
			b.WriteByte('=')
			if a.Text {
				escapeValue(&b, a.Value)
			} else {
				b.WriteByte('#') // RFC 4514 §2.4
				b.WriteString(hex.EncodeToString(a.Raw))
			}
		}
	}
	return b.String()
}

// Child returns the name that has rdn below n (nameRelativeToCRLIssuer of RFC
// 5280 §4.2.1.13), to be compared and shown. It has no Raw.
func (n Name) Child(rdn RDN) Name {
	list := append(slices.Clip(n.RDNs), rdn)
	return Name{RDNs: list, key: foldName(list)}
}
