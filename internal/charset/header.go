package charset

import (
	"encoding/base64"
	"io"
	"regexp"
	"strings"
	"sync"
)

// encodedWord is RFC 2047 §2, with the language of RFC 2231 §5 and with text that should not be there and often is: spaces in Q.
var encodedWord = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`=\?([^?*\s]{1,64})(?:\*[^?\s]{0,16})?\?([bBqQ])\?([^?]*)\?=`)
})

// DecodeHeader turns the unfolded value of a header field into text: encoded words are decoded, and so is text in no known character
// set that stands there as it is. Words of one encoding that follow each other are joined before they are decoded, because programs
// divide characters between them, although they must not (RFC 2047 §5). What cannot be decoded stays as it is.
func DecodeHeader(value string) string {
	var b strings.Builder
	var run words
	at := 0
	for _, m := range encodedWord().FindAllStringSubmatchIndex(value, -1) {
		between := value[at:m[0]]
		label, encoding, text := strings.ToLower(value[m[2]:m[3]]), value[m[4]:m[5]], value[m[6]:m[7]]
		raw, ok := decodeWord(encoding, text)
		if !ok {
			continue
		}
		// RFC 2047 §6.2: white space between two words is no part of the text.
		adjacent := run.label != "" && strings.Trim(between, " \t\r\n") == ""
		if !adjacent || run.label != label {
			b.WriteString(run.end())
		}
		if !adjacent {
			b.WriteString(bare(between))
		}
		run.add(label, raw, value[m[0]:m[1]])
		at = m[1]
	}
	b.WriteString(run.end())
	b.WriteString(bare(value[at:]))
	return b.String()
}

// words are encoded words in a row, in one character set.
type words struct {
	label        string
	raw, written strings.Builder
}

func (w *words) add(label string, raw []byte, written string) {
	w.label = label
	w.raw.Write(raw)
	w.written.WriteString(written)
}

// end decodes the row and begins anew.
func (w *words) end() string {
	if w.label == "" {
		return ""
	}
	text, ok := decode(w.label, w.raw.String())
	if !ok {
		text = w.written.String()
	}
	*w = words{}
	return text
}

// bare decodes text that stands in a header as it is.
func bare(text string) string {
	if text == "" {
		return ""
	}
	if decoded, ok := decode("", text); ok {
		return decoded
	}
	return text
}

func decode(label, raw string) (string, bool) {
	r, err := Reader(label, strings.NewReader(raw))
	if err != nil {
		return "", false
	}
	text, err := io.ReadAll(r)
	return string(text), err == nil
}

func decodeWord(encoding, text string) ([]byte, bool) {
	if strings.EqualFold(encoding, "q") {
		return decodeQ(text)
	}
	text = strings.NewReplacer(" ", "", "\t", "").Replace(text)
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return raw, err == nil
}

// decodeQ is RFC 2047 §4.2.
func decodeQ(text string) ([]byte, bool) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '_':
			out = append(out, ' ')
		case '=':
			if i+2 >= len(text) || hexDigit(text[i+1]) < 0 || hexDigit(text[i+2]) < 0 {
				return nil, false
			}
			out = append(out, byte(hexDigit(text[i+1])<<4|hexDigit(text[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out, true
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }
