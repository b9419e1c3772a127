package inspect

import (
	"fmt"
	"io"
	"strings"

	"github.com/mailseal/mailseal/internal/charset"
	"github.com/mailseal/mailseal/internal/entity"
)

// maxDepth is how deep multiparts, forwarded messages and CMS layers are followed.
const maxDepth = 16

// maxParts is how many parts of one message are explained in all.
const maxParts = 1000

// message explains an RFC 5322 message.
func message(src io.ReaderAt, size int64) (*Report, error) {
	e, err := entity.Read(src, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	if len(e.Header.Fields) == 0 {
		return nil, fmt.Errorf("%w: it has no header", ErrUnknown)
	}
	w := &walker{}
	r := w.entity("message", e, 0)
	return r, nil
}

// walker explains the parts of one message, within a limit on their number.
type walker struct{ parts int }

// entity explains one MIME entity: what its header says, and what is in it.
func (w *walker) entity(kind string, e *entity.Entity, depth int) *Report {
	w.parts++
	r := &Report{Kind: kind}
	for _, name := range []string{"From", "Sender", "To", "Cc", "Subject", "Date", "Message-ID"} {
		var values []string
		for _, f := range e.Header.All(name) {
			values = append(values, charset.DecodeHeader(f.Value()))
		}
		if len(values) == 1 {
			r.add(strings.ToLower(strings.ReplaceAll(name, "-", "_")), values[0])
		} else {
			r.add(strings.ToLower(strings.ReplaceAll(name, "-", "_")), values)
		}
	}
	for _, d := range e.Header.Defects {
		r.add("defect", d.String())
	}
	typ, err := e.Header.ContentType()
	if err != nil {
		r.add("type_fault", err.Error())
		return r
	}
	r.add("type", typ.Type)
	for _, p := range []string{"smime-type", "protocol", "micalg", "charset", "name"} {
		r.add(strings.ReplaceAll(p, "-", "_"), typ.Parameter(p))
	}
	r.add("body_size", e.Body().Size())
	if depth >= maxDepth || w.parts >= maxParts {
		r.add("note", "what is deeper inside is not explained")
		return r
	}
	w.inside(r, e, typ, depth)
	return r
}

// inside explains the parts of an entity and appends them.
func (w *walker) inside(r *Report, e *entity.Entity, typ entity.MediaType, depth int) {
	switch {
	case typ.IsMultipart():
		w.multipart(r, e, typ, depth)
	case typ.Type == "message/rfc822":
		inner, err := e.Message()
		if err != nil {
			r.add("fault", err.Error())
			return
		}
		r.Parts = append(r.Parts, w.entity("message", inner, depth+1))
	case isPKCS7(typ):
		w.cms(r, e, nil)
	}
}

func (w *walker) multipart(r *Report, e *entity.Entity, typ entity.MediaType, depth int) {
	m, err := e.Multipart()
	if err != nil {
		r.add("fault", err.Error())
		return
	}
	if !m.Closed {
		r.add("fault", "its end is missing: the message may have been cut off")
	}
	for i, span := range m.Parts {
		if w.parts >= maxParts {
			r.add("note", fmt.Sprintf("only %d of %d parts are explained", i, len(m.Parts)))
			return
		}
		part, err := e.Part(span)
		if err != nil {
			r.add("fault", fmt.Sprintf("part %d: %v", i+1, err))
			continue
		}
		report := w.entity("part", part, depth+1)
		if t, err := part.Header.ContentType(); err == nil && i == 1 && isSignature(t) && typ.Type == "multipart/signed" {
			// RFC 1847 §2.1: the second part signs the first.
			report.Parts = nil
			w.cms(report, part, entity.NewCanonicalReader(e.Section(m.Parts[0])))
		}
		r.Parts = append(r.Parts, report)
	}
}

// cms explains the CMS object that is the body of an entity; content is what a
// detached signature is over.
func (w *walker) cms(r *Report, e *entity.Entity, content io.Reader) {
	body, err := decoded(e)
	if err != nil {
		r.add("fault", err.Error())
		return
	}
	inner, err := cmsObject(body, content, false)
	if err != nil {
		r.add("fault", err.Error())
		return
	}
	r.Parts = append(r.Parts, inner)
}

func decoded(e *entity.Entity) (io.Reader, error) {
	enc, err := e.Header.TransferEncoding()
	switch {
	case err != nil:
		return nil, err
	case enc == entity.Base64:
		return entity.NewBase64Reader(e.Body()), nil
	case enc == entity.QuotedPrintable:
		return entity.NewQuotedPrintableReader(e.Body()), nil
	}
	return e.Body(), nil
}

// isPKCS7 knows both names of the media type (RFC 8551 §3.2 and before).
func isPKCS7(typ entity.MediaType) bool {
	return typ.Type == "application/pkcs7-mime" || typ.Type == "application/x-pkcs7-mime"
}

func isSignature(typ entity.MediaType) bool {
	return typ.Type == "application/pkcs7-signature" || typ.Type == "application/x-pkcs7-signature"
}
