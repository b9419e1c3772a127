package mailbox

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// parseLocal reads Dot-string or Quoted-string and returns its value.
func parseLocal(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		if err := checkRunes(s); err != nil {
			return "", err
		}
		if !isDotString(s) {
			return "", syntax("local part needs quotes: it has a special character, or a dot at an end or beside another dot")
		}
		return s, nil
	}
	if len(s) < 3 || !strings.HasSuffix(s, `"`) {
		return "", syntax("quoted local part without end or content")
	}
	value := s[1 : len(s)-1]
	if err := checkRunes(value); err != nil {
		return "", err
	}
	return value, nil
}

// checkRunes refuses every character that must not stand in a local part,
// quoted or not.
func checkRunes(s string) error {
	if !utf8.ValidString(s) {
		return syntax("local part is not UTF-8")
	}
	for i, r := range s {
		if r < utf8.RuneSelf {
			if err := checkASCII(byte(r), i); err != nil {
				return err
			}
		} else if !isVisible(r) {
			return syntax("invisible or ambiguous character %U at octet %d", r, i+1)
		}
	}
	return nil
}

func checkASCII(c byte, i int) error {
	switch {
	case c <= ' ' || c == 0x7f:
		return syntax("white space or control character %#02x at octet %d", c, i+1)
	case c == '"' || c == '\\':
		return syntax("quote or backslash inside the local part at octet %d", i+1)
	case c == '%' || c == '!':
		// Mail servers still take user%host and host!user as routes
		// (RFC 5321 §F.2, §F.3).
		return syntax("%q at octet %d: route addresses are not taken", c, i+1)
	case strings.IndexByte("(),:;<>[]", c) >= 0:
		// Legal in quotes only, and there read by some as a comment, a
		// group, a list or a route.
		return syntax("special character %q at octet %d", c, i+1)
	}
	return nil
}

// isVisible tells whether a non-ASCII character may stand in a local part: it
// has ink, belongs to no reordering or joining machinery, and is no second
// spelling of an ASCII sign.
func isVisible(r rune) bool {
	switch {
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S):
		return false // Cc, Cf (bidi, zero width), Zs, Zl, Zp, Co, Cs, unassigned
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false // Hangul fillers, grapheme joiner, variation selectors
	case r == 0x2800: // braille pattern blank
		return false
	case r >= 0xff01 && r <= 0xff5e, r >= 0xfe50 && r <= 0xfe6f, r == 0x2024:
		return false // full width and small forms, one dot leader: NFKC makes @ . % of them
	case r == utf8.RuneError:
		return false
	}
	return true
}

// isDotString tells whether s is atoms joined by single dots, so that it needs
// no quotes. UTF-8 counts as atext (RFC 6531 §3.3).
func isDotString(s string) bool {
	atom := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if !atom {
				return false
			}
			atom = false
		case isAtext(c):
			atom = true
		default:
			return false
		}
	}
	return atom
}

func isAtext(c byte) bool {
	return c >= utf8.RuneSelf || isAlnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowerASCII is not strings.ToLower, which turns the Kelvin sign into a k.
func lowerASCII(s string) string {
	i := strings.IndexFunc(s, func(r rune) bool { return r >= 'A' && r <= 'Z' })
	if i < 0 {
		return s
	}
	b := []byte(s)
	for ; i < len(b); i++ {
		if c := b[i]; c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
