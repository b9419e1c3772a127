package cms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// Amendment is what is added to a SignedData after it was signed.
type Amendment struct {
	// Unsigned returns further unsigned attributes (RFC 5652 §11.4, RFC 3161
	// Appendix A) of the signer at index i, in the order of
	// [SignedReader.Signers]; nil adds none.
	Unsigned func(i int, si *SignerInfo) (Attributes, error)
	// Certificates are added unless they are there already.
	Certificates []*cert.Certificate
	// Limits bound the message; nil stands for the defaults.
	Limits *Limits
}

// Amend copies the SignedData in src to dst with what a adds. Lengths are
// written anew, definite ones as definite and indefinite ones as indefinite;
// every octet that is signed, the content and unknown attributes stay as they
// are. The signatures are not checked. Content is copied, not held.
func Amend(dst io.Writer, src io.ReaderAt, size int64, a *Amendment) error {
	m := &amended{src: src, size: size, limit: a.Limits.withDefaults().Metadata}
	if err := m.walk(); err != nil {
		return err
	}
	tail, err := a.tail(m.tail, m.limit)
	if err != nil {
		return err
	}
	return m.write(dst, tail)
}

// amended is a SignedData of which the places are known.
type amended struct {
	src        io.ReaderAt
	size       int64
	limit      int
	containers []container // ContentInfo, content [0], SignedData
	tail       [][]byte    // certificates, crls, signerInfos as they stand
	tailStart  int64
	tailEnd    int64
}

// container is a constructed element: its header is at start, its content at
// body.
type container struct {
	header      ber.Header
	start, body int64
}

func (m *amended) walk() error {
	r := ber.NewReader(io.NewSectionReader(m.src, 0, m.size))
	if err := m.enter(r, "ContentInfo", ber.Universal, ber.TagSequence); err != nil {
		return err
	}
	contentType, err := r.Element(maxSmall)
	if err != nil {
		return malformed("contentType", err)
	}
	if s := cryptobyte.String(contentType); !readEqualOID(&s, oid.SignedData) {
		return malformed("the message is no signedData, to which signatures could be added", nil)
	}
	if err := m.enter(r, "content", ber.ContextSpecific, 0); err != nil {
		return err
	}
	if err := m.enter(r, "SignedData", ber.Universal, ber.TagSequence); err != nil {
		return err
	}
	for _, place := range []string{"version", "digestAlgorithms", "encapContentInfo"} {
		if err := r.Skip(); err != nil {
			return malformed(place, err)
		}
	}
	m.tailStart = r.Offset()
	m.tailEnd = m.tailStart
	if m.tail, err = rest(r, m.limit); err != nil {
		return malformed("SignedData", err)
	}
	for _, e := range m.tail {
		m.tailEnd += int64(len(e))
	}
	for range m.containers {
		if err := r.Leave(); err != nil {
			return malformed("end of the message", err)
		}
	}
	if err := r.End(); err != nil {
		return malformed("end of the message", err)
	}
	return nil
}

func (m *amended) enter(r *ber.Reader, place string, class ber.Class, number int) error {
	start := r.Offset()
	h, err := r.Peek()
	if err == nil && !h.Is(class, number) {
		return malformed(fmt.Sprintf("%s is %s", place, h), nil)
	}
	body := r.Offset()
	if err == nil {
		_, err = r.Enter()
	}
	if err != nil {
		return malformed(place, err)
	}
	m.containers = append(m.containers, container{h, start, body})
	return nil
}

// rest reads what is left of a container, element by element, of at most max
// octets together.
func rest(r *ber.Reader, max int) (out [][]byte, err error) {
	for {
		if _, err := r.Peek(); errors.Is(err, io.EOF) {
			return out, nil
		}
		raw, err := r.Raw(max)
		if err != nil {
			return nil, err
		}
		max -= len(raw)
		out = append(out, raw)
	}
}

// write copies the message with another tail, and the lengths that follow from it.
func (m *amended) write(dst io.Writer, tail []byte) error {
	grown := int64(len(tail)) - (m.tailEnd - m.tailStart)
	headers := make([][]byte, len(m.containers))
	for i := len(m.containers) - 1; i >= 0; i-- {
		c := m.containers[i]
		length := c.header.Length
		if length != ber.Indefinite {
			length += grown
		}
		headers[i] = ber.AppendHeader(nil, c.header.Class, true, c.header.Number, length)
		grown += int64(len(headers[i])) - (c.body - c.start)
	}
	at := int64(0)
	for i, c := range m.containers {
		if err := m.copy(dst, at, c.start); err != nil {
			return err
		}
		if _, err := dst.Write(headers[i]); err != nil {
			return err
		}
		at = c.body
	}
	if err := m.copy(dst, at, m.tailStart); err != nil {
		return err
	}
	if _, err := dst.Write(tail); err != nil {
		return err
	}
	return m.copy(dst, m.tailEnd, m.size)
}

func (m *amended) copy(dst io.Writer, from, to int64) error {
	n, err := io.Copy(dst, io.NewSectionReader(m.src, from, to-from))
	if err == nil && n != to-from {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// tail returns certificates, crls and signerInfos with what is added.
func (a *Amendment) tail(elements [][]byte, limit int) ([]byte, error) {
	if len(elements) == 0 {
		return nil, malformed("SignedData without signerInfos", nil)
	}
	last := len(elements) - 1
	signers, err := a.signers(elements[last], limit)
	if err != nil {
		return nil, err
	}
	before, err := a.certificates(elements[:last], limit)
	if err != nil {
		return nil, err
	}
	return append(bytes.Join(before, nil), signers...), nil
}

// certificates returns elements with certificates [0] added to, or made.
func (a *Amendment) certificates(elements [][]byte, limit int) ([][]byte, error) {
	if len(a.Certificates) == 0 {
		return elements, nil
	}
	set := element{header: ber.Header{Class: ber.ContextSpecific}}
	if len(elements) > 0 && elements[0][0] == byte(context0.Constructed()) {
		var err error
		if set, err = split(elements[0], limit); err != nil {
			return nil, malformed("certificates", err)
		}
		elements = elements[1:]
	}
	var further [][]byte
	for _, c := range raws(a.Certificates) {
		if !slices.ContainsFunc(set.children, func(e []byte) bool { return bytes.Equal(e, c) }) {
			further = append(further, c)
		}
	}
	return append([][]byte{set.with(further)}, elements...), nil
}

func (a *Amendment) signers(raw []byte, limit int) ([]byte, error) {
	set, err := split(raw, limit)
	if err != nil || !set.header.Is(ber.Universal, ber.TagSet) {
		return nil, malformed("signerInfos", err)
	}
	if a.Unsigned == nil {
		return raw, nil
	}
	sorted := set.sorted()
	for i, info := range set.children {
		if set.children[i], err = a.signer(i, info, limit); err != nil {
			return nil, fmt.Errorf("signer %d: %w", i+1, err)
		}
	}
	if sorted {
		set.children = sortedSet(set.children)
	}
	return set.with(nil), nil
}

// signer returns one SignerInfo with its unsigned attributes added to.
func (a *Amendment) signer(i int, raw []byte, limit int) ([]byte, error) {
	der, err := ber.DER(raw)
	if err != nil {
		return nil, malformed("SignerInfo", err)
	}
	si, err := parseSignerInfo(der)
	if err != nil {
		return nil, err
	}
	attrs, err := a.Unsigned(i, si)
	if err != nil || len(attrs) == 0 {
		return raw, err
	}
	further, err := attrs.elements()
	if err != nil {
		return nil, err
	}
	info, err := split(raw, limit)
	if err != nil {
		return nil, malformed("SignerInfo", err)
	}
	last := len(info.children) - 1
	set := element{header: ber.Header{Class: ber.ContextSpecific, Number: 1}}
	if info.children[last][0] == byte(context1.Constructed()) {
		if set, err = split(info.children[last], limit); err != nil {
			return nil, malformed("unsignedAttrs", err)
		}
		info.children = info.children[:last]
	}
	info.children = append(info.children, set.with(further))
	return info.with(nil), nil
}

// element is a constructed element and what is in it, octet for octet.
type element struct {
	header   ber.Header
	children [][]byte
}

func split(raw []byte, limit int) (e element, err error) {
	r := ber.NewReader(bytes.NewReader(raw))
	if e.header, err = r.Enter(); err != nil {
		return e, err
	}
	if e.children, err = rest(r, limit); err != nil {
		return e, err
	}
	if err := r.Leave(); err != nil {
		return e, err
	}
	return e, r.End()
}

func (e *element) sorted() bool { return slices.IsSortedFunc(e.children, bytes.Compare) }

// with encodes the element, further children among the others in the order of
// DER where these are in it, and behind them otherwise.
func (e *element) with(further [][]byte) []byte {
	children := append(slices.Clone(e.children), further...)
	if len(further) > 0 && e.sorted() {
		children = sortedSet(children)
	}
	content := bytes.Join(children, nil)
	length := int64(len(content))
	if e.header.Length == ber.Indefinite {
		length, content = ber.Indefinite, append(content, 0, 0)
	}
	return append(ber.AppendHeader(nil, e.header.Class, true, e.header.Number, length), content...)
}
