package entity

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

const (
	// MaxHeader is the largest header block that is read, in bytes. Real ones are below 64 KiB.
	MaxHeader = 1 << 20
	// MaxFields is the largest number of fields in a header block.
	MaxFields = 4096
)

// Header is a header block with its fields as they were written (RFC 5322 §2.2).
type Header struct {
	// Fields are in the order of the message.
	Fields []Field
	// Defects are the places where readers of mail are known to disagree about this header. An entity with a defect must not
	// be the ground of any trust.
	Defects []Defect
	// Envelope is an mbox "From " line in front of the header, which is not a part of the message; usually nil.
	Envelope []byte
}

// Field is one header field.
type Field struct {
	// Name as written, without the colon.
	Name string
	// Raw is the whole field as it stands in the message: name, colon, folding, and the line end.
	Raw []byte
}

// Defect is something in a header that readers of mail understand differently.
type Defect struct {
	Line int    // counted from 1
	What string // "a bare CR"
}

func (d Defect) String() string { return fmt.Sprintf("header line %d: %s", d.Line, d.What) }

// Value is the field's value, unfolded (RFC 5322 §2.2.3) and without white space at its ends.
func (f Field) Value() string {
	_, v, _ := bytes.Cut(f.Raw, []byte(":"))
	if end := bytes.TrimSuffix(v, []byte("\n")); len(end) < len(v) {
		v = bytes.TrimSuffix(end, []byte("\r"))
	}
	if bytes.IndexByte(v, '\n') >= 0 {
		v = unfold(v)
	}
	return string(bytes.Trim(v, " \t"))
}

// Canonical is the whole field with CRLF at every line's end, also at the last.
func (f Field) Canonical() []byte {
	if bytes.HasSuffix(f.Raw, []byte("\r\n")) && canonicalLength(f.Raw, 0) == len(f.Raw) {
		return f.Raw
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(NewCanonicalReader(bytes.NewReader(f.Raw))) // neither can fail
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// unfold takes every line break out.
func unfold(v []byte) []byte {
	out := make([]byte, 0, len(v))
	for len(v) > 0 {
		line, rest, folded := bytes.Cut(v, []byte("\n"))
		if folded {
			line = bytes.TrimSuffix(line, []byte("\r"))
		}
		out, v = append(out, line...), rest
	}
	return out
}

// Is tells whether the field has this name, which is ASCII; case is ignored, as RFC 5322 §1.2.2 wants it.
func (f Field) Is(name string) bool {
	return len(f.Name) == len(name) && strings.EqualFold(f.Name, name)
}

// IsContent tells whether the field describes the body (Content-Type and its family, RFC 2045 §9), so that it belongs to the
// entity and not to the message around it.
func (f Field) IsContent() bool {
	return len(f.Name) > len("content-") && strings.EqualFold(f.Name[:len("content-")], "content-")
}

// All returns every field of this name, in order.
func (h Header) All(name string) []Field {
	var found []Field
	for _, f := range h.Fields {
		if f.Is(name) {
			found = append(found, f)
		}
	}
	return found
}

// Only returns the value of the one field of this name, "" if there is none, and an error that wraps [ErrAmbiguous] if there are
// several.
func (h Header) Only(name string) (string, error) {
	var only Field
	n := 0
	for _, f := range h.Fields {
		if f.Is(name) {
			only = f
			n++
		}
	}
	if n > 1 {
		return "", fmt.Errorf("%w: %d %s fields", ErrAmbiguous, n, name)
	}
	return only.Value(), nil
}

// Has tells whether there is at least one field of this name.
func (h Header) Has(name string) bool {
	for _, f := range h.Fields {
		if f.Is(name) {
			return true
		}
	}
	return false
}

// readHeader returns the header at the start of s and the offset of the body.
func readHeader(src io.ReaderAt, s Span) (Header, int64, error) {
	block, err := readHeaderBlock(src, s)
	if err != nil {
		return Header{}, 0, err
	}
	p := headerParser{block: block, text: string(block)}
	if lines := bytes.Count(block, []byte("\n")); lines > 0 {
		p.header.Fields = make([]Field, 0, min(lines, 64))
	}
	n, err := p.parse()
	if err != nil {
		return Header{}, 0, err
	}
	return p.header, s.Start + int64(n), nil
}

// readHeaderBlock returns the bytes of s up to and with the first empty line, or all of s if there is none.
func readHeaderBlock(src io.ReaderAt, s Span) ([]byte, error) {
	first := headerBlocks.Get().(*[headerBlock]byte)
	defer func() {
		clear(first[:min(s.Len(), headerBlock)]) // what was in it may be secret, and is not for the next
		headerBlocks.Put(first)
	}()
	block := first[:0]
	for want := int64(headerBlock); ; want *= 4 {
		have := int64(len(block))
		block = slices.Grow(block, int(min(want, s.Len())-have))[:min(want, s.Len())]
		if _, err := readFullAt(src, block[have:], s.Start+have); err != nil {
			return nil, err
		}
		if end := headerEnd(block); end >= 0 {
			block = block[:end]
			break
		}
		if int64(len(block)) == s.Len() || notHeader(block) {
			break
		}
		if len(block) > MaxHeader {
			return nil, fmt.Errorf("%w: the header is larger than %d bytes", ErrLimit, MaxHeader)
		}
	}
	if len(block) > MaxHeader && !notHeader(block) {
		return nil, fmt.Errorf("%w: the header is larger than %d bytes", ErrLimit, MaxHeader)
	}
	return bytes.Clone(block), nil
}

// headerBlock is what most headers are shorter than; of the block, only the header itself is kept.
const headerBlock = 1 << 10

var headerBlocks = sync.Pool{New: func() any { return new([headerBlock]byte) }}

// headerEnd is the offset behind the first empty line, or -1.
func headerEnd(b []byte) int {
	if bytes.HasPrefix(b, []byte("\n")) {
		return 1
	}
	if bytes.HasPrefix(b, []byte("\r\n")) {
		return 2
	}
	crlf := bytes.Index(b, []byte("\n\r\n"))
	if crlf >= 0 {
		b = b[:crlf+1] // of a body without LF LF, all would be looked through
	}
	if lf := bytes.Index(b, []byte("\n\n")); lf >= 0 {
		return lf + 2
	}
	if crlf >= 0 {
		return crlf + 3
	}
	return -1
}

// notHeader tells whether the first line of b cannot begin a header.
func notHeader(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if len(line) == 0 || line[0] == '\r' || isEnvelope(line) {
		return false
	}
	return nameLength(line) == 0
}

type headerParser struct {
	block  []byte
	text   string // the same, of which the names are parts
	header Header
	line   int
}

// parse fills p.header and returns the length of the header with its empty line.
func (p *headerParser) parse() (int, error) {
	if notHeader(p.block) {
		return 0, nil
	}
	start := -1 // of the field under way
	for pos := 0; pos < len(p.block); {
		next := len(p.block)
		if i := bytes.IndexByte(p.block[pos:], '\n'); i >= 0 {
			next = pos + i + 1
		}
		line := trimLineEnd(p.block[pos:next])
		p.line++
		switch {
		case len(line) == 0:
			return next, p.finish(start, pos)
		case line[0] == ' ' || line[0] == '\t':
			p.checkContinuation(line, start)
		case p.line == 1 && isEnvelope(line):
			p.header.Envelope = p.block[:next]
		default:
			if err := p.finish(start, pos); err != nil {
				return 0, err
			}
			start = pos
		}
		p.checkBytes(line)
		pos = next
	}
	return len(p.block), p.finish(start, len(p.block))
}

// finish adds the field at block[start:end].
func (p *headerParser) finish(start, end int) error {
	if start < 0 {
		return nil
	}
	if len(p.header.Fields) == MaxFields {
		return fmt.Errorf("%w: the header has more than %d fields", ErrLimit, MaxFields)
	}
	raw := p.block[start:end:end]
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	name := nameLength(line)
	if name == 0 {
		p.defect(p.line-1, "not a header field")
	} else if line[name] != ':' {
		// RFC 5322 §4.5 still reads white space in front of the colon; many programs do not.
		p.defect(p.line-1, "white space before the colon")
	}
	p.header.Fields = append(p.header.Fields, Field{Name: p.text[start : start+name], Raw: raw})
	return nil
}

func (p *headerParser) checkContinuation(line []byte, start int) {
	if start < 0 {
		p.defect(p.line, "a continuation of nothing")
	}
	if len(bytes.Trim(line, " \t")) == 0 {
		// RFC 5322 §4.2 reads it as folding, others as the end of the header.
		p.defect(p.line, "a line of white space only")
	}
}

func (p *headerParser) checkBytes(line []byte) {
	cr, nul := bytes.IndexByte(line, '\r'), bytes.IndexByte(line, 0)
	switch {
	case cr >= 0 && (nul < 0 || cr < nul):
		p.defect(p.line, "a bare CR")
	case nul >= 0:
		p.defect(p.line, "a NUL")
	}
}

// defect keeps the first few: a hostile header has thousands.
func (p *headerParser) defect(line int, what string) {
	if len(p.header.Defects) < 16 {
		p.header.Defects = append(p.header.Defects, Defect{max(line, 1), what})
	}
}

// nameLength is how long the name in front of the colon is: visible ASCII (RFC 5322 §3.6.8), perhaps with white space behind it. It
// is 0 where there is none.
func nameLength(line []byte) int {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return 0
	}
	for colon > 0 && (line[colon-1] == ' ' || line[colon-1] == '\t') {
		colon--
	}
	for _, c := range line[:colon] {
		if c <= ' ' || c > '~' {
			return 0
		}
	}
	return colon
}

// isEnvelope tells whether the line is mbox's "From alice@example.com Mon Nov 23 10:00:00 2026", and not "From : ...".
func isEnvelope(line []byte) bool {
	if nameLength(line) > 0 {
		return false
	}
	return bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))
}

// trimLineEnd removes one LF or CRLF.
func trimLineEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// readFullAt fills p; a source that ends early is an error.
func readFullAt(src io.ReaderAt, p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
}
