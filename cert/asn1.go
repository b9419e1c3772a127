package cert

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func contextTag(n uint8) asn1.Tag     { return asn1.Tag(n).ContextSpecific() }
func constructedTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

func malformed(what string) error { return errors.New("malformed " + what) }

// within names the part of the structure in which err arose.
func within(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// readSequence opens a SEQUENCE that fills all of der.
func readSequence(der []byte, what string) (cryptobyte.String, error) {
	input := cryptobyte.String(der)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, malformed(what)
	}
	if !input.Empty() {
		return nil, errors.New("data after " + what)
	}
	return seq, nil
}

// integer reads the content octets of an INTEGER, two's complement, without
// asking for the minimal form.
func integer(content []byte) *big.Int {
	n := new(big.Int).SetBytes(content)
	if len(content) > 0 && content[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(content))))
	}
	return n
}

// readInteger takes an INTEGER of any sign and length up to the element's.
func readInteger(s *cryptobyte.String, n **big.Int) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.INTEGER) || len(content) == 0 {
		return false
	}
	*n = integer(content)
	return true
}

// maxSkip stands for every larger count of certificates: no path is as long.
const maxSkip = 1 << 20

// skipCerts decodes content octets of an INTEGER (0..MAX).
func skipCerts(content []byte) (int, bool) {
	if len(content) == 0 || content[0]&0x80 != 0 {
		return 0, false
	}
	n := integer(content)
	if !n.IsInt64() || n.Int64() > maxSkip {
		return maxSkip, true
	}
	return int(n.Int64()), true
}

// readBoolean takes BER's true, which is every octet but zero (X.690 §8.2).
func readBoolean(s *cryptobyte.String, tag asn1.Tag, v *bool) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, tag) || len(content) != 1 {
		return false
	}
	*v = content[0] != 0
	return true
}

// readBits takes a BIT STRING and returns its octets and whether the last one
// has unused bits. It does not ask for DER's zero padding.
func readBits(s *cryptobyte.String, tag asn1.Tag) (bits []byte, unused int, ok bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, tag) || len(content) == 0 {
		return nil, 0, false
	}
	unused = int(content[0])
	if unused > 7 || unused > 0 && len(content) == 1 {
		return nil, 0, false
	}
	return content[1:], unused, true
}

// readSignature takes the BIT STRING of a signature. One that is not made of
// octets was damaged; it comes back empty, so that no key has made it, and the
// rest can be read and judged.
func readSignature(s *cryptobyte.String) ([]byte, bool) {
	bits, unused, ok := readBits(s, asn1.BIT_STRING)
	if unused != 0 {
		bits = nil
	}
	return bits, ok
}

// readOctetBits takes a BIT STRING that holds octets: a key or a signature.
func readOctetBits(s *cryptobyte.String) ([]byte, bool) {
	bits, unused, ok := readBits(s, asn1.BIT_STRING)
	return bits, ok && unused == 0
}

// flags decodes named bits, first bit first, into the low bits of a word.
func flags(bits []byte) (v uint16) {
	for i := 0; i < 16 && i < 8*len(bits); i++ {
		if bits[i/8]&(0x80>>(i%8)) != 0 {
			v |= 1 << i
		}
	}
	return v
}

// readTime takes Time of RFC 5280 §4.1.2.5.
func readTime(s *cryptobyte.String, t *time.Time) bool {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	var layouts []string
	switch tag {
	case asn1.UTCTime:
		layouts = utcLayouts
	case asn1.GeneralizedTime:
		layouts = generalizedLayouts
	default:
		return false
	}
	if len(content) > 32 {
		return false
	}
	for _, layout := range layouts {
		parsed, err := time.Parse(layout, string(content))
		if err != nil {
			continue
		}
		// RFC 5280 §4.1.2.5.1: YY >= 50 is 19YY. Go turns at 69.
		if tag == asn1.UTCTime && parsed.Year() >= 2050 {
			parsed = parsed.AddDate(-100, 0, 0)
		}
		*t = parsed.UTC()
		return true
	}
	return false
}

// readGeneralizedTime takes Time that may not be UTCTime.
func readGeneralizedTime(s *cryptobyte.String, t *time.Time) bool {
	return s.PeekASN1Tag(asn1.GeneralizedTime) && readTime(s, t)
}

// The forms of DER first, then what old certificates have: no seconds, a zone
// (X.680 §46, §47). Go's parser takes a fraction after the seconds by itself.
var (
	utcLayouts         = []string{"060102150405Z", "0601021504Z", "060102150405-0700", "0601021504-0700"}
	generalizedLayouts = []string{"20060102150405Z", "200601021504Z", "20060102150405-0700", "200601021504-0700"}
)
