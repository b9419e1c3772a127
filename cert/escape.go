package cert

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapeValue writes an attribute value as RFC 4514 §2.4 does: a backslash
// before its special characters, and the octets of characters without a shape
// of their own as backslash and two hex digits.
func escapeValue(b *strings.Builder, value string) {
	for i, r := range value {
		last := i+utf8.RuneLen(r) == len(value)
		switch {
		case r == utf8.RuneError || !isVisible(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(b, `\%02X`, c)
			}
		case strings.ContainsRune(`"+,;<>\=`, r), r == '#' && i == 0, r == ' ' && (i == 0 || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
}

// isVisible tells whether a reader sees the character where it stands. Of
// white space only the plain and the ideographic space pass.
func isVisible(r rune) bool {
	switch {
	case r == ' ' || r == 0x3000:
		return true
	case r == 0x2800: // braille pattern blank
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}
