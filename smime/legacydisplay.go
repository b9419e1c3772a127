package smime

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/mailseal/mailseal/internal/entity"
)

// A text that begins with a copy of the hidden fields serves people whose program does not know RFC 9788; one that does leaves the
// copy out (RFC 9788 §2.1.2).

// legacyClass marks the copy in HTML (RFC 9788 §5.2.3).
const legacyClass = "header-protection-legacy-display"

// maxLegacy is how far into a text the copy is looked for. Longer ones, which nobody writes, are shown.
const maxLegacy = 64 << 10

// legacyDisplay is the copy of the fields that the policy hides, one for each line.
func legacyDisplay(fields []entity.Field, p HeaderPolicy, decode func(string) string) string {
	var b strings.Builder
	for _, f := range fields {
		shown, _ := p.outside(f)
		if !isShown(f) || bytes.Equal(shown.Raw, f.Raw) {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\r\n", f.Name, strings.Map(dropControl, decodeWith(decode, f.Value())))
	}
	return b.String()
}

func dropControl(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// legacyPart tells which parts of a multipart are the main body, and so get the copy (RFC 9788 §5.2.4): each alternative, of all
// others the first part.
func legacyPart(typ string, index int) bool {
	switch typ {
	case "multipart/alternative":
		return true
	case "multipart/signed", "multipart/encrypted":
		return false
	}
	return index == 0
}

// isLegacy tells whether a part says that it begins with the copy (RFC 9788 §4.5.3.1).
func isLegacy(typ entity.MediaType) bool {
	return (typ.Type == "text/plain" || typ.Type == "text/html") && typ.Parameter(hpLegacy) == "1"
}

// hasLegacy tells whether any part of the main body does.
func hasLegacy(e *entity.Entity, fields []entity.Field, depth int) bool {
	typ, err := entity.Header{Fields: fields}.ContentType()
	if err != nil || depth > maxRewrite {
		return false
	}
	if !typ.IsMultipart() {
		return isLegacy(typ)
	}
	m, err := e.Multipart()
	if err != nil {
		return false
	}
	for i, span := range m.Parts {
		if !legacyPart(typ.Type, i) {
			continue
		}
		if part, err := e.Part(span); err == nil && hasLegacy(part, part.Header.Fields, depth+1) {
			return true
		}
	}
	return false
}

// canShowLegacy tells whether the copy can be put into this part: text that is no attachment, in a character set that has the
// copy's characters in UTF-8. HTML has a way to write them in ASCII.
func canShowLegacy(h entity.Header, typ entity.MediaType, text string) bool {
	d, err := h.Disposition()
	if err != nil || d.Type == "attachment" {
		return false
	}
	charset := strings.ToLower(typ.Parameter("charset"))
	ascii := strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
	switch typ.Type {
	case "text/html":
		return !strings.HasPrefix(charset, "utf-16") && !strings.HasPrefix(charset, "utf-32") && charset != "utf-7"
	case "text/plain":
		return charset == "utf-8" || ascii && (charset == "" || charset == "us-ascii" || strings.HasPrefix(charset, "iso-") || strings.HasPrefix(charset, "windows-"))
	}
	return false
}

// withLegacy is the decoded body with the copy in front (RFC 9788 §5.2.2, §5.2.3).
func withLegacy(typ string, body io.Reader, text string) (io.Reader, error) {
	if typ == "text/plain" {
		return io.MultiReader(strings.NewReader(text+"\r\n"), body), nil
	}
	head, err := readHead(body)
	if err != nil {
		return nil, err
	}
	at := bodyStart(head)
	var b strings.Builder
	fmt.Fprintf(&b, "<div class=%q>\r\n<pre>", legacyClass)
	for _, r := range html.EscapeString(strings.TrimSuffix(text, "\r\n")) {
		if r >= 0x80 {
			fmt.Fprintf(&b, "&#%d;", r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteString("</pre>\r\n</div>")
	return io.MultiReader(bytes.NewReader(head[:at]), strings.NewReader(b.String()), bytes.NewReader(head[at:]), body), nil
}

// withoutLegacy is the decoded body without the copy (RFC 9788 §4.5.3). A body in which there is none is left alone.
func withoutLegacy(typ string, body io.Reader) (io.Reader, error) {
	head, err := readHead(body)
	if err != nil {
		return nil, err
	}
	start, end := 0, 0
	if typ == "text/html" {
		start, end = legacyElement(head)
	} else {
		end = blankLine(head)
	}
	return io.MultiReader(bytes.NewReader(head[:start]), bytes.NewReader(head[end:]), body), nil
}

func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, maxLegacy)
	n, err := io.ReadFull(r, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return head[:n], err
}

// blankLine is the offset behind the first empty line; 0 if there is none.
func blankLine(text []byte) int {
	for at := 0; at < len(text); {
		i := bytes.IndexByte(text[at:], '\n')
		if i < 0 {
			return 0
		}
		if len(bytes.TrimRight(text[at:at+i], "\r")) == 0 {
			return at + i + 1
		}
		at += i + 1
	}
	return 0
}

// bodyStart is the offset behind the body's start tag; 0 if there is none.
func bodyStart(text []byte) int {
	at := bytes.Index(lowerASCII(text), []byte("<body"))
	if at < 0 {
		return 0
	}
	end := bytes.IndexByte(text[at:], '>')
	if end < 0 {
		return 0
	}
	return at + end + 1
}

// legacyElement is where the copy lies in HTML: the first element of the body, if it has the class.
func legacyElement(text []byte) (start, end int) {
	lower := lowerASCII(text)
	start = bodyStart(text)
	start += len(lower[start:]) - len(bytes.TrimLeft(lower[start:], " \t\r\n"))
	tag := lower[start:]
	if !bytes.HasPrefix(tag, []byte("<div")) {
		return 0, 0
	}
	close := bytes.IndexByte(tag, '>')
	if close < 0 || !bytes.Contains(tag[:close], []byte(legacyClass)) {
		return 0, 0
	}
	for at, depth := start+close+1, 1; depth > 0; {
		i := bytes.Index(lower[at:], []byte("div"))
		if i < 0 {
			return 0, 0
		}
		at += i
		switch {
		case bytes.HasSuffix(lower[:at], []byte("</")):
			depth--
		case bytes.HasSuffix(lower[:at], []byte("<")):
			depth++
		}
		at += len("div")
		if depth == 0 {
			i := bytes.IndexByte(lower[at:], '>')
			if i < 0 {
				return 0, 0
			}
			return start, at + i + 1
		}
	}
	return 0, 0
}

// lowerASCII keeps the length, which bytes.ToLower does not.
func lowerASCII(b []byte) []byte {
	out := bytes.Clone(b)
	for i, c := range out {
		if c >= 'A' && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return out
}
