package entity

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/mailseal/mailseal/internal/ahead"
)

// CanonicalReader gives text in canonical form: every line ends in CRLF (RFC 8551 §3.1.1). A CR that is no part of a CRLF stays
// as it is, as it does in OpenSSL and NSS.
type CanonicalReader struct {
	src     io.Reader
	buf     []byte
	in      []byte // read and not yet given on
	err     error
	last    byte // the byte given before in[0]
	blocks  int  // read so far
	changed bool
}

// NewCanonicalReader reads from src in large blocks.
func NewCanonicalReader(src io.Reader) *CanonicalReader { return &CanonicalReader{src: src} }

// Changed tells whether any line end had to be changed so far.
func (c *CanonicalReader) Changed() bool { return c.changed }

// Read implements [io.Reader].
func (c *CanonicalReader) Read(p []byte) (int, error) {
	n := 0
	for n == 0 && len(p) > 0 {
		if len(c.in) == 0 {
			if c.err != nil {
				c.release()
				return 0, c.err
			}
			c.fill()
			continue
		}
		n = c.convert(p)
	}
	return n, nil
}

// canonicalBlock holds what most messages have; longer ones get a larger one.
const canonicalBlock = 8 << 10

var canonicalBlocks = sync.Pool{New: func() any { return new([canonicalBlock]byte) }}

// giveBack takes a block. What was in it may be secret, and is not for the next.
func giveBack(block *[canonicalBlock]byte) {
	clear(block[:])
	canonicalBlocks.Put(block)
}

// release gives the block back when all of it was given on.
func (c *CanonicalReader) release() {
	if len(c.buf) == canonicalBlock {
		giveBack((*[canonicalBlock]byte)(c.buf))
	}
	c.buf = nil
}

func (c *CanonicalReader) fill() {
	switch {
	case c.buf == nil:
		c.buf = canonicalBlocks.Get().(*[canonicalBlock]byte)[:]
	case c.blocks == 8:
		c.release()
		c.buf = make([]byte, 64<<10)
	}
	c.blocks++
	n, err := c.src.Read(c.buf)
	c.in, c.err = c.buf[:n], err
}

// canonicalLength is how much of b, behind a byte, is in canonical form: up to a bare LF, or all of it.
func canonicalLength(b []byte, last byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		at += i
		if at > 0 {
			last = b[at-1]
		}
		if last != '\r' {
			return at
		}
		at++
	}
}

// convert copies from c.in to p until either is used up.
func (c *CanonicalReader) convert(p []byte) int {
	n := 0
	for n < len(p) && len(c.in) > 0 {
		if good := canonicalLength(c.in[:min(len(c.in), len(p)-n)], c.last); good > 0 {
			n += c.give(p[n:], c.in[:good])
			continue
		}
		// A bare LF.
		if len(p)-n < 2 {
			// It is the last byte that fits: its CR goes now, the LF next time.
			p[n], c.last, c.changed = '\r', '\r', true
			return n + 1
		}
		p[n], p[n+1] = '\r', '\n'
		n, c.in, c.last, c.changed = n+2, c.in[1:], '\n', true
	}
	return n
}

func (c *CanonicalReader) give(p, b []byte) int {
	n := copy(p, b)
	if n > 0 {
		c.last = b[n-1]
		c.in = c.in[n:]
	}
	return n
}

// NewBareReader gives text with every CRLF as a bare LF, as it may have stood in a file before it became mail. Other CRs stay.
func NewBareReader(src io.Reader) io.Reader {
	return &bareReader{src: bufio.NewReaderSize(src, 64<<10)}
}

type bareReader struct {
	src  *bufio.Reader
	line []byte // or as much of it as the buffer holds; not yet given on
	err  error
}

func (b *bareReader) Read(p []byte) (int, error) {
	for len(b.line) == 0 && len(p) > 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.line, b.err = b.src.ReadSlice('\n')
		if bytes.HasSuffix(b.line, []byte("\r\n")) {
			b.line = append(b.line[:len(b.line)-2], '\n')
		}
		if errors.Is(b.err, bufio.ErrBufferFull) {
			b.err = nil
			if n := len(b.line) - 1; b.line[n] == '\r' { // its LF may come next
				b.line, b.err = b.line[:n], b.src.UnreadByte()
			}
		}
	}
	n := copy(p, b.line)
	b.line = b.line[n:]
	return n, nil
}

// Survey is what the bytes of a body mean for its way through the mail (RFC 8551 §3.1.3, RFC 5322 §2.1.1).
type Survey struct {
	Size          int64
	HighBit       int64 // bytes above 127
	Nul           bool
	BareCR        bool
	BareLF        bool
	LongLine      bool // above 998 bytes
	TrailingSpace bool // white space at the end of a line, which relays remove
	FromLine      bool // a line that begins with "From ", which mailboxes quote
}

// MaxLine is the longest line that may be sent, without its CRLF (RFC 5322 §2.1.1).
const MaxLine = 998

// Safe tells whether the text, with CRLF line ends, passes every relay unchanged.
func (s Survey) Safe() bool {
	return s.HighBit == 0 && !s.Nul && !s.BareCR && !s.LongLine && !s.TrailingSpace && !s.FromLine
}

// Examine reads r to its end.
func Examine(r io.Reader) (Survey, error) {
	var e examiner
	first := canonicalBlocks.Get().(*[canonicalBlock]byte)
	defer giveBack(first)
	buf := first[:]
	for {
		if e.Size >= 64<<10 && len(buf) < 64<<10 {
			buf = make([]byte, 64<<10)
		}
		n, err := r.Read(buf)
		e.write(buf[:n])
		if err == io.EOF {
			if e.length > 0 {
				e.line(e.length, e.head, e.last, false)
			}
			e.BareCR = e.crs > e.crlfs
			return e.Survey, nil
		}
		if err != nil {
			return Survey{}, err
		}
	}
}

// ExamineSection is Examine of a section. Of a long one, two cores take a half each.
func ExamineSection(r *io.SectionReader) (Survey, error) {
	middle, err := lineBehind(r, r.Size()/2)
	if err != nil || middle == 0 {
		return Examine(r)
	}
	halves := []*io.SectionReader{io.NewSectionReader(r, 0, middle), io.NewSectionReader(r, middle, r.Size()-middle)}
	var surveys [2]Survey
	var failures [2]error
	ahead.Parallel(2, func(i int) { surveys[i], failures[i] = Examine(halves[i]) })
	if err := errors.Join(failures[:]...); err != nil {
		return Survey{}, err
	}
	return surveys[0].with(surveys[1]), nil
}

// lineBehind is where a line begins behind at, or 0 for a section that is not long or has none near.
func lineBehind(r *io.SectionReader, at int64) (int64, error) {
	if r.Size() < 16*ahead.Alone {
		return 0, nil
	}
	var near [4 << 10]byte
	if _, err := r.ReadAt(near[:], at); err != nil {
		return 0, err
	}
	if i := bytes.IndexByte(near[:], '\n'); i >= 0 {
		return at + int64(i) + 1, nil
	}
	return 0, nil
}

// with is the survey of the text that t is of, behind that of s, which ends with a line.
func (s Survey) with(t Survey) Survey {
	return Survey{
		Size: s.Size + t.Size, HighBit: s.HighBit + t.HighBit, Nul: s.Nul || t.Nul, BareCR: s.BareCR || t.BareCR, BareLF: s.BareLF || t.BareLF,
		LongLine: s.LongLine || t.LongLine, TrailingSpace: s.TrailingSpace || t.TrailingSpace, FromLine: s.FromLine || t.FromLine,
	}
}

// examiner keeps what it must know of the line under way.
type examiner struct {
	Survey
	crs, crlfs int64
	length     int
	head       [5]byte
	last       [2]byte // the last two bytes of the line
}

func (e *examiner) write(b []byte) {
	e.Size += int64(len(b))
	e.crs += int64(bytes.Count(b, carriageReturn))
	e.octets(b)
	for {
		i := bytes.IndexByte(b, '\n')
		switch {
		case i < 0:
			e.begin(b)
			return
		case e.length == 0 && i >= len(e.head): // nearly every line
			e.line(i, [5]byte(b[:5]), [2]byte(b[i-2:i]), true)
		default:
			e.begin(b[:i])
			e.line(e.length, e.head, e.last, true)
			e.length, e.last = 0, [2]byte{}
		}
		b = b[i+1:]
	}
}

var carriageReturn = []byte{'\r'}

// octets looks for those that are not plain.
func (e *examiner) octets(b []byte) {
	for len(b) > 0 {
		b = skipPlain(b)
		n := min(len(b), 8)
		for _, c := range b[:n] {
			if c >= 0x80 {
				e.HighBit++
			} else if c == 0 {
				e.Nul = true
			}
		}
		b = b[n:]
	}
}

// skipPlain returns b from a group of eight on that has a zero or a byte above 127, or what is left behind the last group.
func skipPlain(b []byte) []byte {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// A byte of v-ones has its high bit set if the byte was zero, or borrowed because a lower one was.
	for ; len(b) >= 32; b = b[32:] {
		v, w := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		x, y := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		if (v|(v-ones)|w|(w-ones)|x|(x-ones)|y|(y-ones))&highs != 0 {
			break
		}
	}
	for ; len(b) >= 8; b = b[8:] {
		if v := binary.LittleEndian.Uint64(b); (v|(v-ones))&highs != 0 {
			break
		}
	}
	return b
}

// begin keeps a piece of a line without its LF.
func (e *examiner) begin(b []byte) {
	if e.length < len(e.head) {
		copy(e.head[e.length:], b)
	}
	switch e.length += len(b); len(b) {
	case 0:
	case 1:
		e.last = [2]byte{e.last[1], b[0]}
	default:
		e.last = [2]byte(b[len(b)-2:])
	}
}

// line takes a line of length bytes, the first and last ones given, which an LF ends or nothing.
func (e *examiner) line(length int, head [5]byte, last [2]byte, lf bool) {
	end := last[1]
	if lf && length > 0 && end == '\r' {
		e.crlfs++
		length, end = length-1, last[0]
	} else if lf {
		e.BareLF = true
	}
	if length > 0 && (end == ' ' || end == '\t') {
		e.TrailingSpace = true
	}
	if length > MaxLine {
		e.LongLine = true
	}
	if length >= 5 && string(head[:]) == "From " {
		e.FromLine = true
	}
}
