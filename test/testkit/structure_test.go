package testkit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/internal/oid"
)

// structureCases change the ASN.1 of an honest message: each OPTIONAL and each element dropped, emptied and doubled, and the octets
// themselves.
func (k *kit) structureCases() {
	k.elements()
	k.octetsOfTheMessage()
	k.encodingsOfTheMessage()
}

// place is an element of an honest SignedData.
type place struct {
	name string
	path []int
	// what a reader says when the element is gone, empty or there twice.
	dropped, emptied, doubled outcome
}

func (k *kit) elements() {
	der := k.sign(letter, k.world.alice)
	no, bad, sig := refused(CMS), invalid(CMS), invalid(Signature)
	noPath := shown(Untrusted, Path, letter)
	fine := valid(letter)
	_ = bad
	for _, p := range []place{
		{"content-type", []int{0}, no, no, no}, {"content", []int{1}, no, no, no}, {"signed-data", []int{1, 0}, no, no, no},
		{"version", []int{1, 0, 0}, no, no, no}, {"digest-algorithms", []int{1, 0, 1}, no, sig, no}, {"digest-algorithm", []int{1, 0, 1, 0}, sig, no, fine},
		{"encap-content-info", []int{1, 0, 2}, no, no, no}, {"econtent-type", []int{1, 0, 2, 0}, no, no, no}, {"econtent", []int{1, 0, 2, 1}, no, no, no}, {"econtent-octets", []int{1, 0, 2, 1, 0}, no, invalid(Digest), no},
		{"certificates", []int{1, 0, 3}, noPath, noPath, no}, {"certificate", []int{1, 0, 3, 0}, noPath, noPath, fine}, {"issuing-certificate", []int{1, 0, 3, 1}, noPath, noPath, fine},
		{"signer-infos", []int{1, 0, 4}, no, shown(Unsigned, Signature, letter), no}, {"signer-info", []int{1, 0, 4, 0}, shown(Unsigned, Signature, letter), no, fine},
		{"signer-version", []int{1, 0, 4, 0, 0}, no, no, no}, {"signer-identifier", []int{1, 0, 4, 0, 1}, no, no, no}, {"signer-issuer", []int{1, 0, 4, 0, 1, 0}, no, noPath, no}, {"signer-serial", []int{1, 0, 4, 0, 1, 1}, no, no, no},
		{"signer-digest", []int{1, 0, 4, 0, 2}, no, no, no}, {"signed-attrs", []int{1, 0, 4, 0, 3}, sig, no, no}, {"first-attribute", []int{1, 0, 4, 0, 3, 0}, sig, no, sig}, {"first-attribute-values", []int{1, 0, 4, 0, 3, 0, 1}, no, sig, no},
		{"second-attribute", []int{1, 0, 4, 0, 3, 1}, sig, no, sig}, {"third-attribute", []int{1, 0, 4, 0, 3, 2}, refused(Signature), no, refused(Signature)}, {"fourth-attribute", []int{1, 0, 4, 0, 3, 3}, refused(Signature), no, refused(Signature)},
		{"signature-algorithm", []int{1, 0, 4, 0, 4}, no, no, no}, {"signature", []int{1, 0, 4, 0, 5}, no, sig, no},
	} {
		for what, c := range each(k, map[string]struct {
			want outcome
			f    func(parent *node, i int)
		}{
			"dropped": {p.dropped, func(parent *node, i int) { parent.drop(i) }},
			"emptied": {p.emptied, func(parent *node, i int) { parent.at(i).become(&node{tag: parent.at(i).tag}) }},
			"doubled": {p.doubled, func(parent *node, i int) { parent.insert(i, parent.at(i)) }},
		}) {
			t := tree(der)
			parent, last := t.at(p.path[:len(p.path)-1]...), p.path[len(p.path)-1]
			c.f(parent, last)
			k.mail("structure/"+p.name+"-"+what, "an element of the SignedData "+what+": "+p.name, fromAlice(pkcs7("signed-data", t.der())), c.want, twin("honest/opaque"))
		}
	}
	added := func(name, comment string, want outcome, f func(s signedData)) {
		k.signed("structure/"+name, comment, operate(der, f), want, twin("honest/opaque"))
	}
	added("crls-empty", "an empty set of CRLs", fine, func(s signedData) { s.body().insert(4, tagged(1)) })
	added("crls-nonsense", "a CRL that is none", fine, func(s signedData) { s.body().insert(4, tagged(1, seq(null()))) })
	added("unsigned-attributes-empty", "an empty set of unsigned attributes", fine, func(s signedData) { s.signerInfo().insert(6, tagged(1)) })
	added("unsigned-attributes-nonsense", "unsigned attributes that are none", no, func(s signedData) { s.signerInfo().insert(6, tagged(1, null())) })
	added("unknown-field", "a field more behind signerInfos", no, func(s signedData) { s.body().insert(5, null()) })
	added("unknown-signer-field", "a field more in SignerInfo", no, func(s signedData) { s.signerInfo().insert(6, null()) })
	added("version-of-other", "another version", fine, func(s signedData) { s.body().at(0).become(integer(99)) })
	added("attribute-certificate", "a certificate of another kind beside the signer's", fine, func(s signedData) { s.certificates().insert(0, tagged(2, null())) })
	added("duplicate-certificate", "the signer's certificate twice", fine, func(s signedData) { s.certificates().insert(0, s.certificates().at(0)) })
}

func (k *kit) octetsOfTheMessage() {
	der := k.sign(letter, k.world.alice)
	both := func(name, comment string, l Layer, message []byte) {
		k.signed("ber/"+name, comment, message, refused(l), twin("honest/opaque"))
	}
	for i := range 24 {
		n := len(der) * i / 24
		both(fmt.Sprintf("cut-%02d", i), "cut short", BER, der[:n])
	}
	both("one-short", "the last octet is missing", BER, der[:len(der)-1])
	both("one-more", "an octet behind the message", BER, append(slices.Clone(der), 0))
	both("two-messages", "two messages, one behind the other", BER, slices.Concat(der, der))
	both("zeroes-behind", "zeroes behind the message", BER, append(slices.Clone(der), make([]byte, 100)...))
	both("end-of-contents-behind", "end-of-contents behind the message", BER, append(slices.Clone(der), 0, 0))
	both("30-82", "two octets that a Go library could not bear", BER, []byte{0x30, 0x82})
	both("30-80", "an indefinite length and nothing", BER, []byte{0x30, 0x80})
	both("length-of-gigabytes", "a length of gigabytes", BER, append([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, der[4:]...))
	both("length-of-63-bits", "a length of 63 bits", BER, append([]byte{0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, der[4:]...))
	both("length-of-64-bits", "a length that is negative in 64 bits", BER, append([]byte{0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, der[4:]...))
	both("length-of-126-octets", "a length of 126 octets", BER, append(append([]byte{0x30, 0xfe}, bytes.Repeat([]byte{1}, 126)...), der[4:]...))
	both("length-ff", "the reserved form of length", BER, append([]byte{0x30, 0xff}, der[4:]...))
	for i := range 4 {
		wrong := slices.Clone(der)
		wrong[3] += byte(i - 2)
		if i != 2 {
			both(fmt.Sprintf("length-off-by-%d", i-2), "the outer length is wrong", BER, wrong)
		}
	}
	both("tag-high-number", "a high tag number in place of SEQUENCE", CMS, append([]byte{0x3f, 0x10}, der[1:]...))
	both("tag-endless-number", "a tag number without end", BER, append([]byte{0x3f}, bytes.Repeat([]byte{0xff}, 50)...))
	both("primitive-sequence", "a SEQUENCE in primitive form", BER, append([]byte{0x10}, der[1:]...))
	both("set-in-place-of-sequence", "a SET in place of the SEQUENCE", CMS, append([]byte{0x31}, der[1:]...))
	both("primitive-indefinite", "a primitive element with an indefinite length", BER, append([]byte{0x04, 0x80}, der[4:]...))
	both("empty-sequence", "an empty SEQUENCE", CMS, []byte{0x30, 0})
	both("null", "NULL", CMS, oid.Null)
}

func (k *kit) encodingsOfTheMessage() {
	der := k.sign(letter, k.world.alice)
	both := func(name, comment string, want outcome, message []byte) {
		k.signed("ber/"+name, comment, message, want, twin("honest/opaque"))
	}
	indefinite := func(paths ...[]int) []byte {
		t := tree(der)
		for _, p := range paths {
			t.at(p...).become(t.at(p...).indefinite())
		}
		return t.der()
	}
	pieces := func(kids ...*node) []byte {
		return operate(der, func(s signedData) { s.encapContentInfo().at(1).become(tagged(0, &node{tag: 0x24, kids: kids})) })
	}
	text := []byte(letter)
	fine := valid(letter)
	both("indefinite-everywhere", "indefinite lengths down to the content", fine, indefinite([]int{1, 0, 2, 1}, []int{1, 0, 2}, []int{1, 0}, []int{1}, nil))
	both("indefinite-certificates", "indefinite lengths of certificates and signerInfos", fine, indefinite([]int{1, 0, 3}, []int{1, 0, 4, 0, 3}, []int{1, 0, 4, 0}, []int{1, 0, 4}))
	both("long-form-length", "lengths in a longer form than is needed", fine, append([]byte{0x30, 0x84, 0, 0}, der[2:]...))
	both("content-in-pieces", "content in pieces", fine, pieces(octets(text[:10]), octets(text[10:40]), octets(text[40:])))
	both("content-in-single-octets", "content in pieces of one octet", fine, pieces(single(text)...))
	both("content-with-empty-pieces", "empty pieces between", fine, pieces(octets(nil), octets(text), octets(nil)))
	both("content-in-nested-pieces", "pieces inside of pieces", fine, pieces(&node{tag: 0x24, kids: []*node{octets(text[:10]), {tag: 0x24, kids: []*node{octets(text[10:])}}}}))
	both("content-pieces-of-other-type", "a piece that is no OCTET STRING", refused(CMS), pieces(octets(text), primitive(0x0c, nil)))
	both("content-pieces-swapped", "the pieces in another order", invalid(Digest), pieces(octets(text[40:]), octets(text[:40])))
	both("content-bit-string", "content that is a BIT STRING", refused(CMS), operate(der, func(s signedData) {
		s.encapContentInfo().at(1).become(tagged(0, primitive(3, append([]byte{0}, text...))))
	}))
	both("content-sequence", "content that is a SEQUENCE, as in PKCS #7", refused(CMS), operate(der, func(s signedData) { s.encapContentInfo().at(1).become(tagged(0, seq(octets(text)))) }))
	both("end-of-contents-with-length", "end-of-contents with a length", refused(BER), append(bytes.TrimSuffix(tree(der).indefinite().der(), []byte{0, 0}), 0, 1, 0))
	both("end-of-contents-missing", "an indefinite length that does not end", refused(BER), bytes.TrimSuffix(tree(der).indefinite().der(), []byte{0, 0}))
	both("end-of-contents-inside-definite", "end-of-contents inside a definite length", refused(BER), operate(der, func(s signedData) { s.body().insert(5, raw([]byte{0, 0})) }))
	both("oid-empty", "an empty object identifier", refused(CMS), operate(der, func(s signedData) { s.at(0).become(primitive(6, nil)) }))
	both("oid-padded", "an object identifier with padding", refused(CMS), operate(der, func(s signedData) { s.at(0).become(primitive(6, append([]byte{0x2a, 0x80}, s.at(0).body[1:]...))) }))
	both("oid-unfinished", "an object identifier that ends in the middle of an arc", refused(CMS), operate(der, func(s signedData) { s.at(0).become(primitive(6, append(slices.Clone(s.at(0).body), 0x81))) }))
	both("oid-endless", "an object identifier of a thousand octets", refused(CMS), operate(der, func(s signedData) { s.at(0).become(primitive(6, bytes.Repeat([]byte{0x81}, 1000))) }))
	both("version-huge", "a version of two thousand bits", refused(CMS), operate(der, func(s signedData) { s.body().at(0).become(primitive(tagInteger, bytes.Repeat([]byte{0x7f}, 250))) }))
	both("version-empty", "an INTEGER without octets", refused(CMS), operate(der, func(s signedData) { s.body().at(0).become(primitive(tagInteger, nil)) }))
}

func single(b []byte) (out []*node) {
	for i := range b {
		out = append(out, octets(b[i:i+1]))
	}
	return out
}
