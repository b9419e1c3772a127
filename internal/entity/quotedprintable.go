package entity

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxQuotedLine is the longest line that the reader takes; RFC 2045 §6.7 allows 76 characters.
const maxQuotedLine = 64 << 10

type quotedReader struct {
	src  *bufio.Reader
	out  []byte
	line int
	err  error
}

// NewQuotedPrintableReader decodes quoted-printable (RFC 2045 §6.7).
//
// Read with patience: lower-case hexadecimal, lines of any length up to 64 KiB, bytes above 127 as themselves, LF for CRLF.
// White space at the end of a line is removed, because a relay put it there. Refused: an equals sign that begins neither a byte
// nor a soft line break.
func NewQuotedPrintableReader(src io.Reader) io.Reader {
	return &quotedReader{src: bufio.NewReaderSize(src, maxQuotedLine)}
}

func (r *quotedReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 && len(p) > 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.out, r.err = r.next()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// next decodes one line in place.
func (r *quotedReader) next() ([]byte, error) {
	line, err := r.src.ReadSlice('\n')
	r.line++
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: quoted-printable line %d is longer than %d bytes", ErrLimit, r.line, maxQuotedLine)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text := trimLineEnd(line)
	end := line[len(text):]
	text = bytes.TrimRight(text, " \t")
	if bytes.HasSuffix(text, []byte("=")) {
		text, end = text[:len(text)-1], nil
	}
	out := line[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '=' {
			if i+2 >= len(text) || unhex(text[i+1]) < 0 || unhex(text[i+2]) < 0 {
				return out, fmt.Errorf("quoted-printable: line %d has an equals sign without two hexadecimal digits", r.line)
			}
			c = byte(unhex(text[i+1])<<4 | unhex(text[i+2]))
			i += 2
		}
		out = append(out, c)
	}
	return append(out, end...), err
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

type quotedWriter struct {
	dst  io.Writer
	line []byte // the output line under way
	held []byte // input that waits for what follows: white space, CR
	err  error
}

// NewQuotedPrintableWriter encodes text (RFC 2045 §6.7). CRLF and LF both end a line, written as CRLF. Lines that begin with
// "From ", a dot or two hyphens and white space at a line's end are written so that no relay, mailbox or multipart takes them for
// something else. Close ends the text; it does not close dst.
func NewQuotedPrintableWriter(dst io.Writer) io.WriteCloser {
	return &quotedWriter{dst: bufio.NewWriter(dst)}
}

func (w *quotedWriter) Write(p []byte) (int, error) {
	for _, c := range p {
		w.put(c)
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// put takes one byte. White space and CR are held back until it is known whether the line ends behind them.
func (w *quotedWriter) put(c byte) {
	switch {
	case c == '\n':
		if n := len(w.held); n > 0 && w.held[n-1] == '\r' {
			w.held = w.held[:n-1]
		}
		w.escapeHeld()
		w.breakLine("\r\n")
	case c == '\r' && len(w.held) == 1 && w.held[0] != '\r':
		w.held = append(w.held, c)
	case c == '\r' || c == ' ' || c == '\t':
		w.releaseHeld()
		w.held = append(w.held, c)
	default:
		w.releaseHeld()
		w.literal(c)
	}
}

// releaseHeld writes what was held: white space inside a line is itself, a CR without its LF is not.
func (w *quotedWriter) releaseHeld() {
	for _, c := range w.held {
		if c == '\r' {
			w.escape(c)
		} else {
			w.emit(c)
		}
	}
	w.held = w.held[:0]
}

func (w *quotedWriter) escapeHeld() {
	for _, c := range w.held {
		w.escape(c)
	}
	w.held = w.held[:0]
}

func (w *quotedWriter) literal(c byte) {
	switch {
	case c == '=' || c < ' ' || c > '~':
		w.escape(c)
	default:
		w.emit(c)
	}
}

const hexDigits = "0123456789ABCDEF"

func (w *quotedWriter) escape(c byte) { w.emit('=', hexDigits[c>>4], hexDigits[c&15]) }

// emit adds to the line, which keeps room for the equals sign of a soft line break and for what guard adds.
func (w *quotedWriter) emit(b ...byte) {
	if len(w.line)+len(b) > base64Line-1-2 {
		w.line = append(w.line, '=')
		w.breakLine("\r\n")
	}
	w.line = append(w.line, b...)
}

// guard escapes the first character of a line that a mailbox ("From ") or SMTP (".") would change, or that might be taken for the
// delimiter of a multipart around it ("--").
func (w *quotedWriter) guard() {
	if bytes.HasPrefix(w.line, []byte("From ")) || bytes.HasPrefix(w.line, []byte(".")) || bytes.HasPrefix(w.line, []byte("--")) {
		c := w.line[0]
		w.line = append([]byte{'=', hexDigits[c>>4], hexDigits[c&15]}, w.line[1:]...)
	}
}

func (w *quotedWriter) breakLine(end string) {
	w.guard()
	w.line = append(w.line, end...)
	if _, err := w.dst.Write(w.line); err != nil && w.err == nil {
		w.err = err
	}
	w.line = w.line[:0]
}

func (w *quotedWriter) Close() error {
	w.escapeHeld()
	w.breakLine("")
	if w.err != nil {
		return w.err
	}
	return w.dst.(*bufio.Writer).Flush()
}
