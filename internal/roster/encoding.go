package roster

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// The names of encodings, for [Options].
const (
	UTF8       = "UTF-8"
	Windows31J = "Windows-31J"
	UTF16      = "UTF-16" // what spreadsheets call Unicode text; with a byte order mark
)

var (
	utf8BOM    = []byte("\xef\xbb\xbf")
	utf16LEBOM = []byte("\xff\xfe")
	utf16BEBOM = []byte("\xfe\xff")
)

// decode turns a file into UTF-8. What is no character becomes U+FFFD, which no
// line may have.
func decode(raw []byte, name string) (text, encoding string, err error) {
	switch strings.ToLower(name) {
	case "":
	case "utf-8", "utf8":
		return strings.ToValidUTF8(string(bytes.TrimPrefix(raw, utf8BOM)), "\ufffd"), UTF8, nil
	case "windows-31j", "shift_jis", "cp932", "sjis":
		text, err = transcode(raw, japanese.ShiftJIS)
		return text, Windows31J, err
	default:
		return "", "", fmt.Errorf("roster: encoding %q is not known: UTF-8 or Windows-31J", name)
	}
	switch {
	case bytes.HasPrefix(raw, utf8BOM):
		return decode(raw, UTF8)
	case bytes.HasPrefix(raw, utf16LEBOM), bytes.HasPrefix(raw, utf16BEBOM):
		text, err = transcode(raw, unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM))
		return text, UTF16, err
	case utf8.Valid(raw):
		return string(raw), UTF8, nil
	}
	text, err = transcode(raw, japanese.ShiftJIS)
	if err != nil || strings.Contains(text, "\ufffd") {
		return decode(raw, UTF8) // neither: then the fewer lines are wrong
	}
	return text, Windows31J, nil
}

func transcode(raw []byte, e encoding.Encoding) (string, error) {
	text, err := e.NewDecoder().Bytes(raw)
	if err != nil {
		return "", fmt.Errorf("roster: decode: %w", err)
	}
	return string(text), nil
}
