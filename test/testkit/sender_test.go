package testkit

import (
	"crypto/x509/pkix"
	"fmt"
	"strings"

	"github.com/mailseal/mailseal/cms"

	"github.com/mailseal/mailseal/internal/testca"
)

// senderCases: eve has a good certificate and wants to be taken for alice.
func (k *kit) senderCases() {
	k.senders()
	k.generatedSenders()
	k.expectedSenders()
}

// signedByEve is a mail with those lines in its header, which eve wrote after signing.
func (k *kit) signedByEve() func(header string) string {
	w := k.world
	text := "Content-Type: text/plain\r\n\r\nI am who I am.\r\n"
	entity := multipartSigned(text, operate(k.signWith(text, &cms.SignOptions{Detached: true}, w.eve), func(s signedData) { s.certificates().become(tagged(0, raw(w.eve.Certificate.Raw))) }))
	return func(header string) string { return header + "\r\nSubject: Payment\r\nMIME-Version: 1.0\r\n" + entity }
}

const eveText = "Content-Type: text/plain\r\n\r\nI am who I am.\r\n"

func (k *kit) senders() {
	mail := k.signedByEve()
	for name, header := range each(k, map[string]string{
		"plain": "From: eve@example.com", "brackets": "from: <EVE@Example.COM>", "name": "From: Eve <eve@example.com>", "folded": "From:\r\n Eve\r\n <eve@example.com>",
		"sender-too": "From: eve@example.com\r\nSender: alice@example.com", "reply-to": "From: eve@example.com\r\nReply-To: alice@example.com",
		"name-is-address": "From: \"alice@example.com\" <eve@example.com>", "name-encoded": "From: =?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?= <eve@example.com>",
		"comment-behind": "From: eve@example.com (Eve)", "comment-is-address": "From: eve@example.com (alice@example.com)", "own-address-as-name": "From: \"eve@example.com\" <eve@example.com>",
		"name-utf8": "From: \u30a4\u30f4 <eve@example.com>", "name-bidi": "From: =?utf-8?Q?=E2=80=AEecila?= <eve@example.com>",
	}) {
		k.mail("sender/honest-"+name, "eve is eve: "+name, mail(header), valid(eveText), intermediates("issuing"))
	}
	for name, header := range each(k, map[string]string{
		"other": "From: alice@example.com", "sender": "From: alice@example.com\r\nSender: eve@example.com", "sender-alone": "Sender: eve@example.com", "none": "X: y", "empty": "From: ",
		"two-fields": "From: eve@example.com\r\nFrom: alice@example.com", "two-fields-other-first": "From: alice@example.com\r\nFrom: eve@example.com",
		"two-fields-the-same": "From: eve@example.com\r\nFrom: eve@example.com", "two-fields-space": "From: eve@example.com\r\nFrom : alice@example.com", "field-with-space": "From : eve@example.com",
		"field-with-tab": "From\t: eve@example.com", "two-addresses": "From: eve@example.com, alice@example.com", "two-addresses-other-first": "From: alice@example.com, eve@example.com",
		"twice-the-same": "From: eve@example.com, eve@example.com", "group": "From: Group: eve@example.com;", "group-of-two": "From: g: alice@example.com, eve@example.com;", "group-empty": "From: Undisclosed:;",
		"group-and-address": "From: g:; , eve@example.com", "name-unquoted-address": "From: alice@example.com <eve@example.com>", "comment-of-eve": "From: alice@example.com (eve@example.com)",
		"bracket-then-bare": "From: <alice@example.com> eve@example.com", "two-brackets": "From: <alice@example.com><eve@example.com>", "two-brackets-eve-first": "From: <eve@example.com><alice@example.com>",
		"eve-as-name": "From: eve@example.com <alice@example.com>", "eve-as-quoted-name": "From: \"eve@example.com\" <alice@example.com>", "quoted-then-bare": "From: \"eve@example.com\" alice@example.com",
		"comment-folded": "From: eve@example.com(\r\n) alice@example.com", "comment-inside": "From: eve(x)@example.com", "comment-nested": "From: alice@example.com (a(b)eve@example.com)", "comment-open": "From: eve@example.com (alice@example.com",
		"nul-comma": "From: eve@example.com\x00, alice@example.com", "nul-end": "From: eve@example.com\x00", "nul-inside": "From: eve\x00@example.com", "nul-name": "From: \x00 <eve@example.com>",
		"bare-cr": "From: eve@example.com\r alice@example.com", "bare-cr-field": "From: eve@example.com\rFrom: alice@example.com", "bare-cr-bracket": "From: <alice@example.com>\r <eve@example.com>",
		"route": "From: <@example.com:eve@example.com>", "two-ats": "From: <eve@example.com@example.org>", "two-ats-quoted": "From: <\"eve@example.com\"@example.org>", "percent": "From: eve%example.com@example.com", "bang": "From: example.com!eve@example.com",
		"trailing-dot": "From: eve@example.com.", "longer-domain": "From: eve@example.com.example.org", "shorter-domain": "From: eve@example.co", "subdomain": "From: eve@sub.example.com", "longer-local": "From: xeve@example.com", "plus": "From: eve+alice@example.com",
		"quoted-leading-space": "From: \" eve\"@example.com", "quoted-trailing-space": "From: \"eve \"@example.com", "quoted-backslash": "From: \"e\\ve\"@example.com", "space-before-at": "From: eve @example.com", "space-after-at": "From: eve@ example.com", "space-in-brackets": "From: < eve@example.com>", "space-in-brackets-end": "From: <eve@example.com >",
		"zero-width": "From: e\u200bve@example.com", "zero-width-domain": "From: eve@exam\u200bple.com", "cyrillic": "From: \u0435ve@example.com", "cyrillic-domain": "From: eve@ex\u0430mple.com", "fullwidth-at": "From: eve\uff20example.com", "fullwidth-dot": "From: eve@example\u3002com", "soft-hyphen": "From: ev\u00ade@example.com", "combining": "From: eve\u0301@example.com", "bidi": "From: \u202eeve@example.com", "bidi-end": "From: eve@example.com\u202c", "bom": "From: \ufeffeve@example.com", "long-s": "From: eve@example.com\u017f", "kelvin": "From: eve@example.com\u212a", "nbsp": "From: \u00a0eve@example.com", "not-utf8": "From: eve\xff@example.com",
		"encoded-local": "From: =?utf-8?Q?eve?=@example.com", "encoded-address": "From: =?utf-8?Q?eve=40example.com?=", "encoded-nul": "From: =?utf-8?Q?eve=40example.com=00?=@example.org", "encoded-in-brackets": "From: <=?utf-8?Q?eve=40example.com?=>", "encoded-newline": "From: =?utf-8?Q?eve=40example.com=0A?= <alice@example.com>", "encoded-comma": "From: =?utf-8?Q?eve=40example.com=2C?= alice@example.com",
		"line-of-space": "From: eve@example.com\r\n \r\nX: y", "resent": "Resent-From: eve@example.com\r\nFrom: alice@example.com", "x-from": "X-From: eve@example.com\r\nFrom: alice@example.com", "from-in-name": "FromX: eve@example.com", "underscore": "From_: eve@example.com",
		"literal": "From: eve@[192.0.2.1]", "no-domain": "From: eve", "no-local": "From: @example.com", "empty-brackets": "From: <>", "name-only": "From: Eve", "comma-only": "From: ,", "semicolon": "From: eve@example.com;", "semicolon-two": "From: eve@example.com; alice@example.com", "colon": "From: x: eve@example.com", "bracket-open": "From: <eve@example.com", "bracket-close": "From: eve@example.com>", "quote-open": "From: \"Eve <eve@example.com>", "mailto": "From: mailto:eve@example.com", "url-brackets": "From: <mailto:eve@example.com>", "html": "From: &lt;eve@example.com&gt;", "tab-inside": "From: eve\t@example.com", "escape": "From: \x1b[8m<alice@example.com>\x1b[0m eve@example.com", "backspace": "From: alice\x08\x08\x08\x08\x08eve@example.com", "delete": "From: eve@example.com\x7f", "two-domains": "From: eve@example.com,example.org", "ten-thousand": "From: " + strings.Repeat("eve@example.com, ", 300) + "eve@example.com", "very-long-name": "From: " + strings.Repeat("alice@example.com ", 500) + "<eve@example.com>",
	}) {
		k.mail("sender/"+name, "eve signs, and From is not hers alone: "+name, mail(header), invalid(Identity), intermediates("issuing"), twin("sender/honest-plain"))
	}
}

// generatedSenders put both addresses into one header in every combination of forms of which none is known to be a mere name.
func (k *kit) generatedSenders() {
	mail := k.signedByEve()
	forms := []string{"%s", "<%s>", "x <%s>", "\"x\" <%s>", "g:%s;", "%s,", "<%s", "%s>", "[%s]", "%s:", "\\%s", "%s.", "<@x:%s>"}
	joints := []string{" ", ",", "\r\n ", ";", "\r\nFrom: ", "\rFrom: ", "\nFrom : ", "\t", " (", "\x00"}
	n := 0
	for i, a := range forms {
		for j, b := range forms {
			for l, joint := range joints {
				if (i+2*j+3*l)%3 != 0 {
					continue
				}
				first, second := "eve@example.com", "alice@example.com"
				if (i+j)%2 == 1 {
					first, second = second, first
				}
				header := "From: " + fmt.Sprintf(a, first) + joint + fmt.Sprintf(b, second)
				k.mail(fmt.Sprintf("sender/generated-%03d", n), "two addresses in one header", mail(header), invalid(Identity), intermediates("issuing"), twin("sender/honest-plain"))
				n++
			}
		}
	}
	if n < 500 {
		k.t.Fatalf("%d generated headers", n)
	}
}

func (k *kit) expectedSenders() {
	w := k.world
	part := multipartSigned(letter, k.signDetached(letter, w.alice))
	for name, c := range each(k, map[string]struct {
		header, from string
		want         outcome
	}{
		"matches": {aliceFrom, "alice@example.com", valid(letter)}, "matches-case": {aliceFrom, "ALICE@EXAMPLE.COM", valid(letter)}, "stands-in": {"", "alice@example.com", valid(letter)},
		"other": {aliceFrom, "eve@example.com", invalid(Identity)}, "other-stands-in": {"", "eve@example.com", invalid(Identity)}, "forged-from": {eveFrom, "alice@example.com", invalid(Identity)},
		"unreadable-from": {"From: <\r\n", "alice@example.com", invalid(Identity)}, "two-from": {aliceFrom + aliceFrom, "alice@example.com", invalid(Identity)}, "nobody": {"", "", invalid(Identity)},
	}) {
		k.mail("sender/expected-"+name, "the reader expects a sender: "+name, c.header+outerFields+part, c.want, from(c.from))
	}
}

// certificateNameCases: names in certificates that are almost alice's (CVE-2026-2748 and the old NUL trick).
func (k *kit) certificateNameCases() {
	w := k.world
	alice := "alice@example.com"
	leaf := func(options ...testca.Option) *testca.Leaf {
		return w.issuing.Leaf("holder@example.net", testca.P256, options...)
	}
	names := func(n ...[]byte) *testca.Leaf { return leaf(testca.AltNames(false, n...)) }
	add := func(name, header string, l *testca.Leaf, want ...outcome) {
		k.mail("names/"+name, "the name in the certificate: "+name, header+outerFields+pkcs7("signed-data", k.sign(letter, l)), append(want, twin("names/honest-mailbox"))...)
	}
	cn := func(s string) testca.Option { return testca.Subject(pkix.Name{CommonName: s}) }
	honest := valid(letter)
	add("honest-mailbox", aliceFrom, names(testca.Mailbox(alice)), honest)
	add("honest-second", aliceFrom, names(testca.Mailbox("holder@example.net"), testca.Mailbox(alice)), honest)
	add("honest-case", aliceFrom, names(testca.Mailbox("Alice@EXAMPLE.com")), honest)
	add("honest-beside-dns", aliceFrom, names(testca.DNS("example.org"), testca.Mailbox(alice)), honest)
	add("honest-subject-only", aliceFrom, leaf(testca.Emails(), testca.SubjectEmail(alice)), honest)
	add("honest-idn", "From: alice@b\u00fccher.example\r\n", names(testca.Mailbox("alice@xn--bcher-kva.example")), honest)
	add("honest-idn-a-label", "From: alice@xn--bcher-kva.example\r\n", names(testca.Mailbox("alice@xn--bcher-kva.example")), honest)
	add("honest-utf8", "From: \u30a2\u30ea\u30b9@example.com\r\n", names(testca.UTF8Mailbox("\u30a2\u30ea\u30b9@example.com")), honest)
	for name, n := range each(k, map[string][]byte{
		"leading-space": testca.Mailbox(" " + alice), "trailing-space": testca.Mailbox(alice + " "), "leading-tab": testca.Mailbox("\t" + alice), "trailing-newline": testca.Mailbox(alice + "\n"), "trailing-crlf": testca.Mailbox(alice + "\r\n"),
		"space-before-at": testca.Mailbox("alice @example.com"), "space-after-at": testca.Mailbox("alice@ example.com"), "nul-end": testca.Mailbox(alice + "\x00"), "nul-more": testca.Mailbox(alice + "\x00.example.net"), "nul-first": testca.Mailbox("\x00" + alice), "nul-local": testca.Mailbox("alice\x00eve@example.com"),
		"brackets": testca.Mailbox("<" + alice + ">"), "with-name": testca.Mailbox("Alice <" + alice + ">"), "two-in-one": testca.Mailbox(alice + ", eve@example.com"), "two-in-one-space": testca.Mailbox(alice + " eve@example.com"), "comment": testca.Mailbox(alice + "(eve)"), "mailto": testca.Mailbox("mailto:" + alice),
		"trailing-dot": testca.Mailbox(alice + "."), "wildcard": testca.Mailbox("*@example.com"), "wildcard-all": testca.Mailbox("*"), "domain-only": testca.Mailbox("@example.com"), "host-only": testca.Mailbox("example.com"), "empty": testca.Mailbox(""), "subdomain": testca.Mailbox("alice@sub.example.com"), "parent": testca.Mailbox("alice@com"), "longer": testca.Mailbox("alice@example.com.example.net"), "prefix": testca.Mailbox("xalice@example.com"), "plus": testca.Mailbox("alice+x@example.com"), "two-ats": testca.Mailbox("alice@example.com@example.net"), "quoted-with-at": testca.Mailbox("\"alice@example.com\"@example.net"), "percent": testca.Mailbox("alice%example.com@example.net"), "route": testca.Mailbox("@example.net:" + alice), "encoded-word": testca.Mailbox("=?utf-8?Q?alice?=@example.com"), "latin1": testca.Mailbox("\xe0lice@example.com"), "utf8-in-ia5": testca.Mailbox("\u0430lice@example.com"), "zero-width": testca.Mailbox("a\u200blice@example.com"), "bidi": testca.Mailbox("\u202ealice@example.com"),
		"as-dns": testca.DNS(alice), "as-uri": testca.URI("mailto:" + alice), "dns-of-domain": testca.DNS("example.com"), "utf8-homoglyph": testca.UTF8Mailbox("\u0430lice@example.com"), "utf8-ascii-only": testca.UTF8Mailbox("alic\u00e9@example.com"), "utf8-bidi": testca.UTF8Mailbox("\u202ealice@example.com"), "utf8-zero-width": testca.UTF8Mailbox("alice\u200b@example.com"), "utf8-nul": testca.UTF8Mailbox(alice + "\x00"), "utf8-space": testca.UTF8Mailbox("\u00a0alice@example.com"), "utf8-fullwidth": testca.UTF8Mailbox("\uff41lice@example.com"),
	}) {
		add(name, aliceFrom, names(n), refused(Identity))
	}
	add("common-name-only", aliceFrom, leaf(testca.Emails(), cn(alice)), refused(Identity))
	add("common-name-beside-other", aliceFrom, leaf(testca.Emails("eve@example.com"), cn(alice)), refused(Identity))
	add("subject-beside-other", aliceFrom, leaf(testca.Emails("eve@example.com"), testca.SubjectEmail(alice)), refused(Identity), policy("RFC 8550 section 3 lets a reader look at the subject too"))
	add("subject-with-space", aliceFrom, leaf(testca.Emails(), testca.SubjectEmail(" "+alice)), refused(Identity))
	add("subject-with-nul", aliceFrom, leaf(testca.Emails(), testca.SubjectEmail(alice+"\x00")), refused(Identity))
	add("none", aliceFrom, leaf(testca.Emails(), cn("Alice")), refused(Identity))
	add("idn-homoglyph", "From: alice@b\u00fccher.example\r\n", names(testca.Mailbox("alice@xn--bcher-8va.example")), refused(Identity))
	add("idn-as-text", "From: alice@b\u00fccher.example\r\n", names(testca.Mailbox("alice@b\u00fccher.example")), refused(Identity))
	add("utf8-other-case", "From: \u00c9lise@example.com\r\n", names(testca.UTF8Mailbox("\u00e9lise@example.com")), refused(Identity), policy("only ASCII letters are compared without regard to case"))
	add("utf8-not-normalized", "From: e\u0301lise@example.com\r\n", names(testca.UTF8Mailbox("\u00e9lise@example.com")), refused(Identity), policy("RFC 9598 compares octets"))
}
