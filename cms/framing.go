package cms

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

const (
	// holdSize is how much content of unknown length is held so that the
	// message can be written in DER; beyond, it is written with indefinite
	// lengths. All but the largest mails are below.
	holdSize = 1 << 20
	// pieceSize is the length of the pieces of an octet string that is written
	// with indefinite length.
	pieceSize = 64 << 10
)

// framing writes the content octets of an octet string that is nested in
// constructed elements, with what stands before and behind it in each: in DER
// when the length is known, the content small or a spool at hand, else with
// indefinite lengths.
type framing struct {
	dst    io.Writer
	layers []layer // outermost first
	// class and number are the octet string's own tag.
	class  ber.Class
	number int

	// spool makes the place for content beyond holdSize; nil for none.
	spool func() (Spool, error)

	state   state
	length  int64  // announced, in stateDefinite
	written int64  // of it, or to spooled
	held    []byte // in stateHolding; in stateIndefinite, a piece in the making
	spooled Spool  // in stateSpooling
}

// Spool holds content octets whose number is not known before the last one, so
// that the message can be written in DER whatever its size: a temporary file.
// Whoever made it closes it, once the message is finished or given up.
type Spool interface {
	io.Writer
	io.ReaderAt
}

// layer is one constructed element around the octet string; before stands in
// it ahead of the next layer.
type layer struct {
	class  ber.Class
	number int
	before []byte
}

// encapsulating frames content as EncapsulatedContentInfo (RFC 5652 §5.2): an
// OCTET STRING in [0], in the SEQUENCE that names its type, in that of the
// message, of which head stands ahead.
func encapsulating(dst io.Writer, message, content OID, head func(*cryptobyte.Builder)) (*framing, error) {
	f, err := frame(dst, message, head, func(b *cryptobyte.Builder) { oid.Add(b, content) })
	if err != nil {
		return nil, err
	}
	f.layers = append(f.layers, layer{ber.ContextSpecific, 0, nil})
	f.class, f.number = ber.Universal, ber.TagOctetString
	return f, nil
}

// encrypting frames ciphertext as EncryptedContentInfo (RFC 5652 §6.1): [0]
// IMPLICIT, behind type and algorithm.
func encrypting(dst io.Writer, message, content OID, algorithm AlgorithmIdentifier, head func(*cryptobyte.Builder)) (*framing, error) {
	f, err := frame(dst, message, head, func(b *cryptobyte.Builder) {
		oid.Add(b, content)
		algorithm.Add(b)
	})
	if err != nil {
		return nil, err
	}
	f.class, f.number = ber.ContextSpecific, 0
	return f, nil
}

// frame makes the layers ContentInfo, content [0], the message's SEQUENCE and
// the SEQUENCE around the content.
func frame(dst io.Writer, message OID, head, content func(*cryptobyte.Builder)) (*framing, error) {
	f := &framing{dst: dst, layers: make([]layer, 0, 5)}
	for _, l := range []struct {
		class  ber.Class
		number int
		before func(*cryptobyte.Builder)
	}{
		{ber.Universal, ber.TagSequence, func(b *cryptobyte.Builder) { oid.Add(b, message) }},
		{ber.ContextSpecific, 0, nil},
		{ber.Universal, ber.TagSequence, head},
		{ber.Universal, ber.TagSequence, content},
	} {
		var before []byte
		if l.before != nil {
			b := cryptobyte.NewBuilder(make([]byte, 0, 32))
			l.before(b)
			var err error
			if before, err = b.Bytes(); err != nil {
				return nil, err
			}
		}
		f.layers = append(f.layers, layer{l.class, l.number, before})
	}
	return f, nil
}

type state int

const (
	stateHolding state = iota
	stateDefinite
	stateIndefinite
	stateSpooling
)

// begin fixes the form. With length >= 0, tail is the length of what will
// stand behind the octet string, over all layers.
func (f *framing) begin(length, tail int64, indefinite bool) error {
	switch {
	case indefinite:
		return f.beginIndefinite()
	case length >= 0:
		f.state, f.length = stateDefinite, length
		_, err := f.dst.Write(f.head(length, tail))
		return err
	}
	return nil
}

// head is everything ahead of the content octets, in DER.
func (f *framing) head(length, tail int64) []byte {
	size := ber.HeaderSize(length) + length
	sizes := make([]int64, len(f.layers))
	for i := len(f.layers) - 1; i >= 0; i-- {
		if i == tailLayer {
			size += tail
		}
		size += int64(len(f.layers[i].before))
		sizes[i] = size
		size += ber.HeaderSize(size)
	}
	var out []byte
	for i, l := range f.layers {
		out = ber.AppendHeader(out, l.class, true, l.number, sizes[i])
		out = append(out, l.before...)
	}
	return ber.AppendHeader(out, f.class, false, f.number, length)
}

// tailLayer is the layer at whose end the tail stands: the type's SEQUENCE,
// third from outside in every message (ContentInfo, content [0], type).
const tailLayer = 2

func (f *framing) beginIndefinite() error {
	f.state = stateIndefinite
	var out []byte
	for _, l := range f.layers {
		out = ber.AppendHeader(out, l.class, true, l.number, ber.Indefinite)
		out = append(out, l.before...)
	}
	out = ber.AppendHeader(out, f.class, true, f.number, ber.Indefinite)
	_, err := f.dst.Write(out)
	return err
}

// Write implements io.Writer for the content octets.
func (f *framing) Write(p []byte) (int, error) {
	total := len(p)
	switch f.state {
	case stateDefinite:
		f.written += int64(len(p))
		if f.written > f.length {
			return 0, errLength
		}
		return f.dst.Write(p)
	case stateHolding:
		f.hold(p)
		if len(f.held) <= holdSize {
			return total, nil
		}
		p, f.held = f.held, nil
		if f.spool != nil {
			return total, f.beginSpool(p)
		}
		if err := f.beginIndefinite(); err != nil {
			return 0, err
		}
	case stateSpooling:
		n, err := f.spooled.Write(p)
		f.written += int64(n)
		return n, err
	}
	for len(p) > 0 {
		if len(f.held) == 0 && len(p) >= pieceSize {
			if err := f.piece(p[:pieceSize]); err != nil {
				return 0, err
			}
			p = p[pieceSize:]
			continue
		}
		n := min(pieceSize-len(f.held), len(p))
		f.held = append(f.held, p[:n]...)
		p = p[n:]
		if len(f.held) == pieceSize {
			if err := f.piece(f.held); err != nil {
				return 0, err
			}
			f.held = f.held[:0]
		}
	}
	return total, nil
}

// Flusher is what writers of messages are too: Flush passes on the content that was
// held back for longer pieces, where the message has indefinite lengths. A cipher
// keeps what is less than a block of its own. In other messages it does nothing.
type Flusher interface {
	Flush() error
}

// Flush writes a piece that is not full.
func (f *framing) Flush() error {
	if f.state != stateIndefinite || len(f.held) == 0 {
		return nil
	}
	err := f.piece(f.held)
	f.held = f.held[:0]
	return err
}

// hold appends to held, which grows by large steps: most content fits the first, and what outgrew it is copied twice at most,
// where append would copy a dozen times.
func (f *framing) hold(p []byte) {
	if need := len(f.held) + len(p); need > cap(f.held) {
		f.held = append(make([]byte, 0, max(need, min(8*cap(f.held), holdSize+pieceSize), 8<<10)), f.held...)
	}
	f.held = append(f.held, p...)
}

func (f *framing) beginSpool(held []byte) (err error) {
	if f.spooled, err = f.spool(); err != nil {
		return err
	}
	f.state, f.written = stateSpooling, int64(len(held))
	_, err = f.spooled.Write(held)
	return err
}

func (f *framing) piece(p []byte) error {
	var header [6]byte
	if _, err := f.dst.Write(ber.AppendHeader(header[:0], ber.Universal, false, ber.TagOctetString, int64(len(p)))); err != nil {
		return err
	}
	_, err := f.dst.Write(p)
	return err
}

// finish ends the octet string and the layers, with tail behind it.
func (f *framing) finish(tail []byte) error {
	switch f.state {
	case stateDefinite:
		if f.written != f.length {
			return errLength
		}
		_, err := f.dst.Write(tail)
		return err
	case stateHolding:
		out := f.head(int64(len(f.held)), int64(len(tail)))
		out = append(append(out, f.held...), tail...)
		_, err := f.dst.Write(out)
		return err
	}
	if f.state == stateSpooling {
		return f.finishSpooled(tail)
	}
	if len(f.held) > 0 {
		if err := f.piece(f.held); err != nil {
			return err
		}
	}
	var out []byte
	for i := len(f.layers); i >= 0; i-- { // the octet string itself is the innermost
		if i == tailLayer {
			out = append(out, tail...)
		}
		out = append(out, 0, 0)
	}
	_, err := f.dst.Write(out)
	return err
}

func (f *framing) finishSpooled(tail []byte) error {
	if _, err := f.dst.Write(f.head(f.written, int64(len(tail)))); err != nil {
		return err
	}
	n, err := io.Copy(f.dst, io.NewSectionReader(f.spooled, 0, f.written))
	if err != nil {
		return err
	}
	if n != f.written {
		return fmt.Errorf("cms: the spool gave %d octets back of %d: %w", n, f.written, io.ErrUnexpectedEOF)
	}
	_, err = f.dst.Write(tail)
	return err
}
