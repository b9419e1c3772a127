package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mailseal/mailseal/internal/charset"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/inspect"
	"github.com/mailseal/mailseal/smime"
)

// What is read of a mail for a person.
const (
	maxReadParts = 200
	maxReadDepth = 16
)

const textHelp = "write what a person reads, in UTF-8, and no mail file; so it is on a terminal"

// writeText writes a message as a person reads it: the header fields that matter and
// the text, in UTF-8, whatever character sets they came in, with nothing in them that
// could act on a terminal. Other parts are named.
func writeText(dst io.Writer, m *smime.Message) error {
	s := newSpool()
	defer s.Close()
	if err := m.WriteContent(s); err != nil {
		return err
	}
	e, err := entity.Read(s, s.Size())
	if err != nil {
		return err
	}
	w := bufio.NewWriter(dst)
	for _, name := range []string{"From", "To", "Cc", "Date", "Subject"} {
		for _, f := range e.Header.All(name) {
			fmt.Fprintf(w, "%s: %s\n", name, inspect.Visible(charset.DecodeHeader(f.Value())))
		}
	}
	r := &reader{w: w}
	if err := r.entity(e, 0); err != nil {
		return err
	}
	return w.Flush()
}

// reader writes the texts of one message, within a limit on its parts.
type reader struct {
	w     *bufio.Writer
	parts int
}

func (r *reader) entity(e *entity.Entity, depth int) error {
	if r.parts++; r.parts > maxReadParts || depth > maxReadDepth {
		return nil
	}
	typ, err := e.Header.ContentType()
	if err != nil {
		r.note("a part that cannot be read: %v", err)
		return nil
	}
	switch {
	case typ.Type == "message/rfc822":
		inner, err := e.Message()
		if err != nil {
			return err
		}
		r.note("an attached message, %q", charset.DecodeHeader(value(inner.Header, "Subject")))
		return nil
	case typ.IsMultipart():
		return r.multipart(e, typ, depth)
	}
	if d, err := e.Header.Disposition(); err == nil && strings.HasPrefix(typ.Type, "text/") && d.Type != "attachment" {
		return r.text(e, typ)
	}
	r.note("%s %s", typ.Type, charset.DecodeHeader(typ.Parameter("name")))
	return nil
}

func value(h entity.Header, name string) string {
	v, _ := h.Only(name)
	return v
}

func (r *reader) note(format string, args ...any) {
	fmt.Fprintf(r.w, "\n[%s]\n", inspect.Visible(strings.TrimSpace(fmt.Sprintf(format, args...))))
}

// multipart reads all parts, and of alternatives the plain text, or else the last.
func (r *reader) multipart(e *entity.Entity, typ entity.MediaType, depth int) error {
	m, err := e.Multipart()
	if err != nil {
		r.note("parts that cannot be read: %v", err)
		return nil
	}
	parts := m.Parts
	if typ.Type == "multipart/alternative" && len(parts) > 0 {
		chosen := parts[len(parts)-1]
		for _, span := range parts {
			part, err := e.Part(span)
			if err != nil {
				continue
			}
			if t, err := part.Header.ContentType(); err == nil && t.Type == "text/plain" {
				chosen = span
			}
		}
		parts = []entity.Span{chosen}
	}
	for _, span := range parts {
		part, err := e.Part(span)
		if err != nil {
			r.note("a part that cannot be read: %v", err)
			continue
		}
		if err := r.entity(part, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) text(e *entity.Entity, typ entity.MediaType) error {
	enc, err := e.Header.TransferEncoding()
	if err != nil {
		r.note("a text that cannot be read: %v", err)
		return nil
	}
	src := io.Reader(e.Body())
	switch enc {
	case entity.Base64:
		src = entity.NewBase64Reader(src)
	case entity.QuotedPrintable:
		src = entity.NewQuotedPrintableReader(src)
	}
	label := typ.Parameter("charset")
	text, err := charset.Reader(label, src)
	if err != nil {
		r.note("a text in the character set %q, which is not known here", label)
		return nil
	}
	r.w.WriteByte('\n')
	in := bufio.NewReader(text)
	last := '\n'
	for {
		c, _, err := in.ReadRune()
		if err == io.EOF {
			break
		}
		if err != nil {
			r.note("the rest of the text cannot be read: %v", err)
			return nil
		}
		if c == '\r' {
			continue
		}
		if c != '\n' && c != '\t' && !unicode.IsPrint(c) && c != '\u3000' {
			fmt.Fprintf(r.w, "\\u{%x}", c)
		} else {
			r.w.WriteRune(c)
		}
		last = c
	}
	if last != '\n' {
		r.w.WriteByte('\n')
	}
	return nil
}
