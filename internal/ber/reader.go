package ber

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"sync"
)

// bufferSize is how much of the stream is held at a time. Reads of content that
// are larger, as they are where content is large, go past the buffer.
const bufferSize = 4 << 10

// Reader walks one BER stream from front to back, in constant memory. After a
// failure every further call returns the same error.
//
// The caller drives: [Reader.Peek] shows the next element of the container at
// hand, and [Reader.Enter], [Reader.Element], [Reader.Octets] or
// [Reader.Skip] consumes it. Peek returns io.EOF at the container's end, where
// [Reader.Leave] steps out.
type Reader struct {
	src    *bufio.Reader
	pos    int64
	stack  []frame
	room   [8]frame // for the stack of most messages
	peeked bool     // whether header is set
	header Header   // the next element's, already consumed from src
	err    error
}

// frame is one entered container. end is the offset at which it and so
// everything inside ends, or -1 when neither it nor a container around it has
// a definite length.
type frame struct {
	end        int64
	indefinite bool
	closed     bool // end-of-contents octets consumed
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: buffers.Get().(*bufio.Reader)}
	r.src.Reset(src)
	r.stack = append(r.room[:0], frame{end: -1})
	return r
}

// buffers are those of Readers that have come to their end.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

// Offset returns how many octets have been consumed, the header of a peeked
// element included.
func (r *Reader) Offset() int64 { return r.pos }

func (r *Reader) fail(offset int64, msg string) error {
	r.err = &SyntaxError{offset, msg}
	return r.err
}

// Peek returns the header of the next element, io.EOF at the end of the
// container, or of the stream at the outermost level.
func (r *Reader) Peek() (Header, error) {
	if r.err != nil {
		return Header{}, r.err
	}
	if r.peeked {
		return r.header, nil
	}
	f := &r.stack[len(r.stack)-1]
	if f.closed || f.end == r.pos && !f.indefinite {
		return Header{}, io.EOF
	}
	h, err := r.readHeader(f)
	if err != nil {
		return Header{}, err
	}
	if h.endOfContents() {
		if !f.indefinite {
			return Header{}, r.fail(r.pos, "end-of-contents without a beginning")
		}
		f.closed = true
		return Header{}, io.EOF
	}
	r.header, r.peeked = h, true
	return h, nil
}

func (r *Reader) readHeader(f *frame) (Header, error) {
	b, err := r.src.Peek(maxHeader)
	if len(b) == 0 && errors.Is(err, io.EOF) && len(r.stack) == 1 {
		return Header{}, io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		return Header{}, err
	}
	h, msg, err := parseHeader(b)
	if err != nil {
		r.err = io.ErrUnexpectedEOF
		return Header{}, r.err
	}
	if msg != "" {
		return Header{}, r.fail(r.pos, msg)
	}
	content := r.pos + int64(h.size)
	if f.end >= 0 && (content > f.end || h.Length > f.end-content) {
		return Header{}, r.fail(r.pos, "element is longer than its container")
	}
	if h.Length > 1<<62-content {
		return Header{}, r.fail(r.pos, "element is longer than any input")
	}
	_, _ = r.src.Discard(h.size) // cannot fail: Peek has buffered it
	r.pos = content
	return h, nil
}

// Enter steps into the next element, which must be constructed.
func (r *Reader) Enter() (Header, error) {
	h, err := r.next()
	if err != nil {
		return h, err
	}
	if !h.Constructed {
		return h, r.fail(r.pos, "a constructed element is wanted here, this one is primitive")
	}
	return h, r.enter(h)
}

func (r *Reader) enter(h Header) error {
	if len(r.stack) > MaxDepth {
		return r.fail(r.pos, "elements nested too deeply")
	}
	f := frame{end: r.stack[len(r.stack)-1].end, indefinite: h.Length == Indefinite}
	if !f.indefinite {
		f.end = r.pos + h.Length
	}
	r.stack = append(r.stack, f)
	return nil
}

// next consumes the peeked header and requires one.
func (r *Reader) next() (Header, error) {
	h, err := r.Peek()
	if errors.Is(err, io.EOF) {
		err = r.fail(r.pos, "an element is missing here")
	}
	r.peeked = false
	return h, err
}

// Leave steps out of the container, which must be at its end.
func (r *Reader) Leave() error {
	if _, err := r.Peek(); err == nil {
		return r.fail(r.pos, "more elements than the structure has")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	r.stack = r.stack[:len(r.stack)-1]
	return nil
}

// End returns nil when the stream is at its end after the outermost element.
// The Reader is of no more use then.
func (r *Reader) End() error {
	if r.err != nil {
		return r.err
	}
	if _, err := r.src.Peek(1); err == nil {
		return r.fail(r.pos, "data after the end of the message")
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	r.err = errEnded
	r.src.Reset(nil)
	buffers.Put(r.src)
	r.src = nil
	return nil
}

var errEnded = errors.New("ber: read on behind the end of the message")

// Element consumes the next element and returns it whole, header included, in
// the form of [DER]. Elements above max octets are refused.
func (r *Reader) Element(max int) ([]byte, error) {
	start := r.pos
	if r.peeked {
		start -= int64(r.header.size)
	}
	raw, err := r.Raw(max)
	if err != nil {
		return nil, err
	}
	der, err := DER(raw)
	if syntax, ok := errors.AsType[*SyntaxError](err); ok {
		return nil, r.fail(start+syntax.Offset, syntax.Msg)
	}
	return der, err
}

// Raw consumes the next element and returns it whole, octet for octet as it
// came. Elements above max octets are refused. What is inside an element of
// definite length has not been looked at.
func (r *Reader) Raw(max int) ([]byte, error) {
	h, err := r.next()
	if err != nil {
		return nil, err
	}
	return r.raw(nil, h, max, 0)
}

// raw appends the element whose header h was consumed last. An indefinite
// length is followed element by element up to its end-of-contents octets.
func (r *Reader) raw(dst []byte, h Header, max, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return nil, r.fail(r.pos, "elements nested too deeply")
	}
	if h.Length > int64(max-len(dst)) {
		return nil, r.fail(r.pos, "element is larger than is sensible here")
	}
	if dst == nil && h.Length != Indefinite {
		dst = make([]byte, 0, h.size+int(min(h.Length, bufferSize)))
	}
	dst = append(dst, h.octets[:h.size]...)
	if h.Length != Indefinite {
		return r.content(dst, h.Length)
	}
	f := frame{end: r.stack[len(r.stack)-1].end}
	for {
		inner, err := r.readHeader(&f)
		if err != nil {
			if errors.Is(err, io.EOF) {
				r.err = io.ErrUnexpectedEOF
				err = r.err
			}
			return nil, err
		}
		if inner.endOfContents() {
			return append(dst, 0, 0), nil
		}
		if dst, err = r.raw(dst, inner, max, depth+1); err != nil {
			return nil, err
		}
		if len(dst) > max {
			return nil, r.fail(r.pos, "element is larger than is sensible here")
		}
	}
}

// content appends n octets. Memory follows what the stream really holds, not
// what a length claims.
func (r *Reader) content(dst []byte, n int64) ([]byte, error) {
	for n > 0 {
		step := int(min(n, bufferSize))
		old := len(dst)
		dst = slices.Grow(dst, step)[:old+step]
		got, err := io.ReadFull(r.src, dst[old:])
		r.pos += int64(got)
		if err != nil {
			r.err = unexpected(err)
			return nil, r.err
		}
		n -= int64(step)
	}
	return dst, nil
}

// Skip consumes the next element unread.
func (r *Reader) Skip() error {
	h, err := r.next()
	if err != nil {
		return err
	}
	if h.Length != Indefinite {
		n, err := io.CopyN(io.Discard, r.src, h.Length)
		r.pos += n
		if err != nil {
			r.err = unexpected(err)
		}
		return r.err
	}
	if err := r.enter(h); err != nil {
		return err
	}
	for {
		if _, err := r.Peek(); errors.Is(err, io.EOF) {
			return r.Leave()
		}
		if err := r.Skip(); err != nil {
			return err
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Octets consumes the next element as an octet string, whatever its tag, and
// returns a reader of its content: the one of a primitive element or, joined,
// those of the pieces of a constructed one (X.690 §8.7). It must be read to
// its end before the Reader is used again.
func (r *Reader) Octets() (*OctetReader, error) {
	h, err := r.next()
	if err != nil {
		return nil, err
	}
	o := &OctetReader{r: r, base: len(r.stack), left: h.Length, length: h.Length}
	if h.Constructed {
		o.left, o.length = 0, Indefinite
		if err := r.enter(h); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// OctetReader reads the content of one octet string.
type OctetReader struct {
	r      *Reader
	base   int   // depth of the container that holds the string
	left   int64 // octets left of the piece at hand
	length int64
}

// Length returns the number of content octets, or Indefinite when the string
// is in pieces.
func (o *OctetReader) Length() int64 { return o.length }

// Read implements io.Reader. io.EOF comes after the last octet of a complete
// string, io.ErrUnexpectedEOF or a *SyntaxError where it is not complete.
func (o *OctetReader) Read(p []byte) (int, error) {
	if len(p) == 0 || o.r.err != nil {
		return 0, o.r.err
	}
	for o.left == 0 {
		if err := o.nextPiece(); err != nil {
			return 0, err
		}
	}
	n, err := o.r.src.Read(p[:min(int64(len(p)), o.left)])
	o.left -= int64(n)
	o.r.pos += int64(n)
	if err != nil {
		o.r.err = unexpected(err)
		if n == 0 {
			return 0, o.r.err
		}
	}
	return n, nil
}

// nextPiece moves to the next primitive piece, up and down through
// constructed ones; io.EOF is the end of the whole string.
func (o *OctetReader) nextPiece() error {
	r := o.r
	if r.err != nil {
		return r.err
	}
	if len(r.stack) == o.base {
		return io.EOF
	}
	h, err := r.Peek()
	if errors.Is(err, io.EOF) {
		if err := r.Leave(); err != nil {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	r.peeked = false
	if !h.Is(Universal, TagOctetString) {
		return r.fail(r.pos, "piece of an octet string is "+h.String())
	}
	if h.Constructed {
		return r.enter(h)
	}
	o.left = h.Length
	return nil
}
