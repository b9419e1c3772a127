package smime

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestOldClients: what old and odd programs write, read as they mean it; and beside each, what must not be read so.
func TestOldClients(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	detached := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	signatureHead := detached[strings.LastIndex(detached, "Content-Type: application/pkcs7-signature"):strings.LastIndex(detached, "\r\n\r\nMI")]
	signature := func(head string) string { return strings.Replace(detached, signatureHead, head, 1) }
	boundary := detached[strings.Index(detached, "boundary=\"")+10:]
	boundary = boundary[:strings.Index(boundary, "\"")]
	replace := func(s string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(s) }
	lines := func(end string) string {
		head, body, _ := strings.Cut(opaque, "\r\n\r\n")
		return head + "\r\n\r\n" + strings.ReplaceAll(body, "\r\n", end)
	}
	for name, message := range map[string]string{
		"signature as pkcs7-mime":            signature("Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=signed-data\r\nContent-Transfer-Encoding: base64"),
		"signature as x-pkcs7-mime":          signature("Content-Type: application/x-pkcs7-mime\r\nContent-Transfer-Encoding: base64"),
		"signature as octet-stream, named":   signature("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=SMIME.P7S\r\nContent-Transfer-Encoding: base64"),
		"signature as octet-stream, unnamed": signature("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64"),
		"signature without an encoding":      signature("Content-Type: application/pkcs7-signature"),
		"protocol pkcs7-mime":                replace(detached, `protocol="application/pkcs7-signature"`, `protocol="application/pkcs7-mime"`),
		"protocol padded":                    replace(detached, `protocol="application/pkcs7-signature"`, `protocol=" application/pkcs7-signature "`),
		"protocol in upper case":             replace(detached, `protocol="application/pkcs7-signature"`, `PROTOCOL="APPLICATION/X-PKCS7-SIGNATURE"`),
		"micalg wrong":                       replace(detached, "micalg=sha-256", "micalg=md5"),
		"micalg historic":                    replace(detached, "micalg=sha-256", "micalg=rsa-sha1"),
		"micalg missing":                     replace(detached, "micalg=sha-256;", ""),
		"parameters in another order":        replace(detached, "multipart/signed; protocol=\"application/pkcs7-signature\";\r\n\tmicalg=sha-256; boundary=\""+boundary+"\"", "multipart/signed; boundary=\""+boundary+"\"; x=y; micalg=\"sha-256\"; protocol=\"application/pkcs7-signature\""),
		"no preamble":                        replace(detached, "This is an S/MIME signed message\r\n\r\n", ""),
		"long preamble":                      replace(detached, "This is an S/MIME signed message", strings.Repeat("Your program knows no MIME.\r\n", 100)),
		"blank epilogue":                     detached + "\r\n \r\n",
		"LF":                                 replace(detached, "\r\n", "\n"),
		"base64 in lines that end in CR":     lines("\r"),
		"base64 in lines that end in LF":     lines("\n"),
		"base64 in lines that end in CRCRLF": lines("\r\r\n"),
		"base64 in one line":                 lines(""),
		"base64 with empty lines":            lines("\r\n\r\n"),
		"base64 with spaces":                 lines(" \t\r\n"),
		"smime-type of another case":         replace(opaque, "smime-type=signed-data", "SMIME-Type=Signed-Data"),
		"smime-type missing, name .p7s":      replace(opaque, "smime-type=signed-data;\r\n\tname=\"smime.p7m\"", "name=\"smime.p7s\""),
		"pkcs7-signature that holds content": replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "application/pkcs7-signature"),
		"octet-stream .P7M":                  replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream", `"smime.p7m"`, `"Report.P7M"`),
		"octet-stream, name in RFC 2231":     replace(opaque, "application/pkcs7-mime; smime-type=signed-data;\r\n\tname=\"smime.p7m\"", "application/octet-stream;\r\n\tname*=utf-8''%E6%98%BC.p7m", `filename="smime.p7m"`, "filename=x"),
		"comments in the type":               replace(opaque, "application/pkcs7-mime;", "application/pkcs7-mime (signed);"),
	} {
		m := judgeAnything(t, message, w.options())
		if m == nil || m.Verdict.Verdict != Valid || m.Verdict.Coverage != CoverageWhole || !strings.HasSuffix(written(t, m), "see you at noon.\r\n") {
			t.Errorf("%s: %s\n%s", name, show(m.Verdict), message)
		}
		if m != nil && name != "smime-type missing, name .p7s" {
			wantWarning(t, m, "")
		}
	}
	for name, message := range map[string]string{
		"signature as text":                     signature("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64"),
		"signature as an image":                 signature("Content-Type: image/png; name=smime.p7s\r\nContent-Transfer-Encoding: base64"),
		"octet-stream where nothing says what":  replace(signature("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64"), "protocol=\"application/pkcs7-signature\";", ""),
		"protocol OpenPGP":                      replace(detached, `protocol="application/pkcs7-signature"`, `protocol="application/pgp-signature"`),
		"protocol twice":                        replace(detached, `protocol="application/pkcs7-signature"`, `protocol="application/pgp-signature"; protocol="application/pkcs7-signature"`),
		"opaque message in the signature place": replace(detached, detached[strings.LastIndex(detached, "Content-Type: application/pkcs7-signature"):strings.LastIndex(detached, "\r\n--"+boundary+"--")], opaque[strings.Index(opaque, "Content-Type: "):]),
		"base64 with a dash":                    lines("-\r\n"),
		"base64 with a NUL":                     lines("\x00\r\n"),
		"octet-stream of another name":          replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream", "smime.p7m", "smime.p7m.exe"),
		"named text":                            replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "text/plain"),
		"preamble with the type":                strings.Replace(detached, "MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r\n\r\n", 1),
	} {
		if m := judgeAnything(t, message, w.options()); m != nil && m.Verdict.Verdict == Valid {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
	}
}

// TestOldClientsEncrypted: how encrypted mail is labelled.
func TestOldClientsEncrypted(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	for _, c := range []cms.Cipher{cms.AES256CBC, cms.AES256GCM} {
		sealed := encryptMessage(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}), c, bob)
		head := sealed[strings.Index(sealed, "Content-Type: "):strings.Index(sealed, "\r\n\r\n")]
		for _, labels := range []string{
			"Content-Type: application/x-pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64",
			"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: BASE64",
			"Content-Type: application/pkcs7-mime; smime-type=\"Enveloped-Data\"",
			"Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64",
			"Content-Type: application/octet-stream; name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64",
			"Content-Type: Application/Octet-Stream\r\nContent-Disposition: attachment;\r\n filename=\"SMIME.p7m\"\r\nContent-Transfer-Encoding: base64",
		} {
			m := open(t, strings.Replace(sealed, head, labels, 1), w.options(bob))
			wantVerdict(t, m, Valid, CoverageWhole)
			if !m.Verdict.Encrypted {
				t.Errorf("%s: %s", labels, show(m.Verdict))
			}
		}
	}
}

// TestCertsOnly: certificates on their way by mail are read, and nothing is learned from them (RFC 8551 §3.8).
func TestCertsOnly(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	head := "From: alice@example.com\r\nSubject: My certificate\r\n\r\n"
	var b bytes.Buffer
	if err := WriteCertificates(&b, strings.NewReader(head), int64(len(head)), signerOf(alice).Certificates(), [][]byte{w.ca.Issuing.CRL(nil)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Subject: My certificate\r\n", "smime-type=certs-only;", "name=\"smime.p7c\"", "filename=\"smime.p7c\""} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
	m := open(t, b.String(), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
	wantWarning(t, m, "certificates and nothing that is signed")
	if len(m.Verdict.Signers) != 0 || m.Learned != nil {
		t.Error(show(m.Verdict))
	}
	_, body, _ := strings.Cut(b.String(), "\r\n\r\n")
	r, err := cms.NewReader(entity.NewBase64Reader(strings.NewReader(body)), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.SignedData(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, s); err != nil || len(s.Certificates()) != len(signerOf(alice).Certificates()) || !s.Certificates()[0].Equal(alice.Certificate) || len(s.CRLs()) != 1 {
		t.Errorf("%d certificates, %d lists, %v", len(s.Certificates()), len(s.CRLs()), err)
	}
	if err := WriteCertificates(io.Discard, strings.NewReader(plain), int64(len(plain)), signerOf(alice).Certificates(), nil); err == nil {
		t.Error("a text was dropped")
	}
	if err := WriteCertificates(io.Discard, strings.NewReader(head), int64(len(head)), nil, nil); err == nil {
		t.Error("a message with nothing in it")
	}
}

// TestCompressedMail is RFC 8551 §3.6 both ways.
func TestCompressedMail(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	if c := compress(t, plain); !strings.Contains(c, "smime-type=compressed-data;\r\n\tname=\"smime.p7z\"") {
		t.Error(c)
	}
	long := strings.Replace(plain, "see you", strings.Repeat("see you soon\r\n", 2000)+"see you", 1)
	sizes := map[bool]int{}
	for _, compressed := range []bool{false, true} {
		var b bytes.Buffer
		err := Seal(&b, strings.NewReader(long), int64(len(long)), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now},
			&EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}, Compress: compressed, Headers: HeadersBaseline})
		if err != nil {
			t.Fatal(err)
		}
		sizes[compressed] = b.Len()
		m := open(t, b.String(), w.options(bob))
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "")
		if m.Verdict.HeaderProtection != HeaderEncrypted || m.Verdict.Subject != "Hello" || !strings.HasSuffix(written(t, m), "soon\r\nsee you at noon.\r\n") {
			t.Error(show(m.Verdict))
		}
	}
	if sizes[true]*4 > sizes[false] {
		t.Errorf("%v", sizes)
	}
}

// TestTripleWrapMade is RFC 2634 §1.1.
func TestTripleWrapMade(t *testing.T) {
	w := newWorld(t)
	alice, bob, eve := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256), w.ca.Leaf("eve@example.com", testca.P256)
	wrap := func(inner, outer *testca.Leaf) *Message {
		var b bytes.Buffer
		options := func(l *testca.Leaf) *SignOptions {
			return &SignOptions{Signers: []*cms.Signer{signerOf(l)}, Time: testca.Now}
		}
		err := TripleWrap(&b, strings.NewReader(plain), int64(len(plain)), options(inner), &EncryptOptions{Recipients: []*cms.Recipient{recipientOf(t, bob)}, Headers: HeadersVisible}, options(outer))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "multipart/signed") || strings.Contains(b.String(), "at noon") {
			t.Error(b.String())
		}
		return open(t, b.String(), w.options(bob))
	}
	m := wrap(alice, alice)
	wantVerdict(t, m, Valid, CoverageWhole)
	if len(m.Verdict.Layers) != 3 || len(m.Verdict.Signers) != 2 || m.Verdict.HeaderProtection != HeaderEncrypted {
		t.Error(show(m.Verdict))
	}
	// Whoever signs as another than From, inside or outside, spoils it.
	wantVerdict(t, wrap(eve, alice), Invalid, CoverageWhole)
	wantVerdict(t, wrap(alice, eve), Invalid, CoverageWhole)
}

// TestForwardedAndFooters: a signature below another structure is one over a part, in both directions.
func TestForwardedAndFooters(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	for _, opaque := range []bool{false, true} {
		o.Opaque = opaque
		signed := signMessage(t, plain, o)
		_, part, _ := strings.Cut(signed, "MIME-Version: 1.0\r\n")
		head := "From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
		for name, message := range map[string]string{
			"list footer as a part":   head + part + "\r\n--x\r\nContent-Type: text/plain\r\nContent-Disposition: inline\r\n\r\n___\r\nlist mailing list\r\n--x--\r\n",
			"forwarded as attachment": head + "Content-Type: text/plain\r\n\r\nsee below\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + signed + "\r\n--x--\r\n",
			"forwarded, named .eml":   head + "Content-Type: message/rfc822; name=mail.eml\r\nContent-Disposition: attachment\r\n\r\n" + signed + "\r\n--x--\r\n",
			"two levels of mixed":     head + "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n" + part + "\r\n--y--\r\n--x--\r\n",
		} {
			m := open(t, message, w.options())
			wantVerdict(t, m, Unsigned, CoveragePart)
			wantWarning(t, m, "a part of the message has a signature")
			if len(m.Verdict.Signers) != 0 {
				t.Errorf("%s: %s", name, show(m.Verdict))
			}
			// The same, signed as a whole by who forwards it, is covered whole.
			m = open(t, signMessage(t, message, o), w.options())
			wantVerdict(t, m, Valid, CoverageWhole)
		}
		m := judgeAnything(t, signed+"___\r\nlist mailing list\r\n", w.options())
		if m.Verdict.Verdict == Valid {
			// Behind the end of the multipart nothing is shown, and a warning says that something is there.
			wantWarning(t, m, "text behind the signed part")
			if opaque {
				t.Error("a footer in the base64 of an opaque message")
			}
		}
	}
}
