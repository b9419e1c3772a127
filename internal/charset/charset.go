// Package charset turns text in the character sets of the world's mail into UTF-8, for people to read: bodies, and header fields with
// encoded words (RFC 2047). Nothing that is signed, matched or trusted passes through it.
//
// Labels are those of IANA and of the WHATWG's list, which knows how mail programs really use them: Shift_JIS with the signs that
// only Windows has, ISO-8859-1 as windows-1252.
package charset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/transform"
)

// ErrUnknown: there is no such character set here.
var ErrUnknown = errors.New("charset: not known")

// aliases are labels of Japanese mail that the lists lack.
var aliases = map[string]encoding.Encoding{
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "windows-932": japanese.ShiftJIS, "x-ms-cp932": japanese.ShiftJIS, "sjis": japanese.ShiftJIS,
	"iso-2022-jp-ms": japanese.ISO2022JP, "iso-2022-jp-1": japanese.ISO2022JP, "iso-2022-jp-2": japanese.ISO2022JP, "iso-2022-jp-3": japanese.ISO2022JP,
	"cp50220": japanese.ISO2022JP, "cp50221": japanese.ISO2022JP, "cp50222": japanese.ISO2022JP, "jis": japanese.ISO2022JP,
	"eucjp": japanese.EUCJP, "euc_jp": japanese.EUCJP, "eucjp-ms": japanese.EUCJP, "cp51932": japanese.EUCJP, "ujis": japanese.EUCJP,
}

// Reader decodes src from the character set with this label. Without a label, and for ASCII, it looks at the text: see [Guess].
// An error is [ErrUnknown].
func Reader(label string, src io.Reader) (io.Reader, error) {
	label = strings.ToLower(strings.TrimSpace(label))
	switch label {
	case "", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "8bit":
		return &guessing{src: src}, nil
	}
	e, err := find(label)
	if err != nil {
		return nil, err
	}
	return transform.NewReader(src, e.NewDecoder()), nil
}

func find(label string) (encoding.Encoding, error) {
	if e, ok := aliases[label]; ok {
		return e, nil
	}
	// "replacement" is the WHATWG's name for what a browser must not read at all.
	if e, err := htmlindex.Get(label); err == nil && !isReplacement(e) {
		return e, nil
	}
	if e, err := ianaindex.MIME.Encoding(label); err == nil && e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknown, label)
}

func isReplacement(e encoding.Encoding) bool {
	name, err := htmlindex.Name(e)
	return err != nil || name == "replacement"
}

// maxGuess is how much of an unlabelled text is looked at.
const maxGuess = 64 << 10

// guessing decodes a text that does not say what it is.
type guessing struct {
	src io.Reader
	out io.Reader
}

func (g *guessing) Read(p []byte) (int, error) {
	if g.out == nil {
		head := make([]byte, maxGuess)
		n, err := io.ReadFull(g.src, head)
		rest := g.src
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			rest = broken{err} // after what could be read
		}
		head = head[:n]
		g.out = transform.NewReader(io.MultiReader(bytes.NewReader(head), rest), Guess(head).NewDecoder())
	}
	return g.out.Read(p)
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// Guess names the encoding of a text that has no label, as Japanese mail of the nineties has none: ISO-2022-JP by its escape sequences,
// UTF-8 if it is that, then the one of Shift_JIS and EUC-JP in which it makes sense, then windows-1252, which is never wrong.
func Guess(text []byte) encoding.Encoding {
	if bytes.Contains(text, []byte("\x1b$")) || bytes.Contains(text, []byte("\x1b(")) {
		return japanese.ISO2022JP
	}
	if validUTF8(text) {
		return encoding.Nop
	}
	// Half-width katakana are rare in mail and nearly all that EUC-JP looks like in Shift_JIS.
	euc, sjis := japaneseScore(text, japanese.EUCJP), japaneseScore(text, japanese.ShiftJIS)
	switch {
	case euc > 0 && euc >= sjis:
		return japanese.EUCJP
	case sjis > 0:
		return japanese.ShiftJIS
	}
	e, err := htmlindex.Get("windows-1252")
	if err != nil {
		return encoding.Nop
	}
	return e
}

// validUTF8 forgives a last character that is cut off where the text was.
func validUTF8(text []byte) bool {
	for cut := 1; cut < utf8.UTFMax && len(text) == maxGuess; cut++ {
		if utf8.Valid(text[:len(text)-cut]) {
			return true
		}
	}
	return utf8.Valid(text)
}

// japaneseScore counts kana and kanji; -1 if the text cannot be in this encoding.
func japaneseScore(text []byte, e encoding.Encoding) int {
	decoded, err := e.NewDecoder().Bytes(text)
	if err != nil {
		return -1
	}
	n := 0
	for i, r := range string(decoded) {
		switch {
		case r == utf8.RuneError && i < len(decoded)-2*utf8.UTFMax:
			return -1
		case r >= 0x3040 && r <= 0x30ff:
			n += 3
		case r >= 0x4e00 && r <= 0x9fff, r >= 0x3000 && r <= 0x303f, r >= 0xff01 && r <= 0xff5e:
			n++
		case r >= 0xff61 && r <= 0xff9f:
			n--
		}
	}
	return n
}
