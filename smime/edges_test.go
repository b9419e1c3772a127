package smime

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestHeaderInside is the table of headers inside a message: what each is taken for, what is said to differ, what is warned of.
func TestHeaderInside(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	const from, text = "From: alice@example.com\r\n", "\r\n\r\nx\r\n"
	encrypted := func(outer, inside string) string {
		var b bytes.Buffer
		b.WriteString(outer + "MIME-Version: 1.0\r\n")
		content := func(dst io.Writer) error { _, err := io.WriteString(dst, inside); return err }
		e, err := encryptedEntity(content, &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}})
		if err == nil {
			err = e(&b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	signed := func(outer, inside string) string { return w.protectedBy(outer, inside, alice, nil) }
	sealed := func(outer, inside string) string { return w.protectedBy(outer, inside, alice, bob) }
	for _, tc := range []struct {
		name, message string
		state         HeaderProtection
		differs       string // names
		warns         string // words that are in a warning
		silent        string // and words that are in none
	}{
		{"its MIME-Version is its own", signed(from, from+"MIME-Version: 1.0 (x)\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "", "", "MIME-Version"},
		{"a single HP-Outer tells all", sealed(from+"Subject: [...]\r\n", from+"Subject: s\r\nHP-Outer: Subject: [...]\r\nContent-Type: text/plain; hp=cipher"+text), HeaderEncrypted, "From", "the From of", "the Subject of"},
		{"an HP-Outer without a name tells nothing", sealed(from, from+"HP-Outer: nonsense\r\nContent-Type: text/plain; hp=cipher"+text), HeaderEncrypted, "", "", "nonsense"},
		{"an unknown mode is none, whatever stands beside it", signed(from, from+"Subject: s\r\nContent-Type: text/plain; hp=x; protected-headers=v1"+text), HeaderNone, "", "has a Subject of its own", ""},
		{"garbage in a header that protects nothing", signed(from, "Content-Type: text/plain\r\ngarbage\r\n\r\nx\r\n"), HeaderNone, "", "", "the protected header is not read"},
		{"garbage in one that does", signed(from, from+"Content-Type: text/plain; hp=clear\r\ngarbage\r\n\r\nx\r\n"), HeaderNone, "", "the protected header is not read", ""},
		{"two Subjects of a mail that protects nothing", from + "Subject: a\r\nSubject: b" + text, HeaderNone, "", "the message has 2 Subject fields", "the protected part"},

		{"the older form, encrypted alone", encrypted(from+"Subject: [...]\r\n", from+"Subject: s\r\nContent-Type: text/plain; protected-headers=v1"+text), HeaderMemoryHole, "", "", "the Subject of"},
		{"the older form, nothing protected", from + "Content-Type: text/plain; protected-headers=v1" + text, HeaderNone, "", "", "own"},
		{"the older form has no HP-Outer", signed(from+"Subject: s\r\n", from+"Subject: s\r\nHP-Outer: Subject: other\r\nContent-Type: text/plain; protected-headers=v1"+text), HeaderMemoryHole, "", "", "the Subject of"},
		{"the older form, another Subject", signed(from+"Subject: other\r\n", from+"Subject: s\r\nContent-Type: text/plain; protected-headers=v1"+text), HeaderMemoryHole, "Subject", "the Subject of the message is not", "is shown"},
		{"the older form, another Reply-To", signed(from+"Reply-To: eve@example.net\r\n", from+"Content-Type: text/plain; protected-headers=v1"+text), HeaderMemoryHole, "Reply-To", "a Reply-To that its sender did not write", "does not have it"},
		{"only a Subject is hidden by dots", encrypted(from+"Comments: ...\r\n", from+"Comments: secret\r\nContent-Type: text/plain; protected-headers=v1"+text), HeaderMemoryHole, "Comments", "the Comments of", ""},

		{"a message inside, encrypted alone", encrypted(from, "Content-Type: message/rfc822\r\n\r\n"+from+text), HeaderWrapped, "", "a message of its own", ""},
		{"a message, nothing protected", from + "Content-Type: message/rfc822\r\n\r\n" + from + text, HeaderNone, "", "", "a message of its own"},
		{"a text that looks like a message", signed(from, "Content-Type: text/plain\r\n\r\n"+from+text), HeaderNone, "", "", "a message of its own"},
		{"a message from nobody", signed(from, "Content-Type: message/rfc822\r\n\r\nSubject: s"+text), HeaderNone, "", "", "a message of its own"},
		{"a message that cannot be read", signed(from, "Content-Type: message/rfc822\r\n\r\n"+strings.Repeat("X: y\r\n", entity.MaxFields+1)+"\r\n"), HeaderNone, "", "", "a message of its own"},
		{"a message inside has no HP-Outer", signed(from, "Content-Type: message/rfc822\r\n\r\n"+from+"HP-Outer: X: y\r\n"+text), HeaderWrapped, "", "", "X"},

		{"a Subject in an unknown character set", signed(from+"Subject: =?x-own?Q?a?=\r\n", from+"Subject: =?x-own?Q?a?=\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "", "", "Subject"},
		{"a changed Subject", signed(from+"Subject: other\r\n", from+"Subject: s\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "Subject", "the protected one is shown", "does not have it"},
		{"a removed Subject", signed(from, from+"Subject: s\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "Subject", "does not have any more", "is shown"},
		{"a changed field that leads nowhere", signed(from+"X-Mine: b\r\n", from+"X-Mine: a\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "X-Mine", "the X-Mine of", "; "},
		{"a removed To", signed(from, from+"To: bob@example.org\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "To", "does not have any more", "does not have it"},
		{"a sender who is not one", signed(from+"From: eve@example.net\r\n", "From: carol@example.org\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "From", "the From of", "the protected From is"},
		{"another sender", signed(from, "From: carol@example.org\r\nContent-Type: text/plain; hp=clear"+text), HeaderSigned, "From", "the protected From is carol@example.org, the message is from alice@example.com", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := open(t, tc.message, w.options(bob))
			var names []string
			for _, d := range m.Verdict.DifferingHeaders {
				names = append(names, d.Name)
			}
			if m.Verdict.HeaderProtection != tc.state || strings.Join(names, " ") != tc.differs || m.Verdict.DifferingHeaders == nil {
				t.Errorf("%s\n%s", show(m.Verdict), tc.message)
			}
			all := strings.Join(slices.DeleteFunc(slices.Clone(m.Verdict.Warnings), func(w string) bool { return strings.HasPrefix(w, "revocation was not") }), "\n")
			if !strings.Contains(all, tc.warns) || tc.silent != "" && strings.Contains(all, tc.silent) {
				t.Errorf("warnings %q, want %q and not %q", all, tc.warns, tc.silent)
			}
		})
	}
	o := w.options()
	m := open(t, signed("From: alice@example.com\r\nSubject: =?x-own?Q?a?=\r\n", "From: alice@example.com\r\nSubject: =?x-own?Q?a?=\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n"), o)
	if m.Verdict.Subject != "=?x-own?Q?a?=" {
		t.Errorf("a Subject that cannot be decoded is shown as it is, not as %q", m.Verdict.Subject)
	}
}

// TestBlamedTwice: who signs as one and says inside to be another is told both.
func TestBlamedTwice(t *testing.T) {
	w := newWorld(t)
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	m := open(t, w.protectedBy("From: alice@example.com\r\n", "From: carol@example.org\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n", eve, nil), w.options())
	s := m.Verdict.Signers[0]
	if s.Status != StatusAddressMismatch || s.Reason != "the protected From is carol@example.org, the message is from alice@example.com; the certificate does not name alice@example.com" {
		t.Error(show(m.Verdict))
	}
}

// TestBrokenLayerProtectsNothing: the header inside of a signature that cannot be read is anybody's.
func TestBrokenLayerProtectsNothing(t *testing.T) {
	w := newWorld(t)
	m := open(t, "From: alice@example.com\r\nSubject: outside\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n"+
		"From: alice@example.com\r\nSubject: inside\r\nContent-Type: text/plain; hp=clear\r\n\r\nx\r\n--x\r\nContent-Type: application/pkcs7-signature\r\n\r\nnonsense\r\n--x--\r\n", w.options())
	if m.Verdict.Verdict != Invalid || m.Verdict.HeaderProtection != HeaderNone || m.Verdict.Subject != "outside" {
		t.Error(show(m.Verdict))
	}
}

// TestSignedParts: what around the two parts of a multipart/signed makes the signature none, or is warned of.
func TestSignedParts(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	boundary := signed[strings.Index(signed, "boundary=\"")+10:]
	boundary = boundary[:strings.Index(boundary, "\"")]
	signature := signed[strings.LastIndex(signed, "Content-Type: application/pkcs7-signature"):strings.LastIndex(signed, "\r\n--"+boundary+"--")]
	as := func(part string) string { return strings.Replace(signed, signature, part, 1) }
	_, base64, _ := strings.Cut(signature, "\r\n\r\n")
	noProtocol := func(message string) string {
		return strings.Replace(message, "protocol=\"application/pkcs7-signature\";", "", 1)
	}
	fields := strings.Repeat("X: y\r\n", entity.MaxFields+1)
	for _, tc := range []struct {
		name, message string
		want          Conclusion
		warning       string
	}{
		{"as it is", signed, Valid, ""},
		{"a third part", strings.Replace(signed, "\r\n--"+boundary+"--", "\r\n--"+boundary+"\r\n\r\nx\r\n--"+boundary+"--", 1), Invalid, ""},
		{"the first alone", strings.Replace(signed, "--"+boundary+"\r\n"+signature+"\r\n", "", 1), Invalid, ""},
		{"a first part that cannot be read", strings.Replace(signed, "--"+boundary+"\r\n", "--"+boundary+"\r\n"+fields, 1), Invalid, ""},
		{"a second part that cannot be read", as(fields + signature), Invalid, ""},
		{"a signature in an unknown encoding", as("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: x-own\r\n\r\n" + base64), Invalid, "the second part: "},
		{"a text in its place", as("Content-Type: text/plain\r\n\r\nx"), Invalid, ""},
		{"a text in its place, and no protocol", noProtocol(as("Content-Type: text/plain\r\n\r\nx")), Unsigned, ""},
		{"no protocol", noProtocol(signed), Valid, ""},
		{"the end is missing", strings.TrimSuffix(strings.TrimSpace(signed), "--"+boundary+"--"), Valid, "the end of the signed message is missing"},
		{"a line like a boundary", strings.Replace(signed, "This is an S/MIME", "--"+boundary+"x\r\nThis is an S/MIME", 1), Valid, "lines that look like a boundary"},
		{"text behind the end", signed + "x\r\n", Valid, "there is text behind the signed part"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := judgeAnything(t, tc.message, w.options())
			if m.Verdict.Verdict != tc.want {
				t.Error(show(m.Verdict))
			}
			if tc.want == Valid {
				wantWarning(t, m, tc.warning)
			} else if tc.warning != "" && !strings.Contains(m.Verdict.Signers[0].Reason, tc.warning) {
				t.Error(show(m.Verdict))
			}
			if l := m.Verdict.Layers; tc.want == Valid && (len(l) != 1 || l[0].Algorithm != "ECDSA with SHA-256") {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestAlteredLineEnds: of a signature that fits no line ends, nothing is said of line ends.
func TestAlteredLineEnds(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	signed := strings.Replace(signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), "noon", "moon", 1)
	for _, message := range []string{signed, strings.ReplaceAll(signed, "\r\n", "\n")} {
		m := open(t, message, w.options())
		wantVerdict(t, m, Invalid, CoverageWhole)
		wantWarning(t, m, "")
	}
}

// TestSignatureOverAnotherType: a signature made for a timestamp or for anything else that is no mail is none over mail (RFC 8551 §2.4.2).
func TestSignatureOverAnotherType(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	const text = "Content-Type: text/plain\r\n\r\nPay Eve.\r\n"
	for _, typ := range []oid.OID{oid.Data, oid.TSTInfo, oid.SignedData, oid.OID("1.3.6.1.4.1.99999.1")} {
		for _, detached := range []bool{false, true} {
			var der bytes.Buffer
			s, err := cms.Sign(&der, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{ContentType: typ, Detached: detached, Time: testca.Now})
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(s, text)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			message := armour(pkcs7Header, der.Bytes())
			if detached {
				message = "From: alice@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n" + text + "\r\n--x\r\n" +
					armour("Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n", der.Bytes()) + "\r\n--x--\r\n"
			}
			m := judgeAnything(t, message, w.options())
			if want := map[bool]Conclusion{true: Valid, false: Invalid}[typ == oid.Data]; m.Verdict.Verdict != want {
				t.Errorf("%s, detached %v: %s", typ.Name(), detached, show(m.Verdict))
			}
		}
	}
}

// TestCutOff: a signature of which the end is missing, wherever, is a broken one and not one that nobody made.
func TestCutOff(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	head, body, _ := strings.Cut(opaque, "\r\n\r\n")
	der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	for n := 60; n < len(der); n += 97 {
		m := judgeAnything(t, armour(head+"\r\n\r\n", der[:n]), w.options())
		if m.Verdict.Verdict != Invalid || len(m.Verdict.Signers) != 1 || m.Content() != nil && strings.Contains(content(t, m), "at noon") {
			t.Errorf("%d of %d octets: %s", n, len(der), show(m.Verdict))
		}
	}
}

// TestUnreadableContent: what is signed and cannot be read as a part of mail has no verdict.
func TestUnreadableContent(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	message := w.protectedBy("From: alice@example.com\r\n", strings.Repeat("X: y\r\n", entity.MaxFields+1)+"\r\nx\r\n", alice, nil)
	m, err := Open(strings.NewReader(message), int64(len(message)), w.options())
	if err == nil || m == nil || m.Verdict.Verdict != Unknown || m.Content() != nil {
		t.Errorf("%v, %v", err, m)
	}
}

// TestNothingToSayOfRevocation: of a stranger the caller's lists need say nothing.
func TestNothingToSayOfRevocation(t *testing.T) {
	w := newWorld(t)
	stranger := testca.NewRoot(t, "Stranger").Leaf("alice@example.com", testca.P256)
	list, err := cert.ParseCRL(w.ca.Issuing.CRL(nil))
	if err != nil {
		t.Fatal(err)
	}
	o := w.options()
	o.CRLs = []*cert.CRL{list}
	online := w.options()
	online.Revocation = &source{}
	for _, o := range []*OpenOptions{o, online} {
		m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(stranger)}}), o)
		wantVerdict(t, m, Untrusted, CoverageWhole)
		if len(m.Verdict.Warnings) != 0 {
			t.Error(show(m.Verdict))
		}
	}
}
