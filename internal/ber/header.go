// Package ber reads ASN.1 in the Basic Encoding Rules as a stream, and brings
// small elements into the Distinguished Encoding Rules (X.690).
//
// CMS is BER (RFC 5652 §3): Outlook, Apple Mail, Thunderbird and OpenSSL write
// indefinite lengths and octet strings in pieces, of any size. [Reader] walks
// such input without holding it in memory; [DER] turns one bounded element
// into definite, minimal form, which golang.org/x/crypto/cryptobyte then
// parses. The package knows tags and lengths and no meaning.
package ber

import (
	"fmt"
)

// Limits on input. Depth bounds work and memory for nested elements; the
// deepest legitimate messages, triple wrapped with certificates inside, stay
// below 20.
const (
	MaxDepth     = 64
	maxTagNumber = 1<<31 - 1
	maxHeader    = 1 + 5 + 1 + 8 // tag, high tag number, length, long length
)

// Class is the class of a tag (X.690 §8.1.2.2).
type Class byte

// The four classes.
const (
	Universal       Class = 0
	Application     Class = 1
	ContextSpecific Class = 2
	Private         Class = 3
)

// Universal tag numbers that the package and its users meet.
const (
	TagEndOfContents = 0
	TagInteger       = 2
	TagBitString     = 3
	TagOctetString   = 4
	TagOID           = 6
	TagSequence      = 16
	TagSet           = 17
)

// Indefinite is the Length of an element that ends with end-of-contents
// octets (X.690 §8.1.3.6).
const Indefinite = -1

// Header is an element's identifier and length octets.
type Header struct {
	Class       Class
	Constructed bool
	Number      int   // tag number
	Length      int64 // of the content octets, or Indefinite
	size        int   // of the header itself
	octets      [maxHeader]byte
}

// Is reports whether the tag is the given one, in either form.
func (h Header) Is(c Class, number int) bool { return h.Class == c && h.Number == number }

func (h Header) String() string {
	form := "primitive"
	if h.Constructed {
		form = "constructed"
	}
	return fmt.Sprintf("%s [%s %d]", form, [...]string{"universal", "application", "context", "private"}[h.Class], h.Number)
}

func (h Header) endOfContents() bool {
	return h.Class == Universal && h.Number == TagEndOfContents
}

// SyntaxError says what is wrong with the encoding and where.
type SyntaxError struct {
	Offset int64 // octets from the start of the input to the offending element
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("malformed BER at offset %d: %s", e.Offset, e.Msg)
}

// errShort says that more octets are needed; callers turn it into their own
// kind of unexpected end.
var errShort = fmt.Errorf("unexpected end")

// parseHeader decodes the header at the start of b. A nil-Msg result of
// errShort means that b ends inside the header.
func parseHeader(b []byte) (Header, string, error) {
	var h Header
	if len(b) == 0 {
		return h, "", errShort
	}
	h.Class, h.Constructed, h.Number = Class(b[0]>>6), b[0]&0x20 != 0, int(b[0]&0x1f)
	i := 1
	if h.Number == 0x1f { // X.690 §8.1.2.4: high tag number form
		h.Number = 0
		for {
			if i >= len(b) {
				return h, "", errShort
			}
			if i == 1 && b[i] == 0x80 {
				return h, "tag number with a leading zero", nil
			}
			if h.Number > maxTagNumber>>7 {
				return h, "tag number too large", nil
			}
			h.Number = h.Number<<7 | int(b[i]&0x7f)
			i++
			if b[i-1]&0x80 == 0 {
				break
			}
		}
		if h.Number < 0x1f {
			return h, "low tag number in high tag number form", nil
		}
	}
	if i >= len(b) {
		return h, "", errShort
	}
	first := b[i]
	i++
	switch {
	case first < 0x80:
		h.Length = int64(first)
	case first == 0x80:
		if !h.Constructed { // X.690 §8.1.3.2
			return h, "indefinite length on a primitive element", nil
		}
		h.Length = Indefinite
	case first == 0xff: // X.690 §8.1.3.5
		return h, "reserved length octet", nil
	default:
		n := int(first & 0x7f)
		if n > 8 {
			return h, "length in more than eight octets", nil
		}
		if len(b) < i+n {
			return h, "", errShort
		}
		for _, c := range b[i : i+n] {
			h.Length = h.Length<<8 | int64(c)
		}
		if h.Length < 0 {
			return h, "length of 2^63 or more", nil
		}
		i += n
	}
	if h.Class == Universal && h.Number == TagEndOfContents && (h.Constructed || i != 2 || h.Length != 0) {
		return h, "end-of-contents octets are not 00 00", nil // X.690 §8.1.5
	}
	h.size = i
	copy(h.octets[:], b[:i])
	return h, "", nil
}

// AppendHeader appends the DER header of an element with the given content
// length to dst. Length Indefinite appends the indefinite form.
func AppendHeader(dst []byte, c Class, constructed bool, number int, length int64) []byte {
	dst = appendTag(dst, c, constructed, number)
	switch {
	case length == Indefinite:
		return append(dst, 0x80)
	case length < 0x80:
		return append(dst, byte(length))
	}
	n := 1
	for l := length >> 8; l > 0; l >>= 8 {
		n++
	}
	dst = append(dst, 0x80|byte(n))
	for i := n - 1; i >= 0; i-- {
		dst = append(dst, byte(length>>(8*i)))
	}
	return dst
}

func appendTag(dst []byte, c Class, constructed bool, number int) []byte {
	id := byte(c) << 6
	if constructed {
		id |= 0x20
	}
	if number < 0x1f {
		return append(dst, id|byte(number))
	}
	dst = append(dst, id|0x1f)
	shift := 0
	for number>>(shift+7) > 0 {
		shift += 7
	}
	for ; shift > 0; shift -= 7 {
		dst = append(dst, byte(number>>shift)&0x7f|0x80)
	}
	return append(dst, byte(number)&0x7f)
}

// HeaderSize returns the number of octets that AppendHeader appends for a tag
// number below 31.
func HeaderSize(length int64) int64 {
	size := int64(2)
	if length >= 0x80 {
		for l := length; l > 0; l >>= 8 {
			size++
		}
	}
	return size
}
