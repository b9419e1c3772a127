package smime

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestSender is the table of senders (Johnny, you are fired: class ID). The signer is Eve, whose certificate is perfectly good.
func TestSender(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	for _, tc := range []struct {
		from string
		want Conclusion
	}{
		{"From: eve@example.com", Valid},
		{"from: <EVE@Example.COM>", Valid},
		{"From: \"alice@example.com\" <eve@example.com>", Valid}, // with a warning: see TestDisplayName
		{"From: eve@example.com\r\nSender: alice@example.com", Valid},
		{"From: eve@example.com\r\nReply-To: alice@example.com", Valid},
		{"From: alice@example.com", Invalid},
		{"From: alice@example.com\r\nSender: eve@example.com", Invalid},
		{"Sender: eve@example.com", Invalid},
		{"X: y", Invalid},
		{"From: ", Invalid},
		{"From: eve@example.com\r\nFrom: alice@example.com", Invalid},
		{"From: alice@example.com\r\nFrom: eve@example.com", Invalid},
		{"From: eve@example.com\r\nfROM : alice@example.com", Invalid},
		{"From : eve@example.com", Invalid},
		{"From: eve@example.com, alice@example.com", Invalid},
		{"From: alice@example.com, eve@example.com", Invalid},
		{"From: eve@example.com, eve@example.com", Invalid},
		{"From: Group: eve@example.com;", Invalid},
		{"From: \"alice@example.com\":;, eve@example.com", Invalid},
		{"From: eve@example.com, Alice:;", Invalid},
		{"From: alice@example.com <eve@example.com>", Invalid},
		{"From: alice@example.com (eve@example.com)", Invalid},
		{"From: <alice@example.com> eve@example.com", Invalid},
		{"From: <alice@example.com><eve@example.com>", Invalid},
		{"From: eve@example.com <alice@example.com>", Invalid},
		{"From: \"eve@example.com\" <alice@example.com>", Invalid},
		{"From: \"eve@example.com\" alice@example.com", Invalid},
		{"From: eve@example.com(\r\n) alice@example.com", Invalid},
		{"From: eve@example.com\x00, alice@example.com", Invalid},
		{"From: eve@example.com\x00", Invalid},
		{"From: eve@example.com\r alice@example.com", Invalid},
		{"From: eve@example.com\rFrom: alice@example.com", Invalid},
		{"From: <@example.com:eve@example.com>", Invalid},
		{"From: <eve@example.com@example.org>", Invalid},
		{"From: eve@example.com.", Invalid},
		{"From: eve@example.com.example.org", Invalid},
		{"From: eve@example.co", Invalid},
		{"From: xeve@example.com", Invalid},
		{"From: eve+alice@example.com", Invalid},
		{"From: eve%example.com@example.com", Invalid},
		{"From: \" eve\"@example.com", Invalid},
		{"From: \"eve \"@example.com", Invalid},
		{"From: eve @example.com", Invalid},
		{"From: eve@ example.com", Invalid},
		{"From: e\u200bve@example.com", Invalid},
		{"From: \u0435ve@example.com", Invalid}, // Cyrillic
		{"From: eve@ex\u0430mple.com", Invalid},
		{"From: =?utf-8?Q?eve?=@example.com", Invalid},
		{"From: =?utf-8?Q?eve=40example.com?=", Invalid},
		{"From: =?utf-8?Q?eve=40example.com=00?=@example.org", Invalid},
		{"From: eve@example.com\r\n \r\nX: y", Invalid},
		{"From:\r\n eve@example.com", Valid},
		{"Resent-From: eve@example.com\r\nFrom: alice@example.com", Invalid},
		{"X-From: eve@example.com\r\nFrom: alice@example.com", Invalid},
		{"From\t: eve@example.com", Invalid},
	} {
		// The attacker writes the outer header as he likes, after signing.
		signed := signMessage(t, "Content-Type: text/plain\r\n\r\nI am who I am.\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}})
		m := judgeAnything(t, tc.from+"\r\n"+signed, w.options())
		if m == nil || m.Verdict.Verdict != tc.want {
			t.Errorf("%q: %v", tc.from, show(m.Verdict))
		} else if tc.want == Invalid && m.Verdict.Signers[0].Status != StatusAddressMismatch {
			t.Errorf("%q: %s", tc.from, m.Verdict.Signers[0].Status)
		}
	}
}

// TestSenderGenerated puts both addresses into every pair of positions that a header has and demands that a valid message is from
// the one who signed it.
func TestSenderGenerated(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	signed := signMessage(t, "Content-Type: text/plain\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}})
	forms := []string{"%s", "<%s>", "\"%s\"", "(%s)", "x <%s>", "\"x\" <%s>", "=?utf-8?Q?%s?=", "g:%s;", "%s,", "<%s", "%s>", "\"%s", "(%s", "\\%s", "[%s]", "%s:", "\x1b%s"}
	joints := []string{" ", "", ",", "\r\n ", "\t", ";", "\r\nFrom: ", "\r\nFrom : ", "\rFrom: ", "\nFrom: ", "\r\n\tFrom: ", "\x00"}
	n, valid := 0, 0
	for _, a := range forms {
		for _, b := range forms {
			for _, j := range joints {
				for _, order := range [][]any{{"eve@example.com", "alice@example.com"}, {"alice@example.com", "eve@example.com"}} {
					if n++; n%3 != 0 {
						continue
					}
					from := "From: " + fmt.Sprintf(a, order[0]) + j + fmt.Sprintf(b, order[1]) + "\r\n"
					m := judgeAnything(t, from+signed, w.options())
					if m == nil || m.Verdict.Verdict != Valid {
						continue
					}
					valid++
					if len(m.Verdict.From) != 1 || m.Verdict.From[0] != "eve@example.com" {
						t.Fatalf("%q: %s", from, show(m.Verdict))
					}
					// Alice's address may only be where it is known to be a name, and then a warning says so.
					if bare := strings.Replace(from, "eve@example.com", "", 1); !strings.ContainsAny(bare, `"(`) && !strings.Contains(bare, "=?") {
						t.Fatalf("%q is valid", from)
					}
					if !strings.Contains(strings.Join(m.Verdict.Warnings, "\n"), "looks like the address alice@example.com") {
						t.Errorf("%q: %q", from, m.Verdict.Warnings)
					}
				}
			}
		}
	}
	t.Logf("%d headers, %d valid", n/3, valid)
}

func TestExpectedSender(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	bare := signMessage(t, "\r\nbody\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	for _, tc := range []struct {
		header, expected string
		want             Conclusion
	}{
		{"", "alice@example.com", Valid}, {"", "ALICE@example.com", Valid}, {"", "eve@example.com", Invalid}, {"", "", Invalid}, {"", "nonsense", Invalid},
		{"From: alice@example.com\r\n", "alice@example.com", Valid}, {"From: alice@example.com\r\n", "eve@example.com", Invalid},
		{"From: eve@example.com\r\n", "alice@example.com", Invalid}, {"From: <\r\n", "alice@example.com", Invalid},
	} {
		o := w.options()
		o.From = tc.expected
		if m := open(t, tc.header+bare, o); m.Verdict.Verdict != tc.want {
			t.Errorf("%q, %q: %s", tc.header, tc.expected, show(m.Verdict))
		}
	}
}

func TestDisplayName(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	for _, from := range []string{
		`"alice@example.com" <eve@example.com>`, `=?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?= <eve@example.com>`, `eve@example.com (alice@example.com)`,
		`"alice＠example.com" <eve@example.com>`, `"ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ" <eve@example.com>`, "\"alice\u200b@example.com\" <eve@example.com>",
		`=?iso-2022-jp?B?YWxpY2VAZXhhbXBsZS5jb20=?= <eve@example.com>`, `=?utf-16le?B?YQBsAGkAYwBlAEAAZQB4AGEAbQBwAGwAZQAuAGMAbwBtAA==?= <eve@example.com>`,
		`"mailto:alice@example.com" <eve@example.com>`, `"Alice [alice@example.com]" <eve@example.com>`, `=?x-own?Q?Alice_alice=40example.com?= <eve@example.com>`,
	} {
		m := open(t, signMessage(t, "From: "+from+"\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "looks like the address alice@example.com")
	}
}

// TestSenderHeader: Sender is another's word, and From alone is believed (RFC 5322 §3.6.2, RFC 8550 §3).
func TestSenderHeader(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	for _, tc := range []struct {
		sender, warning string
	}{
		{"Sender: eve@example.com", ""}, {"Sender: Eve <EVE@example.com>", ""},
		{"Sender: alice@example.com", "the Sender header names alice@example.com"},
		{"Sender: alice@example.com <eve@example.com>", "cannot be read"}, {"Sender: eve@example.com, alice@example.com", "cannot be read"},
		{"Sender: eve@example.com\r\nSender: alice@example.com", "cannot be read"}, {"Sender:", "cannot be read"},
	} {
		signed := signMessage(t, "Content-Type: text/plain\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}})
		m := open(t, "From: eve@example.com\r\n"+tc.sender+"\r\n"+signed, w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, tc.warning)
		m = open(t, "From: alice@example.com\r\n"+tc.sender+"\r\n"+signed, w.options())
		wantVerdict(t, m, Invalid, CoverageWhole)
	}
}

// TestCertificateNames: one address in the certificate, one in From. They are one person's only as RFC 8550 §3 and RFC 9598 §5 say.
func TestCertificateNames(t *testing.T) {
	w := newWorld(t)
	rfc822, utf8Mailbox := testca.Mailbox, testca.UTF8Mailbox
	for _, tc := range []struct {
		name []byte
		from string
		want Conclusion
	}{
		// Case: of the domain never, of the local part not in ASCII (RFC 8550 §3).
		{rfc822("alice@example.com"), "ALICE@EXAMPLE.COM", Valid},
		{rfc822("Alice@Example.Com"), "alice@example.com", Valid},
		{rfc822("jurgen@example.com"), "jürgen@example.com", Invalid},
		{rfc822("alicek@example.com"), "alice\u212a@example.com", Invalid}, // the Kelvin sign
		{rfc822("i@example.com"), "\u0130@example.com", Invalid},
		// White space, NUL and other signs that a reader skips.
		{rfc822("alice@example.com\x00.evil.example"), "alice@example.com", Invalid},
		{rfc822("alice@example.com\x00"), "alice@example.com", Invalid},
		{rfc822("\x00alice@example.com"), "alice@example.com", Invalid},
		{rfc822("alice@example.com "), "alice@example.com", Invalid},
		{rfc822(" alice@example.com"), "alice@example.com", Invalid},
		{rfc822("alice @example.com"), "alice@example.com", Invalid},
		{rfc822("alice@example.com\n"), "alice@example.com", Invalid},
		{rfc822("alice@example.com,eve@example.com"), "alice@example.com", Invalid},
		{rfc822("<alice@example.com>"), "alice@example.com", Invalid},
		{rfc822("Alice <alice@example.com>"), "alice@example.com", Invalid},
		{rfc822("alice@example.com."), "alice@example.com", Invalid},
		{rfc822("alice@example.com@example.org"), "alice@example.com", Invalid},
		{rfc822("@example.com"), "alice@example.com", Invalid},
		{rfc822("example.com"), "alice@example.com", Invalid},
		{rfc822("*@example.com"), "alice@example.com", Invalid},
		{rfc822("alice@*.com"), "alice@example.com", Invalid},
		{rfc822("alice+tag@example.com"), "alice@example.com", Invalid},
		{rfc822("ali.ce@example.com"), "alice@example.com", Invalid},
		{rfc822(`"alice"@example.com`), "alice@example.com", Valid},
		{rfc822("alice@example.com"), `"alice"@example.com`, Valid},
		// IDN: A-labels and U-labels are one domain; look-alikes are not (RFC 9598 §3).
		{rfc822("alice@xn--bcher-kva.example"), "alice@bücher.example", Valid},
		{rfc822("alice@xn--bcher-kva.example"), "alice@XN--BCHER-KVA.example", Valid},
		{rfc822("alice@xn--bcher-kva.example"), "alice@bücher.example.", Invalid},
		{rfc822("alice@b\xfccher.example"), "alice@bücher.example", Invalid}, // no IA5String
		{rfc822("alice@bücher.example"), "alice@bücher.example", Invalid},
		{rfc822("alice@example.com"), "alice@ex\u0430mple.com", Invalid},
		{rfc822("alice@example.com"), "alice@ｅxample.com", Invalid},
		{rfc822("alice@example.com"), "alice＠example.com", Invalid},
		// SmtpUTF8Mailbox: for local parts beyond ASCII, the domain in either form.
		{utf8Mailbox("jürgen@xn--bcher-kva.example"), "jürgen@bücher.example", Valid},
		{utf8Mailbox("jürgen@bücher.example"), "jürgen@xn--bcher-kva.example", Valid}, // RFC 8398
		{utf8Mailbox("山田@example.jp"), "山田@EXAMPLE.jp", Valid},
		{utf8Mailbox("jürgen@example.com"), "JÜRGEN@example.com", Invalid}, // compared exactly, but for ASCII
		{utf8Mailbox("jürgen@example.com"), "ju\u0308rgen@example.com", Invalid},
		{utf8Mailbox("jürgen@example.com"), "jurgen@example.com", Invalid},
		{utf8Mailbox("jür\u200bgen@example.com"), "jürgen@example.com", Invalid},
		{utf8Mailbox("j\xfcrgen@example.com"), "jürgen@example.com", Invalid},
		// Japanese mobile addresses, quoted or as they were given out.
		{rfc822(`"a..b"@docomo.ne.jp`), "a..b@docomo.ne.jp", Valid},
		{rfc822("a..b@docomo.ne.jp"), `"a..b"@docomo.ne.jp`, Valid},
		{rfc822("a..b@docomo.ne.jp"), "=?iso-2022-jp?B?GyRCO3tFRBsoQg==?= <a..b@docomo.ne.jp>", Valid},
		{rfc822(".a@docomo.ne.jp"), ".a@docomo.ne.jp", Valid},
		{rfc822(`"a."@ezweb.ne.jp`), "A.@EZweb.ne.jp", Valid},
		{rfc822("a..b@docomo.ne.jp"), "a.b@docomo.ne.jp", Invalid},
		{rfc822("a.b@docomo.ne.jp"), "a..b@docomo.ne.jp", Invalid},
		{rfc822("a@docomo.ne.jp"), "a.@docomo.ne.jp", Invalid},
		{rfc822("a@docomo.ne.jp"), ".a@docomo.ne.jp", Invalid},
	} {
		signer := w.ca.Leaf("", testca.P256, testca.AltNames(false, tc.name))
		signed := signMessage(t, "Content-Type: text/plain\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(signer)}})
		m := judgeAnything(t, "From: "+tc.from+"\r\n"+signed, w.options())
		if m == nil || m.Verdict.Verdict == Valid != (tc.want == Valid) {
			t.Errorf("%q, %q: %v", tc.name, tc.from, show(m.Verdict))
		}
	}
}
