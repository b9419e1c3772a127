package testkit

import (
	"strings"

	"github.com/mailseal/mailseal/internal/oid"
)

// johnnyCases are the attack classes of "Johnny, you are fired" (USENIX Security 2019) on S/MIME: CMS, MIME, ID and UI.
func (k *kit) johnnyCases() {
	k.eContentConfusion()
	k.nestedLayers()
	k.mimeWrapping()
	k.conditionalRendering()
}

// eContentConfusion: content in two places, of which one program shows one and another the other.
func (k *kit) eContentConfusion() {
	w := k.world
	good, p7s := k.sign(letter, w.alice), k.signDetached(letter, w.alice)
	detached := twin("honest/detached-p256")
	k.mail("johnny/econtent-other", "the signature part carries the signed letter, the mail shows another (CVE-2018-18509)", fromAlice(multipartSigned(evil, good)), invalid(CMS), detached)
	k.mail("johnny/econtent-same", "the signature part repeats what is shown", fromAlice(multipartSigned(letter, good)), invalid(CMS), detached,
		policy("harmless as long as both are compared"))
	k.mail("johnny/econtent-empty", "the signature part carries empty content", fromAlice(multipartSigned(letter, operate(p7s, func(s signedData) {
		s.encapContentInfo().insert(1, tagged(0, octets(nil)))
	}))), invalid(CMS), detached)
	k.mail("johnny/econtent-swapped", "the signature part carries the other letter, the shown one is signed", fromAlice(multipartSigned(letter, operate(p7s, func(s signedData) {
		s.encapContentInfo().insert(1, tagged(0, octets([]byte(evil))))
	}))), invalid(CMS), detached)
	k.mail("johnny/opaque-as-signature", "an opaque message in the place of the signature part", fromAlice(strings.Replace(multipartSigned(evil, good), p7sFields,
		"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)), invalid(MIME), detached)
	k.mail("johnny/detached-alone", "a detached signature as the whole mail", fromAlice(pkcs7("signed-data", p7s)), invalid(CMS))
	k.mail("johnny/detached-in-octets", "a detached signature whose content is missing, in raw CMS", fromAlice(p7sFields+base64Lines(p7s)), invalid(CMS))
	k.mail("johnny/first-part-signature", "signature first, content second", fromAlice(signedFields+"--"+boundary+"\r\n"+p7sFields+base64Lines(p7s)+"\r\n--"+boundary+"\r\n"+letter+"\r\n--"+boundary+"--\r\n"), invalid(MIME), detached)
	k.mail("johnny/reused-signature", "a signature of another letter of alice", fromAlice(multipartSigned(evil, p7s)), invalid(Digest), detached)
	k.mail("johnny/reused-by-eve", "alice's mail as it is, sent by eve", fromEve(multipartSigned(letter, p7s)), invalid(Identity), detached)
}

// nestedLayers: a right signature somewhere does not make the whole right.
func (k *kit) nestedLayers() {
	w := k.world
	inner := multipartSigned(letter, k.signDetached(letter, w.alice))
	spoiled := multipartSigned(evil, k.signDetached(letter, w.alice))
	k.mail("johnny/right-around-wrong", "eve signs a mail whose inner signature is wrong", fromEve(pkcs7("signed-data", k.sign(spoiled, w.eve))), invalid(Digest))
	k.mail("johnny/eve-around-alice", "eve signs around alice's signature and says she is alice", fromAlice(pkcs7("signed-data", k.sign(inner, w.eve))), invalid(Identity))
	k.mail("johnny/alice-inside-eve", "eve signs around alice's signature, under her own name", fromEve(pkcs7("signed-data", k.sign(inner, w.eve))), invalid(Identity))
	k.mail("johnny/wrong-around-right", "a wrong signature around a right one", fromAlice(pkcs7("signed-data", operate(k.sign(inner, w.alice), func(s signedData) {
		s.encapContentInfo().at(1).become(tagged(0, octets([]byte(inner+"\r\n"))))
	}))), invalid(Digest))
	sealed := pkcs7("enveloped-data", k.encrypt(letter, nil, w.bob))
	k.mail("johnny/signature-around-encryption", "the only signature is over the ciphertext, which the signer need not know", fromAlice(multipartSigned(sealed, k.signDetached(sealed, w.alice))),
		shown(Unsigned, MIME, letter), keys("bob"), twin("honest/triple-wrapped"))
	k.mail("johnny/stripped-and-signed-anew", "eve takes alice's signature off the outside and puts hers on", fromEve(multipartSigned(sealed, k.signDetached(sealed, w.eve))), shown(Unsigned, MIME, letter), keys("bob"))
	wrapped := pkcs7("enveloped-data", k.encrypt(inner, nil, w.bob))
	k.mail("johnny/eve-around-sealed", "eve signs around a mail that alice signed and encrypted", fromEve(multipartSigned(wrapped, k.signDetached(wrapped, w.eve))), invalid(Identity), keys("bob"))
	k.mail("johnny/forwarded-in-secret", "bob encrypts alice's signed letter to carol: she wrote it, if not to carol", fromAlice(pkcs7("enveloped-data", k.encrypt(inner, nil, w.carol))), valid(letter), keys("carol"),
		policy("RFC 2634 security labels or signed headers would show to whom it was written"))
	deep := letter
	for range 10 {
		deep = pkcs7("signed-data", k.sign(deep, w.alice))
	}
	k.mail("johnny/ten-layers", "ten honest layers", fromAlice(deep), refused(CMS), policy("who takes ten layers says valid"))
}

// mimeWrapping: the signature is over a part of what is shown.
func (k *kit) mimeWrapping() {
	w := k.world
	html := func(s string) string { return "Content-Type: text/html\r\n\r\n" + s + "\r\n" }
	for form, part := range each(k, map[string]string{
		"detached": multipartSigned(letter, k.signDetached(letter, w.alice)), "opaque": pkcs7("signed-data", k.sign(letter, w.alice)),
	}) {
		mail := fromAlice(part)
		for name, entity := range each(k, map[string]string{
			"evil-first":        multipart("mixed", evil, part),
			"evil-last":         multipart("mixed", part, evil),
			"around":            multipart("mixed", evil, part, evil),
			"alone":             multipart("mixed", part),
			"list-footer":       multipart("mixed", part, "Content-Type: text/plain\r\n\r\n____\r\nA mailing list\r\n"),
			"alternative":       multipart("alternative", part, html("pay Eve")),
			"alternative-first": multipart("alternative", html("pay Eve"), part),
			"related":           multipart("related", html("<img src=\"cid:x\">"), "Content-ID: <x>\r\n"+part),
			"related-first":     multipart("related", part, html("pay Eve")),
			"hidden":            multipart("mixed", html("pay Eve<div style=\"display:none\">"), part, html("</div>")),
			"blank-lines":       multipart("mixed", evil+strings.Repeat("\r\n", 300), part),
			"comment-html":      multipart("mixed", html("pay Eve<!--"), part, html("-->")),
			"plaintext-element": multipart("mixed", html("pay Eve<plaintext style=\"color:white\">"), part),
			"title-element":     multipart("mixed", html("pay Eve<title>"), part),
			"attached":          multipart("mixed", evil, "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=old.eml\r\n\r\n"+mail),
			"forwarded":         "Content-Type: message/rfc822\r\n\r\n" + mail,
			"digest":            multipart("digest", "\r\n"+mail),
			"parallel":          multipart("parallel", part, evil),
			"report":            multipart("report; report-type=delivery-status", evil, "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; example.org\r\n", "Content-Type: message/rfc822\r\n\r\n"+mail),
			"in-unknown":        multipart("x-unknown", evil, part),
			"deep":              multipart("mixed", strings.ReplaceAll(multipart("mixed", evil, part), "=_outer", "=_inner")),
			"pgp-around":        "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=\"=_outer\"\r\n\r\n--=_outer\r\n" + part + "\r\n--=_outer\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--=_outer--\r\n",
		}) {
			whole := fromAlice(entity)
			k.mail("johnny/"+form+"-part-"+name, "a signature ("+form+") over a part of what is shown: "+name, whole, shown(Unsigned, MIME, whole), twin("honest/opaque"))
		}
	}
}

// conditionalRendering: what is shown depends on what is not signed, or pretends to be a verdict.
func (k *kit) conditionalRendering() {
	w := k.world
	text := "Content-Type: text/html\r\n\r\n<p class=good>pay 100 EUR to Carol</p><p class=evil>pay 9000 EUR to Eve</p>\r\n"
	part := multipartSigned(text, k.signDetached(text, w.alice))
	whole := fromAlice(multipart("related", "Content-Type: text/html\r\n\r\n<style>.good{display:none}</style>\r\n", part))
	k.mail("johnny/style-from-outside", "an unsigned part decides which of the signed text is seen", whole, shown(Unsigned, MIME, whole))
	seal := fromAlice("Content-Type: text/html\r\n\r\n<table bgcolor=green><tr><td>&#x2714; Signed by alice@example.com, verified</td></tr></table>pay Eve\r\n")
	k.mail("johnny/painted-seal", "a picture of a verdict", seal, shown(Unsigned, MIME, seal))
	seal = aliceFrom + "Authentication-Results: example.org; smime=pass smime.identifier=alice@example.com\r\nX-Verdict: valid\r\nX-Smime-Status: valid\r\n" + outerFields + evil
	k.mail("johnny/written-seal", "header fields that say that all is well", seal, shown(Unsigned, MIME, seal))
	seal = strings.Replace(fromAlice(evil), "Subject: Payment", "Subject: =?utf-8?Q?=E2=9C=94_verified:_Payment?=", 1)
	k.mail("johnny/subject-seal", "a tick in the subject", seal, shown(Unsigned, MIME, seal))
}

// mimeCases: a header or structure that two readers understand differently.
func (k *kit) mimeCases() {
	w := k.world
	signed := fromAlice(multipartSigned(letter, k.signDetached(letter, w.alice)))
	opaque := fromAlice(pkcs7("signed-data", k.sign(letter, w.alice)))
	k.duplicateFields(signed, opaque)
	k.headerLines(signed)
	k.boundaries(signed)
	k.encodings(signed, opaque)
}

// refuses adds mails of which each says something else to another reader; none may be valid.
func (k *kit) refuses(group string, mails map[string]string, more ...outcome) {
	for name, message := range each(k, mails) {
		k.mail(group+"/"+name, "read in two ways: "+name, message, append([]outcome{refused(MIME)}, more...)...)
	}
}

func (k *kit) duplicateFields(signed, opaque string) {
	contentType := "Content-Type: text/html\r\n"
	replace := func(s, old, with string) string {
		if !strings.Contains(s, old) {
			k.t.Fatalf("%q is not there", old)
		}
		return strings.Replace(s, old, with, 1)
	}
	k.refuses("mime", map[string]string{
		"type-twice-html-first":      contentType + signed,
		"type-twice-html-last":       replace(signed, "\r\n\r\n", "\r\nContent-Type: text/html\r\n\r\n"),
		"type-twice-mixed-first":     "Content-Type: multipart/mixed; boundary=\"" + boundary + "\"\r\n" + signed,
		"type-twice-the-same":        signedFields[:len(signedFields)-2] + signed,
		"type-twice-opaque":          contentType + opaque,
		"type-twice-other-case":      "CONTENT-TYPE: text/html\r\n" + signed,
		"type-twice-empty":           "Content-Type:\r\n" + signed,
		"type-with-space":            "Content-Type : text/html\r\n" + signed,
		"type-with-tab":              "Content-Type\t: text/html\r\n" + signed,
		"boundary-twice":             replace(signed, "micalg", "boundary=evil; micalg"),
		"boundary-twice-last":        replace(signed, "boundary=\""+boundary+"\"", "boundary=\""+boundary+"\"; boundary=evil"),
		"boundary-continued":         replace(signed, "micalg", "boundary*0=evil; micalg"),
		"boundary-extended":          replace(signed, "micalg", "boundary*=us-ascii''evil; micalg"),
		"protocol-twice":             replace(signed, "micalg", "protocol=\"application/pgp-signature\"; micalg"),
		"encoding-twice":             "Content-Transfer-Encoding: base64\r\n" + opaque,
		"encoding-twice-other":       "Content-Transfer-Encoding: quoted-printable\r\n" + opaque,
		"encoded-multipart":          "Content-Transfer-Encoding: base64\r\n" + signed,
		"quoted-printable-multipart": "Content-Transfer-Encoding: quoted-printable\r\n" + signed,
		"type-two-slashes":           replace(signed, "multipart/signed", "multipart/signed/mixed"),
		"type-comma":                 replace(signed, "multipart/signed;", "multipart/signed, text/html;"),
		"type-without-subtype":       replace(signed, "multipart/signed", "multipart"),
		"type-quoted":                replace(signed, "multipart/signed", "\"multipart/signed\""),
		"type-with-nul":              replace(signed, "multipart/signed", "multipart/signed\x00"),
		"type-encoded-word":          replace(signed, "multipart/signed", "=?utf-8?Q?multipart/signed?="),
		"parameter-without-value":    replace(signed, "micalg=sha-256", "micalg"),
		"quote-without-end":          replace(signed, "\"application/pkcs7-signature\"", "\"application/pkcs7-signature"),
		"boundary-unquoted-junk":     replace(signed, "boundary=\""+boundary+"\"", "boundary="+boundary+" x"),
		"signature-of-text-type":     replace(signed, "Content-Type: application/pkcs7-signature", "Content-Type: text/plain"),
		"signature-type-twice":       replace(signed, "Content-Type: application/pkcs7-signature", "Content-Type: text/plain\r\nContent-Type: application/pkcs7-signature"),
		"no-mime-type":               replace(signed, signedFields[:len(signedFields)-2], ""),
		"mixed-in-place-of-signed":   replace(signed, "multipart/signed", "multipart/mixed"),
		"pgp-protocol":               replace(signed, "application/pkcs7-signature\"", "application/pgp-signature\""),
		"type-text":                  replace(opaque, "application/pkcs7-mime", "text/plain"),
		"type-octets-no-name":        strings.ReplaceAll(replace(opaque, "application/pkcs7-mime", "application/octet-stream"), "smime.p7m", "smime.txt"),
	}, twin("honest/detached-p256"))
	for name, message := range each(k, map[string]string{
		"type-in-comment":    replace(signed, "multipart/signed", "(text/html) multipart/signed"),
		"type-upper-case":    replace(signed, "multipart/signed", "MULTIPART/Signed"),
		"type-folded":        replace(signed, "Content-Type: multipart/signed;", "Content-Type:\r\n multipart/signed;"),
		"parameter-folded":   replace(signed, "micalg=sha-256;", "micalg\r\n =\r\n sha-256;"),
		"unknown-parameter":  replace(signed, "micalg", "x-unknown=\"a;b=c\"; micalg"),
		"wrong-micalg":       replace(signed, "sha-256", "md5"),
		"wrong-smime-type":   replace(opaque, "smime-type=signed-data", "smime-type=enveloped-data"),
		"field-upper-case":   replace(signed, "Content-Type: multipart", "CONTENT-TYPE: multipart"),
		"no-mime-version":    replace(signed, "MIME-Version: 1.0\r\n", ""),
		"boundary-semicolon": strings.ReplaceAll(signed, boundary, "a;b=c"),
	}) {
		k.mail("mime/harmless-"+name, "unusual, and read by everybody alike: "+name, message, valid(letter))
	}
}

func (k *kit) headerLines(signed string) {
	k.refuses("mime", map[string]string{
		"bare-cr":              "X-A: b\rContent-Type: text/html\r\n" + signed,
		"bare-cr-from":         "X-A: b\rFrom: eve@example.com\r\n" + signed,
		"bare-cr-end":          "X-A: b\r\r\n" + signed,
		"nul":                  "X-A: \x00\r\n" + signed,
		"nul-in-name":          "X-\x00A: b\r\n" + signed,
		"line-without-colon":   "X-A: b\r\nno field\r\n" + signed,
		"blank-line-of-space":  "X-A: b\r\n \r\n" + signed,
		"blank-line-of-tabs":   "X-A: b\r\n\t\t\r\n" + signed,
		"folding-first":        " folded\r\n" + signed,
		"text-first":           "Dear Bob, pay Eve\r\n" + signed,
		"empty-line-first":     "\r\n" + signed,
		"colon-first":          ": value\r\n" + signed,
		"space-in-name":        "X A: b\r\n" + signed,
		"eight-bit-name":       "X-\xc3\xa4: b\r\n" + signed,
		"envelope-inside":      "X-A: b\r\nFrom eve@example.com Mon Jun  1 12:00:00 2026\r\n" + signed,
		"header-never-ends":    signed[:strings.Index(signed, "\r\n\r\n")+2],
		"body-only":            signed[strings.Index(signed, "\r\n\r\n")+4:],
		"two-headers":          eveFrom + outerFields + "\r\n" + signed,
		"line-feed-then-blank": strings.Replace(signed, "\r\n\r\n", "\n\r\r\n", 1),
	}, twin("honest/detached-p256"))
	k.mail("mime/harmless-envelope", "the line that a mailbox puts in front", "From alice@example.com Mon Jun  1 12:00:00 2026\r\n"+signed, valid(letter))
}

func (k *kit) boundaries(signed string) {
	end, delimiter := "\r\n--"+boundary+"--\r\n", "\r\n--"+boundary+"\r\n"
	first, _, _ := strings.Cut(signed, "--"+boundary)
	middle := strings.Index(signed, delimiter)
	k.refuses("mime", map[string]string{
		"third-part":             strings.Replace(signed, end, delimiter+"\r\npay Eve\r\n"+end[2:], 1),
		"third-part-empty":       strings.Replace(signed, end, delimiter+end[2:], 1),
		"part-in-front":          strings.Replace(signed, "--"+boundary+"\r\n", "--"+boundary+"\r\n"+evil+delimiter, 1),
		"empty-part-in-front":    strings.Replace(signed, "--"+boundary+"\r\n", "--"+boundary+"\r\n--"+boundary+"\r\n", 1),
		"goes-on-behind-end":     signed + "--" + boundary + "\r\n" + evil + end,
		"goes-on-other-space":    signed + "--" + boundary + " \t\r\n" + evil + end,
		"one-part":               signed[:middle] + end,
		"no-parts":               first,
		"end-first":              first + "--" + boundary + "--\r\n" + signed[len(first):],
		"end-in-the-middle":      signed[:middle] + end + signed[middle:],
		"empty-boundary":         strings.Replace(strings.ReplaceAll(signed, "--"+boundary, "--"), boundary, "", 1),
		"no-boundary":            strings.Replace(signed, "boundary=", "x=", 1),
		"boundary-of-other":      strings.Replace(signed, "boundary=\""+boundary, "boundary=\"x"+boundary, 1),
		"signature-empty":        signed[:strings.LastIndex(signed, "\r\n\r\nM")] + "\r\n\r\n" + end[2:],
		"signature-with-more":    strings.Replace(signed, end, "QUJD\r\n"+end, 1),
		"content-with-delimiter": strings.Replace(signed, "Dear Bob", "--"+boundary+"\r\nDear Bob", 1),
	}, twin("honest/detached-p256"))
	for name, inserted := range each(k, map[string]string{"lookalike": "--" + boundary + "x\r\n", "delimiter-after-bare-cr": "\r--" + boundary + "\r\n"}) {
		k.mail("mime/content-with-"+name, "a line inserted into what is signed: "+name, strings.Replace(signed, "Dear Bob", inserted+"Dear Bob", 1), invalid(Digest))
	}
	for name, message := range each(k, map[string]string{
		"epilogue": signed + "Dear Bob, pay Eve.\r\n", "end-missing": strings.TrimSuffix(signed, end) + "\r\n",
		"delimiter-with-space": strings.Replace(signed, delimiter, delimiter[:len(delimiter)-2]+"  \r\n", 1),
		"preamble":             strings.Replace(signed, "--"+boundary, "Dear Bob, pay Eve.\r\n--"+boundary, 1),
	}) {
		k.mail("mime/harmless-"+name, "not shown by any reader with MIME: "+name, message, valid(letter))
	}
}

func (k *kit) encodings(signed, opaque string) {
	w := k.world
	body := opaque[strings.Index(opaque, "\r\n\r\n")+4:]
	k.refuses("mime", map[string]string{
		"text-behind-opaque":     opaque + "A mailing list\r\n",
		"base64-behind-opaque":   opaque + "QUJD\r\n",
		"base64-hole":            strings.Replace(opaque, body[:40], body[:20]+"-"+body[20:40], 1),
		"base64-padding-inside":  strings.Replace(opaque, body[:64], body[:60]+"==\r\n"+body[60:64], 1),
		"encoding-unknown":       strings.Replace(opaque, "base64", "x-unknown", 1),
		"encoding-with-more":     strings.Replace(opaque, "base64", "base64 7bit", 1),
		"uuencoded":              strings.Replace(opaque, "base64", "uuencode", 1),
		"two-messages":           opaque + body,
		"opaque-cut":             opaque[:len(opaque)/2],
		"signature-encoding":     strings.Replace(signed, "Encoding: base64", "Encoding: x-unknown", 1),
		"signature-encoding-two": strings.Replace(signed, "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit", 1),
	}, twin("honest/opaque"))
	quoted := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nB=C3=BCcher=20\r\n"
	k.mail("mime/harmless-quoted-printable", "signed content in quoted-printable", fromAlice(multipartSigned(quoted, k.signDetached(quoted, w.alice))), valid(quoted))
	k.mail("mime/quoted-printable-decoded", "a relay decoded what was signed", fromAlice(multipartSigned(strings.NewReplacer("quoted-printable", "8bit", "=C3=BC", "\u00fc", "=20", " ").Replace(quoted), k.signDetached(quoted, w.alice))), invalid(Digest))
	k.mail("mime/inner-defect", "an opaque letter whose own header can be read in two ways stays what it is: text", fromAlice(pkcs7("signed-data", k.sign("Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n", w.alice))),
		valid("Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n"), policy("alice signed the ambiguity herself"))
	k.mail("mime/wrong-type-inside", "encrypted content that is no mail", fromAlice(pkcs7("signed-data", assemble(oid.EncryptedData, octets([]byte(letter)), certificatesOf(w.alice), k.signerInfo(w.alice, letter, usualAttributes(oid.EncryptedData, letter)...)))), invalid(CMS))
}
