package testkit

import (
	"bytes"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// node is an element of DER that can be operated on. Where raw is set, it stands for the whole element, whatever it is.
type node struct {
	tag  byte
	body []byte  // of a primitive element
	kids []*node // of a constructed one
	raw  []byte
}

const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagSequence = 0x30
	tagSet      = 0x31
)

func seq(kids ...*node) *node               { return &node{tag: tagSequence, kids: kids} }
func set(kids ...*node) *node               { return &node{tag: tagSet, kids: kids} }
func tagged(n byte, kids ...*node) *node    { return &node{tag: 0xa0 | n, kids: kids} }
func primitive(tag byte, body []byte) *node { return &node{tag: tag, body: body} }
func octets(b []byte) *node                 { return primitive(tagOctets, b) }
func raw(der []byte) *node                  { return &node{raw: der} }
func null() *node                           { return raw(oid.Null) }

func integer(v int64) *node {
	var b cryptobyte.Builder
	b.AddASN1Int64(v)
	return raw(b.BytesOrPanic())
}

func bigInteger(v *big.Int) *node {
	var b cryptobyte.Builder
	b.AddASN1BigInt(v)
	return raw(b.BytesOrPanic())
}

func identifier(o oid.OID) *node {
	var b cryptobyte.Builder
	oid.Add(&b, o)
	return raw(b.BytesOrPanic())
}

// algorithm is an AlgorithmIdentifier.
func algorithm(o oid.OID, parameters ...*node) *node {
	return seq(append([]*node{identifier(o)}, parameters...)...)
}

// attribute is an Attribute with its values.
func attribute(o oid.OID, values ...*node) *node { return seq(identifier(o), set(values...)) }

func (n *node) content() []byte {
	if n.tag&0x20 == 0 {
		return n.body
	}
	var b []byte
	for _, k := range n.kids {
		b = append(b, k.der()...)
	}
	return b
}

func (n *node) der() []byte {
	if n.raw != nil {
		return n.raw
	}
	body := n.content()
	return append(ber.AppendHeader(nil, ber.Class(n.tag>>6), n.tag&0x20 != 0, int(n.tag&0x1f), int64(len(body))), body...)
}

// indefinite is the element with an indefinite length.
func (n *node) indefinite() *node {
	return raw(slices.Concat([]byte{n.tag, 0x80}, n.content(), []byte{0, 0}))
}

// sorted brings a SET OF into DER order.
func (n *node) sorted() *node {
	kids := slices.Clone(n.kids)
	slices.SortFunc(kids, func(a, b *node) int { return bytes.Compare(a.der(), b.der()) })
	return &node{tag: n.tag, kids: kids}
}

// clone is a copy that can be operated on.
func (n *node) clone() *node {
	c := *n
	c.kids = nil
	for _, k := range n.kids {
		c.kids = append(c.kids, k.clone())
	}
	return &c
}

// at walks down by position; a negative one counts from the end.
func (n *node) at(path ...int) *node {
	for _, i := range path {
		if i < 0 {
			i += len(n.kids)
		}
		n = n.kids[i]
	}
	return n
}

// drop removes the child at position i.
func (n *node) drop(i int) { n.kids = slices.Delete(n.kids, i, i+1) }

// insert puts children in front of position i.
func (n *node) insert(i int, kids ...*node) { n.kids = slices.Insert(n.kids, i, kids...) }

// become makes the node another one.
func (n *node) become(other *node) { *n = *other }

// tree parses DER of our own making, in which every tag is one octet.
func tree(der []byte) *node {
	n, rest := parseNode(der)
	if len(rest) > 0 {
		panic("testkit: something behind the element")
	}
	return n
}

func parseNode(der []byte) (n *node, rest []byte) {
	size, at := int(der[1]), 2
	if size >= 0x80 {
		at += size - 0x80
		size = int(new(big.Int).SetBytes(der[2:at]).Int64())
	}
	n = &node{tag: der[0]}
	body := der[at : at+size]
	rest = der[at+size:]
	if n.tag&0x20 == 0 {
		n.body = body
		return n, rest
	}
	for len(body) > 0 {
		var k *node
		k, body = parseNode(body)
		n.kids = append(n.kids, k)
	}
	return n, rest
}

// contentInfo is RFC 5652 §3.
func contentInfo(t oid.OID, content *node) *node { return seq(identifier(t), tagged(0, content)) }

// signedData gives names to the places of a SignedData.
type signedData struct{ *node }

func signedTree(der []byte) signedData { return signedData{tree(der)} }

func (s signedData) body() *node             { return s.at(1, 0) }
func (s signedData) digestAlgorithms() *node { return s.at(1, 0, 1) }
func (s signedData) encapContentInfo() *node { return s.at(1, 0, 2) }
func (s signedData) certificates() *node     { return s.at(1, 0, 3) }
func (s signedData) signerInfos() *node      { return s.at(1, 0, -1) }
func (s signedData) signerInfo() *node       { return s.at(1, 0, -1, 0) }
func (s signedData) signedAttrs() *node      { return s.at(1, 0, -1, 0, 3) }

// attributeOf finds an attribute by its type.
func attributeOf(attrs *node, t oid.OID) *node {
	want := identifier(t).der()
	for _, a := range attrs.kids {
		if bytes.Equal(a.at(0).der(), want) {
			return a
		}
	}
	panic("testkit: no attribute " + t.Name())
}
