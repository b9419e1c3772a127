package testkit

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// honestCases must be valid: whoever refuses everything passes the others.
func (k *kit) honestCases() {
	w := k.world
	for name, l := range each(k, map[string]*testca.Leaf{"p256": w.alice, "rsa": w.aliceRSA, "ed25519": w.aliceEd}) {
		k.mail("honest/detached-"+name, "multipart/signed by alice", fromAlice(multipartSigned(letter, k.signDetached(letter, l))), valid(letter))
	}
	k.signed("honest/opaque", "opaque signature by alice", k.sign(letter, w.alice), valid(letter))
	k.signed("honest/opaque-rsa", "opaque signature by alice, RSA", k.sign(letter, w.aliceRSA), valid(letter))
	k.signed("honest/no-signing-time", "a signature need not say when it was made", k.signWith(letter, &cms.SignOptions{}, w.alice), valid(letter))
	k.signed("honest/two-signers", "two keys of alice sign, and both are right", k.sign(letter, w.alice, w.aliceRSA), valid(letter))
	k.signed("honest/indefinite", "BER with indefinite lengths", k.signWith(letter, &cms.SignOptions{Indefinite: true, Time: testca.Now}, w.alice), valid(letter))
	k.honestForms()
	k.honestNesting()
}

func (k *kit) honestForms() {
	w := k.world
	detached, opaque := k.signDetached(letter, w.alice), k.sign(letter, w.alice)
	usual := fromAlice(multipartSigned(letter, detached))
	k.mail("honest/line-feeds", "a file with the line ends of Unix", strings.ReplaceAll(usual, "\r\n", "\n"), func(c *Case) {
		valid(strings.ReplaceAll(letter, "\r\n", "\n"))(c)
	})
	k.mail("honest/old-names", "the media types from before their registration",
		strings.ReplaceAll(usual, "application/pkcs7-signature", "application/x-pkcs7-signature"), valid(letter))
	k.mail("honest/old-name-opaque", "application/x-pkcs7-mime", strings.Replace(fromAlice(pkcs7("signed-data", opaque)), "pkcs7-mime", "x-pkcs7-mime", 1), valid(letter))
	k.mail("honest/no-smime-type", "without smime-type", strings.Replace(fromAlice(pkcs7("signed-data", opaque)), " smime-type=signed-data;", "", 1), valid(letter))
	k.mail("honest/octet-stream", "application/octet-stream with the file name smime.p7m",
		strings.Replace(fromAlice(pkcs7("signed-data", opaque)), "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream", 1), valid(letter))
	k.mail("honest/preamble", "the usual line for readers without MIME", strings.Replace(usual, "--"+boundary, "This is a signed message\r\n\r\n--"+boundary, 1), valid(letter))
	k.mail("honest/binary", "CMS in binary", aliceFrom+outerFields+"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: binary\r\n\r\n"+string(opaque), valid(letter))
	multi := multipart("mixed", letter, "Content-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment\r\n\r\nenclosed\r\n")
	k.mail("honest/attachment", "a signature over a multipart with an attachment", fromAlice(multipartSigned(multi, k.signDetached(multi, w.alice))), valid(multi))
	forwarded := "Content-Type: message/rfc822\r\n\r\n" + fromEve(evil)
	k.mail("honest/forwarded-inside", "alice signs that she forwards another's mail", fromAlice(multipartSigned(forwarded, k.signDetached(forwarded, w.alice))), valid(forwarded))
	k.mail("honest/without-chain", "the intermediate comes from the reader, not from the mail",
		fromAlice(pkcs7("signed-data", operate(opaque, func(s signedData) { s.certificates().become(tagged(0, raw(w.alice.Certificate.Raw))) }))),
		valid(letter), intermediates("issuing"))
	k.mail("honest/with-root", "the root is sent along, which is needless and harmless",
		fromAlice(pkcs7("signed-data", operate(opaque, func(s signedData) { s.certificates().insert(0, raw(w.root.Certificate.Raw)) }))), valid(letter))
}

func (k *kit) honestNesting() {
	w := k.world
	inner := pkcs7("signed-data", k.sign(letter, w.alice))
	sealed := k.encrypt(inner, nil, w.bob, w.alice)
	k.mail("honest/sealed", "signed, then encrypted with AES-256-CBC", fromAlice(pkcs7("enveloped-data", sealed)), valid(letter), keys("bob"))
	k.mail("honest/sealed-gcm", "signed, then encrypted with AES-256-GCM", fromAlice(pkcs7("authEnveloped-data", k.encrypt(inner, &cms.EncryptOptions{Cipher: cms.AES256GCM}, w.bob))), valid(letter), keys("bob"))
	k.mail("honest/sealed-ec", "signed, then encrypted by key agreement", fromAlice(pkcs7("enveloped-data", k.encrypt(inner, nil, w.bobEC))), valid(letter), keys("bob-ec"))
	k.mail("honest/sealed-detached", "multipart/signed inside the encryption",
		fromAlice(pkcs7("enveloped-data", k.encrypt(multipartSigned(letter, k.signDetached(letter, w.alice)), nil, w.bob))), valid(letter), keys("bob"))
	enveloped := pkcs7("enveloped-data", sealed)
	k.mail("honest/triple-wrapped", "signed, encrypted, signed (RFC 2634 section 1.1)", fromAlice(pkcs7("signed-data", k.sign(enveloped, w.alice))), valid(letter), keys("bob"))
	k.mail("honest/not-for-me", "encrypted to somebody else", fromAlice(enveloped), answer(Unknown, Decrypt), keys("carol"))
	k.mail("honest/plain", "a mail that nobody signed", fromAlice(evil), shown(Unsigned, MIME, fromAlice(evil)))
	var b bytes.Buffer
	c, err := cms.Compress(&b, nil)
	k.check(err)
	_, err = c.Write([]byte(inner))
	k.check(err)
	k.check(c.Close())
	k.mail("honest/compressed", "signed, then compressed", fromAlice(pkcs7("compressed-data", b.Bytes())), valid(letter))
	k.mail("honest/decrypt-alone", "encrypted and not signed", fromAlice(pkcs7("authEnveloped-data", k.encrypt(letter, &cms.EncryptOptions{Cipher: cms.AES256GCM}, w.bob))),
		shown(Unsigned, MIME, letter), keys("bob"))
}

// contentCases change what was signed, or the signature.
func (k *kit) contentCases() {
	w := k.world
	der, p7s := k.sign(letter, w.alice), k.signDetached(letter, w.alice)
	honest := twin("honest/opaque")
	for name, content := range each(k, map[string]string{
		"one-byte": strings.Replace(letter, "100", "900", 1), "appended": letter + "P.S. pay Eve too.\r\n", "prefix-cut": letter[1:], "cut": letter[:len(letter)-9],
		"empty": "", "other-header": strings.Replace(letter, "text/plain", "text/html", 1), "another-letter": evil, "blank-line-added": letter + "\r\n",
		"blank-inside": strings.Replace(letter, "100 EUR", "100  EUR", 1), "case": strings.ToLower(letter), "doubled": letter + letter,
		"header-added": "Content-Language: en\r\n" + letter, "header-refolded": strings.Replace(letter, "; charset", ";\r\n charset", 1),
		"lines-joined": strings.Replace(letter, "\r\n\r\nAlice", " Alice", 1),
	}) {
		changed := operate(der, func(s signedData) { s.encapContentInfo().at(1).become(tagged(0, octets([]byte(content)))) })
		k.signed("content/"+name, "content changed after signing: "+name, changed, invalid(Digest), honest)
		k.mail("content/detached-"+name, "content changed after signing, detached: "+name, fromAlice(multipartSigned(content, p7s)), invalid(Digest), twin("honest/detached-p256"))
	}
	k.signed("content/reused-signature", "the signature of one letter with the content of another", operate(k.sign(evil, w.eve), func(s signedData) {
		s.signerInfos().become(signedTree(der).signerInfos())
		s.certificates().become(signedTree(der).certificates())
	}), invalid(Digest), honest)
	k.signatureValues(der)
}

func (k *kit) signatureValues(der []byte) {
	info := func(f func(info *node)) []byte { return operate(der, func(s signedData) { f(s.signerInfo()) }) }
	value := signedTree(der).signerInfo().at(5).body
	flipped := slices.Clone(value)
	flipped[len(flipped)-1] ^= 1
	zeros := seq(integer(0), integer(0)).der()
	halves := tree(value)
	for name, sig := range each(k, map[string][]byte{
		"flipped": flipped, "empty": {}, "cut": value[:len(value)-1], "longer": append(slices.Clone(value), 0), "zero": zeros,
		"ones": seq(integer(1), integer(1)).der(), "swapped": seq(halves.at(1), halves.at(0)).der(), "r-zero": seq(integer(0), halves.at(1)).der(),
		"s-zero": seq(halves.at(0), integer(0)).der(), "not-der": {0x30, 0x80, 0, 0}, "null": oid.Null, "three-numbers": seq(halves.at(0), halves.at(1), integer(1)).der(),
		"negative": seq(integer(-1), halves.at(1)).der(), "raw-r-s": slices.Concat(halves.at(0).body, halves.at(1).body),
	}) {
		k.signed("signature/"+name, "signature value: "+name, info(func(i *node) { i.at(5).become(octets(sig)) }), invalid(Signature), twin("honest/opaque"))
	}
	for name, c := range each(k, map[string]struct {
		digest, signature oid.OID
		layer             Layer
		answer            Answer
	}{
		"digest-sha512": {oid.SHA512, oid.ECDSAWithSHA256, Signature, Invalid}, "digest-sha1": {oid.SHA1, oid.ECDSAWithSHA256, Signature, Invalid},
		"digest-md5": {oid.MD5, oid.ECDSAWithSHA256, Signature, Invalid}, "signature-sha384": {oid.SHA256, oid.ECDSAWithSHA384, Signature, Invalid},
		"signature-rsa": {oid.SHA256, oid.SHA256WithRSA, Signature, Invalid}, "signature-ed25519": {oid.SHA256, oid.Ed25519, Signature, Invalid},
		"signature-pss-without-parameters": {oid.SHA256, oid.RSASSAPSS, Signature, Invalid}, "signature-mldsa": {oid.SHA256, oid.MLDSA65, Signature, Invalid},
	}) {
		changed := info(func(i *node) {
			i.at(2).become(algorithm(c.digest))
			i.at(4).become(algorithm(c.signature))
		})
		k.signed("algorithm/"+name, "algorithm identifiers changed after signing: "+name, changed, refused(c.layer), twin("honest/opaque"))
	}
	unknown := oid.OID("1.3.6.1.4.1.55555.1")
	k.signed("algorithm/digest-unknown", "a digest that nobody knows", info(func(i *node) { i.at(2).become(algorithm(unknown)) }), refused(Signature), twin("honest/opaque"))
	k.signed("algorithm/signature-unknown", "a signature algorithm that nobody knows", info(func(i *node) { i.at(4).become(algorithm(unknown)) }), refused(Signature), twin("honest/opaque"))
}

// attributeCases: signed attributes as content, and attributes that decide what is signed.
func (k *kit) attributeCases() {
	w := k.world
	honest := k.sign(letter, w.alice)
	attrs := signedTree(honest).signedAttrs()
	content := set(attrs.kids...).sorted().der()
	asContent := operate(honest, func(s signedData) {
		s.encapContentInfo().at(1).become(tagged(0, octets(content)))
		s.signerInfo().drop(3)
	})
	const why = "signed attributes of a genuine message as content, with its signature (draft-ietf-lamps-cms-euf-cma-signeddata)"
	k.signed("attributes/as-content", why, asContent, invalid(Signature), twin("honest/opaque"))
	k.mail("attributes/as-content-detached", why+", detached", fromAlice(multipartSigned(string(content), operate(asContent, func(s signedData) { s.encapContentInfo().drop(1) }))), invalid(Signature))
	k.signed("attributes/as-content-indefinite", why+", content in pieces", operate(asContent, func(s signedData) {
		s.encapContentInfo().at(1).become(tagged(0, (&node{tag: 0x24, kids: []*node{octets(content[:7]), octets(content[7:])}}).indefinite()))
	}), invalid(Signature))
	k.signed("attributes/as-content-beside-honest", why+", beside a second, honest signer of the same content", operate(k.sign(string(content), w.alice), func(s signedData) {
		s.signerInfos().insert(0, signedTree(asContent).signerInfo())
	}), invalid(Signature))
	bare := assemble(oid.Data, octets([]byte(letter)), certificatesOf(w.alice), k.signerInfo(w.alice, letter))
	k.signed("attributes/none", "a signature without signed attributes", bare, invalid(Signature), policy("RFC 5652 permits it for content of type data, and lets attributes pass as content"))
	k.attributeTable()
	k.attributeOrder(honest)
}

func (k *kit) attributeTable() {
	w := k.world
	usual := usualAttributes(oid.Data, letter)
	ctype, digest := usual[0], usual[1]
	other := usualAttributes(oid.Data, evil)[1]
	both := digest.clone()
	both.at(1).insert(1, other.at(1, 0))
	when := func(v *node) []*node {
		return append(usualAttributes(oid.Data, letter), attribute(oid.AttrSigningTime, v))
	}
	utc := func(s string) *node { return primitive(0x17, []byte(s)) }
	with := func(extra ...*node) []*node { return append(usualAttributes(oid.Data, letter), extra...) }
	for name, c := range each(k, map[string]struct {
		attrs []*node
		want  outcome
	}{
		"usual":                        {usual, valid(letter)},
		"no-content-type":              {[]*node{digest}, invalid(Signature)},
		"no-digest":                    {[]*node{ctype}, invalid(Signature)},
		"neither":                      {[]*node{attribute(oid.AttrSigningTime, utc("260601120000Z"))}, invalid(Signature)},
		"two-digests":                  {[]*node{ctype, digest, other}, invalid(Signature)},
		"two-digests-other-first":      {[]*node{ctype, other, digest}, invalid(Signature)},
		"digest-of-two-values":         {[]*node{ctype, both}, invalid(Signature)},
		"same-digest-twice":            {[]*node{ctype, digest, digest}, invalid(Signature)},
		"digest-without-value":         {[]*node{ctype, attribute(oid.AttrMessageDigest)}, invalid(Signature)},
		"digest-is-null":               {[]*node{ctype, attribute(oid.AttrMessageDigest, null())}, invalid(Signature)},
		"digest-is-an-integer":         {[]*node{ctype, attribute(oid.AttrMessageDigest, integer(7))}, invalid(Signature)},
		"digest-is-empty":              {[]*node{ctype, attribute(oid.AttrMessageDigest, octets(nil))}, refused(Digest)},
		"digest-is-cut":                {[]*node{ctype, attribute(oid.AttrMessageDigest, octets(digest.at(1, 0).body[:20]))}, refused(Digest)},
		"digest-of-other":              {[]*node{ctype, other}, invalid(Digest)},
		"two-content-types":            {[]*node{ctype, attribute(oid.AttrContentType, identifier(oid.TSTInfo)), digest}, invalid(Signature)},
		"content-type-of-two-values":   {[]*node{attribute(oid.AttrContentType, identifier(oid.Data), identifier(oid.TSTInfo)), digest}, invalid(Signature)},
		"content-type-of-other":        {[]*node{attribute(oid.AttrContentType, identifier(oid.TSTInfo)), digest}, invalid(Signature)},
		"content-type-empty":           {[]*node{attribute(oid.AttrContentType), digest}, invalid(Signature)},
		"content-type-text":            {[]*node{attribute(oid.AttrContentType, primitive(0x0c, []byte("data"))), digest}, invalid(Signature)},
		"signing-time":                 {when(utc("260601120000Z")), valid(letter)},
		"signing-time-without-seconds": {when(utc("2606011200Z")), valid(letter)},
		"signing-time-twice":           {append(when(utc("260601120000Z")), attribute(oid.AttrSigningTime, utc("200601120000Z"))), invalid(Signature)},
		"signing-time-nonsense":        {when(utc("269901120000Z")), invalid(Signature)},
		"signing-time-empty":           {when(utc("")), invalid(Signature)},
		"signing-time-octets":          {when(octets([]byte("260601120000Z"))), invalid(Signature)},
		"signing-time-before-life":     {when(utc("000101000000Z")), valid(letter)},
		"countersignature-inside":      {with(attribute(oid.AttrCountersignature, k.signerInfo(w.alice, letter, usual...))), invalid(Signature)},
		"capabilities-malformed":       {with(attribute(oid.AttrSMIMECapabilities, octets([]byte{1}))), invalid(Signature)},
		"unknown-attribute":            {with(attribute("1.3.6.1.4.1.55555.2", null())), valid(letter)},
		"certificate-of-other":         {with(attribute(oid.AttrSigningCertificateV2, seq(seq(seq(octets(make([]byte, 32))))))), invalid(Signature)},
		"certificate-malformed":        {with(attribute(oid.AttrSigningCertificateV2, null())), invalid(Signature)},
		"protection-of-other":          {with(attribute(oid.AttrAlgorithmProtection, seq(algorithm(oid.SHA512), tagged(1, identifier(oid.ECDSAWithSHA512))))), invalid(Signature)},
		"protection-malformed":         {with(attribute(oid.AttrAlgorithmProtection, seq(algorithm(oid.SHA256)))), invalid(Signature)},
	}) {
		der := assemble(oid.Data, octets([]byte(letter)), certificatesOf(w.alice), k.signerInfo(w.alice, letter, c.attrs...))
		k.signed("attributes/"+name, "signed attributes: "+name, der, c.want, twin("attributes/usual"))
	}
	for name, t := range each(k, map[string]oid.OID{"tst-info": oid.TSTInfo, "receipt": oid.Receipt, "enveloped-data": oid.EnvelopedData, "unknown": "1.3.6.1.4.1.55555.3"}) {
		der := assemble(t, octets([]byte(letter)), certificatesOf(w.alice), k.signerInfo(w.alice, letter, usualAttributes(t, letter)...))
		k.mail("attributes/signed-as-"+name, "a correct signature over content of another type than mail", fromAlice(pkcs7("signed-data", der)), refused(CMS), twin("attributes/usual"))
		mislabelled := operate(der, func(s signedData) { s.encapContentInfo().at(0).become(identifier(oid.Data)) })
		k.signed("attributes/relabelled-"+name, "a signature over content of another type, called mail afterwards", mislabelled, invalid(Signature), twin("attributes/usual"))
	}
}

func (k *kit) attributeOrder(honest []byte) {
	w := k.world
	usual := usualAttributes(oid.Data, letter)
	info := k.signerInfo(w.alice, letter, usual...)
	one := func(name, comment string, want outcome, f func(info *node)) {
		i := info.clone()
		f(i)
		k.signed("attributes/"+name, comment, assemble(oid.Data, octets([]byte(letter)), certificatesOf(w.alice), i), want, twin("attributes/usual"))
	}
	one("reordered", "signed attributes sent in another order than DER's", valid(letter), func(i *node) { slices.Reverse(i.at(3).kids) })
	one("empty", "an empty set of signed attributes", refused(CMS), func(i *node) { i.at(3).become(tagged(0)) })
	one("emptied", "signed attributes taken away", invalid(Signature), func(i *node) { i.drop(3) })
	one("one-added", "an attribute added to the signed ones", invalid(Signature), func(i *node) {
		i.at(3).insert(0, attribute(oid.AttrSigningTime, primitive(0x17, []byte("260601120000Z"))))
	})
	one("one-removed", "contentType removed from the signed ones", invalid(Signature), func(i *node) { i.at(3).drop(0) })
	one("unsigned-digest", "messageDigest among the unsigned attributes", invalid(Signature), func(i *node) { i.kids = append(i.kids, tagged(1, usual[1])) })
	one("unsigned-content-type", "contentType among the unsigned attributes", invalid(Signature), func(i *node) { i.kids = append(i.kids, tagged(1, usual[0])) })
	one("unsigned-signing-time", "signingTime among the unsigned attributes", invalid(Signature), func(i *node) {
		i.kids = append(i.kids, tagged(1, attribute(oid.AttrSigningTime, primitive(0x17, []byte("260601120000Z")))))
	})
	one("unsigned-unknown", "an unknown unsigned attribute, which changes nothing", valid(letter), func(i *node) { i.kids = append(i.kids, tagged(1, attribute("1.3.6.1.4.1.55555.2", null()))) })
	one("moved-to-unsigned", "all signed attributes moved to the unsigned ones", invalid(Signature), func(i *node) {
		moved := tagged(1, i.at(3).kids...)
		i.drop(3)
		i.kids = append(i.kids, moved)
	})
	one("set-tag", "signed attributes under SET in place of [0]", refused(CMS), func(i *node) { i.at(3).become(set(i.at(3).kids...)) })
	k.signed("attributes/time-changed", "the signing time changed after signing", operate(honest, func(s signedData) {
		attributeOf(s.signedAttrs(), oid.AttrSigningTime).at(1).become(set(primitive(0x17, []byte("250601120000Z"))))
	}), invalid(Signature), twin("honest/opaque"))
}

// signerCases: nobody, and several of whom one is bad.
func (k *kit) signerCases() {
	k.nobodySigned()
	k.severalSigners()
	k.signerIdentifiers()
}

func (k *kit) nobodySigned() {
	w := k.world
	nobody := assemble(oid.Data, octets([]byte(letter)), certificatesOf(w.alice))
	none := shown(Unsigned, Signature, letter)
	k.mail("signers/none", "a SignedData whose signerInfos is empty", fromAlice(pkcs7("signed-data", nobody)), none, twin("honest/opaque"))
	k.add(Raw, "signers/none.cms", "a SignedData whose signerInfos is empty", nobody, answer(Unsigned, Signature))
	k.mail("signers/none-and-no-certificates", "neither signerInfos nor certificates", fromAlice(pkcs7("signed-data", assemble(oid.Data, octets([]byte(letter)), nil))), none)
	empty := assemble(oid.Data, nil, certificatesOf(w.alice))
	k.mail("signers/certs-only-as-signature", "a certs-only message in the place of a signature (gitsign 2026-44310)", fromAlice(multipartSigned(letter, empty)), shown(Unsigned, Signature, letter), twin("honest/detached-p256"))
	whole := fromAlice(pkcs7("certs-only", empty))
	k.mail("signers/certs-only", "a certs-only message proves nothing", whole, shown(Unsigned, Signature, whole))
	whole = fromAlice(pkcs7("signed-data", empty))
	k.mail("signers/certs-only-as-signed", "a certs-only message that says it is signed-data", whole, shown(Unsigned, Signature, whole))
	k.add(Raw, "signers/certs-only.cms", "a certs-only message proves nothing", empty, answer(Unsigned, Signature))
	k.mail("signers/none-inside-encryption", "nobody signed what is encrypted", fromAlice(pkcs7("enveloped-data", k.encrypt(pkcs7("signed-data", nobody), nil, w.bob))), none, keys("bob"))
	k.mail("signers/none-around-one", "an empty signature around a right one", fromAlice(pkcs7("signed-data", assemble(oid.Data, octets([]byte(pkcs7("signed-data", k.sign(letter, w.alice)))), nil))), valid(letter),
		policy("the outer layer proves nothing and hides nothing"))
	k.mail("signers/one-around-none", "a right signature around an empty one", fromAlice(pkcs7("signed-data", k.sign(pkcs7("signed-data", nobody), w.alice))), valid(letter),
		policy("alice signed all that is shown"))
}

func (k *kit) severalSigners() {
	w := k.world
	pair := func(a, b *testca.Leaf) []byte { return k.sign(letter, a, b) }
	both := pair(w.alice, w.aliceRSA)
	spoil := func(i int, f func(info *node)) []byte {
		return operate(both, func(s signedData) { f(s.signerInfos().at(i)) })
	}
	unknown := oid.OID("1.3.6.1.4.1.55555.1")
	for i, place := range []string{"first", "second"} {
		for name, c := range each(k, map[string]struct {
			want outcome
			f    func(info *node)
		}{
			"signature-wrong": {invalid(Signature), func(n *node) {
				sig := slices.Clone(n.at(5).body)
				sig[len(sig)-1] ^= 1
				n.at(5).become(octets(sig))
			}},
			"attributes-changed": {invalid(Signature), func(n *node) {
				attributeOf(n.at(3), oid.AttrSigningTime).at(1).become(set(primitive(0x17, []byte("200601120000Z"))))
			}},
			"digest-changed":     {invalid(Digest), func(n *node) { attributeOf(n.at(3), oid.AttrMessageDigest).at(1).become(set(octets(make([]byte, 32)))) }},
			"attributes-dropped": {invalid(Signature), func(n *node) { n.drop(3) }},
			"digest-unknown":     {refused(Signature), func(n *node) { n.at(2).become(algorithm(unknown)) }},
			"algorithm-unknown":  {refused(Signature), func(n *node) { n.at(4).become(algorithm(unknown)) }},
			"other-serial":       {answer(Untrusted, Path), func(n *node) { n.at(1, 1).become(integer(4711)) }},
		}) {
			want := c.want
			outcomeOf := []outcome{want, twin("honest/two-signers")}
			der := spoil(i, c.f)
			k.add(Raw, "signers/"+place+"-"+name+".cms", "two signers, "+place+" bad: "+name, der, outcomeOf...)
			if name == "other-serial" {
				want = shown(Untrusted, Path, letter)
			}
			k.mail("signers/"+place+"-"+name, "two signers, "+place+" bad: "+name, fromAlice(pkcs7("signed-data", der)), want, twin("honest/two-signers"))
		}
	}
	for name, c := range each(k, map[string]struct {
		a, b *testca.Leaf
		want outcome
	}{
		"eve-beside-alice": {w.alice, w.eve, invalid(Identity)}, "alice-beside-eve": {w.eve, w.alice, invalid(Identity)},
		"impostor-beside-alice": {w.alice, w.impostor, shown(Untrusted, Path, letter)}, "alice-beside-impostor": {w.impostor, w.alice, shown(Untrusted, Path, letter)},
	}) {
		k.mail("signers/"+name, "two signers: "+name, fromAlice(pkcs7("signed-data", pair(c.a, c.b))), c.want, twin("honest/two-signers"))
		k.mail("signers/detached-"+name, "two signers, detached: "+name, fromAlice(multipartSigned(letter, k.signDetached(letter, c.a, c.b))), c.want, twin("honest/two-signers"))
	}
	k.signed("signers/twice-the-same", "the same SignerInfo twice", operate(both, func(s signedData) { s.signerInfos().insert(0, s.signerInfo()) }), valid(letter))
	k.signed("signers/too-many", "hundreds of signers", operate(k.sign(letter, w.alice), func(s signedData) {
		for range 400 {
			s.signerInfos().insert(0, s.signerInfo())
		}
	}), refused(CMS), policy("who takes hundreds of signers says valid"))
}

func (k *kit) signerIdentifiers() {
	w := k.world
	der := k.sign(letter, w.alice)
	info := func(f func(s signedData)) []byte { return operate(der, f) }
	both := func(name, comment string, a Answer, der []byte, more ...outcome) {
		k.mail("signers/"+name, comment, fromAlice(pkcs7("signed-data", der)), append([]outcome{shown(a, Path, letter)}, more...)...)
		k.add(Raw, "signers/"+name+".cms", comment, der, append([]outcome{answer(a, Path)}, more...)...)
	}
	both("no-certificate", "the signer's certificate is nowhere", Untrusted, info(func(s signedData) { s.body().drop(3) }), twin("honest/opaque"))
	both("certificates-emptied", "an empty set of certificates", Untrusted, info(func(s signedData) { s.certificates().become(tagged(0)) }))
	both("other-certificate", "only the certificate of another", Untrusted, info(func(s signedData) { s.certificates().become(tagged(0, raw(w.eve.Certificate.Raw))) }))
	both("unreadable-certificate", "the certificate is cut short", Untrusted, info(func(s signedData) { s.certificates().at(0).become(seq(octets([]byte("no certificate")))) }))
	k.signed("signers/renamed-to-eve", "alice's signature with eve's name on it", info(func(s signedData) {
		s.signerInfo().at(1).become(seq(raw(w.eve.Certificate.RawIssuer), bigInteger(w.eve.Certificate.Serial)))
		s.certificates().become(tagged(0, raw(w.eve.Certificate.Raw), raw(w.issuing.Certificate.Raw)))
	}), invalid(Signature))
	k.signed("signers/eve-renamed-to-alice", "eve's signature with alice's name on it", operate(k.sign(letter, w.eve), func(s signedData) {
		s.signerInfo().at(1).become(seq(raw(w.alice.Certificate.RawIssuer), bigInteger(w.alice.Certificate.Serial)))
		s.certificates().become(tagged(0, raw(w.alice.Certificate.Raw), raw(w.issuing.Certificate.Raw)))
	}), invalid(Signature))
	k.signed("signers/empty-key-identifier", "an empty subject key identifier fits nobody", info(func(s signedData) { s.signerInfo().at(1).become(primitive(0x80, nil)) }), refused(CMS))
	k.signed("signers/shared-key-identifier", "two certificates with one key identifier: the right one is found", k.sharedKeyIdentifier(), valid(letter))
}

// sharedKeyIdentifier names the signer by a key identifier that eve's certificate claims too.
func (k *kit) sharedKeyIdentifier() []byte {
	w := k.world
	shared := func(c *x509.Certificate) { c.SubjectKeyId = []byte("shared") }
	alice, thief := w.issuing.Leaf("alice@example.com", testca.P256, shared), w.issuing.Leaf("eve@example.com", testca.P256, shared)
	info := k.signerInfo(alice, letter, usualAttributes(oid.Data, letter)...)
	info.at(0).become(integer(3))
	info.at(1).become(primitive(0x80, []byte("shared")))
	return assemble(oid.Data, octets([]byte(letter)), append([]*cert.Certificate{thief.Certificate}, certificatesOf(alice)...), info)
}
