package cms

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Attribute is RFC 5652 §5.3: a type and its values, each as DER.
type Attribute struct {
	Type   OID
	Values [][]byte
}

// Attributes are the signed or unsigned attributes of one signer, in the order
// of the message. Unknown ones are kept.
type Attributes []Attribute

// Values returns the values of all attributes of that type.
func (a Attributes) Values(t OID) [][]byte {
	var out [][]byte
	for _, attr := range a {
		switch {
		case attr.Type != t:
		case out == nil:
			out = slices.Clip(attr.Values)
		default:
			out = append(out, attr.Values...)
		}
	}
	return out
}

// single returns the only value of the only attribute of that type: content
// type, message digest and signing time must not be there twice (RFC 5652
// §11.1 to §11.3), nor others that decide something.
func (a Attributes) single(t OID) (value []byte, present bool, err error) {
	n := 0
	for _, attr := range a {
		if attr.Type == t {
			n++
		}
	}
	values := a.Values(t)
	switch {
	case n == 0:
		return nil, false, nil
	case n > 1 || len(values) != 1:
		return nil, true, fmt.Errorf("%w: attribute %s has %d values in %d places, one is right", ErrSignature, t.Name(), len(values), n)
	}
	return values[0], true, nil
}

// parseAttributes reads the content of a SET OF Attribute. SETs may be empty:
// Attribute demands one value at least, and real mail breaks that.
func parseAttributes(content []byte) (Attributes, bool) {
	var out Attributes
	var single [][]byte // room for the values of attributes with one
	s := cryptobyte.String(content)
	for !s.Empty() {
		var seq, values cryptobyte.String
		var attr Attribute
		if out == nil {
			out = make(Attributes, 0, 8) // as many as most signers write
		}
		if !s.ReadASN1(&seq, asn1.SEQUENCE) || !oid.Read(&seq, &attr.Type) || !seq.ReadASN1(&values, asn1.SET) || !seq.Empty() {
			return nil, false
		}
		for !values.Empty() {
			var v cryptobyte.String
			var tag asn1.Tag
			if !values.ReadAnyASN1Element(&v, &tag) {
				return nil, false
			}
			if attr.Values == nil && values.Empty() {
				if len(single) == 0 {
					single = make([][]byte, 8)
				}
				single[0] = v
				attr.Values, single = single[:1:1], single[1:]
				break
			}
			attr.Values = append(attr.Values, v)
		}
		out = append(out, attr)
	}
	return out, true
}

// der encodes a as the DER SET OF of RFC 5652 §5.4, sorted.
func (a Attributes) der() ([]byte, error) {
	elements, err := a.elements()
	if err != nil {
		return nil, err
	}
	return encodeSet(elements), nil
}

// encodeSet puts elements into a SET OF, sorted.
func encodeSet(elements [][]byte) []byte {
	return appendSet(nil, ber.Universal, ber.TagSet, elements)
}

// appendSet is encodeSet with a tag of its own.
func appendSet(dst []byte, class ber.Class, number int, elements [][]byte) []byte {
	size := sizeOf(elements)
	dst = ber.AppendHeader(slices.Grow(dst, elementSize(size)), class, true, number, int64(size))
	for _, e := range sortedSet(elements) {
		dst = append(dst, e...)
	}
	return dst
}

// elements encodes each attribute.
func (a Attributes) elements() ([][]byte, error) {
	elements := make([][]byte, 0, len(a))
	for _, attr := range a {
		e, err := attr.der()
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	return elements, nil
}

// der encodes one attribute.
func (a Attribute) der() ([]byte, error) {
	der, err := attributeHead(a.Type, sizeOf(a.Values))
	for _, v := range sortedSet(a.Values) {
		der = append(der, v...)
	}
	return der, err
}

// attributeOf encodes an attribute with one value.
func attributeOf(t OID, value []byte) ([]byte, error) {
	der, err := attributeHead(t, len(value))
	return append(der, value...), err
}

// attributeHead is what stands ahead of an attribute's values, with room for them.
func attributeHead(t OID, values int) ([]byte, error) {
	var room [32]byte
	name, err := t.Append(room[:0])
	if err != nil {
		return nil, fmt.Errorf("encode attribute %s: %w", t.Name(), err)
	}
	size := len(name) + elementSize(values)
	head := ber.AppendHeader(make([]byte, 0, elementSize(size)), ber.Universal, true, ber.TagSequence, int64(size))
	return ber.AppendHeader(append(head, name...), ber.Universal, true, ber.TagSet, int64(values)), nil
}

// sortedSet orders the encodings of a SET OF as DER wants them (X.690 §11.6).
func sortedSet(elements [][]byte) [][]byte {
	if slices.IsSortedFunc(elements, bytes.Compare) {
		return elements
	}
	out := slices.Clone(elements)
	slices.SortFunc(out, bytes.Compare)
	return out
}

// isSorted tells whether the content of a SET OF is well-formed and in the order of DER.
func isSorted(content []byte) bool {
	s := cryptobyte.String(content)
	var before, e cryptobyte.String
	var tag asn1.Tag
	for !s.Empty() {
		if !s.ReadAnyASN1Element(&e, &tag) || bytes.Compare(before, e) > 0 {
			return false
		}
		before = e
	}
	return true
}

// setElements splits the content of a SET into its elements.
func setElements(content []byte) ([][]byte, bool) {
	var out [][]byte
	s := cryptobyte.String(content)
	for !s.Empty() {
		var e cryptobyte.String
		var tag asn1.Tag
		if !s.ReadAnyASN1Element(&e, &tag) {
			return nil, false
		}
		out = append(out, e)
	}
	return out, true
}

// parseTime reads the Time of RFC 5652 §11.3 (UTCTime to 2049, GeneralizedTime
// beyond), and the UTCTime without seconds of old clients.
func parseTime(der []byte) (time.Time, bool) {
	s := cryptobyte.String(der)
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
		return time.Time{}, false
	}
	if t, ok := utcTime(content); ok && tag == asn1.UTCTime {
		return t, true
	}
	var layouts []string
	switch tag {
	case asn1.UTCTime:
		layouts = []string{"060102150405Z0700", "0601021504Z0700"}
	case asn1.GeneralizedTime:
		layouts = []string{"20060102150405Z0700", "200601021504Z0700"}
	}
	for _, layout := range layouts {
		t, err := time.Parse(layout, string(content))
		if err != nil {
			continue
		}
		if tag == asn1.UTCTime && t.Year() >= 2050 { // Go's pivot is 69, RFC 5280's is 50
			t = t.AddDate(-100, 0, 0)
		}
		return t.UTC(), true
	}
	return time.Time{}, false
}

// utcTime reads YYMMDDhhmmssZ, the one form of DER (RFC 5280 §4.1.2.5.1). Of another, or of a day that is none, it says nothing.
func utcTime(content []byte) (time.Time, bool) {
	if len(content) != len("YYMMDDhhmmssZ") || content[12] != 'Z' {
		return time.Time{}, false
	}
	var n [6]int
	for i := range n {
		tens, ones := content[2*i]-'0', content[2*i+1]-'0'
		if tens > 9 || ones > 9 {
			return time.Time{}, false
		}
		n[i] = int(tens)*10 + int(ones)
	}
	year := 2000 + n[0]
	if n[0] >= 50 {
		year -= 100
	}
	t := time.Date(year, time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	// time.Date makes a day of every number.
	return t, int(t.Month()) == n[1] && t.Day() == n[2] && t.Hour() == n[3] && t.Minute() == n[4] && t.Second() == n[5]
}

// timeDER encodes a time as RFC 5652 §11.3 has it: UTCTime from 1950 to 2049.
func timeDER(t time.Time) ([]byte, error) {
	t = t.UTC()
	tag, layout := asn1.UTCTime, "060102150405Z"
	switch year := t.Year(); {
	case year < 0 || year > 9999:
		return nil, fmt.Errorf("the year %d has no four digits", year)
	case year < 1950 || year >= 2050:
		tag, layout = asn1.GeneralizedTime, "20060102150405Z"
	}
	der := append(make([]byte, 0, 2+len(layout)), byte(tag), byte(len(layout)))
	return t.AppendFormat(der, layout), nil
}

// Capability is one SMIMECapability (RFC 8551 §2.5.2): an algorithm that the
// signer can read, in order of preference.
type Capability = AlgorithmIdentifier
