package testkit

import (
	"strings"

	"github.com/mailseal/mailseal/cms"
)

// headerCases: fields of the header inside a layer do not become fields of the mail (CVE-2026-27443, CVE-2026-29143). What a program
// writes when it takes the layers off has the outer From, To, Subject and so on, and no field from inside but those of the content.
func (k *kit) headerCases() {
	w := k.world
	k.promoted("twin", "Content-Language: en\r\n")
	for name, field := range each(k, map[string]string{
		"from": "From: Alice <alice@example.com>", "two-from": "From: alice@example.com\r\nFrom: carol@example.org", "sender": "Sender: alice@example.com", "to": "To: all@example.org", "cc": "Cc: all@example.org", "bcc": "Bcc: all@example.org",
		"subject": "Subject: approved", "date": "Date: Mon, 01 Jan 2001 00:00:00 +0000", "message-id": "Message-ID: <forged@example.com>", "reply-to": "Reply-To: alice@example.com", "in-reply-to": "In-Reply-To: <other@example.com>", "return-path": "Return-Path: <alice@example.com>",
		"received": "Received: from trusted.example.org by mx.example.org; Mon, 1 Jun 2026 12:00:00 +0000", "authentication-results": "Authentication-Results: mx.example.org; smime=pass smime.identifier=alice@example.com", "arc": "ARC-Authentication-Results: i=1; mx.example.org; dkim=pass",
		"dkim": "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; b=x", "verdict": "X-Verdict: valid", "smime-status": "X-SMIME-Status: Good signature by alice@example.com", "spam": "X-Spam-Status: No", "precedence": "Auto-Submitted: no", "list-unsubscribe": "List-Unsubscribe: <http://eve.example/>",
		"delivered-to": "Delivered-To: all@example.org", "disposition-notification": "Disposition-Notification-To: eve@example.com", "resent": "Resent-From: alice@example.com", "errors-to": "Errors-To: eve@example.com", "envelope-to": "X-Envelope-To: all@example.org", "autocrypt": "Autocrypt: addr=alice@example.com; keydata=x",
	}) {
		k.promoted(name, field+"\r\n")
	}
	forged := aliceFrom + "Authentication-Results: example.org; smime=pass\r\n" + outerFields + pkcs7("signed-data", k.sign(letter, w.eve))
	k.mail("headers/outer-verdict-of-eve", "a verdict that the sender wrote on the outside changes nothing", forged, invalid(Identity))
	k.mail("headers/outer-subject-changed", "the subject of alice's mail was changed on its way: no signature covers it", strings.Replace(fromAlice(multipartSigned(letter, k.signDetached(letter, w.alice))), "Payment", "Payment approved", 1), valid(letter),
		policy("RFC 9788 protects it; a mail without is what most programs send"))
}

// promoted adds the field to the entity inside each kind of layer.
func (k *kit) promoted(name, field string) {
	w := k.world
	content := field + letter
	comment := "a field inside that would be one of the mail: " + name
	k.mail("headers/detached-"+name, comment+", multipart/signed", fromEve(multipartSigned(content, k.signDetached(content, w.eve))), valid(content), twin("headers/detached-twin"))
	k.mail("headers/opaque-"+name, comment+", opaque", fromEve(pkcs7("signed-data", k.sign(content, w.eve))), valid(content), twin("headers/opaque-twin"))
	k.mail("headers/encrypted-"+name, comment+", encrypted", fromEve(pkcs7("authEnveloped-data", k.encrypt(content, &cms.EncryptOptions{Cipher: cms.AES256GCM}, w.bob))), shown(Unsigned, MIME, content), keys("bob"), twin("headers/encrypted-twin"))
	sealed := k.encrypt(pkcs7("signed-data", k.sign(content, w.eve)), nil, w.bob)
	k.mail("headers/sealed-"+name, comment+", sealed", fromEve(pkcs7("enveloped-data", sealed)), valid(content), keys("bob"), twin("headers/sealed-twin"))
	between := k.encrypt(field+pkcs7("signed-data", k.sign(letter, w.eve)), nil, w.bob)
	k.mail("headers/between-"+name, comment+", between encryption and signature", fromEve(pkcs7("enveloped-data", between)), valid(letter), keys("bob"), twin("headers/sealed-twin"))
}
