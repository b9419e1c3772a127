package entity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// Base64 in 76 columns: 57 bytes make a line (RFC 2045 §6.8).
const (
	base64Line  = 76
	base64Bytes = 57
	// base64Lines is how many lines are written at once.
	base64Lines = 256
)

type base64Writer struct {
	dst  io.Writer
	in   []byte // below one line
	out  []byte
	line [base64Bytes]byte
}

// NewBase64Writer writes base64 in lines of 76 characters that end in CRLF. Close ends the last line; it does not close dst.
func NewBase64Writer(dst io.Writer) io.WriteCloser {
	w := &base64Writer{dst: dst, out: make([]byte, 0, base64Lines*(base64Line+2))}
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
		if err := w.encode(p[:base64Bytes]); err != nil {
			return 0, err
		}
	}
	w.in = w.line[:copy(w.line[:], p)]
	return total, nil
}

func (w *base64Writer) encode(line []byte) error {
	w.out = base64.StdEncoding.AppendEncode(w.out, line)
	w.out = append(w.out, '\r', '\n')
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
	return w.flush()
}

type base64Reader struct {
	src    io.Reader
	raw    []byte // for reading
	text   []byte // of a group that is not whole yet, and of lines that are not plain
	out    []byte // decoded, not yet given on
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
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line = b[:i+1]
		}
		if !r.plainLine(line) {
			if bad := r.oddLine(line, int64(n-len(b))); bad != nil {
				// What was read in front of the fault is given first, the fault after it.
				r.err = bad
				return
			}
		}
		b = b[len(line):]
	}
	r.offset += int64(n)
	if errors.Is(err, io.EOF) && len(r.text) > 0 {
		err = r.finish()
	}
	r.err = err
}

func (r *base64Reader) grow() {
	size := base64First
	if r.offset >= 4*base64First {
		size = base64Block
	}
	if len(r.raw) < size {
		r.raw = make([]byte, size)
		r.outBuf = make([]byte, 0, base64.StdEncoding.DecodedLen(size+8))
	}
}

// plainLine decodes a line of whole groups with nothing else in it, which most are.
func (r *base64Reader) plainLine(line []byte) bool {
	digits := trimLineEnd(line)
	if len(r.text) > 0 || r.padded || len(digits)%4 != 0 || len(digits) == len(line) {
		return false
	}
	at := len(r.out)
	n, err := base64.StdEncoding.Decode(r.out[at:cap(r.out)], digits)
	// A shorter result means that there was padding, or something that the decoder passed over.
	if err != nil || n != len(digits)/4*3 {
		return false
	}
	r.out = r.out[:at+n]
	return true
}

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
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
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
