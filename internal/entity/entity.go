// Package entity reads and writes MIME entities (RFC 5322, RFC 2045, RFC 2046) byte for byte.
//
// A signature covers the bytes that were sent, so nothing here is ever re-encoded behind the caller's back: header fields keep
// their folding, order and spelling; a body part is a range of offsets in the file that holds the message. The source is an
// [io.ReaderAt], so a message of any size is read in a small, fixed amount of memory.
//
// # Where to start
//
// [Read] finds the header and the body of an entity. [Header.ContentType], [Header.TransferEncoding] and [Header.Addresses]
// give meaning to the fields that S/MIME depends on. [Entity.Multipart] finds the parts. [NewCanonicalReader], [NewBase64Reader]
// and [NewQuotedPrintableReader] are streams over a body, [NewBase64Writer] and [NewQuotedPrintableWriter] their mirrors.
//
// # Ambiguity
//
// Mail programs disagree about broken mail, and attackers live in that gap. Where two careful readers could see two different
// messages (a field given twice, a bare CR, a parameter given twice), the reader here does not choose: it says so, in
// [Header.Defects] or by an error that wraps [ErrAmbiguous]. Callers must not build trust on such an entity.
//
// # What it does not do
//
// Character sets of bodies, header protection, and any judgement about signatures.
package entity

import (
	"errors"
	"io"
	"sync"
)

var (
	// ErrAmbiguous is wrapped by every error about a structure that two readers could take in two ways.
	ErrAmbiguous = errors.New("entity: ambiguous")
	// ErrLimit is wrapped by every error about an entity that is beyond one of the limits of this package.
	ErrLimit = errors.New("entity: beyond a limit")
)

// Entity is a header and a body (RFC 2045 §2.4), by their places in the source.
type Entity struct {
	Header Header

	src              io.ReaderAt
	start, body, end int64

	once  sync.Once
	about about
}

// about is what the header says about the body.
type about struct {
	typ         MediaType
	typErr      error
	encoding    Encoding
	encodingErr error
}

// describe reads the header once: it is asked for several times on the way of a message.
func (e *Entity) describe() *about {
	e.once.Do(func() {
		a := &e.about
		a.typ, a.typErr = e.Header.ContentType()
		a.encoding, a.encodingErr = e.Header.TransferEncoding()
	})
	return &e.about
}

// ContentType is [Header.ContentType] of an entity whose header is no longer changed.
func (e *Entity) ContentType() (MediaType, error) { return e.describe().typ, e.describe().typErr }

// TransferEncoding is [Header.TransferEncoding] of an entity whose header is no longer changed.
func (e *Entity) TransferEncoding() (Encoding, error) {
	return e.describe().encoding, e.describe().encodingErr
}

// Read reads the header of the entity that is the first size bytes of src. Only the header is read.
//
// Content whose first line cannot be a header field has no header at all: all of it is body. Some programs sign or encrypt bare
// text in this way, and the body then is text/plain (RFC 2045 §5.2).
func Read(src io.ReaderAt, size int64) (*Entity, error) {
	return readSpan(src, Span{0, size})
}

func readSpan(src io.ReaderAt, s Span) (*Entity, error) {
	h, body, err := readHeader(src, s)
	if err != nil {
		return nil, err
	}
	return &Entity{Header: h, src: src, start: s.Start, body: body, end: s.End}, nil
}

// Raw is the whole entity, header and body, as it stands in the source.
func (e *Entity) Raw() *io.SectionReader { return io.NewSectionReader(e.src, e.start, e.end-e.start) }

// Body is what follows the empty line after the header.
func (e *Entity) Body() *io.SectionReader { return io.NewSectionReader(e.src, e.body, e.end-e.body) }

// Section is any range of the source that holds the entity, for the spans of a [Multipart].
func (e *Entity) Section(s Span) *io.SectionReader {
	return io.NewSectionReader(e.src, s.Start, s.End-s.Start)
}

// Part reads the header of one of the spans that [Entity.Multipart] found.
func (e *Entity) Part(s Span) (*Entity, error) { return readSpan(e.src, s) }

// Message reads the body as an entity of its own, which is what a body of type message/rfc822 is (RFC 2046 §5.2.1).
func (e *Entity) Message() (*Entity, error) { return readSpan(e.src, Span{e.body, e.end}) }

// Span is a range of offsets in a source: Start included, End excluded.
type Span struct{ Start, End int64 }

// Len is the number of bytes in the span.
func (s Span) Len() int64 { return s.End - s.Start }
