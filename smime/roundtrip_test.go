package smime

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

var kinds = map[string]testca.Kind{"RSA2048": testca.RSA2048, "P256": testca.P256}

func TestSignRoundTrip(t *testing.T) {
	w := newWorld(t)
	for name, kind := range kinds {
		for _, opaque := range []bool{false, true} {
			alice := w.ca.Leaf("alice@example.com", kind)
			signed := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: opaque})
			for _, form := range []string{signed, strings.ReplaceAll(signed, "\r\n", "\n")} {
				m := open(t, form, w.options())
				wantVerdict(t, m, Valid, CoverageWhole)
				wantWarning(t, m, "")
				if got := written(t, m); got != strings.Replace(plain, "Content-Type", "MIME-Version: 1.0\r\nContent-Type", 1) {
					t.Errorf("%s: content %q", name, got)
				}
				s := m.Verdict.Signers[0]
				if s.Status != StatusValid || s.Reason != "" || len(s.Emails) != 1 || s.Emails[0] != "alice@example.com" ||
					!s.SigningTime.Equal(testca.Now) || s.SHA256 != alice.Certificate.SHA256() || s.Serial == "" || s.Algorithm == "" {
					t.Errorf("%s: signer %+v", name, s)
				}
				if l := m.Learned; l.Address != "alice@example.com" || len(l.Signers) != 1 || len(l.Signers[0].Capabilities) != 2 || len(l.Signers[0].Chain) != 3 {
					t.Errorf("%s: learned %+v", name, l)
				}
			}
		}
	}
}

func TestSealRoundTrip(t *testing.T) {
	w := newWorld(t)
	for name, kind := range kinds {
		alice, bob, carol := w.ca.Leaf("alice@example.com", kind), w.ca.Leaf("bob@example.org", kind), w.ca.Leaf("carol@example.org", kind)
		for _, c := range []cms.Cipher{"", cms.AES128CBC, cms.AES256GCM, cms.AES128GCM} {
			for _, detached := range []bool{false, true} {
				var b bytes.Buffer
				err := Seal(&b, strings.NewReader(plain), int64(len(plain)),
					&SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now, Detached: detached},
					&EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, alice), recipientOf(t, bob), recipientOf(t, carol)}, Cipher: c})
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(b.String(), "at noon") || !strings.Contains(b.String(), "Subject: Hello\r\n") {
					t.Errorf("%s: sealed %s", name, b.String())
				}
				for _, who := range []*testca.Leaf{alice, bob, carol} {
					m := open(t, b.String(), w.options(who))
					wantVerdict(t, m, Valid, CoverageWhole)
					wantWarning(t, m, "")
					if !m.Verdict.Encrypted || len(m.Verdict.Layers) != 2 || m.Verdict.Layers[0].Recipients != 3 || m.Verdict.Layers[1].Type != LayerSigned {
						t.Errorf("%s: %s", name, show(m.Verdict))
					}
					if got := written(t, m); !strings.HasSuffix(got, "\r\n\r\nDear Bob,\r\n\r\nsee you at noon.\r\n") || !strings.HasPrefix(got, "From: Alice") {
						t.Errorf("%s: content %q", name, got)
					}
				}
			}
		}
	}
}

func TestEncryptOnly(t *testing.T) {
	w := newWorld(t)
	bob := w.ca.Leaf("bob@example.org", testca.P256)
	m := open(t, encryptMessage(t, plain, "", bob), w.options(bob))
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "does not protect against changes")
	m = open(t, encryptMessage(t, plain, cms.AES256GCM, bob), w.options(bob))
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "")
	if !m.Verdict.Encrypted {
		t.Error("not encrypted")
	}
}

func TestNoKey(t *testing.T) {
	w := newWorld(t)
	alice, bob, eve := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.RSA2048), w.ca.Leaf("eve@example.org", testca.RSA2048)
	sealed := encryptMessage(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}), "", bob)
	for _, keys := range [][]*testca.Leaf{nil, {eve}, {alice, eve}} {
		m, err := Open(strings.NewReader(sealed), int64(len(sealed)), w.options(keys...))
		if err != ErrNoKey || m == nil {
			t.Fatalf("%v, %v", m, err)
		}
		if m.Verdict.Verdict != Unknown || m.Content() != nil || m.WriteContent(&bytes.Buffer{}) == nil || !m.Verdict.Encrypted ||
			m.Verdict.Layers[0].Recipients != 1 || m.Verdict.Layers[0].Algorithm == "" {
			t.Errorf("%s", show(m.Verdict))
		}
	}
}

func TestTripleWrap(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	for _, opaque := range []bool{false, true} {
		o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: opaque}
		m := open(t, signMessage(t, encryptMessage(t, signMessage(t, plain, o), "", bob), o), w.options(bob))
		wantVerdict(t, m, Valid, CoverageWhole)
		if len(m.Verdict.Layers) != 3 || len(m.Verdict.Signers) != 2 {
			t.Error(show(m.Verdict))
		}
	}
}

// TestOutsideSignature: who signs ciphertext need not know what it says. Eve strips nothing and signs Alice's secret as her own.
func TestOutsideSignature(t *testing.T) {
	w := newWorld(t)
	bob, eve := w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	stolen := strings.Replace(encryptMessage(t, plain, cms.AES256GCM, bob), "Alice <alice@example.com>", "eve@example.com", 1)
	m := open(t, signMessage(t, stolen, &SignOptions{Signers: []*cms.Signer{signerOf(eve)}}), w.options(bob))
	wantVerdict(t, m, Unsigned, CoveragePart)
	wantWarning(t, m, "outside of the encryption")
}

func TestSeveralSigners(t *testing.T) {
	w := newWorld(t)
	both := func(c *testca.CA, o ...testca.Option) *testca.Leaf {
		return c.Leaf("alice@example.com", testca.P256, o...)
	}
	stranger := testca.NewRoot(t, "Stranger").Leaf("alice@example.com", testca.P256)
	for _, tc := range []struct {
		name    string
		signers []*testca.Leaf
		want    Conclusion
	}{
		{"two good", []*testca.Leaf{both(w.ca), w.ca.Leaf("alice@example.com", testca.RSA2048)}, Valid},
		{"one untrusted", []*testca.Leaf{both(w.ca), stranger}, Untrusted},
		{"one expired", []*testca.Leaf{both(w.ca), both(w.ca, testca.Expired())}, Untrusted},
		{"one of another address", []*testca.Leaf{both(w.ca), w.ca.Leaf("eve@example.com", testca.P256)}, Invalid},
	} {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			o := &SignOptions{Signers: []*cms.Signer{signerOf(tc.signers[order[0]]), signerOf(tc.signers[order[1]])}}
			m := open(t, signMessage(t, plain, o), w.options())
			if m.Verdict.Verdict != tc.want || len(m.Verdict.Signers) != 2 {
				t.Errorf("%s: %s", tc.name, show(m.Verdict))
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	var b bytes.Buffer
	src := strings.NewReader(plain)
	n := int64(len(plain))
	if Sign(&b, src, n, &SignOptions{}) == nil || Sign(&b, src, n, nil) == nil {
		t.Error("signed by nobody")
	}
	if Encrypt(&b, src, n, &EncryptOptions{}) == nil || Encrypt(&b, src, n, nil) == nil {
		t.Error("encrypted for nobody")
	}
	s := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	if Seal(&b, src, n, s, &EncryptOptions{}) == nil || Seal(&b, src, n, nil, &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, alice)}}) == nil {
		t.Error("sealed for or by nobody")
	}
	if b.Len() != 0 {
		t.Errorf("%d bytes written before the refusal", b.Len())
	}
	for _, bad := range []string{"From: a@example.com\r\nnonsense\r\n\r\nx", "From: a@example.com\rX: y\r\n\r\nx",
		"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n\xff", strings.Repeat("X: y\r\n", entity.MaxFields+1)} {
		if err := Sign(&b, strings.NewReader(bad), int64(len(bad)), s); err == nil {
			t.Errorf("signed %.60q", bad)
		}
	}
	if _, err := Open(src, n, &OpenOptions{}); err == nil {
		t.Error("opened at no time")
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	in := "From alice Mon Nov 23\nX-First:  odd   spacing\n\tfolded\nFrom: alice@example.com\nBcc: carol@example.org\nresent-bcc: x@example.org\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain;\n charset=utf-8\nX-Last: 1\nContent-Language: en\n\nbody\n"
	got := signMessage(t, in, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	outer, rest, _ := strings.Cut(got, "Content-Type: multipart/signed")
	want := "X-First:  odd   spacing\r\n\tfolded\r\nFrom: alice@example.com\r\nX-Last: 1\r\nDate: " + testca.Now.Format(time.RFC1123Z) + "\r\nMIME-Version: 1.0\r\n"
	if outer != want {
		t.Errorf("outer header %q", outer)
	}
	if !strings.Contains(rest, "Content-Type: text/plain;\r\n charset=utf-8\r\nContent-Language: en\r\n\r\nbody\r\n\r\n--") {
		t.Errorf("signed entity in %q", rest)
	}
	if strings.Contains(strings.ToLower(got), "carol") || strings.Contains(strings.ToLower(got), "bcc:") {
		t.Error("Bcc is told to everybody")
	}
	wantVerdict(t, open(t, got, w.options()), Valid, CoverageWhole)
}

func TestTransportSafety(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	head := "From: alice@example.com\r\n"
	for _, tc := range []struct{ name, in, want string }{
		{"8-bit text", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\u00e9 au lait = good \r\n",
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 au lait =3D good=20\r\n"},
		{"Japanese text", "Content-Type: text/plain; charset=utf-8\r\n\r\n\u3042\u3044\u3046\r\n",
			"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n44GC44GE44GGDQo=\r\n"},
		{"no type", "\r\ncaf\u00e9 and a lot of plain text\r\n", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 and a lot of plain text\r\n"},
		{"From line", "Content-Type: text/plain\r\n\r\nFrom here\r\n", "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=46rom here\r\n"},
		{"binary", "Content-Type: application/pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n\r\xff", "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAoN/w==\r\n"},
		{"safe", "Content-Type: text/html\r\n\r\n<p>\r\n", "Content-Type: text/html\r\n\r\n<p>\r\n"},
		{"no body", "Content-Type: text/plain\r\n\r\n", "Content-Type: text/plain\r\n\r\n"},
		{"a part of several", "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble \r\n--b\r\n\r\nsafe\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncaf\u00e9, plain and simple\r\n--b--\r\n",
			"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--b\r\n\r\nsafe\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9, plain and simple\r\n--b--\r\n"},
		{"attached message", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\nplain caf\u00e9, inside\r\n",
			"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nplain caf=C3=A9, inside\r\n"},
		{"signed part", "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\ntrailing \r\n--b\r\n\r\nx\r\n--b--\r\n",
			"Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\ntrailing \r\n--b\r\n\r\nx\r\n--b--\r\n"},
		{"format=flowed", "Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nsoft \r\nbreak\r\n-- \r\nAlice\r\n",
			"Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsoft=20\r\nbreak\r\n=2D-=20\r\nAlice\r\n"},
		{"ISO-2022-JP", "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BCk?)\x1b(B\r\n", "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BCk?)\x1b(B\r\n"},
		{"Shift_JIS", "Content-Type: text/plain; charset=shift_jis\r\n\r\n\x92\x8b\x90H\r\n", "Content-Type: text/plain; charset=shift_jis\r\nContent-Transfer-Encoding: base64\r\n\r\nkouQSA0K\r\n"},
		{"a file's name", "Content-Type: application/pdf; name=\"\u663c.pdf\"\r\nContent-Disposition: attachment; filename=\"\u663c.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n",
			"Content-Type: application/pdf;\r\n\tname*=utf-8''%E6%98%BC.pdf\r\nContent-Disposition: attachment;\r\n\tfilename*=utf-8''%E6%98%BC.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"},
		{"a file's name in a part", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png; name=\x92\x8b.png \r\nContent-Description: caf\u00e9\r\n\r\nx\r\n--b--\r\n",
			"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png;\r\n\tname*=unknown-8bit''%92%8B.png\r\nContent-Description: =?utf-8?B?Y2Fmw6k=?=\r\n\r\nx\r\n--b--\r\n"},
		{"message in a message", "Content-Type: message/rfc822\r\n\r\nSubject: \u663c\r\nContent-Type: message/rfc822\r\n\r\nFrom: \u663c <a@example.com>\r\n\r\ntrailing \r\n",
			"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?5pi8?=\r\nContent-Type: message/rfc822\r\n\r\nFrom: =?utf-8?B?5pi8?= <a@example.com>\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ntrailing=20\r\n"},
		{"message/global", "Content-Type: message/global\r\n\r\nSubject: \u663c\r\n\r\nx\r\n", "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDog5pi8DQoNCngNCg==\r\n"},
		{"mbox line and dot", "Content-Type: text/plain\r\n\r\n>From x\r\nFrom y\r\n.\r\n", "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n>From x\r\n=46rom y\r\n=2E\r\n"},
		{"unsafe base64", "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD \r\n", "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, in := range []string{tc.in, strings.ReplaceAll(tc.in, "\r\n", "\n")} {
				if tc.name == "binary" && in != tc.in {
					continue
				}
				message := head + in
				if strings.HasPrefix(in, "\n") || strings.HasPrefix(in, "\r\n") {
					message = strings.TrimSuffix(head, "\r\n") + "\r\n" + in
				}
				signed := signMessage(t, message, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
				s, err := entity.Examine(strings.NewReader(signed))
				if err != nil || !s.Safe() && tc.name != "signed part" || s.BareLF {
					t.Errorf("not safe: %+v\n%s", s, signed)
				}
				m := open(t, signed, w.options())
				wantVerdict(t, m, Valid, CoverageWhole)
				if got := content(t, m); got != tc.want {
					t.Errorf("signed entity\n%q, want\n%q", got, tc.want)
				}
			}
		})
	}
}

// TestRelays: what mail servers do to a message leaves the signature good.
func TestRelays(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	in := crlf("From: alice@example.com\nContent-Type: text/plain\n\nFrom here \n.\n\tx\t\n" + strings.Repeat("long ", 400) + "\n")
	signed := signMessage(t, in, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	for name, relay := range map[string]func(string) string{
		"adds headers": func(s string) string { return "Received: by relay.example\r\n" + s },
		"mbox": func(s string) string {
			return "From x\n" + strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\nFrom ", "\n>From ")
		},
		"trims lines": func(s string) string {
			return strings.ReplaceAll(strings.ReplaceAll(s, " \r\n", "\r\n"), "\t\r\n", "\r\n")
		},
		"cuts long lines":               func(s string) string { return s },
		"adds an empty line at the end": func(s string) string { return s + "\r\n\r\n" },
	} {
		m := open(t, relay(signed), w.options())
		if m.Verdict.Verdict != Valid {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
	}
	if s, _ := entity.Examine(strings.NewReader(signed)); s.LongLine {
		t.Error("long lines")
	}
}
