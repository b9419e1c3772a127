package testkit

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// bombCases are small for who sends them and must stay small for who reads them: below two seconds and 256 MiB.
func (k *kit) bombCases() {
	k.compressed()
	k.nested()
	k.many()
	k.slowPaths()
	k.slowKeys()
}

// compressedData is RFC 3274 around zlib.
func compressedData(content []byte) []byte {
	return contentInfo(oid.CompressedData, seq(integer(0), algorithm(oid.ZlibCompress), seq(identifier(oid.Data), tagged(0, octets(content))))).der()
}

// zip compresses what is written by f.
func (k *kit) zip(f func(w *zlib.Writer)) []byte {
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, zlib.BestCompression)
	k.check(err)
	f(w)
	k.check(w.Close())
	return b.Bytes()
}

func (k *kit) compressed() {
	head := []byte("Content-Type: text/plain\r\n\r\n")
	write := func(w *zlib.Writer, b []byte) {
		_, err := w.Write(b)
		k.check(err)
	}
	bomb := compressedData(k.zip(func(w *zlib.Writer) {
		write(w, head)
		for range 64 {
			write(w, bytes.Repeat([]byte{' '}, 1<<20))
		}
	}))
	k.mail("bomb/zlib", "64 MiB of blanks, compressed", fromAlice(pkcs7("compressed-data", bomb)), refused(CMS), twin("honest/compressed"))
	k.add(Raw, "bomb/zlib.cms", "64 MiB of blanks, compressed", bomb, refused(CMS))
	inner := bomb
	for i := range 6 {
		content := []byte(pkcs7("compressed-data", inner))
		inner = compressedData(k.zip(func(w *zlib.Writer) { write(w, content) }))
		k.mail(fmt.Sprintf("bomb/zlib-in-zlib-%d", i+2), "compressed and compressed again", fromAlice(pkcs7("compressed-data", inner)), refused(CMS))
	}
	k.mail("bomb/zlib-encrypted", "64 MiB of blanks, compressed, then encrypted", fromAlice(pkcs7("enveloped-data", k.encrypt(pkcs7("compressed-data", bomb), nil, k.world.bob))), refused(CMS), keys("bob"))
	good := k.zip(func(w *zlib.Writer) { write(w, []byte(letter)) })
	whole := compressedData(good)
	k.mail("bomb/zlib-twin", "a letter, compressed", fromAlice(pkcs7("compressed-data", whole)), shown(Unsigned, MIME, letter))
	for name, z := range each(k, map[string][]byte{"cut": good[:len(good)-6], "checksum": append(slices.Clone(good[:len(good)-1]), good[len(good)-1]^1), "empty": {}, "no-zlib": []byte(letter), "more-behind": append(slices.Clone(good), good...)}) {
		k.mail("bomb/zlib-"+name, "compressed content: "+name, fromAlice(pkcs7("compressed-data", compressedData(z))), refused(CMS), twin("bomb/zlib-twin"))
	}
}

// deep puts n elements around each other.
func deep(n int, open, shut []byte) []byte {
	return slices.Concat(bytes.Repeat(open, n), bytes.Repeat(shut, n))
}

func (k *kit) nested() {
	w := k.world
	for _, n := range []int{100, 10_000, 200_000} {
		der := deep(n, []byte{0x30, 0x80}, []byte{0, 0})
		k.add(Raw, fmt.Sprintf("bomb/asn1-depth-%d", n), fmt.Sprintf("%d sequences in each other", n), der, refused(CMS))
		octets := deep(n, []byte{0x24, 0x80}, []byte{0, 0})
		k.add(Raw, fmt.Sprintf("bomb/octets-depth-%d", n), fmt.Sprintf("content of %d octet strings in each other", n), operate(k.sign(letter, w.alice), func(s signedData) {
			s.encapContentInfo().at(1).become(tagged(0, raw(octets)))
		}), refused(BER))
		attrs := deep(n, []byte{0x30, 0x80}, []byte{0, 0})
		k.mail(fmt.Sprintf("bomb/attribute-depth-%d", n), fmt.Sprintf("an unsigned attribute of %d sequences", n), fromAlice(pkcs7("signed-data", operate(k.sign(letter, w.alice), func(s signedData) {
			s.signerInfo().insert(6, tagged(1, attribute("1.3.6.1.4.1.55555.2", raw(attrs))))
		}))), refused(BER))
	}
	for _, n := range []int{50, 2000} {
		var open, shut strings.Builder
		for i := range n {
			fmt.Fprintf(&open, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i)
			fmt.Fprintf(&shut, "\r\n--b%d--", n-1-i)
		}
		whole := fromAlice(open.String() + evil + shut.String() + "\r\n")
		k.mail(fmt.Sprintf("bomb/mime-depth-%d", n), fmt.Sprintf("%d multiparts in each other", n), whole, shown(Unsigned, MIME, whole))
		forwarded := fromAlice(strings.Repeat("Content-Type: message/rfc822\r\n\r\n", n) + evil)
		k.mail(fmt.Sprintf("bomb/forwarded-depth-%d", n), fmt.Sprintf("%d mails in each other", n), forwarded, shown(Unsigned, MIME, forwarded))
	}
	k.mail("bomb/comments", "ten thousand comments in From", "From: "+strings.Repeat("(", 10_000)+strings.Repeat(")", 10_000)+" alice@example.com\r\n"+outerFields+multipartSigned(letter, k.signDetached(letter, w.alice)), refused(Identity))
}

func (k *kit) many() {
	w := k.world
	part := multipartSigned(letter, k.signDetached(letter, w.alice))
	signed := fromAlice(part)
	k.mail("bomb/many-fields", "a hundred thousand header fields", strings.Repeat("X: y\r\n", 100_000)+signed, refused(MIME))
	k.mail("bomb/long-field", "a header field of two megabytes", "X: "+strings.Repeat("y", 2<<20)+"\r\n"+signed, refused(MIME))
	k.mail("bomb/long-name", "a field name of a megabyte", strings.Repeat("y", 1<<20)+": x\r\n"+signed, refused(MIME))
	k.mail("bomb/many-addresses", "a hundred thousand addresses in From", "From: "+strings.Repeat("a@b.c,", 100_000)+"\r\n"+outerFields+part, refused(Identity))
	k.mail("bomb/many-parameters", "ten thousand parameters", aliceFrom+outerFields+strings.Replace(part, "micalg", strings.Repeat("x=y;\r\n ", 10_000)+"micalg", 1), refused(MIME))
	k.mail("bomb/many-continuations", "a boundary in ten thousand pieces (RFC 2231)", aliceFrom+outerFields+strings.Replace(part, "micalg", continuations(10_000)+"micalg", 1), refused(MIME))
	k.mail("bomb/encoded-words", "ten thousand encoded words in the name", "From: "+strings.Repeat("=?utf-8?Q?a?= ", 10_000)+"<alice@example.com>\r\n"+outerFields+part, valid(letter))
	parts := make([]string, 20_000)
	for i := range parts {
		parts[i] = "\r\nx"
	}
	whole := fromAlice(multipart("mixed", parts...))
	k.mail("bomb/many-parts", "twenty thousand parts", whole, shown(Unsigned, MIME, whole))
	whole = fromAlice(multipart("mixed", strings.Repeat("--=_oute\r\n", 100_000)))
	k.mail("bomb/almost-boundaries", "a hundred thousand lines that are almost a boundary", whole, shown(Unsigned, MIME, whole))
	whole = fromAlice("Content-Type: text/plain\r\n\r\n" + strings.Repeat("\r", 1<<20) + "\r\n")
	k.mail("bomb/carriage-returns", "a million carriage returns", whole, shown(Unsigned, MIME, whole))
	whole = fromAlice("Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("b", 100_000) + "\"\r\n\r\nx\r\n")
	k.mail("bomb/long-boundary", "a boundary of a hundred thousand letters", whole, shown(Unsigned, MIME, whole))
	k.manyElements()
}

func continuations(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "boundary*%d=x;\r\n ", i)
	}
	return b.String()
}

func (k *kit) manyElements() {
	w := k.world
	der := k.sign(letter, w.alice)
	repeat := func(n *node, times int) []*node { return slices.Repeat([]*node{n}, times) }
	k.add(Raw, "bomb/many-digests.cms", "fifty thousand digest algorithms", operate(der, func(s signedData) { s.digestAlgorithms().kids = repeat(algorithm(oid.SHA512), 50_000) }), refused(CMS))
	k.add(Raw, "bomb/many-certificates.cms", "five thousand certificates", operate(der, func(s signedData) { s.certificates().kids = repeat(s.certificates().at(1), 5_000) }), refused(CMS))
	k.add(Raw, "bomb/many-attributes.cms", "fifty thousand unsigned attributes", operate(der, func(s signedData) {
		s.signerInfo().insert(6, tagged(1, repeat(attribute("1.3.6.1.4.1.55555.2", null()), 50_000)...))
	}), valid(letter))
	k.add(Raw, "bomb/many-signing-times.cms", "fifty thousand signing times", operate(der, func(s signedData) {
		s.signedAttrs().kids = append(s.signedAttrs().kids, repeat(attribute(oid.AttrSigningTime, primitive(0x17, []byte("260601120000Z"))), 50_000)...)
	}), invalid(Signature))
	countersigned := k.signerInfo(w.alice, "x", usualAttributes(oid.Data, "x")[1])
	k.add(Raw, "bomb/many-countersignatures.cms", "a thousand countersignatures", operate(der, func(s signedData) {
		s.signerInfo().insert(6, tagged(1, attribute(oid.AttrCountersignature, repeat(countersigned, 1000)...)))
	}), valid(letter))
	k.add(Raw, "bomb/long-name.cms", "an issuer's name of fifty thousand parts", operate(der, func(s signedData) {
		s.signerInfo().at(1, 0).become(seq(repeat(set(seq(identifier(oid.CommonName), primitive(0x0c, []byte("x")))), 50_000)...))
	}), answer(Untrusted, Path))
	e := k.cbc(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16), []byte(letter))
	mine, other := e.infos[0], k.ktri(w.carol, bytes.Repeat([]byte{1}, 32))
	e.infos = append(repeat(other, 10_000), mine)
	k.mail("bomb/ten-thousand-recipients", "ten thousand recipients, the last is bob", fromAlice(pkcs7("enveloped-data", e.der())), shown(Unsigned, MIME, letter), keys("bob"))
	e.infos = append(repeat(other, 100_000), mine)
	k.add(Raw, "bomb/hundred-thousand-recipients.cms", "a hundred thousand recipients", e.der(), refused(CMS), keys("bob"))
	g, _ := k.gcm(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 12), []byte(letter))
	g.infos = repeat(ktriOf(w.bob, make([]byte, 256)), 5000)
	k.add(Raw, "bomb/probes.cms", "five thousand entries for bob that are all wrong", g.der(), refused(Decrypt), keys("bob"))
}

// slowPaths are chains whose search or whose rules explode.
func (k *kit) slowPaths() {
	k.path("cross-signed-twin", "two authorities that signed each other, one of them trusted", k.thicket(2, true), Valid)
	k.path("cross-signed-1000", "a thousand certificates of authorities that signed each other, none trusted", k.thicket(32, false), Untrusted)
	k.path("cross-signed-trusted", "hundreds of certificates of authorities that signed each other, one of them trusted", k.thicket(20, true), Valid)
	k.sameNames()
	k.path("policy-mappings", "two dozen policies that are mapped to each other on twelve levels", k.policies(24), Valid, policy("who limits the work and refuses is right too"))
	k.path("policy-mappings-many", "a hundred policies that are mapped to each other on twelve levels", k.policies(100), Untrusted, policy("who maps them all says valid"))
	k.constraints()
}

// thicket makes n authorities that have all signed each other.
func (k *kit) thicket(n int, trusted bool) *testca.Leaf {
	w := k.world
	authorities := make([]*testca.Authority, n)
	for i := range authorities {
		authorities[i] = testca.NewRoot(k.t, fmt.Sprintf("Thicket %d", i))
	}
	l := authorities[0].Leaf("alice@example.com", testca.P256)
	l.Chain = nil
	for _, a := range authorities {
		for _, b := range authorities {
			if a != b {
				l.Chain = append(l.Chain, a.CrossSign(b))
			}
		}
	}
	if trusted {
		l.Chain = append(l.Chain, w.root.CrossSign(authorities[n-1]))
	}
	return l
}

// sameNames are hundreds of authorities with one name and different keys, in levels.
func (k *kit) sameNames() {
	levels, width := 6, 60
	var pool []*cert.Certificate
	above := []*testca.Authority{testca.NewRoot(k.t, "Same 0")}
	for level := range levels {
		var next []*testca.Authority
		for i := range width {
			a := testca.NewRoot(k.t, fmt.Sprintf("same %d %d", level, i))
			a = testca.Renamed(a, pkix.Name{CommonName: fmt.Sprintf("Same %d", level+1)})
			pool = append(pool, above[i%len(above)].CrossSign(a))
			next = append(next, a)
		}
		above = next
	}
	l := above[0].Leaf("alice@example.com", testca.P256)
	l.Chain = pool
	k.path("same-names", "six levels of sixty authorities of one name", l, Untrusted)
}

// policies are n that twelve authorities map to each other (CVE-2026-32281).
func (k *kit) policies(n int) *testca.Leaf {
	id := func(i int) *node { return identifier(oid.OID(fmt.Sprintf("1.3.6.1.4.1.55555.9.%d", i))) }
	list, mappings := seq(), seq()
	for i := range n {
		list.kids = append(list.kids, seq(id(i)))
		for j := range 10 {
			mappings.kids = append(mappings.kids, seq(id(i), id((i*7+j*13)%n)))
		}
	}
	constraints := seq(primitive(0x80, []byte{0}))
	a := k.world.root
	for i := range 12 {
		a = a.Authority(fmt.Sprintf("Policies %d of %d", i, n), testca.Extension(oid.ExtCertificatePolicies, false, list.der()), testca.Extension(oid.ExtPolicyMappings, true, mappings.der()), testca.Extension(oid.ExtPolicyConstraints, true, constraints.der()))
	}
	return a.Leaf("alice@example.com", testca.P256, testca.Extension(oid.ExtCertificatePolicies, false, list.der()))
}

// constraints compare thousands of names with thousands of constraints (CVE-2025-58187).
func (k *kit) constraints() {
	var subtrees []string
	var names [][]byte
	for i := range 3000 {
		subtrees = append(subtrees, fmt.Sprintf("host%d.example.net", i))
		names = append(names, testca.Mailbox(fmt.Sprintf("x@host%d.example.org", i)))
	}
	names = append(names, testca.Mailbox("alice@example.com"))
	a := k.world.root.Authority("Constraints", testca.ExcludeEmails(subtrees...)).Authority("Constraints Below", testca.ExcludeEmails(subtrees...))
	l := a.Leaf("alice@example.com", testca.P256, testca.AltNames(false, names...))
	k.path("constraints", "three thousand names under twice three thousand constraints", l, Untrusted, policy("who compares them all says valid"))
	few := k.world.root.Authority("Constraints Twin", testca.ExcludeEmails(subtrees[:20]...))
	k.path("constraints-twin", "a few names under a few constraints", few.Leaf("alice@example.com", testca.P256, testca.AltNames(false, names[2980:]...)), Valid)
}

// slowKeys are public keys that take long to use.
func (k *kit) slowKeys() {
	w := k.world
	odd := func(bits int) *big.Int {
		b := make([]byte, bits/8)
		_, err := rand.Read(b)
		k.check(err)
		b[0], b[len(b)-1] = b[0]|0x80, b[len(b)-1]|1
		return new(big.Int).SetBytes(b)
	}
	number := big.NewInt
	for name, key := range each(k, map[string]struct{ n, e *big.Int }{
		"16384-bits": {odd(16384), number(65537)}, "16384-bits-exponent": {odd(16384), number(1<<31 - 1)}, "65536-bits": {odd(65536), number(65537)}, "huge-exponent": {odd(4096), odd(4096)},
		"exponent-1": {odd(2048), number(1)}, "exponent-2": {odd(2048), number(2)}, "exponent-0": {odd(2048), number(0)}, "exponent-3": {odd(2048), number(3)},
		"modulus-even": {new(big.Int).Lsh(odd(2040), 8), number(65537)}, "modulus-1": {number(1), number(3)}, "modulus-0": {number(0), number(3)}, "modulus-negative": {new(big.Int).Neg(odd(2048)), number(3)},
	}) {
		info := k.signerInfo(w.alice, letter, usualAttributes(oid.Data, letter)...)
		certificate := rekeyed(w, rsaSPKI(key.n, key.e))
		info.at(4).become(algorithm(oid.SHA256WithRSA, null()))
		info.at(5).become(octets(append([]byte{0}, bytes.Repeat([]byte{0x5a}, (key.n.BitLen()+7)/8)...)[:max(1, (key.n.BitLen()+7)/8)]))
		der := assemble(oid.Data, octets([]byte(letter)), nil, info)
		der = operate(der, func(s signedData) { s.body().insert(3, tagged(0, raw(certificate), raw(w.issuing.Certificate.Raw))) })
		layer := Layer(Path) // no key at all
		if name == "16384-bits" || name == "16384-bits-exponent" || name == "exponent-3" {
			layer = Signature
		}
		k.signed("keys/"+name, "an RSA key: "+name, der, refused(layer))
	}
	k.slowCandidates(odd(16384))
	k.slowIssuers(rsaSPKI(odd(16384), number(1<<31-1)))
	k.manyLists()
	k.weakForgery()
}

func rsaSPKI(n, e *big.Int) []byte {
	return seq(algorithm(oid.RSAEncryption, null()), primitive(3, append([]byte{0}, seq(bigInteger(n), bigInteger(e)).der()...))).der()
}

// rekeyed is alice's certificate with another key, signed by the authority.
func rekeyed(w *world, spki []byte) []byte {
	t := tree(w.alice.Certificate.RawTBS)
	t.at(6).become(raw(spki))
	return w.issuing.Sign(t.der(), w.alice.Certificate.SignatureAlgorithm)
}

// slowIssuers are hundreds of issuers with slow keys, all of the name that is looked for.
func (k *kit) slowIssuers(spki []byte) {
	w := k.world
	stranger := testca.Renamed(testca.NewRoot(k.t, "Slow"), pkix.Name{CommonName: "Slow"})
	slow := k.signedByRSA(stranger.Leaf("alice@example.com", testca.P256))
	stamper := k.signedByRSA(stranger.Leaf("", testca.P256, testca.KeyUsage(x509.KeyUsageDigitalSignature), testca.ExtKeyUsage(), testca.Extension(oid.ExtExtKeyUsage, true, seq(identifier(oid.TimeStamping)).der())))
	issuer := tree(w.root.CrossSign(stranger).RawTBS)
	var serial int64
	for range 150 {
		serial++
		i := issuer.clone()
		i.at(1).become(integer(serial))
		i.at(6).become(raw(spki))
		der := w.root.Sign(i.der(), w.root.Certificate.SignatureAlgorithm)
		parsed, err := cert.Parse(der)
		k.check(err)
		slow.Chain = append(slow.Chain, parsed)
	}
	k.path("slow-issuers", "a hundred and fifty issuers with RSA keys of 16384 bits", slow, Untrusted)
	repeated := func(der []byte) string {
		return fromAlice(pkcs7("signed-data", operate(der, func(s signedData) { s.signerInfos().kids = slices.Repeat(s.signerInfos().kids, 64) })))
	}
	k.mail("path/slow-issuers-of-many", "sixty-four signers, each with a hundred and fifty issuers with RSA keys of 16384 bits", repeated(k.sign(letter, slow)), shown(Untrusted, Path, letter))
	stamped := k.stampedOften(slow, stamper)
	k.mail("path/slow-timestamps", "thirty-two timestamps, each with a hundred and fifty issuers with RSA keys of 16384 bits", fromAlice(pkcs7("signed-data", stamped)), shown(Untrusted, Path, letter))
	k.mail("path/slow-timestamps-of-many", "sixty-four signers with timestamps, all with slow issuers", repeated(stamped), shown(Untrusted, Path, letter))
}

// signedByRSA is the leaf with a signature that only a key of 16384 bits could have made.
func (k *kit) signedByRSA(l *testca.Leaf) *testca.Leaf {
	tbs := tree(l.Certificate.RawTBS)
	tbs.at(2).become(algorithm(oid.SHA256WithRSA, null()))
	fake := seq(tbs, algorithm(oid.SHA256WithRSA, null()), primitive(3, slices.Concat([]byte{0, 0}, bytes.Repeat([]byte{0x5a}, 2047)))).der()
	c, err := cert.Parse(fake)
	k.check(err)
	return &testca.Leaf{Certificate: c, Key: l.Key}
}

// stampedOften is a signature with as many timestamps as are looked at.
func (k *kit) stampedOften(l, stamper *testca.Leaf) []byte {
	authority := &cms.TimestampAuthority{Signer: &cms.Signer{Key: stamper.Signer(), Certificate: stamper.Certificate}, Policy: "1.3.6.1.4.1.55555.8"}
	der := k.signWith(letter, &cms.SignOptions{Time: testca.Now, Timestamp: func(request []byte) ([]byte, error) {
		return authority.Respond(request, big.NewInt(1), testca.Now)
	}}, l)
	return operate(der, func(s signedData) {
		values := s.signerInfo().at(6, 0, 1)
		values.kids = slices.Repeat(values.kids, cms.MaxUnsignedSignatures)
	})
}

// manyLists are revocation lists that the authority did not sign.
func (k *kit) manyLists() {
	w := k.world
	der := w.issuing.CRL([]testca.Revoked{{SerialNumber: w.alice.Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -3)}})
	var lists [][]byte
	for i := range 900 {
		list := slices.Clone(der)
		list[len(list)-1-i%16] ^= byte(1 + i/16)
		lists = append(lists, list)
	}
	k.mail("bomb/many-lists", "nine hundred revocation lists with a wrong signature", fromAlice(pkcs7("signed-data", k.signWith(letter, &cms.SignOptions{Time: testca.Now, CRLs: lists}, w.alice))), valid(letter))
}

// slowCandidates are certificates with slow keys and one key identifier, for as many signers as there may be.
func (k *kit) slowCandidates(n *big.Int) {
	w := k.world
	var certificates []*node
	for i := range 8 {
		other := new(big.Int).Add(n, big.NewInt(int64(2*i)))
		t := tree(w.alice.Certificate.RawTBS)
		t.at(6).become(raw(rsaSPKI(other, big.NewInt(1<<31-1))))
		t.at(7).become(tagged(3, seq(seq(identifier(oid.ExtSubjectKeyID), octets(octets([]byte("slow")).der())))))
		certificates = append(certificates, raw(w.issuing.Sign(t.der(), w.alice.Certificate.SignatureAlgorithm)))
	}
	info := func(attrs ...*node) *node {
		i := k.signerInfo(w.alice, letter, attrs...)
		i.at(0).become(integer(3))
		i.at(1).become(primitive(0x80, []byte("slow")))
		i.at(4).become(algorithm(oid.SHA256WithRSA, null()))
		i.at(5).become(octets(append([]byte{0}, bytes.Repeat([]byte{0x5a}, n.BitLen()/8)...)[:n.BitLen()/8]))
		return i
	}
	usual := usualAttributes(oid.Data, letter)
	signer := info(usual...)
	digest := sum(signer.at(5).body)
	counter := info(attribute(oid.AttrMessageDigest, octets(digest)))
	signer.kids = append(signer.kids, tagged(1, attribute(oid.AttrCountersignature, slices.Repeat([]*node{counter}, 32)...)))
	der := assemble(oid.Data, octets([]byte(letter)), nil, slices.Repeat([]*node{signer}, 64)...)
	der = operate(der, func(s signedData) { s.body().insert(3, tagged(0, certificates...)) })
	k.signed("bomb/slow-candidates", "sixty-four signers and thirty-two countersignatures of whom eight RSA keys of 16384 bits may be", der, refused(""))
}

// weakForgery is Bleichenbacher's signature forgery against a key with exponent 3 and a lax check of the padding.
func (k *kit) weakForgery() {
	w := k.world
	pub := &rsa.PublicKey{N: w.bob.Certificate.PublicKey.(*rsa.PublicKey).N, E: 3}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	k.check(err)
	attrs := set(usualAttributes(oid.Data, letter)...).sorted()
	digestInfo := seq(algorithm(oid.SHA256, null()), octets(sum(attrs.der()))).der()
	for name, prefix := range each(k, map[string][]byte{
		"garbage-behind": slices.Concat([]byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0}, digestInfo),
		"short-padding":  slices.Concat([]byte{0, 1, 0xff, 0}, digestInfo),
		"no-padding":     slices.Concat([]byte{0, 1, 0}, digestInfo),
	}) {
		target := new(big.Int).SetBytes(append(slices.Clone(prefix), make([]byte, pub.Size()-len(prefix))...))
		root := cubeRoot(target)
		root.Add(root, big.NewInt(1))
		info := k.signerInfo(w.alice, letter, usualAttributes(oid.Data, letter)...)
		info.at(4).become(algorithm(oid.SHA256WithRSA, null()))
		info.at(5).become(octets(root.FillBytes(make([]byte, pub.Size()))))
		certificate, err := cert.Parse(rekeyed(w, spki))
		k.check(err)
		der := assemble(oid.Data, octets([]byte(letter)), []*cert.Certificate{certificate, w.issuing.Certificate}, info)
		k.signed("keys/forged-exponent-3-"+name, "a forged PKCS #1 v1.5 signature under exponent 3: "+name+" (CVE-2006-4339, CVE-2022-24771)", der, refused(Signature))
	}
}

func cubeRoot(n *big.Int) *big.Int {
	low, high := big.NewInt(0), new(big.Int).Lsh(big.NewInt(1), uint(n.BitLen()/3+2))
	for one := big.NewInt(1); new(big.Int).Sub(high, low).Cmp(one) > 0; {
		middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
		if new(big.Int).Exp(middle, big.NewInt(3), nil).Cmp(n) <= 0 {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
