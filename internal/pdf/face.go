package pdf

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// ErrFont: the text has letters that Helvetica lacks, and no font was given.
var ErrFont = errors.New("the text needs a font")

// face is what text is set in.
type face struct {
	font *Font // nil: Helvetica
	used map[uint16]rune
}

// helvetica are the widths of its letters from the space to the tilde, in
// thousandths of the em (Adobe's metrics of the 14 standard fonts).
var helvetica = [95]int{
	278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
	556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
	1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
	667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
	333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
	556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
}

// helveticaWidest is taken for letters beyond ASCII: room for all of them.
const helveticaWidest = 1000

// shown is a text as it can be drawn: a character that the font lacks is named,
// because a report that leaves something out is a false one.
func (f *face) shown(text string) (string, error) {
	text = strings.ToValidUTF8(text, "\ufffd")
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < ' ' || r == 0x7F:
			b.WriteByte(' ')
		case f.font == nil:
			if _, ok := charmap.Windows1252.EncodeRune(r); !ok {
				return "", fmt.Errorf("%w: Helvetica has no %q; install the Debian package %s, or name a TrueType font as portal.report-font", ErrFont, r, FontPackage)
			}
			b.WriteRune(r)
		case f.font.glyph(r) == 0:
			fmt.Fprintf(&b, "U+%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

// width of a character that is shown, in thousandths of the em.
func (f *face) width(r rune) int {
	switch {
	case f.font != nil:
		return f.font.width(f.font.glyph(r))
	case r < 0x7F:
		return helvetica[r-' ']
	}
	return helveticaWidest
}

// length of a text that is shown, in thousandths of the em.
func (f *face) length(text string) (n int) {
	for _, r := range text {
		n += f.width(r)
	}
	return n
}

const digits = "0123456789ABCDEF"

// code appends a text as the operand of Tj (ISO 32000-1 §9.4.3).
func (f *face) code(b []byte, text string) []byte {
	b = append(b, '<')
	for _, r := range text {
		if f.font == nil {
			c, _ := charmap.Windows1252.EncodeRune(r) // shown let no other pass
			b = append(b, digits[c>>4], digits[c&15])
			continue
		}
		glyph := f.font.glyph(r)
		if _, known := f.used[glyph]; !known {
			f.used[glyph] = r
		}
		b = append(b, digits[glyph>>12], digits[glyph>>8&15], digits[glyph>>4&15], digits[glyph&15])
	}
	return append(b, '>')
}

// wrap breaks a text into lines that fit: after a space where there is one, and
// otherwise wherever the line is full.
func (f *face) wrap(text string, room int) (lines []string) {
	for text != "" {
		n, last, wide := 0, 0, 0 // bytes that fit, and up to the last space; their width
		for i, r := range text {
			w := f.width(r)
			if wide += w; wide > room && i > 0 && r != ' ' {
				break
			}
			if n = i + len(string(r)); r == ' ' {
				last = n
			}
		}
		if n < len(text) && last > 0 {
			n = last
		}
		lines = append(lines, strings.TrimRight(text[:n], " "))
		text = text[n:]
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	return lines
}
