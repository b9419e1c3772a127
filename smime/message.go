package smime

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
)

// Message is an opened message.
type Message struct {
	// Verdict is what may be believed. Look at it before the content.
	Verdict Verdict
	// Learned is what the signers said about themselves, to be stored by the caller under the From address; nil unless the
	// verdict is valid, or if the signers say that they signed in the future.
	Learned *Learned

	outer     entity.Header
	content   *entity.Entity  // nil while a layer is closed
	canonical *entity.Entity  // one in which every line ends in CRLF, as its signature showed
	protected protectedHeader // of which the Subject is shown
	spools    []Spool
	signed    []cms.SignerResult // over the content itself
}

// Content is the innermost entity, header and body, as it was signed or encrypted. It is nil if there is a layer that could not be
// opened.
func (m *Message) Content() *io.SectionReader {
	if m.content == nil {
		return nil
	}
	return m.content.Raw()
}

// WriteContent writes the opened message: the header of the message as it was, with the content's own description (Content-Type
// and its family) and body. Of a protected header (RFC 9788) the Subject is taken, and the copy of hidden fields at the beginning of
// the text is left out. Fields outside that would lead an answer elsewhere than its sender wrote are left out then. No other header field of the content becomes one of the message, whoever signed it: From, To or an
// Authentication-Results from inside would pass for what a mail server wrote. Line ends become CRLF.
func (m *Message) WriteContent(dst io.Writer) error {
	if m.content == nil {
		return errors.New("smime: no content: a layer of the message is closed")
	}
	w := newBuffer(dst)
	defer giveBack(w)
	if err := writeFields(w, m.shownHeader()); err != nil {
		return err
	}
	_, _ = w.WriteString("MIME-Version: 1.0\r\n")
	inner := make([]entity.Field, 0, len(m.content.Header.Fields))
	for _, f := range m.content.Header.Fields {
		if f.IsContent() {
			// RFC 9788 §4.1: hp has no meaning outside of the layer that it was in.
			inner = append(inner, f.WithoutParameters("hp", "protected-headers"))
		}
	}
	show := writeShown
	switch {
	case m.protected.state == HeaderEncrypted:
	case m.content == m.canonical:
		show = writeBody
	default:
		show = writeUnchanged
	}
	if err := show(w, m.content, inner, 0); err != nil {
		return err
	}
	return w.Flush()
}

// shownHeader is the header outside, with the protected Subject in the place of the one there, and without what would lead answers
// elsewhere than the sender wrote: whoever answers answers the sender (RFC 9788 §4, which shows no field that is not protected).
func (m *Message) shownHeader() []entity.Field {
	fields := make([]entity.Field, 0, len(m.outer.Fields)+1)
	subject := entity.Header{Fields: m.protected.fields}.All("Subject")
	if len(subject) > 1 {
		subject = nil // as in the verdict, none is shown
	}
	promoted := m.protected.promoted()
	for _, f := range m.outer.Fields {
		switch {
		case f.IsContent(), f.Is("MIME-Version"), slices.ContainsFunc(m.protected.forged, f.Is):
		case promoted && f.Is("Subject"):
			fields, subject = append(fields, subject...), nil
		default:
			fields = append(fields, f)
		}
	}
	if promoted {
		fields = append(fields, subject...)
	}
	return fields
}

// writeBody writes an entity as it is.
func writeBody(w io.Writer, e *entity.Entity, fields []entity.Field, _ int) error {
	return writeWhole(w, fields, e.Body())
}

// writeUnchanged writes an entity as it is, but for its line ends.
func writeUnchanged(w io.Writer, e *entity.Entity, fields []entity.Field, _ int) error {
	body := io.Reader(e.Body())
	if enc, err := (entity.Header{Fields: fields}).TransferEncoding(); err != nil || enc != entity.Binary {
		body = entity.NewCanonicalReader(body)
	}
	return writeWhole(w, fields, body)
}

// writeShown leaves the copy of hidden fields out of the main body (RFC 9788 §4.5.3). What cannot be read is written as it is.
func writeShown(w io.Writer, e *entity.Entity, fields []entity.Field, depth int) error {
	h := entity.Header{Fields: fields}
	typ, err := h.ContentType()
	enc, encErr := h.TransferEncoding()
	if err != nil || encErr != nil || depth > maxRewrite {
		return writeUnchanged(w, e, fields, depth)
	}
	if typ.IsMultipart() && hasLegacy(e, fields, depth) {
		return writeParts(w, e, fields, func(i int, part *entity.Entity) error {
			if !legacyPart(typ.Type, i) {
				return writeUnchanged(w, part, part.Header.Fields, depth+1)
			}
			return writeShown(w, part, part.Header.Fields, depth+1)
		})
	}
	if !isLegacy(typ) {
		return writeUnchanged(w, e, fields, depth)
	}
	text, err := withoutLegacy(typ.Type, decodeBody(e.Body(), enc))
	if err != nil {
		return writeUnchanged(w, e, fields, depth)
	}
	fields = eachField(fields, func(f entity.Field) entity.Field { return f.WithoutParameters(hpLegacy) })
	return writeText(w, fields, text, enc)
}

// Close removes decrypted content from the spools. Content cannot be read afterwards.
func (m *Message) Close() error {
	var err error
	for _, s := range m.spools {
		err = errors.Join(err, s.Close())
	}
	m.spools, m.content, m.canonical = nil, nil, nil
	return err
}

// headerDate is the Date of the message; zero if there is none that can be read.
func headerDate(h entity.Header) time.Time {
	v, err := h.Only("Date")
	if err != nil || v == "" {
		return time.Time{}
	}
	v = stripComment(v)
	for _, layout := range []string{time.RFC1123Z, "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 -0700", time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04 -0700"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t
		}
	}
	return time.Time{}
}

// stripComment removes the comment that many programs put behind the zone: "+0900 (JST)".
func stripComment(v string) string {
	v, _, _ = strings.Cut(v, "(")
	return strings.TrimSpace(v)
}
