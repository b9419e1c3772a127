package entity

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Base64 in 76 columns: 57 bytes make a line (RFC 2045 §6.8).
const (
	base64Line  = 76
	base64Bytes = 57
	// base64Lines is how many lines are written at once: most signatures.
	base64Lines = 64
)

type base64Writer struct {
	dst  io.Writer
	in   []byte // below one line
	out  []byte
	line [base64Bytes]byte
	text *base64Text // holds out; nil before the first octet and once given back
}

// base64Text is what is written at once.
type base64Text [base64Lines * (base64Line + 2)]byte

var base64Texts = sync.Pool{New: func() any { return new(base64Text) }}

// NewBase64Writer writes base64 in lines of 76 characters that end in CRLF. Close ends the last line; it does not close dst.
func NewBase64Writer(dst io.Writer) io.WriteCloser {
	w := &base64Writer{dst: dst}
	w.in = w.line[:0]
	return w
}

func (w *base64Writer) Write(p []byte) (int, error) {
	total := len(p)
	if len(w.in) > 0 {
		n := copy(w.line[len(w.in):], p)
		w.in, p = w.line[:len(w.in)+n], p[n:]
		if len(w.in) < base64Bytes {
			return total, nil
		}
		if err := w.encode(w.in); err != nil {
			return 0, err
		}
		w.in = w.line[:0]
	}
	for ; len(p) >= base64Bytes; p = p[base64Bytes:] {
		if err := w.wholeLine((*[base64Bytes]byte)(p)); err != nil {
			return 0, err
		}
	}
	w.in = w.line[:copy(w.line[:], p)]
	return total, nil
}

// base64Pairs are the two digits of every twelve bits, as they lie in memory when stored with the low byte first. With them a line
// takes half the time that encoding/base64 takes.
var base64Pairs = func() (t [1 << 12]uint16) {
	for i := range t {
		t[i] = uint16(base64Digits[i>>6]) | uint16(base64Digits[i&63])<<8
	}
	return t
}()

// wholeLine encodes six bytes at a time, and three at the end.
func (w *base64Writer) wholeLine(line *[base64Bytes]byte) error {
	w.room()
	at := len(w.out)
	w.out = w.out[:at+base64Line+2]
	out := (*[base64Line + 2]byte)(w.out[at:])
	in, to := line[:], out[:]
	for len(in) >= 8 && len(to) >= 8 {
		v := binary.BigEndian.Uint64(in)
		binary.LittleEndian.PutUint64(to, uint64(base64Pairs[v>>52])|uint64(base64Pairs[v>>40&0xfff])<<16|
			uint64(base64Pairs[v>>28&0xfff])<<32|uint64(base64Pairs[v>>16&0xfff])<<48)
		in, to = in[6:], to[8:]
	}
	base64.StdEncoding.Encode(to, in)
	out[base64Line], out[base64Line+1] = '\r', '\n'
	return w.flushFull()
}

func (w *base64Writer) encode(line []byte) error {
	w.room()
	w.out = base64.StdEncoding.AppendEncode(w.out, line)
	w.out = append(w.out, '\r', '\n')
	return w.flushFull()
}

func (w *base64Writer) room() {
	if w.text == nil {
		w.text = base64Texts.Get().(*base64Text)
		w.out = w.text[:0]
	}
}

func (w *base64Writer) flushFull() error {
	if len(w.out) < base64Lines*(base64Line+2) {
		return nil
	}
	return w.flush()
}

func (w *base64Writer) flush() error {
	_, err := w.dst.Write(w.out)
	w.out = w.out[:0]
	return err
}

func (w *base64Writer) Close() error {
	if len(w.in) > 0 {
		if err := w.encode(w.in); err != nil {
			return err
		}
		w.in = w.line[:0]
	}
	err := w.flush()
	if w.text != nil { // what was in it may be secret, and is not for the next
		clear(w.text[:])
		base64Texts.Put(w.text)
		w.text, w.out = nil, nil
	}
	return err
}

type base64Reader struct {
	src    io.Reader
	first  *base64Blocks // nil once given back
	raw    []byte        // for reading
	text   []byte        // of a group that is not whole yet, and of lines that are not plain
	out    []byte        // decoded, not yet given on
	outBuf []byte
	offset int64 // of raw in the source, for errors
	padded bool
	err    error
}

// The reader begins small, because most signatures are, and goes on in blocks.
const (
	base64First = 4 << 10
	base64Block = 64 << 10
)

// NewBase64Reader decodes base64 (RFC 2045 §6.8).
//
// White space may stand anywhere and lines may have any length, also ones that cut a group of four in two; the padding at the
// very end may be missing. Everything else that is not base64 is an error, padding before the end included: skipping it, as
// RFC 2045 would allow, would let two readers see two contents.
func NewBase64Reader(src io.Reader) io.Reader { return &base64Reader{src: src} }

func (r *base64Reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && len(p) > 0 {
		if r.err != nil {
			r.release()
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

func (r *base64Reader) fill() {
	r.grow()
	n, err := r.src.Read(r.raw)
	r.out = r.outBuf[:0]
	for b := r.raw[:n]; len(b) > 0; {
		if b = r.plain(b); len(b) == 0 {
			break
		}
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line = b[:i+1]
		}
		if bad := r.oddLine(line, int64(n-len(b))); bad != nil {
			// What was read in front of the fault is given first, the fault after it.
			r.err = bad
			return
		}
		b = b[len(line):]
	}
	r.offset += int64(n)
	if errors.Is(err, io.EOF) && len(r.text) > 0 {
		err = r.finish()
	}
	r.err = err
}

// base64Blocks are those for reading and decoding of the first blocks.
type base64Blocks struct {
	raw [base64First]byte
	out [(base64First + 8) / 4 * 3]byte
}

var base64Pool = sync.Pool{New: func() any { return new(base64Blocks) }}

func (r *base64Reader) grow() {
	switch {
	case r.raw == nil:
		r.first = base64Pool.Get().(*base64Blocks)
		r.raw, r.outBuf = r.first.raw[:], r.first.out[:0]
	case r.first != nil && r.offset >= 4*base64First:
		r.release()
		r.raw = make([]byte, base64Block)
		r.outBuf = make([]byte, 0, base64.StdEncoding.DecodedLen(base64Block+8))
	}
}

// release gives the first blocks back when all of them was given on.
func (r *base64Reader) release() {
	if r.first != nil {
		*r.first = base64Blocks{} // what was in them may be secret, and is not for the next
		base64Pool.Put(r.first)
		r.first, r.outBuf = nil, nil
	}
}

// plain decodes lines of whole groups with nothing else in them, which most are, and returns what is left: a line that has
// something else, or the block's last groups.
func (r *base64Reader) plain(b []byte) []byte {
	if len(r.text) > 0 || r.padded {
		return b
	}
	at := len(r.out)
	out := r.out[:cap(r.out)]
	for {
		for len(b) >= 8 && len(out)-at >= 8 { // two groups at a time
			v := base64Values[0][b[0]] | base64Values[1][b[1]] | base64Values[2][b[2]] | base64Values[3][b[3]]
			w := base64Values[0][b[4]] | base64Values[1][b[5]] | base64Values[2][b[6]] | base64Values[3][b[7]]
			if (v|w)&base64Bad != 0 {
				break
			}
			binary.BigEndian.PutUint64(out[at:], uint64(v)<<32|uint64(w)<<8)
			b, at = b[8:], at+6
		}
		for len(b) >= 4 && len(out)-at >= 4 {
			v := base64Values[0][b[0]] | base64Values[1][b[1]] | base64Values[2][b[2]] | base64Values[3][b[3]]
			if v&base64Bad != 0 {
				break
			}
			binary.BigEndian.PutUint32(out[at:], v) // the fourth byte is written over by what follows
			b, at = b[4:], at+3
		}
		rest := trimLineStart(b)
		if len(rest) == len(b) {
			r.out = out[:at]
			return b
		}
		b = rest
	}
}

// trimLineStart cuts the line break off with which b begins.
func trimLineStart(b []byte) []byte {
	switch {
	case len(b) >= 2 && b[0] == '\r' && b[1] == '\n':
		return b[2:]
	case len(b) >= 1 && b[0] == '\n':
		return b[1:]
	}
	return b
}

// base64Values are the digits at each place of a group of four as the high 24 bits of it; base64Bad is set for what is no digit.
var base64Values = func() (t [4][256]uint32) {
	for place := range t {
		for c := range t[place] {
			t[place][c] = base64Bad
		}
		for v, c := range []byte(base64Digits) {
			t[place][c] = uint32(v) << (26 - 6*place)
		}
	}
	return t
}()

const (
	base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	base64Bad    = 1
)

// oddLine decodes what it can of a line and keeps the rest. off is where it begins in r.raw.
func (r *base64Reader) oddLine(line []byte, off int64) error {
	if err := r.compact(line, r.offset+off); err != nil {
		return err
	}
	whole := len(r.text) / 4 * 4
	if err := r.decode(r.text[:whole]); err != nil {
		return err
	}
	r.text = r.text[:copy(r.text, r.text[whole:])]
	return nil
}

func (r *base64Reader) decode(groups []byte) error {
	at := len(r.out)
	n, err := base64.StdEncoding.Decode(r.out[at:cap(r.out)], groups)
	if err != nil {
		return fmt.Errorf("base64: malformed near byte %d", r.offset)
	}
	r.out = r.out[:at+n]
	return nil
}

// finish decodes what is left, with the padding that some programs leave out.
func (r *base64Reader) finish() error {
	if r.padded || len(r.text)%4 == 1 {
		return fmt.Errorf("base64: ends within a group of four at byte %d", r.offset)
	}
	for len(r.text)%4 != 0 {
		r.text = append(r.text, '=')
	}
	if err := r.decode(r.text); err != nil {
		return err
	}
	r.text = nil
	return io.EOF
}

// base64Class says what a byte means: 0 nothing, 1 a digit, 2 padding, 3 white space.
var base64Class = func() (t [256]byte) {
	for _, c := range []byte(base64Digits) {
		t[c] = 1
	}
	t['='] = 2
	for _, c := range []byte(" \t\r\n") {
		t[c] = 3
	}
	return t
}()

// compact appends b, which begins at off, without white space to r.text.
func (r *base64Reader) compact(b []byte, off int64) error {
	for i, c := range b {
		switch base64Class[c] {
		case 0:
			return fmt.Errorf("base64: byte %#02x at %d does not belong there", c, off+int64(i))
		case 1:
			if r.padded {
				return fmt.Errorf("base64: data after the padding at byte %d", off+int64(i))
			}
			r.text = append(r.text, c)
		case 2:
			r.text, r.padded = append(r.text, c), true
		}
	}
	return nil
}
