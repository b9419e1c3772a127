package entity

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

const (
	// MaxBoundary is the longest boundary that is read. RFC 2046 §5.1.1 allows 70 characters.
	MaxBoundary = 200
	// MaxParts is the largest number of parts of one multipart.
	MaxParts = 10_000
	// maxPadding is the most white space that may follow a boundary on its line.
	maxPadding = 256
	// scanBuffer is how much of the body is searched at once.
	scanBuffer = 128 << 10
)

// Multipart is the places of the parts of a multipart body (RFC 2046 §5.1). The line break in front of a delimiter belongs to
// the delimiter and is in no span.
type Multipart struct {
	Boundary string
	// Preamble and Epilogue are the bytes in front of the first delimiter and behind the last. No mail program shows them.
	Preamble, Epilogue Span
	Parts              []Span
	// Closed is false when the close delimiter is missing: the message may have been cut off.
	Closed bool
	// Reopened is true when a delimiter follows the close delimiter. Readers disagree about what comes then.
	Reopened bool
	// Lookalikes counts the lines that begin with the delimiter and go on with something else. RFC 2046 §5.1.1 can be read as
	// making them delimiters; mail programs, and this package, take them as text.
	Lookalikes int
}

// Multipart finds the parts of the entity. Delimiters of an outer multipart have already bounded this one, as RFC 2046 §5.1.2
// asks, because e ends where its own part ends.
func (e *Entity) Multipart() (*Multipart, error) {
	return e.multipart(func(m *multipartScan) error { return m.scan(m.body) })
}

// MultipartAtEnds is what Multipart finds if all delimiters are in the first and last 128 KiB of the body, as they are around one
// long part. Whether they are, only Multipart can tell, which reads the body to its end.
func (e *Entity) MultipartAtEnds() (*Multipart, error) {
	return e.multipart(func(m *multipartScan) error {
		middle := Span{m.body.Start + scanBuffer, m.body.End - scanBuffer}
		if middle.Len() <= 0 {
			return m.scan(m.body)
		}
		if err := m.scan(Span{m.body.Start, middle.Start}); err != nil {
			return err
		}
		return m.scan(Span{middle.End, m.body.End})
	})
}

func (e *Entity) multipart(scan func(*multipartScan) error) (*Multipart, error) {
	ct, err := e.ContentType()
	if err != nil {
		return nil, err
	}
	if !ct.IsMultipart() {
		return nil, fmt.Errorf("%s is not a multipart", ct.Type)
	}
	enc, err := e.TransferEncoding()
	if err != nil {
		return nil, err
	}
	if !enc.Identity() {
		// RFC 2045 §6.4 forbids it, and readers that decode it see other parts than those that do not.
		return nil, fmt.Errorf("%w: a multipart with Content-Transfer-Encoding %s", ErrAmbiguous, enc)
	}
	boundary := ct.Parameter("boundary")
	if err := checkBoundary(boundary); err != nil {
		return nil, err
	}
	const few = 2 // as a signed message has
	m := &multipartScan{Multipart: Multipart{Boundary: boundary, Parts: make([]Span, 0, few)}, src: e.src, body: Span{e.body, e.end}, delimiter: []byte("--" + boundary)}
	if err := scan(m); err != nil {
		return nil, fmt.Errorf("scan multipart: %w", err)
	}
	m.end()
	return &m.Multipart, nil
}

func checkBoundary(b string) error {
	switch {
	case b == "":
		return fmt.Errorf("%w: a multipart without a boundary", ErrAmbiguous)
	case len(b) > MaxBoundary:
		return fmt.Errorf("%w: a boundary longer than %d characters", ErrLimit, MaxBoundary)
	case b[len(b)-1] == ' ':
		return fmt.Errorf("%w: a boundary that ends in a space", ErrAmbiguous)
	}
	for _, c := range []byte(b) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("%w: a boundary with the byte %#02x", ErrAmbiguous, c)
		}
	}
	return nil
}

type multipartScan struct {
	Multipart
	src       io.ReaderAt
	body      Span
	delimiter []byte
	start     int64 // of the part under way
	seen      bool  // a first delimiter
	small     [maxPadding + 4]byte
}

var scanBuffers = sync.Pool{New: func() any { return new([scanBuffer]byte) }}

// scan searches a span of the body for the delimiter with bytes.Index, a large block at a time.
func (m *multipartScan) scan(s Span) error {
	pooled := scanBuffers.Get().(*[scanBuffer]byte)
	defer scanBuffers.Put(pooled)
	buf := pooled[:]
	for pos := s.Start; s.End-pos >= int64(len(m.delimiter)); {
		block := buf[:min(int64(len(buf)), s.End-pos)]
		if _, err := readFullAt(m.src, block, pos); err != nil {
			return err
		}
		at := 0
		for {
			i := bytes.Index(block[at:], m.delimiter)
			if i < 0 {
				break
			}
			if i += at; i > 0 && block[i-1] != '\n' {
				// Inside of a line: not worth a look at the source, of which a hostile body would ask for a million.
				at = i + len(m.delimiter)
				continue
			}
			next, err := m.candidate(pos + int64(i))
			if err != nil {
				return err
			}
			at = int(min(next-pos, int64(len(block))))
		}
		// The delimiter may straddle two blocks.
		pos += int64(max(at, len(block)-len(m.delimiter)+1))
	}
	return nil
}

// candidate looks at the line with the delimiter's text at off and returns where to search on.
func (m *multipartScan) candidate(off int64) (int64, error) {
	after := off + int64(len(m.delimiter))
	before, err := m.lineBreakBefore(off)
	if err != nil || before < 0 {
		return after, err
	}
	tail := m.small[:min(int64(len(m.small)), m.body.End-after)]
	if _, err := readFullAt(m.src, tail, after); err != nil {
		return 0, err
	}
	length, closing, ok := delimiterTail(tail, after+int64(len(tail)) == m.body.End)
	if !ok {
		if m.Lookalikes++; m.Lookalikes > MaxParts {
			return 0, fmt.Errorf("%w: more than %d lines that look like a delimiter", ErrLimit, MaxParts)
		}
		return after, nil
	}
	return after + int64(length), m.delimit(before, after+int64(length), closing)
}

// lineBreakBefore returns where the line break in front of off begins, off itself at the start of the body, or -1 when off is
// not at the start of a line.
func (m *multipartScan) lineBreakBefore(off int64) (int64, error) {
	if off == m.body.Start {
		return off, nil
	}
	from := max(off-2, m.body.Start)
	got := m.small[:off-from]
	if _, err := readFullAt(m.src, got, from); err != nil {
		return 0, err
	}
	switch {
	case bytes.Equal(got, []byte("\r\n")):
		return off - 2, nil
	case got[len(got)-1] == '\n':
		return off - 1, nil
	}
	return -1, nil
}

// delimiterTail looks at what follows the boundary: perhaps "--", then white space, then the end of the line or of the body.
func delimiterTail(tail []byte, last bool) (length int, closing, ok bool) {
	rest := tail
	if bytes.HasPrefix(rest, []byte("--")) {
		rest, closing = rest[2:], true
	}
	rest = bytes.TrimLeft(rest, " \t")
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		rest = rest[2:]
	case bytes.HasPrefix(rest, []byte("\n")):
		rest = rest[1:]
	case len(rest) == 0 && last:
	default:
		return 0, false, false
	}
	return len(tail) - len(rest), closing, true
}

// delimit ends the part under way at before and begins the next one at after.
func (m *multipartScan) delimit(before, after int64, closing bool) error {
	if m.Closed {
		m.Reopened = true
		return nil
	}
	if !m.seen {
		m.seen = true
		m.Preamble = Span{m.body.Start, before}
	} else {
		if len(m.Parts) == MaxParts {
			return fmt.Errorf("%w: more than %d parts", ErrLimit, MaxParts)
		}
		// An empty part has no line break of its own in front of the delimiter.
		m.Parts = append(m.Parts, Span{m.start, max(m.start, before)})
	}
	m.start = after
	if closing {
		m.Closed = true
		m.Epilogue = Span{after, m.body.End}
	}
	return nil
}

// end finishes a body without a close delimiter.
func (m *multipartScan) end() {
	switch {
	case !m.seen:
		m.Preamble = m.body
	case !m.Closed:
		m.Parts = append(m.Parts, Span{m.start, m.body.End})
	}
	if !m.Closed {
		m.Epilogue = Span{m.body.End, m.body.End}
	}
}

// IsBlank tells whether r holds nothing but white space and line ends. It reads no further than the first other byte.
func IsBlank(r io.Reader) (bool, error) {
	buf := make([]byte, 512)
	for {
		n, err := r.Read(buf)
		if len(bytes.Trim(buf[:n], " \t\r\n")) > 0 {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}
