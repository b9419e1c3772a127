package smime

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

// letter has everything that header protection must deal with.
var letter = crlf(`Received: from a by b
Return-Path: <alice@example.com>
From: Alice <alice@example.com>
To: Bob <bob@example.org>
Bcc: eve@example.net
Subject: =?utf-8?B?5pi86aOf?= at noon
Date: ` + testca.Now.Format(time.RFC1123Z) + `
Message-ID: <1@example.com>
Keywords: lunch
Comments: secret
X-Mine: a
  folded
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Dear Bob,

see you at noon.
`)

const subject = "昼食 at noon"

// sealMessage signs and encrypts with a header policy.
func (w *world) sealMessage(message string, p HeaderPolicy, from, to *testca.Leaf) string {
	w.t.Helper()
	var b bytes.Buffer
	err := Seal(&b, strings.NewReader(message), int64(len(message)), &SignOptions{Signers: []*cms.Signer{signerOf(from)}, Time: testca.Now},
		&EncryptOptions{Recipients: []*cms.Recipient{recipientOf(w.t, to)}, Headers: p})
	if err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

func outerHeader(message string) string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	return head + "\r\n"
}

func TestHeadersSigned(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	for _, p := range []HeaderPolicy{HeadersVisible, HeadersBaseline} {
		for _, opaque := range []bool{false, true} {
			signed := signMessage(t, letter, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: opaque, Headers: p})
			m := open(t, signed, w.options())
			wantVerdict(t, m, Valid, CoverageWhole)
			wantWarning(t, m, "")
			if v := m.Verdict; v.HeaderProtection != HeaderSigned || v.Subject != subject || len(v.DifferingHeaders) != 0 {
				t.Error(show(v))
			}
			inside := m.content.Header
			typ, err := inside.ContentType()
			if err != nil || typ.Parameter("hp") != "clear" || typ.Parameter("charset") != "utf-8" {
				t.Errorf("%v %v", typ, err)
			}
			for _, name := range []string{"From", "To", "Subject", "Date", "Message-ID", "Keywords", "Comments", "X-Mine"} {
				in, out := inside.All(name), m.outer.All(name)
				if len(in) != 1 || len(out) != 1 || !bytes.Equal(in[0].Raw, out[0].Raw) {
					t.Errorf("%s: inside %q, outside %q", name, in, out)
				}
			}
			for _, name := range []string{"Received", "Return-Path", "Bcc", hpOuter} {
				if inside.Has(name) || m.outer.Has(name) != (name[0] == 'R') {
					t.Errorf("%s: inside %v, outside %v", name, inside.Has(name), m.outer.Has(name))
				}
			}
			if got := written(t, m); strings.Contains(got, "hp=") || !strings.Contains(got, "\r\nContent-Type: text/plain; charset=utf-8\r\n") {
				t.Errorf("%q", got)
			}
		}
	}
}

// TestHeadersHidden is RFC 9788 §3.2.1 and §5.2 both ways.
func TestHeadersHidden(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	sealed := w.sealMessage(letter, HeadersBaseline, alice, bob)
	head := outerHeader(sealed)
	for _, secret := range []string{"5pi86aOf", "Keywords", "Comments", "secret", "HP-Outer", "Bcc"} {
		if strings.Contains(head, secret) {
			t.Errorf("%s outside", secret)
		}
	}
	for _, visible := range []string{"Subject: [...]\r\n", "From: Alice <alice@example.com>\r\n", "X-Mine: a\r\n  folded\r\n", "Received: "} {
		if !strings.Contains(head, visible) {
			t.Errorf("no %q outside", visible)
		}
	}
	m := open(t, sealed, w.options(bob))
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "")
	if v := m.Verdict; v.HeaderProtection != HeaderEncrypted || v.Subject != subject || len(v.DifferingHeaders) != 0 {
		t.Error(show(v))
	}
	raw := content(t, m)
	for _, want := range []string{
		"hp=\"cipher\"", "hp-legacy-display=\"1\"", "HP-Outer: Subject: [...]\r\n", "HP-Outer: X-Mine: a\r\n  folded\r\n", "Keywords: lunch\r\n",
	} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %q in %q", want, raw)
		}
	}
	for _, not := range []string{"HP-Outer: Keywords", "HP-Outer: Comments", "HP-Outer: Received", "HP-Outer: Bcc", "\nReceived:"} {
		if strings.Contains(raw, not) {
			t.Errorf("%q in %q", not, raw)
		}
	}
	text, err := io.ReadAll(decodeBody(m.content.Body(), entity.QuotedPrintable))
	if err != nil || !strings.HasPrefix(string(text), "Subject: "+subject+"\r\n\r\nDear Bob,") {
		t.Errorf("legacy display: %q, %v", text, err)
	}
	got := written(t, m)
	if !strings.HasSuffix(got, "\r\n\r\nDear Bob,\r\n\r\nsee you at noon.\r\n") || !strings.Contains(got, "\r\nSubject: =?utf-8?B?5pi86aOf?= at noon\r\n") ||
		strings.Contains(got, "[...]") || strings.Contains(got, "hp") || strings.Contains(got, "Keywords") {
		t.Errorf("shown: %q", got)
	}
}

// TestHeadersVisible hides nothing.
func TestHeadersVisible(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	sealed := w.sealMessage(letter, HeadersVisible, alice, bob)
	if head := outerHeader(sealed); !strings.Contains(head, "Subject: =?utf-8?B?5pi86aOf?= at noon\r\n") || !strings.Contains(head, "Keywords: lunch") {
		t.Error(head)
	}
	m := open(t, sealed, w.options(bob))
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "")
	raw := content(t, m)
	if m.Verdict.HeaderProtection != HeaderEncrypted || strings.Contains(raw, "legacy") || !strings.Contains(raw, "HP-Outer: Subject: =?utf-8?B?5pi86aOf?= at noon\r\n") {
		t.Errorf("%s\n%s", show(m.Verdict), raw)
	}
	if _, err := Open(strings.NewReader(sealed), int64(len(sealed)), w.options()); err != ErrNoKey {
		t.Error(err)
	}
}

// TestForgedSubject: an attacker on the way, who cannot sign, writes another Subject outside (measured in 2026: a good signature beside
// a forged Subject in Thunderbird).
func TestForgedSubject(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	signed := signMessage(t, letter, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Headers: HeadersVisible})
	for name, message := range map[string]string{
		"signed": signed, "visible": w.sealMessage(letter, HeadersVisible, alice, bob), "hidden": w.sealMessage(letter, HeadersBaseline, alice, bob),
	} {
		head := outerHeader(message)
		start := strings.Index(head, "Subject: ")
		end := start + strings.Index(head[start:], "\r\n") + 2
		for kind, forged := range map[string]string{
			"changed": head[:start] + "Subject: Pay Eve\r\n" + head[end:],
			"removed": head[:start] + head[end:],
			"blanked": head[:start] + "Subject: ...\r\n" + head[end:],
		} {
			m := open(t, strings.Replace(message, head, forged, 1), w.options(bob))
			wantVerdict(t, m, Valid, CoverageWhole)
			want := map[string]string{"changed": "is not what its sender wrote", "removed": "does not have any more", "blanked": `outside "..."`}[kind]
			wantWarning(t, m, want)
			d := m.Verdict.DifferingHeaders
			if m.Verdict.Subject != subject || len(d) != 1 || d[0].Name != "Subject" || d[0].Inside != subject || (d[0].Outside == "Pay Eve") != (kind == "changed") {
				t.Errorf("%s, %s: %s", name, kind, show(m.Verdict))
			}
			if got := written(t, m); strings.Count(got, "Subject: ") != 1 || !strings.Contains(got, "\r\nSubject: =?utf-8?B?5pi86aOf?= at noon\r\n") {
				t.Errorf("%s, %s: shown %q", name, kind, got)
			}
		}
	}
}

// TestForgedFields: whatever else is changed, added or taken away outside is named.
func TestForgedFields(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	signed := signMessage(t, letter, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Headers: HeadersVisible})
	for _, message := range []string{signed, w.sealMessage(letter, HeadersBaseline, alice, bob)} {
		for _, tc := range []struct{ old, forged, differs string }{
			{"To: Bob <bob@example.org>\r\n", "To: Bob <eve@example.net>\r\n", "To"},
			{"To: Bob <bob@example.org>\r\n", "", "To"},
			{"To: ", "Cc: eve@example.net\r\nTo: ", "Cc"},
			{"To: ", "Reply-To: eve@example.net\r\nTo: ", "Reply-To"},
			{"To: ", "reply-to: eve@example.net\r\nReply-To: eve@example.net\r\nTo: ", "Reply-To"},
			{"To: ", "Mail-Followup-To: eve@example.net\r\nTo: ", "Mail-Followup-To"},
			{"To: ", "Disposition-Notification-To: eve@example.net\r\nTo: ", "Disposition-Notification-To"},
			{"To: ", "Sender: eve@example.net\r\nTo: ", "Sender"},
			{"From: Alice <", "From: Boss <", "From"},
			{"Date: Mon", "Date: Tue", "Date"},
			{"Message-ID: <1@", "Message-ID: <2@", "Message-ID"},
			{"X-Mine: a", "X-Mine: b", "X-Mine"},
			{"From: ", "Keywords: forged\r\nFrom: ", "Keywords"},
			{"From: ", "Received: from c by d\r\nDKIM-Signature: x\r\nList-Id: y\r\nFrom: ", ""},
			{"To: Bob <bob@example.org>\r\n", "To:\r\n Bob\r\n\t<bob@example.org>\r\n", ""},
			{"To: Bob <", "To: =?us-ascii?Q?Bob?= <", ""},
		} {
			head := outerHeader(message)
			m := open(t, strings.Replace(message, head, strings.Replace(head, tc.old, tc.forged, 1), 1), w.options(bob))
			wantVerdict(t, m, Valid, CoverageWhole)
			if tc.differs == "" {
				wantWarning(t, m, "")
			} else {
				wantWarning(t, m, " "+tc.differs)
			}
			if d := m.Verdict.DifferingHeaders; (len(d) == 1) != (tc.differs != "") || len(d) == 1 && d[0].Name != tc.differs {
				t.Errorf("%q: %+v", tc.forged, d)
			}
			if out := written(t, m); strings.Contains(out, "eve@example.net") != strings.Contains(message, "Bcc: eve@example.net") {
				t.Errorf("%q: an answer to %q would go to Eve", tc.forged, out)
			}
		}
	}
}

// TestAnswersGoWhereTheSenderWrote: what leads answers elsewhere is no cause to doubt who wrote the text, with a protected header or
// without. It is told, and an opened message with a protected header does not have it.
func TestAnswersGoWhereTheSenderWrote(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	own := strings.Replace(plain, "To: ", "Reply-To: Office <office@example.com>\r\nTo: ", 1)
	const (
		would   = "answers would go to %s, and the message is from alice@example.com"
		added   = "has a Reply-To that its sender did not write: %s; the opened message does not have it, so that no answer goes there"
		changed = "the Reply-To of the message is not what its sender wrote: outside %q"
	)
	for _, tc := range []struct {
		name, message string
		p             HeaderPolicy
		outer         string // in front of the message
		warning, goes string // "": no warning, no Reply-To
	}{
		{"nothing", plain, HeadersUnprotected, "", "", ""},
		{"nothing, protected", plain, HeadersVisible, "", "", ""},
		{"her own address", plain, HeadersUnprotected, "Reply-To: ALICE@example.com\r\n", "", "ALICE@example.com"},
		{"another of hers", own, HeadersUnprotected, "", fmt.Sprintf(would, "office@example.com"), "Office <office@example.com>"},
		{"another of hers, protected", own, HeadersVisible, "", "", "Office <office@example.com>"},
		{"Eve's", plain, HeadersUnprotected, "Reply-To: eve@example.net\r\n", fmt.Sprintf(would, "eve@example.net"), "eve@example.net"},
		{"hers and Eve's", plain, HeadersUnprotected, "Reply-To: alice@example.com, eve@example.net\r\n", fmt.Sprintf(would, "eve@example.net"), "alice@example.com, eve@example.net"},
		{"Eve's, of a mail from nobody", plain, HeadersUnprotected, "From: eve@example.net\r\nReply-To: eve@example.net\r\n", "-", "eve@example.net"},
		{"nobody's", plain, HeadersUnprotected, "Reply-To: <\r\n", "the Reply-To header cannot be read", "<"},
		{"Eve's, protected", plain, HeadersVisible, "Reply-To: eve@example.net\r\n", fmt.Sprintf(added, "eve@example.net"), ""},
		{"Eve's beside another of hers", own, HeadersVisible, "Reply-To: eve@example.net\r\n", fmt.Sprintf(changed, "eve@example.net\nOffice <office@example.com>"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := open(t, tc.outer+signMessage(t, tc.message, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Headers: tc.p}), w.options())
			if tc.warning == "-" {
				wantVerdict(t, m, Invalid, CoverageWhole)
				tc.warning = ""
			} else {
				wantVerdict(t, m, Valid, CoverageWhole)
			}
			wantWarning(t, m, tc.warning)
			out := written(t, m)
			e, err := entity.Read(strings.NewReader(out), int64(len(out)))
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := e.Header.Only("Reply-To"); got != tc.goes {
				t.Errorf("answers go to %q, not %q", got, tc.goes)
			}
		})
	}
	// To a mail that nobody signed there is nothing to say.
	wantWarning(t, open(t, "Reply-To: eve@example.net\r\n"+plain, w.options()), "")
}

// TestTwoProtectedSubjects: of two none is shown, and nothing else is claimed.
func TestTwoProtectedSubjects(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	for _, outside := range []string{"", "Subject: one\r\n", "Subject: other\r\n"} {
		for _, to := range []*testca.Leaf{nil, bob} {
			m := open(t, w.protectedBy("From: alice@example.com\r\n"+outside,
				"From: alice@example.com\r\nSubject: one\r\nSubject: two\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, to), w.options(bob))
			wantVerdict(t, m, Valid, CoverageWhole)
			wantWarning(t, m, "2 Subject fields; none is shown")
			if all := strings.Join(m.Verdict.Warnings, "\n"); strings.Contains(all, "the protected one is shown") || m.Verdict.Subject != "" || strings.Contains(written(t, m), "Subject:") {
				t.Error(show(m.Verdict))
			}
		}
	}
}

// protectedBy is a message whose protected part an attacker with a certificate of their own has written as a whole.
func (w *world) protectedBy(outer, inside string, signer, to *testca.Leaf) string {
	w.t.Helper()
	content := func(dst io.Writer) error { _, err := io.WriteString(dst, inside); return err }
	signed := opaqueEntity(content, []*cms.Signer{signerOf(signer)}, &cms.SignOptions{})
	var b bytes.Buffer
	b.WriteString(outer + "MIME-Version: 1.0\r\n")
	protected := signed
	if to != nil {
		var err error
		if protected, err = encryptedEntity(signed, &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(w.t, to)}}); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := protected(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// TestProtectedFrom: the From inside is another than the one outside (RFC 9788 §4.4). Whichever of them the signature fits, some
// program shows the other.
func TestProtectedFrom(t *testing.T) {
	w := newWorld(t)
	alice, bob, eve := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	for _, tc := range []struct {
		outside, inside string
		signer          *testca.Leaf
		want            Conclusion
	}{
		{"alice@example.com", "alice@example.com", alice, Valid},
		{"Alice@EXAMPLE.com", "alice@example.com", alice, Valid},
		{"Alice <alice@example.com>", "alice@example.com", alice, Valid},
		{"alice@example.com", "eve@example.com", alice, Invalid},
		{"alice@example.com", "eve@example.com", eve, Invalid},
		{"eve@example.com", "alice@example.com", eve, Invalid},
		{"eve@example.com", "alice@example.com", alice, Invalid},
		{"eve@example.com", "eve@example.com, alice@example.com", eve, Invalid},
		{"eve@example.com", "eve@example.com\r\nFrom: alice@example.com", eve, Invalid},
		{"eve@example.com", "alice@example.com <eve@example.com>", eve, Invalid},
		{"eve@example.com", "g: eve@example.com, alice@example.com;", eve, Invalid},
		{"eve@example.com", "eve@example.com.", eve, Invalid},
	} {
		for _, hp := range []string{`hp="clear"`, `hp="cipher"`, `HP=Clear`, `protected-headers="v1"`} {
			for _, to := range []*testca.Leaf{nil, bob} {
				message := w.protectedBy("From: "+tc.outside+"\r\n", "From: "+tc.inside+"\r\nContent-Type: text/plain; "+hp+"\r\n\r\nhello\r\n", tc.signer, to)
				m := open(t, message, w.options(bob))
				if m.Verdict.Verdict != tc.want || tc.want == Invalid && m.Verdict.Signers[0].Status != StatusAddressMismatch {
					t.Errorf("%q inside %q, %s: %s", tc.inside, tc.outside, hp, show(m.Verdict))
				}
				if m.Verdict.From[0] == "alice@example.com" != (strings.Contains(strings.ToLower(tc.outside), "alice")) && m.Verdict.From[0] != "Alice@example.com" {
					t.Errorf("From %q of %q", m.Verdict.From, tc.outside)
				}
			}
		}
	}
}

// compressedBy is a message whose compressed part is written as a whole.
func compressedBy(t *testing.T, outer, inside string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(outer)
	if err := compressedEntity(func(dst io.Writer) error { _, err := io.WriteString(dst, inside); return err })(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMisplacedHP: hp means something in the innermost layer's header and nowhere else (RFC 9788 §4.1).
func TestMisplacedHP(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	outer := "From: alice@example.com\r\nSubject: outside\r\n"
	for name, tc := range map[string]struct {
		message string
		state   HeaderProtection
		subject string
	}{
		"in place":          {w.protectedBy(outer, "From: alice@example.com\r\nSubject: inside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), HeaderSigned, "inside"},
		"no hp":             {w.protectedBy(outer, "From: alice@example.com\r\nSubject: inside\r\nContent-Type: text/plain\r\n\r\nx\r\n", alice, nil), HeaderNone, "outside"},
		"another value":     {w.protectedBy(outer, "Subject: inside\r\nContent-Type: text/plain; hp=1\r\n\r\nx\r\n", alice, nil), HeaderNone, "outside"},
		"in a part":         {w.protectedBy(outer, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nSubject: inside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n--b--\r\n", alice, nil), HeaderNone, "outside"},
		"defect":            {w.protectedBy(outer, "Subject: inside\r\nX: a\rb\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), HeaderNone, "outside"},
		"compressed":        {compress(t, outer+"\r\nx\r\n"), HeaderNone, "outside"},
		"compressed, hp":    {compressedBy(t, outer, "Subject: inside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n"), HeaderNone, "outside"},
		"HP-Outer in clear": {w.protectedBy(outer, "Subject: inside\r\nHP-Outer: Subject: outside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), HeaderSigned, "inside"},
		"unprotected mail":  {outer + "Content-Type: text/plain; hp=\"clear\"\r\n\r\nx\r\n", HeaderNone, "outside"},
		"on the layer":      {strings.Replace(signMessage(t, outer+"\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), "multipart/signed;", "multipart/signed; hp=clear;", 1), HeaderNone, "outside"},
		"two Subjects":      {w.protectedBy(outer, "Subject: a\r\nSubject: b\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), HeaderSigned, ""},
		"decrypted":         {w.protectedBy(outer, "Subject: inside\r\nHP-Outer: Subject: outside\r\nHP-Outer: From: alice@example.com\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx\r\n", alice, nil), HeaderSigned, "inside"},
		"encrypted later":   {w.protectedBy(outer, "Subject: inside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, bob), HeaderSigned, "inside"},
	} {
		m := open(t, tc.message, w.options(bob))
		if m.Verdict.HeaderProtection != tc.state || m.Verdict.Subject != tc.subject {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
		switch name {
		case "decrypted":
			wantWarning(t, m, "somebody on its way has decrypted it")
		case "encrypted later":
			wantWarning(t, m, "somebody else may have encrypted it")
		case "HP-Outer in clear":
			wantVerdict(t, m, Valid, CoverageWhole) // no From inside is no other From
			wantWarning(t, m, "the Subject of the message is not what its sender wrote")
		case "two Subjects":
			wantWarning(t, m, "2 Subject fields")
			if strings.Contains(written(t, m), "Subject") {
				t.Error(written(t, m))
			}
		case "defect":
			wantWarning(t, m, "not read")
		}
	}
	// A broken signature protects no header.
	signed := signMessage(t, letter, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Headers: HeadersVisible})
	m := open(t, strings.Replace(signed, "see you", "See you", 1), w.options())
	wantVerdict(t, m, Invalid, CoverageWhole)
	if m.Verdict.HeaderProtection != HeaderNone {
		t.Error(show(m.Verdict))
	}
}

// TestPromotion: of a protected header the Subject alone is shown, however much there is inside (CVE-2026-27443, CVE-2026-29143).
func TestPromotion(t *testing.T) {
	w := newWorld(t)
	bob, eve := w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	inside := "From: eve@example.com\r\nTo: x@example.org\r\nBcc: y@example.org\r\nSubject: inside\r\n folded\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000\r\n" +
		"Authentication-Results: example.org; smime=pass\r\nX-Verdict: valid\r\nReceived: from x\r\nReply-To: z@example.org\r\nReturn-Path: <z@example.org>\r\n" +
		"HP-Outer: X-Forged: 1\r\nContent-Language: en\r\nContent-Type: text/plain; hp=cipher\r\n\r\nbody\r\n"
	for _, to := range []*testca.Leaf{nil, bob} {
		m := open(t, w.protectedBy("From: eve@example.com\r\nSubject: outside\r\nX-Last: 1\r\n", inside, eve, to), w.options(bob))
		want := "From: eve@example.com\r\nSubject: inside\r\n folded\r\nX-Last: 1\r\nMIME-Version: 1.0\r\nContent-Language: en\r\nContent-Type: text/plain\r\n\r\nbody\r\n"
		if got := written(t, m); got != want {
			t.Errorf("%q", got)
		}
	}
	m := open(t, w.protectedBy("From: eve@example.com\r\nSubject: inside\r\nX-Own: 1\r\n",
		"From: eve@example.com\r\nSubject: inside\r\nReceived: x\r\nDKIM-Signature: y\r\nContent-Type: text/plain; hp=clear\r\n\r\nbody\r\n", eve, nil), w.options())
	if wantWarning(t, m, ""); len(m.Verdict.DifferingHeaders) != 0 {
		t.Error(show(m.Verdict))
	}
	// With no Subject inside, the one outside is not the sender's.
	m = open(t, w.protectedBy("From: eve@example.com\r\nSubject: outside\r\n", "From: eve@example.com\r\nContent-Type: text/plain; hp=clear\r\n\r\nbody\r\n", eve, nil), w.options())
	wantWarning(t, m, "a Subject that its sender did not write")
	if strings.Contains(written(t, m), "Subject") || m.Verdict.Subject != "" {
		t.Error(show(m.Verdict))
	}
}

// TestPromotionGenerated puts every field that may deceive anybody into every place inside of a message.
func TestPromotionGenerated(t *testing.T) {
	w := newWorld(t)
	bob, eve := w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	const forged = "forged-value@example.net"
	n := 0
	for _, name := range []string{
		"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Message-ID", "In-Reply-To", "References", "Return-Path", "Received", "Delivered-To",
		"Authentication-Results", "ARC-Authentication-Results", "DKIM-Signature", "Received-SPF", "X-Spam-Status", "X-Mailseal-Verdict", "X-Verified",
		"Resent-From", "Resent-To", "Disposition-Notification-To", "List-Unsubscribe", "List-Post", "Autocrypt", "HP-Outer", "MIME-Version", "Importance", "X",
	} {
		for _, spelling := range []string{name, strings.ToUpper(name)} {
			for place, inside := range map[string]string{
				"hp":             spelling + ": " + forged + "\r\nContent-Type: text/plain; hp=cipher\r\n\r\nx\r\n",
				"clear":          "Content-Type: text/plain; hp=clear\r\n" + spelling + ":\r\n " + forged + "\r\n\r\nx\r\n",
				"bare":           spelling + ": " + forged + "\r\nContent-Type: text/plain\r\n\r\nx\r\n",
				"wrapped":        "Content-Type: message/rfc822\r\n\r\n" + spelling + ": " + forged + "\r\n\r\nx\r\n",
				"folded":         "Subject: a\r\n " + spelling + ": " + forged + "\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n",
				"in the Subject": "Subject: =?utf-8?Q?a=0D=0A" + spelling + ":_" + forged + "?=\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n",
			} {
				for _, to := range []*testca.Leaf{nil, bob} {
					n++
					m := judgeAnything(t, w.protectedBy("From: eve@example.com\r\nX-Last: 1\r\n", inside, eve, to), w.options(bob))
					if m == nil || m.Content() == nil {
						continue
					}
					out := written(t, m)
					e, err := entity.Read(strings.NewReader(out), int64(len(out)))
					if err != nil {
						t.Fatal(err)
					}
					for _, f := range e.Header.Fields {
						if !f.Is("Subject") && strings.Contains(string(f.Raw), forged) {
							t.Errorf("%s, %s: %q", name, place, f.Raw)
						}
					}
					if len(m.Verdict.From) != 1 || m.Verdict.From[0] != "eve@example.com" {
						t.Errorf("%s, %s: %s", name, place, show(m.Verdict))
					}
				}
			}
		}
	}
	if n < 200 {
		t.Errorf("only %d", n)
	}
}

// TestHeaderLimits: many differing fields, and a copy of hidden fields too far inside.
func TestHeaderLimits(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	var many strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&many, "X-%d: 1\r\n", i)
	}
	m := open(t, w.protectedBy("From: alice@example.com\r\n", "From: alice@example.com\r\n"+many.String()+"Content-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	if len(m.Verdict.DifferingHeaders) != maxDiffering {
		t.Errorf("%d fields", len(m.Verdict.DifferingHeaders))
	}
	long := "Subject: " + strings.Repeat("x", 1000)
	m = open(t, w.protectedBy("From: alice@example.com\r\n", "From: alice@example.com\r\n"+long+"\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", alice, nil), w.options())
	for _, warning := range m.Verdict.Warnings {
		if len(warning) > 400 {
			t.Errorf("a warning of %d bytes", len(warning))
		}
	}
	for lines, shown := range map[int]bool{10: false, maxLegacy / 4: true} {
		body := strings.Repeat("ab\r\n", lines) + "\r\ntext\r\n"
		m := open(t, w.protectedBy("From: alice@example.com\r\n", "From: alice@example.com\r\nContent-Type: text/plain; hp=cipher; hp-legacy-display=1\r\n\r\n"+body, alice, bob), w.options(bob))
		if got := written(t, m); strings.Contains(got, "\r\nab\r\n") != shown || !strings.HasSuffix(got, "\r\ntext\r\n") {
			t.Errorf("%d lines: %d bytes shown", lines, len(got))
		}
	}
}

// TestWrappedMessage: the form of RFC 8551 §3.1 cannot be told from a message that is forwarded.
func TestWrappedMessage(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	outer := "From: alice@example.com\r\nSubject: outside\r\n"
	wrapped := func(inside string) *Message {
		return open(t, w.protectedBy(outer, "Content-Type: message/rfc822\r\n\r\n"+inside+"\r\nContent-Type: text/plain\r\n\r\nx\r\n", alice, nil), w.options())
	}
	m := wrapped("From: alice@example.com\r\nSubject: inside")
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "is a message of its own")
	wantWarning(t, m, "is not what its sender wrote")
	if m.Verdict.HeaderProtection != HeaderWrapped || m.Verdict.Subject != "outside" || len(m.Verdict.DifferingHeaders) != 1 {
		t.Error(show(m.Verdict))
	}
	if got := written(t, m); !strings.HasPrefix(got, "From: alice@example.com\r\nSubject: outside\r\n") {
		t.Errorf("%q", got)
	}
	m = wrapped("From: eve@example.net\r\nSubject: Re: forwarded")
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "is a message of its own")
	if len(m.Verdict.DifferingHeaders) != 0 || m.Verdict.From[0] != "alice@example.com" {
		t.Error(show(m.Verdict))
	}
}

// TestMemoryHole: the older copy of the header is compared and not shown.
func TestMemoryHole(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	inside := "From: alice@example.com\r\nSubject: inside\r\nContent-Type: text/plain; protected-headers=\"v1\"\r\n\r\nx\r\n"
	m := open(t, w.protectedBy("From: alice@example.com\r\nSubject: ...\r\n", inside, alice, bob), w.options(bob))
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "")
	if m.Verdict.HeaderProtection != HeaderMemoryHole || m.Verdict.Subject != "..." {
		t.Error(show(m.Verdict))
	}
	m = open(t, w.protectedBy("From: alice@example.com\r\nSubject: forged\r\n", inside, alice, nil), w.options())
	wantWarning(t, m, "is not what its sender wrote")
	if m.Verdict.Subject != "forged" || strings.Contains(written(t, m), "inside") || strings.Contains(written(t, m), "v1") {
		t.Error(show(m.Verdict))
	}
}

// TestLegacyDisplay: which parts get the copy of hidden fields, and that it is gone when the message is shown (RFC 9788 §5.2.2, §4.5.3).
func TestLegacyDisplay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	head := "From: alice@example.com\r\nSubject: A <b> & =?utf-8?Q?=C3=A9?=\r\nDate: " + testca.Now.Format(time.RFC1123Z) + "\r\n"
	mixed := func(typ string, parts ...string) string {
		b := "b" + typ[len("multipart/"):]
		return "Content-Type: " + typ + "; boundary=" + b + "\r\n\r\n--" + b + "\r\n" + strings.Join(parts, "\r\n--"+b+"\r\n") + "\r\n--" + b + "--\r\n"
	}
	plainText := "Content-Type: text/plain; charset=utf-8\r\n\r\ntext\r\n\r\nmore\r\n"
	htmlText := "Content-Type: text/html; charset=iso-2022-jp\r\n\r\n<html>\r\n<BODY class=\"x\"><div>text</div></BODY></html>\r\n"
	attached := "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment\r\n\r\nfile\r\n\r\nmore\r\n"
	marked := "Content-Type: text/plain; charset=utf-8; hp-legacy-display=1\r\n\r\nkept\r\n\r\nmore\r\n"
	for name, tc := range map[string]struct {
		body   string
		copies int
	}{
		"plain":                         {plainText, 1},
		"html":                          {htmlText, 1},
		"base64":                        {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\ndGV4dA0KDQptb3JlDQo=\r\n", 1},
		"8bit":                          {"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nt\xc3\xa9xt\r\n\r\nmore\r\n", 1},
		"alternative":                   {mixed("multipart/alternative", plainText, htmlText), 2},
		"mixed":                         {mixed("multipart/mixed", plainText, attached), 1},
		"alternative, related in mixed": {mixed("multipart/mixed", mixed("multipart/alternative", plainText, mixed("multipart/related", htmlText, "Content-Type: image/png\r\n\r\nx")), plainText), 2},
		"attachment only":               {attached, 0},
		"another character set":         {"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\ntext\r\n\r\nmore\r\n", 0},
		"signed inside":                 {mixed("multipart/mixed", "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n", plainText), 0},
		"marked already":                {marked, 1},
		"marked already, second part":   {mixed("multipart/alternative", marked, plainText), 2},
		"no text":                       {"Content-Type: application/pdf\r\n\r\nx\r\n", 0},
	} {
		sealed := w.sealMessage(head+tc.body, HeadersBaseline, alice, bob)
		m := open(t, sealed, w.options(bob))
		wantVerdict(t, m, Valid, CoverageWhole)
		if n := strings.Count(content(t, m), "hp-legacy-display=\"1\""); n != tc.copies {
			t.Errorf("%s: %d copies in %q", name, n, content(t, m))
		}
		// Nothing but the copies has changed.
		visible := open(t, w.sealMessage(head+tc.body, HeadersVisible, alice, bob), w.options(bob))
		got, want := texts(t, written(t, m)), texts(t, written(t, visible))
		if !slices.Equal(got, want) || strings.Contains(written(t, m), "hp-legacy") {
			t.Errorf("%s: shown %q, want %q", name, got, want)
		}
	}
	// A Subject in a character set that the caller knows, with what must not become a line of the text.
	jis := strings.Replace(letter, "=?utf-8?B?5pi86aOf?=", "=?iso-2022-jp?B?GyRCQ2s/KRsoQg==?=", 1)
	var b bytes.Buffer
	err := Seal(&b, strings.NewReader(jis), int64(len(jis)), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now},
		&EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}, Headers: HeadersBaseline, DecodeHeader: func(v string) string {
			return strings.Replace(v, "=?iso-2022-jp?B?GyRCQ2s/KRsoQg==?=", "昼食\r\n\r\n\x00Pay Eve", 1)
		}})
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, b.String(), w.options(bob))
	text, err := io.ReadAll(decodeBody(m.content.Body(), entity.QuotedPrintable))
	if want := "Subject: 昼食Pay Eve at noon\r\n\r\nDear Bob,"; err != nil || !strings.HasPrefix(string(text), want) || !strings.HasSuffix(written(t, m), "\r\n\r\nDear Bob,\r\n\r\nsee you at noon.\r\n") {
		t.Errorf("%q, %v", text, err)
	}
	// The RFC's own form, byte for byte, and forms that hide nothing.
	for _, tc := range []struct{ typ, body, want string }{
		{"text/plain; hp-legacy-display=1", "Subject: Dinner plans\r\n\r\nLet's meet\r\n", "Let's meet\r\n"},
		{"text/plain; hp-legacy-display=1", "no empty line\r\n", "no empty line\r\n"},
		{"text/plain", "Subject: Dinner plans\r\n\r\nLet's meet\r\n", "Subject: Dinner plans\r\n\r\nLet's meet\r\n"},
		{"text/html; hp-legacy-display=1", "<html><head><title></title></head><body>\r\n<div class=\"header-protection-legacy-display\">\r\n<pre>Subject: Dinner plans</pre>\r\n</div>\r\n<p>Let's</p></body></html>\r\n",
			"<html><head><title></title></head><body>\r\n\r\n<p>Let's</p></body></html>\r\n"},
		{"text/html; hp-legacy-display=1", "<body><DIV id=x class='header-protection-legacy-display'><div>a</div>b</DIV >c</body>\r\n", "<body>c</body>\r\n"},
		{"text/html; hp-legacy-display=1", "<body><p>x</p><div class=\"header-protection-legacy-display\">y</div></body>\r\n", "<body><p>x</p><div class=\"header-protection-legacy-display\">y</div></body>\r\n"},
		{"text/html; hp-legacy-display=1", "<body><div class=\"header-protection-legacy-display\">never closed</body>\r\n", "<body><div class=\"header-protection-legacy-display\">never closed</body>\r\n"},
		{"text/html; hp-legacy-display=1", "<body><div class=\"other\">y</div></body>\r\n", "<body><div class=\"other\">y</div></body>\r\n"},
	} {
		inside := "From: alice@example.com\r\nContent-Type: " + tc.typ + "; hp=cipher\r\n\r\n" + tc.body
		for _, to := range []*testca.Leaf{bob, nil} {
			want := tc.want
			if to == nil {
				want = tc.body // never in a message that is not encrypted
			}
			m := open(t, w.protectedBy("From: alice@example.com\r\n", inside, alice, to), w.options(bob))
			if _, got, _ := strings.Cut(written(t, m), "\r\n\r\n"); got != want {
				t.Errorf("%s: %q, want %q", tc.typ, got, want)
			}
		}
	}
}

// texts are the decoded leaves of a message.
func texts(t *testing.T, message string) []string {
	t.Helper()
	e, err := entity.Read(strings.NewReader(message), int64(len(message)))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	var walk func(e *entity.Entity)
	walk = func(e *entity.Entity) {
		if m, err := e.Multipart(); err == nil {
			for _, span := range m.Parts {
				part, err := e.Part(span)
				if err != nil {
					t.Fatal(err)
				}
				walk(part)
			}
			return
		}
		enc, err := e.Header.TransferEncoding()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(decodeBody(e.Body(), enc))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, strings.TrimRight(string(b), "\r\n"))
	}
	walk(e)
	return list
}

// TestProtectedTwice: a header is protected once, inside; an old mark does not survive.
func TestProtectedTwice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now, Headers: HeadersVisible}
	for _, message := range []string{signMessage(t, letter, o), w.sealMessage(letter, HeadersBaseline, alice, bob)} {
		if err := Sign(io.Discard, strings.NewReader(message), int64(len(message)), o); err == nil || !strings.Contains(err.Error(), "signed or encrypted already") {
			t.Errorf("%v", err)
		}
	}
	stale := "From: alice@example.com\r\nHP-Outer: Subject: x\r\nContent-Type: text/plain; hp=cipher; hp-legacy-display=1\r\n\r\nkept\r\n\r\nmore\r\n"
	for _, p := range []HeaderPolicy{HeadersUnprotected, HeadersVisible, HeadersBaseline} {
		m := open(t, w.sealMessage(stale, p, alice, bob), w.options(bob))
		if !strings.Contains(written(t, m), "kept\r\n\r\nmore") || strings.Contains(outerHeader(written(t, m)), "HP-Outer") || (m.Verdict.HeaderProtection == HeaderNone) != (p == "") {
			t.Errorf("%q: %q %s", p, written(t, m), show(m.Verdict))
		}
	}
	var b bytes.Buffer
	if err := Sign(&b, strings.NewReader(letter), int64(len(letter)), &SignOptions{Signers: o.Signers, Headers: "all"}); err == nil {
		t.Error("a policy that there is not")
	}
}
