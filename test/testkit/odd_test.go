package testkit

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// oddCases stand behind all others, so that new ones change no old ones.
func (k *kit) oddCases() {
	k.forms()
	k.protected()
	k.oddCertificates()
	k.authoritiesThatSign()
	k.references()
	for name, n := range each(k, map[string][]byte{"utf8-for-ascii": testca.UTF8Mailbox("alice@example.com"), "utf8-for-ascii-idn": testca.UTF8Mailbox("alice@b\u00fccher.example")}) {
		l := k.world.issuing.Leaf("holder@example.net", testca.P256, testca.AltNames(false, n))
		header := strings.Replace(aliceFrom, "example.com", strings.TrimPrefix(string(n[bytes.LastIndexByte(n, '@'):]), "@"), 1)
		k.mail("names/"+name, "an SmtpUTF8Mailbox for an ASCII local part (RFC 9598 section 3)", header+outerFields+pkcs7("signed-data", k.sign(letter, l)),
			refused(Identity), twin("names/honest-utf8"))
	}
}

// forms are legal, or so common that everybody reads them alike: whoever is strict in the wrong place loses honest mail.
func (k *kit) forms() {
	w := k.world
	p7s := k.signDetached(letter, w.alice)
	usual := fromAlice(multipartSigned(letter, p7s))
	say := func(name, comment, message string) {
		k.mail("forms/"+name, "an honest form: "+comment, message, valid(letter), twin("honest/detached-p256"))
	}
	for name, from := range each(k, map[string]string{
		"from-comment-behind": "From: alice@example.com (Alice)", "from-comment-in-front": "From: (Alice) alice@example.com", "from-comma-quoted": `From: "Alice, Dr." <alice@example.com>`, "from-no-space": "From:alice@example.com",
		"from-dots": "From: Alice B. Carol <alice@example.com>", "from-capitals": "FROM: <ALICE@EXAMPLE.COM>  ", "from-latin1": "From: M\xfcller <alice@example.com>", "from-utf8": "From: M\u00fcller <alice@example.com>",
		"from-encoded-twice": "From: =?iso-2022-jp?B?GyRCO3tFRBsoQg==?=\r\n =?iso-2022-jp?B?GyRCO3tFRBsoQg==?= <alice@example.com>", "from-encoded-comma": "From: =?utf-8?Q?Alice=2C_Dr=2E?= <alice@example.com>", "from-encoded-no-space": "From: =?UTF-8?B?QWxpY2U=?=<alice@example.com>",
		"from-tabs": "From:\r\n\tAlice\r\n\t<alice@example.com>", "from-quoted-pair": `From: "Alice \"Al\" Carol" <alice@example.com>`, "from-long": "From: " + strings.Repeat("Alice ", 30) + "<alice@example.com>", "from-apostrophe": "From: Alice's Mail <alice@example.com>",
		"from-list-comma": "From: Alice <alice@example.com>,", "from-quoted-local": `From: "alice"@example.com`, "from-name-empty": `From: "" <alice@example.com>`,
	}) {
		say(name, "the From header", strings.Replace(usual, strings.TrimSuffix(aliceFrom, "\r\n"), from, 1))
	}
	typ := strings.TrimSuffix(signedFields, "\r\n\r\n")
	for name, t := range each(k, map[string]string{
		"type-no-micalg": `multipart/signed; protocol="application/pkcs7-signature"; boundary="=_signed"`, "type-slash-unquoted": "multipart/signed; protocol=application/pkcs7-signature; boundary=\"=_signed\"", "type-semicolon-end": `multipart/signed; protocol="application/pkcs7-signature"; boundary="=_signed";`,
		"type-spaces": `Multipart/Signed ; boundary = "=_signed" ; protocol = "application/pkcs7-signature"`, "type-comments": `multipart/signed; (one) boundary="=_signed" (two); protocol="application/pkcs7-signature"`, "type-rfc2231": `multipart/signed; boundary*0="=_"; boundary*1="signed"; protocol="application/pkcs7-signature"`,
		"type-micalg-of-another": `multipart/signed; micalg=sha1; protocol="application/x-pkcs7-signature"; boundary="=_signed"`, "type-micalg-several": `multipart/signed; micalg="sha-256, sha-512"; protocol="application/pkcs7-signature"; boundary="=_signed"`,
	}) {
		say(name, "the Content-Type of the message", strings.Replace(usual, typ, "Content-Type: "+t, 1))
	}
	for i, b := range []string{"----=_NextPart_000_0001_01D9.ABC", "'()+_,-./:=?", "a b", strings.Repeat("x", 70), "--", "0"} {
		say(fmt.Sprintf("boundary-%d", i), "the boundary", strings.ReplaceAll(usual, boundary, b))
	}
	for name, fields := range each(k, map[string]string{
		"signature-no-disposition": "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n", "signature-encoding-first": "Content-Transfer-Encoding: BASE64 \r\nContent-type: Application/PKCS7-Signature\r\n\r\n",
		"signature-name-rfc2231": "Content-Type: application/pkcs7-signature; name*=utf-8''smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n", "signature-encoding-comment": "Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64 (x)\r\n\r\n",
		"signature-more-fields": "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\nContent-Transfer-Encoding:\r\n base64\r\nContent-Description: S/MIME Cryptographic Signature\r\nContent-ID: <x>\r\nX-Mine: y\r\n\r\n", "signature-no-encoding": "Content-Type: application/pkcs7-signature\r\n\r\n",
	}) {
		say(name, "the header of the signature", strings.Replace(usual, p7sFields, fields, 1))
	}
	say("no-last-line-end", "the file ends with the last boundary", strings.TrimSuffix(usual, "\r\n"))
	say("mime-version-comment", "MIME-Version with a comment", strings.Replace(usual, "MIME-Version: 1.0", "Mime-Version: 1.0 (Mail 16.0)", 1))
	say("subject-of-a-list", "a list wrote its name into the Subject, which no signature covers", strings.Replace(usual, "Subject: ", "Subject: [list] ", 1))
	say("eight-bits-elsewhere", "bytes beyond ASCII in a field that nobody asks for", "X-Note: \xe4\xf6\xfc\r\n"+usual)
	say("long-field", "a field of 3,000 octets in one line", "X-Note: "+strings.Repeat("y", 3000)+"\r\n"+usual)
}

// protected are mails with a copy of the header inside (RFC 9788). Whoever does not know it sees fields that mean nothing.
func (k *kit) protected() {
	w := k.world
	const text = "\r\n\r\nDear Bob,\r\n\r\nplease pay 100 EUR to Carol by noon.\r\n\r\nAlice\r\n"
	inside := aliceFrom + "To: Bob <bob@example.org>\r\nSubject: Payment\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nContent-Type: text/plain; charset=us-ascii; hp=\"clear\"" + text
	entity := multipartSigned(inside, k.signDetached(inside, w.alice))
	usual := aliceFrom + outerFields + entity
	const why = "RFC 9788 shows what is protected and says what differs; without it any of these fields is anybody's in every mail"
	k.mail("protected/twin", "a header that is protected by alice's signature", usual, valid(inside))
	for name, change := range each(k, map[string][2]string{
		"subject-changed": {"Subject: Payment", "Subject: Payment approved"}, "subject-removed": {"Subject: Payment\r\n", ""}, "reply-to-added": {"To: Bob", "Reply-To: eve@example.com\r\nTo: Bob"}, "cc-added": {"To: Bob", "Cc: eve@example.com\r\nTo: Bob"},
		"to-changed": {"<bob@example.org>", "<eve@example.com>"}, "sender-added": {"To: Bob", "Sender: eve@example.com\r\nTo: Bob"}, "followup-added": {"To: Bob", "Mail-Followup-To: eve@example.com\r\nTo: Bob"}, "notice-added": {"To: Bob", "Disposition-Notification-To: eve@example.com\r\nTo: Bob"}, "name-changed": {"From: Alice", "From: Boss"},
	}) {
		k.mail("protected/"+name, "the header outside was changed on its way, and the text is alice's: "+name, strings.Replace(usual, change[0], change[1], 1), valid(inside), twin("protected/twin"), policy(why))
	}
	for name, from := range each(k, map[string]string{"eve": eveFrom, "both": "From: alice@example.com, eve@example.com\r\n", "twice": aliceFrom + eveFrom, "group": "From: g: alice@example.com, eve@example.com;\r\n"}) {
		changed := strings.Replace(inside, aliceFrom, from, 1)
		k.mail("protected/from-"+name, "the protected From is not the one outside: "+name, aliceFrom+outerFields+multipartSigned(changed, k.signDetached(changed, w.alice)), refused(Identity), twin("protected/twin"), policy("RFC 9788 section 4.4 lets a reader warn and show one of them"))
		k.mail("protected/outside-"+name, "the From outside is not the protected one: "+name, from+outerFields+entity, refused(Identity), twin("protected/twin"))
	}
}

// oddCertificates depart from the profile of RFC 5280 section 4, as alice's certificate and as that of the authority above it.
func (k *kit) oddCertificates() {
	w := k.world
	der := func(n *big.Int) []byte { return bigInteger(n).der() }
	extension := func(id oid.OID, critical bool, value *node) []byte {
		parts := []*node{identifier(id)}
		if critical {
			parts = append(parts, raw([]byte{1, 1, 0xff}))
		}
		return seq(append(parts, octets(value.der()))...).der()
	}
	without := func(f *testca.TBS, id oid.OID) {
		f.Extensions = slices.DeleteFunc(f.Extensions, func(e []byte) bool { return bytes.Contains(e, identifier(id).der()) })
	}
	unknown := oid.OID("1.3.6.1.4.1.55555.7")
	tolerated := policy("RFC 5280 asks authorities for better, and section 6 does not look at it")
	for name, c := range each(k, map[string]struct {
		change          func(*testca.TBS)
		leaf, authority Answer
	}{
		"no-authority-key": {func(f *testca.TBS) { without(f, oid.ExtAuthorityKeyID) }, Valid, Valid}, "no-subject-key": {func(f *testca.TBS) { without(f, oid.ExtSubjectKeyID) }, Valid, Valid},
		"serial-zero": {func(f *testca.TBS) { f.Serial = der(new(big.Int)) }, Valid, Valid}, "serial-negative": {func(f *testca.TBS) { f.Serial = der(big.NewInt(-5)) }, Valid, Valid},
		"version-1-with-extensions": {func(f *testca.TBS) { f.Version = nil }, Untrusted, Untrusted}, "version-3-without-extensions": {func(f *testca.TBS) { f.Extensions = nil }, Invalid, Untrusted},
		"extension-twice": {func(f *testca.TBS) {
			f.Extensions = append(f.Extensions, extension(unknown, false, null()), extension(unknown, false, null()))
		}, Untrusted, Untrusted},
		"extension-critical": {func(f *testca.TBS) { f.Extensions = append(f.Extensions, extension(unknown, true, null())) }, Untrusted, Untrusted},
		"authority-key-critical": {func(f *testca.TBS) {
			without(f, oid.ExtAuthorityKeyID)
			f.Extensions = append(f.Extensions, extension(oid.ExtAuthorityKeyID, true, seq()))
		}, Untrusted, Untrusted},
		"names-empty": {func(f *testca.TBS) {
			without(f, oid.ExtSubjectAltName)
			f.Extensions = append(f.Extensions, extension(oid.ExtSubjectAltName, false, seq()))
		}, Invalid, Untrusted},
		"algorithm-of-another": {func(f *testca.TBS) { f.Signature = algorithm(oid.ECDSAWithSHA384).der() }, Untrusted, Untrusted},
	}) {
		l := *w.issuing.Leaf("alice@example.com", testca.P256)
		l.Certificate = w.issuing.Rebuild(l.Certificate, c.change)
		var more []outcome
		if c.leaf == Valid {
			more = append(more, tolerated)
		}
		if c.leaf == Invalid {
			more = append(more, refused(Identity))
		}
		k.path("odd-leaf-"+name, "alice's certificate: "+name, &l, c.leaf, more...)
		odd := w.root.Authority("Odd " + name)
		odd = odd.With(w.root.Rebuild(odd.Certificate, c.change))
		k.path("odd-authority-"+name, "an authority's certificate: "+name, odd.Leaf("alice@example.com", testca.P256), c.authority, slices.DeleteFunc(more, func(outcome) bool { return c.leaf != Valid })...)
	}
}

// authoritiesThatSign: an authority writes no mail.
func (k *kit) authoritiesThatSign() {
	w := k.world
	usage := testca.KeyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign)
	below := w.root.Authority("Alice's Authority", testca.Emails("alice@example.com"), usage)
	k.path("authority-signs", "an authority signs a mail itself", &testca.Leaf{Certificate: below.Certificate, Key: below.Key}, Untrusted, policy("path validation has nothing against it; S/MIME BR section 7.1.2.3 and most mail programs have"))
	own := testca.NewRoot(k.t, "Alice Herself", testca.Emails("alice@example.com"), testca.KeyUsage(0))
	k.pki["alice-herself"] = own.Certificate.PEM()
	k.path("trusted-for-itself", "a self-signed certificate that the reader trusts, with cA as OpenSSL writes it", &testca.Leaf{Certificate: own.Certificate, Key: own.Key}, Valid, anchors("alice-herself"), policy("a reader may insist on certificates without cA"))
	k.path("beside-the-trusted", "another certificate with the name of one that is trusted for itself", &testca.Leaf{Certificate: k.selfSignedTwin(own), Key: own.Key}, Valid, anchors("alice-herself"),
		shown(Untrusted, Path, letter))
}

// selfSignedTwin is another certificate for the same key and name.
func (k *kit) selfSignedTwin(a *testca.Authority) *cert.Certificate {
	return a.Rebuild(a.Certificate, func(f *testca.TBS) { f.Serial = bigInteger(big.NewInt(7)).der() })
}

// references: what is signed is not all that a program may show.
func (k *kit) references() {
	w := k.world
	for name, content := range each(k, map[string]string{
		"external-body": "Content-Type: message/external-body; access-type=url; url=\"http://eve.example/\"\r\n\r\nContent-Type: text/plain\r\n\r\n",
		"partial":       "Content-Type: message/partial; id=\"1@example.com\"; number=1; total=2\r\n\r\nSubject: x\r\n\r\nPay \r\n",
	}) {
		k.mail("covert/signed-"+name, "alice's signature covers the reference, and not what is put in its place: "+name, fromAlice(multipartSigned(content, k.signDetached(content, w.alice))), valid(content),
			policy("a reader may refuse what is not all here; one that fetches it must not show it as signed"))
	}
}
