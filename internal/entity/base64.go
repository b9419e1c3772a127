package entity

import (
	"encoding/base64"
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
	raw    []byte // as read
	text   []byte // without white space
	out    []byte // decoded, not yet given on
	outBuf []byte
	offset int64 // of the source, for errors
	padded bool
	err    error
}

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
	if r.raw == nil {
		r.raw = make([]byte, 32<<10)
		r.text = make([]byte, 0, 32<<10+4)
		r.outBuf = make([]byte, base64.StdEncoding.DecodedLen(32<<10+4))
	}
	n, err := r.src.Read(r.raw)
	if bad := r.compact(r.raw[:n]); bad != nil {
		// What was read in front of the fault is given first, the fault after it.
		err = bad
	}
	r.offset += int64(n)
	whole := len(r.text) / 4 * 4
	if err == io.EOF && len(r.text) > whole {
		whole, err = r.finish()
	}
	m, bad := base64.StdEncoding.Decode(r.outBuf, r.text[:whole])
	if bad != nil {
		err = fmt.Errorf("base64: malformed near byte %d", r.offset)
	}
	r.out = r.outBuf[:m]
	r.text = r.text[:copy(r.text, r.text[whole:])]
	r.err = err
}

// finish adds the padding that some programs leave out.
func (r *base64Reader) finish() (int, error) {
	if r.padded || len(r.text)%4 == 1 {
		return len(r.text) / 4 * 4, fmt.Errorf("base64: ends within a group of four at byte %d", r.offset)
	}
	for len(r.text)%4 != 0 {
		r.text = append(r.text, '=')
	}
	return len(r.text), io.EOF
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

// compact appends b without white space to r.text.
func (r *base64Reader) compact(b []byte) error {
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && base64Class[b[j]] == 1 {
			j++
		}
		if j > i {
			if r.padded {
				return fmt.Errorf("base64: data after the padding at byte %d", r.offset+int64(i))
			}
			r.text = append(r.text, b[i:j]...)
		}
		i = j
		if i == len(b) {
			break
		}
		switch base64Class[b[i]] {
		case 2:
			r.padded = true
			r.text = append(r.text, '=')
			if len(r.text) > cap(r.text)-4 {
				return fmt.Errorf("base64: padding without end at byte %d", r.offset+int64(i))
			}
		case 0:
			return fmt.Errorf("base64: byte %#02x at %d does not belong there", b[i], r.offset+int64(i))
		}
		i++
	}
	return nil
}
