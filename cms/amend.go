package cms

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

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
	// Certificates, CRLs and OCSPResponses (RFC 5940), the latter two in DER, are
	// added unless they are there already.
	Certificates        []*cert.Certificate
	CRLs, OCSPResponses [][]byte
	// Digests are announced in digestAlgorithms, so that who reads the message
	// hashes the content with them too.
	Digests []AlgorithmIdentifier
	// Detach leaves the content out.
	Detach bool
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
	if err := m.apply(a); err != nil {
		return err
	}
	return m.write(dst)
}

// amended is a SignedData of which the places are known.
type amended struct {
	src        io.ReaderAt
	size       int64
	limit      int
	containers []container // ContentInfo, content [0], SignedData

	version, digests stretch
	content          stretch // encapContentInfo; its octets are not held
	contentType      []byte
	tail             [][]byte // certificates, crls, signerInfos as they stand
	behind           stretch
}

// container is a constructed element: its header is at start, its content at
// body.
type container struct {
	header      ber.Header
	start, body int64
}

// stretch is a part of the message, and what is to stand there.
type stretch struct {
	start, end int64
	raw        []byte
	replaced   bool
}

func (p *stretch) replace(raw []byte) { p.raw, p.replaced = raw, true }

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
	if err := m.walkHead(r); err != nil {
		return err
	}
	m.behind.start = r.Offset()
	if m.tail, err = rest(r, m.limit); err != nil {
		return malformed("SignedData", err)
	}
	m.behind.end = m.behind.start
	for _, e := range m.tail {
		m.behind.end += int64(len(e))
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

// walkHead passes over version, digestAlgorithms and encapContentInfo.
func (m *amended) walkHead(r *ber.Reader) (err error) {
	for _, e := range []struct {
		name string
		at   *stretch
	}{{"version", &m.version}, {"digestAlgorithms", &m.digests}} {
		e.at.start = r.Offset()
		if e.at.raw, err = r.Raw(m.limit); err != nil {
			return malformed(e.name, err)
		}
		e.at.end = r.Offset()
	}
	m.content.start = r.Offset()
	if _, err := r.Enter(); err != nil {
		return malformed("encapContentInfo", err)
	}
	if m.contentType, err = r.Raw(maxSmall); err != nil {
		return malformed("eContentType", err)
	}
	for {
		if _, err := r.Peek(); errors.Is(err, io.EOF) {
			break
		}
		if err := r.Skip(); err != nil {
			return malformed("encapContentInfo", err)
		}
	}
	if err := r.Leave(); err != nil {
		return malformed("encapContentInfo", err)
	}
	m.content.end = r.Offset()
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

// apply decides what stands where.
func (m *amended) apply(a *Amendment) error {
	tail, err := a.tail(m.tail, m.limit)
	if err != nil {
		return err
	}
	m.behind.replace(tail)
	if len(a.OCSPResponses) > 0 { // RFC 5652 §5.1
		m.version.replace([]byte{byte(asn1.INTEGER), 1, 5})
	}
	if len(a.Digests) > 0 {
		digests, err := a.digests(m.digests.raw, m.limit)
		if err != nil {
			return err
		}
		m.digests.replace(digests)
	}
	if a.Detach {
		bare := element{header: ber.Header{Class: ber.Universal, Number: ber.TagSequence}, children: [][]byte{m.contentType}}
		m.content.replace(bare.with(nil))
	}
	return nil
}

// write copies the message with what is replaced, and the lengths that follow
// from it.
func (m *amended) write(dst io.Writer) error {
	places := []stretch{m.version, m.digests, m.content, m.behind}
	grown := int64(0)
	for _, p := range places {
		if p.replaced {
			grown += int64(len(p.raw)) - (p.end - p.start)
		}
	}
	for i := len(m.containers) - 1; i >= 0; i-- {
		c := m.containers[i]
		length := c.header.Length
		if length != ber.Indefinite {
			length += grown
		}
		header := stretch{start: c.start, end: c.body}
		header.replace(ber.AppendHeader(nil, c.header.Class, true, c.header.Number, length))
		grown += int64(len(header.raw)) - (c.body - c.start)
		places = append([]stretch{header}, places...)
	}
	at := int64(0)
	for _, p := range places {
		if !p.replaced {
			continue
		}
		if err := m.copy(dst, at, p.start); err != nil {
			return err
		}
		if _, err := dst.Write(p.raw); err != nil {
			return err
		}
		at = p.end
	}
	return m.copy(dst, at, m.size)
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
	choices, err := revocationInfo(a.CRLs, a.OCSPResponses)
	if err != nil {
		return nil, err
	}
	certificates, elements, err := added("certificates", elements[:last], context0, raws(a.Certificates), limit)
	if err != nil {
		return nil, err
	}
	crls, elements, err := added("crls", elements, context1, choices, limit)
	if err != nil {
		return nil, err
	}
	return slices.Concat(certificates, crls, bytes.Join(elements, nil), signers), nil
}

// added takes the set that may stand first among elements under tag, and returns
// it with further ones that it does not have yet; nil for none at all.
func added(name string, elements [][]byte, tag asn1.Tag, further [][]byte, limit int) (raw []byte, left [][]byte, err error) {
	set := element{header: ber.Header{Class: ber.ContextSpecific, Number: int(tag & 0x1f)}}
	if len(elements) > 0 && elements[0][0] == byte(tag.Constructed()) {
		raw, elements = elements[0], elements[1:]
	}
	if len(further) == 0 {
		return raw, elements, nil
	}
	if raw != nil {
		if set, err = split(raw, limit); err != nil {
			return nil, nil, malformed(name, err)
		}
	}
	return set.with(set.lacks(further)), elements, nil
}

// lacks returns those of further, each once, that are not among the children.
func (e *element) lacks(further [][]byte) (out [][]byte) {
	for _, f := range further {
		same := func(c []byte) bool { return bytes.Equal(c, f) }
		if !slices.ContainsFunc(e.children, same) && !slices.ContainsFunc(out, same) {
			out = append(out, f)
		}
	}
	return out
}

// digests returns digestAlgorithms with those that are announced anew.
func (a *Amendment) digests(raw []byte, limit int) ([]byte, error) {
	set, err := split(raw, limit)
	if err != nil || !set.header.Is(ber.Universal, ber.TagSet) {
		return nil, malformed("digestAlgorithms", err)
	}
	known := map[OID]bool{}
	for _, c := range set.children {
		in := cryptobyte.String(c)
		var id AlgorithmIdentifier
		if oid.ReadAlgorithm(&in, &id) {
			known[id.Algorithm] = true
		}
	}
	var further [][]byte
	for _, d := range a.Digests {
		der, err := d.DER()
		if err != nil {
			return nil, err
		}
		if !known[d.Algorithm] {
			known[d.Algorithm] = true
			further = append(further, der)
		}
	}
	return set.with(further), nil
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
