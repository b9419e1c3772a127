// Package oid names object identifiers and algorithm identifiers as they stand
// in certificates and CMS messages, each with the document that defines it.
//
// An [OID] is its dotted decimal text: comparable, printable, usable in a
// switch and as a map key, and free of start-up work. [Read] and [Add] are the
// DER forms. The package attaches no meaning; what an algorithm does lives in
// the packages that use it.
package oid

import (
	"errors"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxLength is the largest number of content octets of an object identifier
// that is read. The longest in use are the 2.25 (UUID) arcs, below 24 octets.
const MaxLength = 128

// OID is an object identifier in dotted decimal, "2.5.29.15".
type OID string

var errMalformed = errors.New("malformed object identifier")

// Read consumes one OBJECT IDENTIFIER from s. It reports false, as cryptobyte
// does, when the encoding is not DER (X.690 §8.19).
func Read(s *cryptobyte.String, o *OID) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.OBJECT_IDENTIFIER) {
		return false
	}
	parsed, err := FromContent(content)
	if err != nil {
		return false
	}
	*o = parsed
	return true
}

// Add appends o as an OBJECT IDENTIFIER to b, and puts an error into b when o
// is not a well-formed object identifier.
func Add(b *cryptobyte.Builder, o OID) {
	var buf [3 + MaxLength]byte
	element, err := o.Append(buf[:0])
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddBytes(element)
}

// Append appends o as an OBJECT IDENTIFIER to dst.
func (o OID) Append(dst []byte) ([]byte, error) {
	at := len(dst)
	dst, err := o.appendContent(append(dst, byte(asn1.OBJECT_IDENTIFIER), 0))
	if err != nil {
		return nil, err
	}
	n := len(dst) - at - 2
	if n > 127 { // X.690 §8.1.3.5
		dst = slices.Insert(dst, at+1, 0x81)
		at++
	}
	dst[at+1] = byte(n)
	return dst, nil
}

// Parse reads an object identifier in dotted decimal, as people write it.
func Parse(text string) (OID, error) {
	content, err := OID(text).appendContent(nil)
	if err != nil {
		return "", err
	}
	return FromContent(content)
}

// FromContent decodes the content octets of an OBJECT IDENTIFIER. Arcs may be
// of any size that fits [MaxLength]: UUID arcs (X.667) have 128 bits.
func FromContent(content []byte) (OID, error) {
	if o, ok := common(content); ok {
		return o, nil
	}
	if len(content) == 0 || len(content) > MaxLength || content[len(content)-1]&0x80 != 0 {
		return "", errMalformed
	}
	var buf [64]byte
	text := buf[:0]
	for first := true; len(content) > 0; first = false {
		if content[0] == 0x80 { // X.690 §8.19.2: no leading zero septets
			return "", errMalformed
		}
		n := 0
		for content[n]&0x80 != 0 {
			n++
		}
		text = appendArc(text, content[:n+1], first)
		content = content[n+1:]
	}
	return OID(text), nil
}

// appendArc appends one decoded subidentifier. The first one packs the two top
// arcs as 40*X+Y (X.690 §8.19.4).
func appendArc(text []byte, septets []byte, first bool) []byte {
	if len(septets) <= 9 {
		var v uint64
		for _, c := range septets {
			v = v<<7 | uint64(c&0x7f)
		}
		if first {
			top := min(v/40, 2)
			text = strconv.AppendUint(text, top, 10)
			v -= top * 40
		}
		return strconv.AppendUint(append(text, '.'), v, 10)
	}
	v := new(big.Int)
	for _, c := range septets {
		v.Lsh(v, 7).Or(v, big.NewInt(int64(c&0x7f)))
	}
	if first {
		text = append(text, '2')
		v.Sub(v, big.NewInt(80))
	}
	return v.Append(append(text, '.'), 10)
}

// appendContent appends the content octets of o to out.
func (o OID) appendContent(out []byte) ([]byte, error) {
	before := len(out)
	first, rest, more := strings.Cut(string(o), ".")
	if !more {
		return nil, errors.New("object identifier \"" + string(o) + "\" has fewer than two arcs")
	}
	top, err := strconv.ParseUint(first, 10, 8)
	if err != nil || top > 2 {
		return nil, errors.New("object identifier \"" + string(o) + "\" does not begin with 0, 1 or 2")
	}
	for i := 0; more; i++ {
		// All but UUIDs are small, and a message has dozens.
		if v, n, ok := smallArc(rest); ok && (top == 2 || i > 0 || v <= 39) {
			if i == 0 {
				v += top * 40
			}
			out = appendSmall(out, v)
			if more = n < len(rest); more {
				rest = rest[n+1:]
			}
			continue
		}
		var arc string
		arc, rest, more = strings.Cut(rest, ".")
		v, ok := new(big.Int).SetString(arc, 10)
		if !ok || v.Sign() < 0 || arc != v.String() {
			return nil, errors.New("object identifier \"" + string(o) + "\" has the malformed arc \"" + arc + "\"")
		}
		if i == 0 {
			if top < 2 && v.Cmp(big.NewInt(39)) > 0 {
				return nil, errors.New("object identifier \"" + string(o) + "\" has a second arc above 39")
			}
			v.Add(v, new(big.Int).SetUint64(top*40))
		}
		out = appendSeptets(out, v)
	}
	if len(out)-before > MaxLength {
		return nil, errors.New("object identifier is longer than any in use")
	}
	return out, nil
}

func appendSeptets(out []byte, v *big.Int) []byte {
	if v.IsUint64() {
		return appendSmall(out, v.Uint64())
	}
	n := (v.BitLen() + 6) / 7
	for i := n - 1; i >= 0; i-- {
		septet := byte(new(big.Int).Rsh(v, uint(7*i)).Uint64() & 0x7f)
		if i > 0 {
			septet |= 0x80
		}
		out = append(out, septet)
	}
	return out
}

func appendSmall(out []byte, u uint64) []byte {
	for shift := (bits.Len64(u|1) - 1) / 7 * 7; shift > 0; shift -= 7 {
		out = append(out, byte(u>>shift)|0x80)
	}
	return append(out, byte(u&0x7f))
}

// smallArc reads the arc of up to 18 digits, written without leading zeros, that text
// begins with, and returns its length.
func smallArc(text string) (v uint64, n int, ok bool) {
	for n < len(text) && text[n] != '.' {
		c := text[n] - '0'
		if c > 9 || n == 18 {
			return 0, 0, false
		}
		v = v*10 + uint64(c)
		n++
	}
	return v, n, n == 1 || n > 1 && text[0] != '0'
}

// Name returns the usual short name of o ("sha256", "emailProtection"), or the
// dotted text when the package does not know it.
func (o OID) Name() string {
	if name, ok := name(o); ok {
		return name
	}
	return string(o)
}
