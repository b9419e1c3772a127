package smime

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/mailseal/mailseal/internal/entity"
)

// Message is an opened message.
type Message struct {
	// Verdict is what may be believed. Look at it before the content.
	Verdict Verdict
	// Learned is what the signers said about themselves, to be stored by the caller under the From address; nil unless the
	// verdict is valid, or if the signers say that they signed in the future.
	Learned *Learned

	outer   entity.Header
	content *entity.Entity // nil while a layer is closed
	spools  []Spool
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
// and its family) and body. No other header field of the content becomes one of the message, whoever signed it: From, To or an
// Authentication-Results from inside would pass for what a mail server wrote. Line ends become CRLF.
func (m *Message) WriteContent(dst io.Writer) error {
	if m.content == nil {
		return errors.New("smime: no content: a layer of the message is closed")
	}
	w := bufio.NewWriterSize(dst, 64<<10)
	d := &draft{}
	for _, f := range m.outer.Fields {
		if !f.IsContent() && !f.Is("MIME-Version") {
			d.outer = append(d.outer, f)
		}
	}
	for _, f := range m.content.Header.Fields {
		if f.IsContent() {
			d.inner = append(d.inner, f)
		}
	}
	if err := writeFields(w, append(d.outer, entity.Field{Raw: []byte("MIME-Version: 1.0\r\n")})); err != nil {
		return err
	}
	body := io.Reader(m.content.Body())
	if enc, err := m.content.Header.TransferEncoding(); err != nil || enc != entity.Binary {
		body = entity.NewCanonicalReader(body)
	}
	if err := writeWhole(w, d.inner, body); err != nil {
		return err
	}
	return w.Flush()
}

// Close removes decrypted content from the spools. Content cannot be read afterwards.
func (m *Message) Close() error {
	var err error
	for _, s := range m.spools {
		err = errors.Join(err, s.Close())
	}
	m.spools, m.content = nil, nil
	return err
}

// headerDate is the Date of the message; zero if there is none that can be read.
func headerDate(h entity.Header) time.Time {
	v, err := h.Only("Date")
	if err != nil {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC1123Z, "2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 -0700", time.RFC1123, "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04 -0700"} {
		if t, err := time.Parse(layout, stripComment(v)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// stripComment removes the comment that many programs put behind the zone: "+0900 (JST)".
func stripComment(v string) string {
	b, _, _ := bytes.Cut([]byte(v), []byte("("))
	return string(bytes.TrimSpace(b))
}
