package smime

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// judgeAnything opens a message that may well be broken; nil stands for one that cannot be opened at all.
func judgeAnything(t testing.TB, message string, o *OpenOptions) *Message {
	t.Helper()
	m, _ := Open(strings.NewReader(message), int64(len(message)), o)
	if m != nil {
		t.Cleanup(func() { m.Close() })
	}
	return m
}

// TestTamperedByte changes every byte of a message. It stays valid only where the change touches nothing that is signed or says
// who the sender is.
func TestTamperedByte(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	opaque := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}
	for name, message := range map[string]string{
		"detached":        signMessage(t, plain, o),
		"opaque":          signMessage(t, plain, opaque),
		"sealed with CBC": encryptMessage(t, signMessage(t, plain, opaque), cms.AES256CBC, bob),
		"sealed with GCM": encryptMessage(t, signMessage(t, plain, o), cms.AES256GCM, bob),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := content(t, open(t, message, w.options(bob)))
			valid, tried := 0, 0
			for i := 0; i < len(message); i += 3 {
				tried++
				changed := message[:i] + string(message[i]^[]byte{0x01, 0x20}[i%2]) + message[i+1:]
				m, _ := Open(strings.NewReader(changed), int64(len(changed)), w.options(bob))
				if m == nil || m.Verdict.Verdict != Valid {
					continue
				}
				valid++
				if got := content(t, m); got != want || !strings.EqualFold(m.Verdict.From[0], "alice@example.com") || m.Verdict.Signers[0].SHA256 != alice.Certificate.SHA256() {
					t.Fatalf("byte %d: valid with content %q from %s", i, got, m.Verdict.From)
				}
			}
			if t.Logf("%d of %d changes leave it valid", valid, tried); valid == 0 {
				t.Error("not even a change of the subject")
			}
		})
	}
}

// TestPartly: a signature over a part of what is shown (Johnny: class MIME).
func TestPartly(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	opaque := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}
	for _, signed := range []string{signMessage(t, plain, o), signMessage(t, plain, opaque)} {
		from, _, _ := strings.Cut(plain, "Content-Type")
		_, part, _ := strings.Cut(signed, "MIME-Version: 1.0\r\n")
		for name, message := range map[string]string{
			"list footer":      from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + "\r\n--x\r\n\r\nA list\r\n--x--\r\n",
			"evil first":       from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nPay Eve.\r\n--x\r\n" + part + "\r\n--x--\r\n",
			"alternative":      from + "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n" + part + "\r\n--x\r\nContent-Type: text/html\r\n\r\nPay Eve.\r\n--x--\r\n",
			"related":          from + "Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n<img src=cid:1>\r\n--x\r\n" + part + "\r\n--x--\r\n",
			"only child":       from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part + "\r\n--x--\r\n",
			"forwarded":        from + "Content-Type: message/rfc822\r\n\r\n" + signed,
			"forwarded, mixed": from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + signed + "\r\n--x--\r\n",
			"unclosed":         from + "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + part,
		} {
			m := open(t, message, w.options())
			wantVerdict(t, m, Unsigned, CoveragePart)
			wantWarning(t, m, "a part of the message has a signature")
			if len(m.Verdict.Signers) != 0 {
				t.Errorf("%s: signers of a part are shown: %s", name, show(m.Verdict))
			}
		}
	}
}

// TestEfailDirect: ciphertext beside other parts is not decrypted, whatever is around it (CVE-2017-17688).
func TestEfailDirect(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	secret := encryptMessage(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), cms.AES256GCM, bob)
	_, part, _ := strings.Cut(secret, "MIME-Version: 1.0\r\n")
	head := "From: alice@example.com\r\nContent-Type: "
	mixed := func(typ string, parts ...string) string {
		return head + typ + "; boundary=x\r\n\r\n--x\r\n" + strings.Join(parts, "\r\n--x\r\n") + "\r\n--x--\r\n"
	}
	html := "Content-Type: text/html\r\n\r\n<img src=\"http://eve.example/"
	for name, message := range map[string]string{
		"between":                mixed("multipart/mixed", html, part, "Content-Type: text/html\r\n\r\n\">"),
		"alone":                  mixed("multipart/mixed", part),
		"first":                  mixed("multipart/alternative", part, html),
		"related":                mixed("multipart/related", html, part),
		"digest":                 mixed("multipart/digest", "\r\n"+secret),
		"attached":               head + "message/rfc822\r\n\r\n" + secret,
		"as a file":              mixed("multipart/mixed", html, strings.Replace(part, "application/pkcs7-mime; smime-type=enveloped-data", "application/octet-stream", 1)),
		"in a signature's place": head + "multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n" + html + "\r\n--x\r\n" + part + "\r\n--x--\r\n",
	} {
		m := judgeAnything(t, message, w.options(bob))
		if m == nil {
			continue
		}
		if m.Verdict.Verdict == Valid || m.Verdict.Encrypted {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
		if m.Content() != nil && (strings.Contains(content(t, m), "at noon") || strings.Contains(written(t, m), "at noon")) {
			t.Errorf("%s: plaintext beside the attacker's parts", name)
		}
	}
	// Inside a signature of the attacker, beside his text.
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	m := open(t, signMessage(t, strings.Replace(mixed("multipart/mixed", html, part), "alice", "eve", 1), &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options(bob))
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "stays closed")
	if strings.Contains(content(t, m), "at noon") {
		t.Error("plaintext inside the attacker's signed mail")
	}
}

// TestInnerHeaders: nothing of an inner header becomes one of the message (CVE-2026-27443, CVE-2026-29143).
func TestInnerHeaders(t *testing.T) {
	w := newWorld(t)
	bob, eve := w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	inside := "From: alice@example.com\r\nTo: x@example.org\r\nBcc: y@example.org\r\nSubject: forged\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000\r\n" +
		"Authentication-Results: example.org; smime=pass\r\nX-Verdict: valid\r\nReceived: from x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Language: en\r\n\r\nbody\r\n"
	// The engine would divide the header; the attacker puts it inside whole.
	layer := func(open func(io.Writer) (io.WriteCloser, error)) string {
		var b bytes.Buffer
		b.WriteString("From: eve@example.com\r\nSubject: real\r\nMIME-Version: 1.0\r\n")
		err := writePKCS7(&b, "x", open, func(w io.Writer) error { _, err := io.WriteString(w, inside); return err })
		if err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	signed := layer(func(w io.Writer) (io.WriteCloser, error) {
		return cms.Sign(w, []*cms.Signer{signerOf(eve)}, &cms.SignOptions{})
	})
	encrypted := layer(func(w io.Writer) (io.WriteCloser, error) {
		return cms.Encrypt(w, []*cms.Recipient{recipientOf(t, bob)}, nil)
	})
	want := "From: eve@example.com\r\nSubject: real\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Language: en\r\n\r\nbody\r\n"
	for verdict, message := range map[Conclusion]string{Valid: signed, Unsigned: encrypted} {
		m := open(t, message, w.options(bob))
		if m.Verdict.Verdict != verdict || m.Verdict.From[0] != "eve@example.com" {
			t.Error(show(m.Verdict))
		}
		wantWarning(t, m, "has a From of its own")
		wantWarning(t, m, "has a Subject of its own")
		if got := written(t, m); got != want {
			t.Errorf("written %q", got)
		}
	}
}

// TestAmbiguousStructure: a header or a structure that two readers see differently never makes a valid message.
func TestAmbiguousStructure(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	boundary := signed[strings.Index(signed, "boundary=\"")+10:]
	boundary = boundary[:strings.Index(boundary, "\"")]
	for name, message := range map[string]string{
		"two types, evil first":     "Content-Type: text/html\r\n" + signed,
		"two types, evil last":      strings.Replace(signed, "\r\n\r\n", "\r\nContent-Type: text/html\r\n\r\n", 1),
		"two types, the same":       "Content-Type: multipart/signed; boundary=x\r\n" + signed,
		"two boundaries":            strings.Replace(signed, "micalg", "boundary=\"evil\"; micalg", 1),
		"two boundaries, continued": strings.Replace(signed, "micalg", "boundary*0=evil; micalg", 1),
		"two protocols":             strings.Replace(signed, "micalg", "protocol=\"application/pgp-signature\"; micalg", 1),
		"two encodings":             "Content-Transfer-Encoding: base64\r\n" + opaque,
		"encoded multipart":         "Content-Transfer-Encoding: base64\r\n" + signed,
		"bare CR in the header":     "X: y\rContent-Type: text/html\r\n" + signed,
		"NUL in the header":         "X: \x00\r\n" + signed,
		"broken line":               "X-A: b\r\nevil\r\n" + signed,
		"blank line of spaces":      "X: y\r\n \r\n" + signed,
		"space before the colon":    "Content-Type : text/html\r\n" + signed,
		"third part":                strings.Replace(signed, "\r\n--"+boundary+"--", "\r\n--"+boundary+"\r\n\r\nA list\r\n--"+boundary+"--", 1),
		"first part doubled":        strings.Replace(signed, "--"+boundary+"\r\n", "--"+boundary+"\r\n\r\nevil\r\n--"+boundary+"\r\n", 1),
		"goes on behind the end":    signed + "--" + boundary + "\r\n\r\nevil\r\n--" + boundary + "--\r\n",
		"one part":                  signed[:strings.LastIndex(signed, "--"+boundary+"\r\n")],
		"text at the first line":    "evil\r\n" + signed,
		"not a multipart":           strings.Replace(signed, "multipart/signed", "multipart/mixed", 1),
		"no boundary":               strings.Replace(signed, "boundary=", "x=", 1),
		"signature of another type": strings.Replace(signed, "Content-Type: application/pkcs7-signature", "Content-Type: text/plain", 1),
		"empty signature":           signed[:strings.LastIndex(signed, "\r\n\r\nMI")] + "\r\n\r\n\r\n--" + boundary + "--\r\n",
		"signature with a tail":     strings.Replace(signed, "\r\n--"+boundary+"--", "\r\nQUJD\r\n--"+boundary+"--", 1),
		"opaque with a tail":        opaque + "A list\r\n",
		"opaque with more":          opaque + "QUJD\r\n",
	} {
		m := judgeAnything(t, message, w.options())
		if m != nil && m.Verdict.Verdict == Valid {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
	}
	m := open(t, strings.Replace(signed, "Transfer-Encoding: base64", "Transfer-Encoding: x-own", 1), w.options())
	if reason := m.Verdict.Signers[0].Reason; !strings.Contains(reason, "x-own") {
		t.Errorf("unknown encoding of the signature: %s", reason)
	}
	m = open(t, signed+"evil\r\n", w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "text behind the signed part")
	if strings.Contains(written(t, m), "evil") {
		t.Error("the epilogue is shown")
	}
	m = open(t, strings.Replace(signed, "This is an S/MIME signed message", "evil", 1), w.options())
	if strings.Contains(written(t, m), "evil") {
		t.Error("the preamble is shown")
	}
}
