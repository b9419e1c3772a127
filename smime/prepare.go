package smime

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/entity"
)

// maxRewrite is how deep parts are re-encoded.
const maxRewrite = 16

// draft is a message that is about to be protected: what stays outside, and the entity that is signed or encrypted.
type draft struct {
	outer []entity.Field
	inner []entity.Field
	body  *entity.Entity
	main  *mainBody
}

// mainBody is said of the parts that are the text of a message whose header is encrypted with it.
type mainBody struct {
	// legacy is the copy of hidden fields that the text begins with; "" if nothing is hidden.
	legacy string
}

// newDraft divides the header (RFC 8551 §3.1): the fields that describe the body become the protected entity's, all others stay.
// Bcc is dropped, since everybody who receives the message would read it (RFC 5322 §3.6.3), and so is what an earlier header
// protection has left.
func newDraft(src io.ReaderAt, size int64) (*draft, error) {
	e, err := entity.Read(src, size)
	if err != nil {
		return nil, &MalformedError{"message header", err}
	}
	if len(e.Header.Defects) > 0 {
		return nil, &MalformedError{"message header", fmt.Errorf("%s: repair the message first", e.Header.Defects[0])}
	}
	const added = 4 // by what is done to most drafts
	d := &draft{body: e, outer: make([]entity.Field, 0, len(e.Header.Fields)+added), inner: make([]entity.Field, 0, added)}
	if !e.Header.Has("Content-Type") {
		s, err := entity.ExamineSection(e.Body())
		if err != nil {
			return nil, err
		}
		d.inner = append(d.inner, defaultType(s))
	}
	for _, f := range e.Header.Fields {
		switch {
		case f.IsContent():
			d.inner = append(d.inner, f.SevenBit().WithoutParameters("hp", hpLegacy))
		case f.Is("MIME-Version"), f.Is("Bcc"), f.Is("Resent-Bcc"), f.Is(hpOuter):
		default:
			d.outer = append(d.outer, f)
		}
	}
	return d, nil
}

// DateError: the message's Date and its signing time are so far apart that programs take the signature for a replayed one.
type DateError struct {
	Date, Time time.Time
}

func (e *DateError) Error() string {
	return fmt.Sprintf("smime: the message is dated %s and would be signed at %s: more than %d minutes apart, and mail programs refuse such a signature",
		e.Date.UTC().Format(time.RFC3339), e.Time.UTC().Format(time.RFC3339), int(maxSkew.Minutes()))
}

// date gives the message a Date if it has none, and holds one that it has to the signing time.
// redated, if not nil, is told of one that was replaced.
func (d *draft) date(at time.Time, redate bool, redated func(old time.Time)) error {
	if at.IsZero() {
		return nil
	}
	raw := at.AppendFormat(append(make([]byte, 0, 48), "Date: "...), time.RFC1123Z)
	now := entity.Field{Name: "Date", Raw: append(raw, "\r\n"...)}
	if !d.has("Date") {
		d.outer = append(d.outer, now)
		return nil
	}
	date := headerDate(entity.Header{Fields: d.outer})
	switch {
	case date.IsZero() && !redate, !date.IsZero() && at.Sub(date).Abs() <= maxSkew:
		return nil
	case !redate:
		return &DateError{date, at}
	}
	if redated != nil {
		redated(date)
	}
	for i, f := range d.outer {
		if f.Is("Date") {
			d.outer[i] = now
		}
	}
	return nil
}

// has tells whether the header outside has a field of this name.
func (d *draft) has(name string) bool { return entity.Header{Fields: d.outer}.Has(name) }

// writeEntity writes the entity to be protected: canonical, and safe for every relay (RFC 8551 §3.1). It is deterministic, so
// that it may be written twice.
func (d *draft) writeEntity(w io.Writer) error {
	return writeSafe(w, d.body, d.inner, d.main, 0)
}

// writeSafe writes the entity e with the header fields given. An entity that is safe already keeps every byte but its line ends,
// unless it is the main body of a message whose header is hidden.
func writeSafe(w io.Writer, e *entity.Entity, fields []entity.Field, main *mainBody, depth int) error {
	if depth > maxRewrite {
		return &MalformedError{"message", fmt.Errorf("parts nested deeper than %d", maxRewrite)}
	}
	h := entity.Header{Fields: fields}
	typ, err := h.ContentType()
	if err != nil {
		return &MalformedError{"message", err}
	}
	enc, err := h.TransferEncoding()
	if err != nil {
		return &MalformedError{"message", err}
	}
	s, err := entity.ExamineSection(e.Body())
	if err != nil {
		return err
	}
	if main != nil && depth > 0 {
		fields = eachField(fields, func(f entity.Field) entity.Field { return f.WithoutParameters(hpLegacy) })
	}
	switch {
	case isSealed(typ):
		return writeWhole(w, fields, canonical(e, s))
	case typ.IsMultipart() && (main != nil || !s.Safe() || enc == entity.Binary):
		return writeMultipart(w, e, fields, main, depth)
	case main != nil && main.legacy != "" && canShowLegacy(h, typ, main.legacy):
		return writeLegacy(w, e, fields, typ, enc, main.legacy)
	case s.Safe() && enc != entity.Binary:
		return writeWhole(w, fields, canonical(e, s))
	case typ.Type == "message/rfc822" && enc.Identity():
		return writeForwarded(w, e, fields, depth)
	case strings.HasPrefix(typ.Type, "message/") && typ.Type != "message/global" && enc.Identity():
		// RFC 2046 §5.2 and its successors: 7bit only. What is not is broken beyond our repair. RFC 6532 §3.7 allows message/global more.
		return writeWhole(w, fields, canonical(e, s))
	}
	return writeLeaf(w, e, fields, leafOf(typ, enc, s))
}

// canonical is the body of e with CRLF line ends, of which s says whether it has others: the message is not to change meanwhile.
func canonical(e *entity.Entity, s entity.Survey) io.Reader {
	if s.BareLF {
		return entity.NewCanonicalReader(e.Body())
	}
	return e.Body()
}

// eachField changes the fields that say what the body is.
func eachField(fields []entity.Field, change func(entity.Field) entity.Field) []entity.Field {
	out := make([]entity.Field, len(fields))
	for i, f := range fields {
		if f.IsContent() {
			f = change(f)
		}
		out[i] = f
	}
	return out
}

// isSealed tells whether a part carries a signature over its own bytes, which re-encoding would break.
func isSealed(typ entity.MediaType) bool { return typ.Type == "multipart/signed" }

// defaultType is said aloud, because some programs do not know what a header without it means (RFC 2045 §5.2).
func defaultType(s entity.Survey) entity.Field {
	charset := "us-ascii"
	if s.HighBit > 0 {
		charset = "utf-8"
	}
	return entity.Field{Name: "Content-Type", Raw: []byte("Content-Type: text/plain; charset=" + charset + "\r\n")}
}

func writeWhole(w io.Writer, fields []entity.Field, body io.Reader) error {
	if err := writeFields(w, fields); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	_, err := ahead.Copy(w, body)
	return err
}

// writeFields writes header fields as they are, with CRLF at every line's end.
func writeFields(w io.Writer, fields []entity.Field) error {
	for _, f := range fields {
		if _, err := w.Write(f.Canonical()); err != nil {
			return err
		}
	}
	return nil
}

// writeMultipart writes every part safely.
func writeMultipart(w io.Writer, e *entity.Entity, fields []entity.Field, main *mainBody, depth int) error {
	typ, err := entity.Header{Fields: fields}.ContentType()
	if err != nil {
		return &MalformedError{"message", err}
	}
	return writeParts(w, e, sevenBit(fields), func(i int, part *entity.Entity) error {
		partMain := main
		if !legacyPart(typ.Type, i) {
			partMain = nil
		}
		return writeSafe(w, part, sevenBitFields(part.Header.Fields), partMain, depth+1)
	})
}

// writeParts writes a multipart with each part as write does. The preamble and the epilogue are nobody's content and go.
func writeParts(w io.Writer, e *entity.Entity, fields []entity.Field, write func(i int, part *entity.Entity) error) error {
	m, err := e.Multipart()
	if err != nil {
		return &MalformedError{"message", err}
	}
	if err := writeFields(w, fields); err != nil {
		return err
	}
	for i, span := range m.Parts {
		part, err := e.Part(span)
		if err != nil {
			return &MalformedError{"message part", err}
		}
		if _, err := fmt.Fprintf(w, "\r\n--%s\r\n", m.Boundary); err != nil {
			return err
		}
		if err := write(i, part); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "\r\n--%s--\r\n", m.Boundary)
	return err
}

// writeForwarded writes an attached message safely: message/rfc822 may not be encoded as a whole (RFC 2046 §5.2.1).
func writeForwarded(w io.Writer, e *entity.Entity, fields []entity.Field, depth int) error {
	m, err := e.Message()
	if err != nil {
		return &MalformedError{"attached message", err}
	}
	if err := writeFields(w, sevenBit(fields)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	return writeSafe(w, m, sevenBitFields(m.Header.Fields), nil, depth+1)
}

func sevenBitFields(fields []entity.Field) []entity.Field {
	out := make([]entity.Field, len(fields))
	for i, f := range fields {
		out[i] = f.SevenBit()
	}
	return out
}

// leaf is how a body without parts is written.
type leaf struct {
	from, to  entity.Encoding
	canonical bool // lines, not bytes
}

// leafOf chooses the encoding. Lines stay readable where that costs little; bytes become base64.
func leafOf(typ entity.MediaType, enc entity.Encoding, s entity.Survey) leaf {
	switch {
	case enc == entity.Base64, enc == entity.QuotedPrintable:
		// Encoded already, and not safely: a trailing space, an endless line.
		return leaf{from: enc, to: enc}
	case enc == entity.Binary && !strings.HasPrefix(typ.Type, "text/"), s.Nul:
		return leaf{from: enc, to: entity.Base64}
	case s.HighBit == 0:
		return leaf{from: enc, to: entity.QuotedPrintable, canonical: true}
	case !strings.HasPrefix(typ.Type, "text/"):
		return leaf{from: enc, to: entity.Base64, canonical: typ.Type == "message/global"}
	case s.HighBit > s.Size/6:
		return leaf{from: enc, to: entity.Base64, canonical: true}
	}
	return leaf{from: enc, to: entity.QuotedPrintable, canonical: true}
}

func writeLeaf(w io.Writer, e *entity.Entity, fields []entity.Field, l leaf) error {
	if err := writeFields(w, setEncoding(fields, l.to)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	src := decodeBody(e.Body(), l.from)
	if l.canonical {
		src = entity.NewCanonicalReader(src)
	}
	dst := encodeBody(w, l.to)
	if _, err := io.Copy(dst, src); err != nil {
		return &MalformedError{"message part", fmt.Errorf("re-encode: %w", err)}
	}
	return dst.Close()
}

// writeLegacy writes a text with the copy of hidden fields in front (RFC 9788 §5.2.2).
func writeLegacy(w io.Writer, e *entity.Entity, fields []entity.Field, typ entity.MediaType, enc entity.Encoding, legacy string) error {
	text := func() (io.Reader, error) { return withLegacy(typ.Type, decodeBody(e.Body(), enc), legacy) }
	body, err := text()
	if err != nil {
		return &MalformedError{"message part", err}
	}
	s, err := entity.Examine(body)
	if err != nil {
		return &MalformedError{"message part", fmt.Errorf("re-encode: %w", err)}
	}
	if body, err = text(); err != nil {
		return &MalformedError{"message part", err}
	}
	fields = eachField(fields, func(f entity.Field) entity.Field {
		if f.Is("Content-Type") {
			return f.WithParameter(hpLegacy, "1")
		}
		return f
	})
	to := entity.SevenBit
	if !s.Safe() {
		to = leafOf(typ, to, s).to
	}
	return writeText(w, fields, body, to)
}

// writeText writes decoded text in this encoding.
func writeText(w io.Writer, fields []entity.Field, text io.Reader, enc entity.Encoding) error {
	if err := writeFields(w, setEncoding(fields, enc)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	dst := encodeBody(w, enc)
	if _, err := io.Copy(dst, entity.NewCanonicalReader(text)); err != nil {
		return &MalformedError{"message part", fmt.Errorf("re-encode: %w", err)}
	}
	return dst.Close()
}

// encodeBody applies a transfer encoding; Close ends it.
func encodeBody(w io.Writer, enc entity.Encoding) io.WriteCloser {
	switch enc {
	case entity.Base64:
		return entity.NewBase64Writer(w)
	case entity.QuotedPrintable:
		return entity.NewQuotedPrintableWriter(w)
	}
	return identity{w}
}

type identity struct{ io.Writer }

func (identity) Close() error { return nil }

// decodeBody undoes a transfer encoding.
func decodeBody(r io.Reader, enc entity.Encoding) io.Reader {
	switch enc {
	case entity.Base64:
		return entity.NewBase64Reader(r)
	case entity.QuotedPrintable:
		return entity.NewQuotedPrintableReader(r)
	}
	return r
}

// sevenBit corrects the label of an entity whose parts are safe now.
func sevenBit(fields []entity.Field) []entity.Field {
	if enc, err := (entity.Header{Fields: fields}).TransferEncoding(); err == nil && enc != entity.SevenBit {
		return setEncoding(fields, entity.SevenBit)
	}
	return fields
}

// setEncoding returns the fields with this Content-Transfer-Encoding, in the place of the old one or at the end.
func setEncoding(fields []entity.Field, enc entity.Encoding) []entity.Field {
	const name = "Content-Transfer-Encoding"
	set := entity.Field{Name: name, Raw: []byte(name + ": " + string(enc) + "\r\n")}
	out := make([]entity.Field, 0, len(fields)+1)
	found := false
	for _, f := range fields {
		if f.Is(name) {
			f, found = set, true
		}
		out = append(out, f)
	}
	if !found {
		out = append(out, set)
	}
	return out
}
