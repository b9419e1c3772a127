package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/oid"
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
	for _, from := range []string{`"alice@example.com" <eve@example.com>`, `=?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?= <eve@example.com>`, `eve@example.com (alice@example.com)`} {
		m := open(t, signMessage(t, "From: "+from+"\r\n\r\nx\r\n", &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "looks like the address alice@example.com")
	}
}

// TestCertificates: what is wrong with the signer's certificate.
func TestCertificates(t *testing.T) {
	w := newWorld(t)
	leaf := func(o ...testca.Option) *testca.Leaf { return w.ca.Leaf("alice@example.com", testca.P256, o...) }
	for _, tc := range []struct {
		name   string
		signer *testca.Leaf
		status Status
		want   Conclusion
	}{
		{"good", leaf(), StatusValid, Valid},
		{"expired", leaf(testca.Expired()), StatusExpired, Untrusted},
		{"not yet valid", leaf(testca.NotYetValid()), StatusUntrusted, Untrusted},
		{"other root", testca.NewRoot(t, "Other").Leaf("alice@example.com", testca.P256), StatusUntrusted, Untrusted},
		{"for encryption only", leaf(testca.KeyUsage(1 << 4)), StatusUntrusted, Untrusted},
		{"for servers only", leaf(testca.ExtKeyUsage(1)), StatusUntrusted, Untrusted},
		{"small key", w.ca.Leaf("alice@example.com", testca.RSA1024), StatusWeak, Untrusted},
		{"no address", w.ca.Leaf("", testca.P256), StatusAddressMismatch, Invalid},
		{"Ed25519", w.ca.Leaf("alice@example.com", testca.Ed25519), StatusValid, Valid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Sign(&b, strings.NewReader(plain), int64(len(plain)), &SignOptions{Signers: []*cms.Signer{signerOf(tc.signer)}, Time: testca.Now})
			if err != nil {
				t.Skip(err) // cms makes no such signature
			}
			m := open(t, b.String(), w.options())
			if m.Verdict.Verdict != tc.want || m.Verdict.Signers[0].Status != tc.status || (m.Verdict.Signers[0].Reason == "") != (tc.want == Valid) {
				t.Error(show(m.Verdict))
			}
		})
	}
}

func TestSigningTime(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	for _, tc := range []struct {
		skew time.Duration
		warn string
	}{{0, ""}, {55 * time.Minute, ""}, {-55 * time.Minute, ""}, {56 * time.Minute, "but dated"}, {-65 * time.Minute, "but dated"}, {48 * time.Hour, "in the future"}} {
		m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now.Add(tc.skew)}), w.options())
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, tc.warn)
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
		if m.Content() != nil && (strings.Contains(content(t, m), "noon") || strings.Contains(written(t, m), "noon")) {
			t.Errorf("%s: plaintext beside the attacker's parts", name)
		}
	}
	// Inside a signature of the attacker, beside his text.
	eve := w.ca.Leaf("eve@example.com", testca.P256)
	m := open(t, signMessage(t, strings.Replace(mixed("multipart/mixed", html, part), "alice", "eve", 1), &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options(bob))
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "stays closed")
	if strings.Contains(content(t, m), "noon") {
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
	m := open(t, signed+"evil\r\n", w.options())
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

// TestReusedSignature: a good signature over something else.
func TestReusedSignature(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	one := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	m := open(t, strings.Replace(one, "see you at noon", "pay Eve", 1), w.options())
	wantVerdict(t, m, Invalid, CoverageWhole)
	if m.Verdict.Signers[0].Status != StatusInvalid {
		t.Error(show(m.Verdict))
	}
}

// degenerate is a SignedData without signers (Johnny: class CMS; certs-only as success).
func degenerate(t testing.TB, content []byte, certificates ...*cert.Certificate) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					if content != nil {
						b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					for _, c := range certificates {
						b.AddBytes(c.Raw)
					}
				})
				b.AddASN1(asn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func armour(header string, der []byte) string {
	var b bytes.Buffer
	b.WriteString(header)
	w := entity.NewBase64Writer(&b)
	w.Write(der)
	w.Close()
	return b.String()
}

const pkcs7Header = "From: alice@example.com\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"

func TestNoSigners(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	m := open(t, armour(pkcs7Header, degenerate(t, []byte("Content-Type: text/plain\r\n\r\nPay Eve.\r\n"), alice.Certificate)), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "nobody signed it")
	m = open(t, armour(pkcs7Header, degenerate(t, nil, alice.Certificate)), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "certificates and nothing that is signed")

	detached := "From: alice@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n\r\nPay Eve.\r\n--x\r\n" +
		armour("Content-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n", degenerate(t, nil, alice.Certificate)) + "\r\n--x--\r\n"
	m = open(t, detached, w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
}

// TestContentInsideDetached: two contents, of which one is signed and the other shown (CVE-2018-18509).
func TestContentInsideDetached(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	_, body, _ := strings.Cut(opaque, "\r\n\r\n")
	for _, shown := range []string{"\r\nPay Eve.\r\n", "Content-Type: text/plain; charset=us-ascii\r\n\r\nDear Bob,\r\n\r\nsee you at noon.\r\n"} {
		m := open(t, "From: alice@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\r\n\r\n--x\r\n"+shown+
			"\r\n--x\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"+body+"\r\n--x--\r\n", w.options())
		wantVerdict(t, m, Invalid, CoverageNone)
	}
	// And the other way round: a detached signature where a message with content belongs.
	signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	signature := signed[strings.LastIndex(signed, "\r\n\r\nMI")+4 : strings.LastIndex(signed, "\r\n--")]
	m := open(t, pkcs7Header+signature, w.options())
	wantVerdict(t, m, Invalid, CoverageNone)
}

// TestAttributesAsContent: the signed attributes of one message, shown as the content of another.
func TestAttributesAsContent(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	var der bytes.Buffer
	s, err := cms.Sign(&der, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{Detached: true, Time: testca.Now})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, "original")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	forged := attributesAsContent(t, der.Bytes())
	for _, bare := range []bool{false, true} {
		o := w.options()
		o.WithoutAttributes = bare
		m := open(t, armour(pkcs7Header, forged), o)
		if m.Verdict.Verdict != Invalid {
			t.Error(show(m.Verdict))
		}
	}
}

// attributesAsContent rewrites a SignedData so that what the signature covers is its content.
func attributesAsContent(t *testing.T, der []byte) []byte {
	t.Helper()
	context0 := asn1.Tag(0).ContextSpecific().Constructed()
	in := cryptobyte.String(der)
	var info, explicit, data, digests, encap, certificates, infos, si, sid, digest, attrs, algorithm, signature cryptobyte.String
	var version, siVersion int64
	ok := in.ReadASN1(&info, asn1.SEQUENCE) && info.SkipASN1(asn1.OBJECT_IDENTIFIER) && info.ReadASN1(&explicit, context0) &&
		explicit.ReadASN1(&data, asn1.SEQUENCE) && data.ReadASN1Integer(&version) && data.ReadASN1Element(&digests, asn1.SET) &&
		data.ReadASN1(&encap, asn1.SEQUENCE) && data.ReadASN1Element(&certificates, context0) && data.ReadASN1(&infos, asn1.SET) &&
		infos.ReadASN1(&si, asn1.SEQUENCE) && si.ReadASN1Integer(&siVersion) && si.ReadASN1Element(&sid, asn1.SEQUENCE) &&
		si.ReadASN1Element(&digest, asn1.SEQUENCE) && si.ReadASN1Element(&attrs, context0) && si.ReadASN1Element(&algorithm, asn1.SEQUENCE) &&
		si.ReadASN1Element(&signature, asn1.OCTET_STRING)
	if !ok {
		t.Fatal("no SignedData")
	}
	content := append([]byte(nil), attrs...)
	content[0] = byte(asn1.SET)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.SignedData)
		b.AddASN1(context0, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddBytes(digests)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					oid.Add(b, oid.Data)
					b.AddASN1(context0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				b.AddBytes(certificates)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						for _, e := range []cryptobyte.String{sid, digest, algorithm, signature} {
							b.AddBytes(e)
						}
					})
				})
			})
		})
	})
	forged, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return forged
}

// TestLayerLimit: a message wrapped too often is not opened to its heart, and quickly so.
func TestLayerLimit(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	message := plain
	for n := 1; n <= MaxLayers+2; n++ {
		message = signMessage(t, message, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
		m, err := Open(strings.NewReader(message), int64(len(message)), w.options())
		var malformed *MalformedError
		switch {
		case n <= MaxLayers && (err != nil || m.Verdict.Verdict != Valid):
			t.Errorf("%d layers: %v", n, err)
		case n > MaxLayers && (!errors.As(err, &malformed) || m.Verdict.Verdict != Unknown || m.Content() != nil):
			t.Errorf("%d layers: %v, %s", n, err, show(m.Verdict))
		}
	}
}

// TestBombs: input that is made to be expensive.
func TestBombs(t *testing.T) {
	w := newWorld(t)
	nested := strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for name, message := range map[string]string{
		"long header":      "From: a@example.com\r\nX: " + strings.Repeat("x", 8<<20) + "\r\n\r\n",
		"many fields":      strings.Repeat("X: y\r\n", 1_000_000),
		"nested parts":     "From: a@example.com\r\n" + nested.String(),
		"many parts":       "From: a@example.com\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 200_000),
		"many lookalikes":  "From: a@example.com\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n" + strings.Repeat("--bb\r\n", 300_000),
		"deep DER":         armour(pkcs7Header, bytes.Repeat([]byte{0x30, 0x80}, 500_000)),
		"deep comments":    "From: " + strings.Repeat("(", 500_000) + "\r\n\r\n",
		"many addresses":   "From: " + strings.Repeat("a@example.com,", 70_000) + "\r\n\r\n",
		"forwarded deeply": strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 20_000),
	} {
		start := time.Now()
		if m := judgeAnything(t, message, w.options()); m != nil && m.Verdict.Verdict == Valid {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}

// TestUniformDecryption: a message that does not decrypt says so in one way, whatever is wrong with it.
func TestUniformDecryption(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []testca.Kind{testca.RSA2048, testca.P256} {
		bob := w.ca.Leaf("bob@example.org", kind)
		for _, c := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
			message := encryptMessage(t, plain, c, bob)
			head, body, _ := strings.Cut(message, "\r\n\r\n")
			der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			errs := map[string]int{}
			for i := len(der) - 40; i < len(der); i++ {
				changed := bytes.Clone(der)
				changed[i] ^= 0x80
				m, err := Open(strings.NewReader(armour(head+"\r\n\r\n", changed)), int64(len(armour(head+"\r\n\r\n", changed))), w.options(bob))
				if err == nil {
					continue // CBC: the padding came out right
				}
				errs[err.Error()]++
				if m.Content() != nil {
					t.Error("content beside an error")
				}
			}
			if len(errs) != 1 || errs[ErrDecrypt.Error()] == 0 {
				t.Errorf("%s: %v", c, errs)
			}
		}
	}
}
