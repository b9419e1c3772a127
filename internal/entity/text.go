package entity

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxEncodedWord is the longest encoded word (RFC 2047 §2).
const maxEncodedWord = 75

// SevenBit returns the field in a form that every relay leaves alone: text beyond ASCII as encoded words (RFC 2047), in parameters
// as RFC 2231 has it, no white space at the end of a line, and no line longer than may be sent where it can be folded. What is so already keeps its bytes, and so does an address beyond
// ASCII, which has no other form (RFC 6532).
func (f Field) SevenBit() Field {
	if isSevenBit(f.Raw) {
		return f.withoutTrailingSpace().folded()
	}
	_, value, _ := strings.Cut(string(f.Raw), ":")
	value = strings.TrimRight(value, " \t\r\n")
	switch {
	case f.Is("Content-Type"), f.Is("Content-Disposition"):
		value = encodeParameters(value, f.Is("Content-Type"))
	case isStructured(f.Name):
		value = encodePhrases(value)
	default:
		value = " " + encodeWords(strings.TrimSpace(f.Value()), len(f.Name)+2)
	}
	return Field{Name: f.Name, Raw: []byte(f.Name + ":" + value + "\r\n")}.withoutTrailingSpace().folded()
}

// isStructured tells whether encoded words may stand only in the phrases and comments of the field (RFC 2047 §5). All others are
// taken as unstructured, as RFC 5322 §3.6.8 has it for fields that it does not know.
func isStructured(name string) bool {
	for _, known := range []string{
		"From", "Sender", "Reply-To", "To", "Cc", "Followup-To", "Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Reply-To",
		"Mail-Followup-To", "Mail-Reply-To", "Disposition-Notification-To", "Errors-To", "Keywords",
	} {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

func isSevenBit(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

func (f Field) withoutTrailingSpace() Field {
	if !trailingSpace(f.Raw) {
		return f
	}
	lines := strings.SplitAfter(string(f.Raw), "\n")
	for i, line := range lines {
		text := strings.TrimRight(line, "\r\n")
		if trimmed := strings.TrimRight(text, " \t"); trimmed != "" {
			lines[i] = trimmed + line[len(text):]
		}
	}
	f.Raw = []byte(strings.Join(lines, ""))
	return f
}

// trailingSpace tells whether white space stands in front of a line end.
func trailingSpace(b []byte) bool {
	for i := bytes.IndexByte(b, '\n'); i >= 0; i = bytes.IndexByte(b, '\n') {
		line := bytes.TrimSuffix(b[:i], carriageReturn)
		if bytes.HasSuffix(line, []byte(" ")) || bytes.HasSuffix(line, []byte("\t")) {
			return true
		}
		b = b[i+1:]
	}
	return false
}

// folded breaks lines that are too long to be sent, in front of white space (RFC 5322 §2.2.3).
func (f Field) folded() Field {
	if len(f.Raw) <= MaxLine {
		return f
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(string(f.Raw), "\n") {
		for len(strings.TrimRight(line, "\r\n")) > MaxLine {
			at := strings.LastIndexAny(line[:MaxLine+1], " \t")
			if text := strings.TrimRight(line[:max(at, 0)], " \t"); strings.Trim(text, " \t") == "" || strings.HasSuffix(text, ":") {
				break
			}
			b.WriteString(strings.TrimRight(line[:at], " \t") + "\r\n")
			line = line[at:]
		}
		b.WriteString(line)
	}
	f.Raw = []byte(b.String())
	return f
}

// encodeWords writes text as encoded words in base64, folded; column is where it begins. Bytes that are no UTF-8 keep their values,
// in the character set that says that nobody knows it (RFC 1428 §3).
func encodeWords(text string, column int) string {
	charset := "utf-8"
	if !utf8.ValidString(text) {
		charset = "unknown-8bit"
	}
	var b strings.Builder
	room := func(column int) int {
		return max((min(maxEncodedWord, 76-column)-len("=?"+charset+"?B??="))/4*3, utf8.UTFMax)
	}
	for i, n := 0, room(column); text != ""; i++ {
		if i > 0 {
			b.WriteString("\r\n ")
			n = room(1)
		}
		// RFC 2047 §5: no character is divided between two words.
		end := min(n, len(text))
		for charset == "utf-8" && end < len(text) && !utf8.RuneStart(text[end]) {
			end--
		}
		fmt.Fprintf(&b, "=?%s?B?%s?=", charset, base64.StdEncoding.EncodeToString([]byte(text[:end])))
		text = text[end:]
	}
	return b.String()
}

// encodePhrases encodes the display names and comments of an address list, and leaves everything else as it is.
func encodePhrases(value string) string {
	var b strings.Builder
	s := &scanner{s: value}
	for !s.eof() {
		start := s.i
		switch c := s.peek(); {
		case c == '(':
			if s.comment() != nil {
				b.WriteString(s.s[start:])
				return b.String()
			}
			text := s.s[start+1 : s.i-1]
			if !isSevenBit([]byte(text)) {
				text = encodeWords(unescape(text), lastLine(b.String())+1)
			}
			b.WriteString("(" + text + ")")
		case c == '<':
			s.run(func(c byte) bool { return c != '>' })
			b.WriteString(s.s[start:s.i])
		case c == '"' || isAtom(c):
			b.WriteString(s.phrase(lastLine(b.String())))
		case c == '@':
			b.WriteString(s.domain())
		default:
			s.i++
			b.WriteByte(c)
		}
	}
	return b.String()
}

// phrase reads words with the white space between them. It is one text, so that it becomes one row of encoded words; if an at sign
// follows, it is a local part.
func (s *scanner) phrase(column int) string {
	start, end := s.i, s.i
	var text strings.Builder
	for !s.eof() {
		gap := s.run(func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' })
		if c := s.peek(); c == '"' {
			word, err := s.quoted()
			if err != nil {
				s.i = len(s.s)
				return s.s[start:]
			}
			text.WriteString(strings.Trim(gap, "\r\n") + word)
		} else if word := s.run(func(c byte) bool { return isAtom(c) || c == '.' }); word != "" {
			text.WriteString(strings.Trim(gap, "\r\n") + word)
		} else {
			s.i -= len(gap)
			break
		}
		end = s.i
	}
	written := s.s[start:end]
	if s.peek() == '@' {
		written += s.domain()
		return written
	}
	if isSevenBit([]byte(written)) {
		return written
	}
	return encodeWords(text.String(), column)
}

// domain reads what follows a local part, where no encoded word may stand (RFC 2047 §5).
func (s *scanner) domain() string {
	return s.run(func(c byte) bool { return c == '@' || isAtom(c) || c == '.' })
}

// lastLine is the length of the line under way.
func lastLine(s string) int { return len(s) - 1 - strings.LastIndexByte(s, '\n') }

func unescape(comment string) string {
	var b strings.Builder
	for i := 0; i < len(comment); i++ {
		if comment[i] == '\\' && i+1 < len(comment) {
			i++
		}
		b.WriteByte(comment[i])
	}
	return b.String()
}

// encodeParameters writes every parameter with a value beyond ASCII as RFC 2231 §4 has it, in lines that fit a screen. Where that
// makes more parameters than are read, the lines are as long as may be sent. Comments beyond ASCII, which nobody is shown, go.
func encodeParameters(value string, slash bool) string {
	s := &scanner{s: value}
	typ := s.passType(slash)
	if begin := value[:s.i]; typ == "" || isSevenBit([]byte(begin)) {
		typ = begin
	} else {
		typ = " " + typ
	}
	out, n := parametersWithin(s.rest(), 0)
	if n > MaxParameters {
		out, _ = parametersWithin(s.rest(), MaxLine)
	}
	return typ + out
}

// parametersWithin returns how many parameters it wrote, too.
func parametersWithin(value string, line int) (out string, n int) {
	s := &scanner{s: value}
	for !s.eof() {
		start := s.i
		name, v, ok := s.passParameter()
		if !ok {
			return out + value[start:], n
		}
		written, sections := value[start:s.i], min(len(name), 1)
		if !isSevenBit([]byte(written)) {
			v = string(unfold([]byte(v)))
			_, suffix, divided := strings.Cut(name, "*")
			switch {
			case name == "": // a comment, perhaps with the semicolon in front of it
				written = ""
			case isSevenBit([]byte(v)):
				written = ";\r\n\t" + name + "=" + ParameterValue(v)
			case divided:
				written = encodeSection(name, suffix, v)
			default:
				written, sections = encodeParameter(name, v, line-len("\t*000*=;")-len(name))
			}
		}
		out, n = out+written, n+sections
	}
	return out, n
}

// encodeSection writes a section that was sent in 8 bits, or a value of which a part is encoded already, with the same value.
func encodeSection(name, suffix, value string) string {
	if strings.HasSuffix(suffix, "*") || suffix == "" {
		return ";\r\n\t" + name + "=" + percent(value, "*")
	}
	if suffix == "0" {
		return ";\r\n\t" + name + "*=" + charsetOf(value) + "''" + percent(value, "*'%")
	}
	return ";\r\n\t" + name + "*=" + percent(value, "*'%")
}

func charsetOf(value string) string {
	if utf8.ValidString(value) {
		return "utf-8"
	}
	return "unknown-8bit" // RFC 1428 §3
}

// percent encodes what is no token, and the characters of special (RFC 2231 §7).
func percent(value, special string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if c := value[i]; c < 0x80 && (isToken(c) || c == '\'' || c == '%') && !strings.ContainsRune(special, rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// encodeParameter divides a long value into numbered sections (RFC 2231 §4.1) of up to that width, or 60 if that is more.
func encodeParameter(name, value string, width int) (written string, n int) {
	var sections []string
	line := charsetOf(value) + "''"
	for i := range len(value) {
		c := percent(value[i:i+1], "*'%")
		if len(line)+len(c) > max(width, 60) {
			sections, line = append(sections, line), ""
		}
		line += c
	}
	sections = append(sections, line)
	if len(sections) == 1 {
		return ";\r\n\t" + name + "*=" + line, 1
	}
	var b strings.Builder
	for i, text := range sections {
		fmt.Fprintf(&b, ";\r\n\t%s*%d*=%s", name, i, text)
	}
	return b.String(), len(sections)
}
