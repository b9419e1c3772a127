package smime

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

func compress(t testing.TB, message string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Compress(&b, strings.NewReader(message), int64(len(message))); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressed(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	for name, message := range map[string]string{
		"compressed, then signed":            signMessage(t, compress(t, plain), o),
		"signed, then compressed":            compress(t, signMessage(t, plain, o)),
		"signed, compressed, then encrypted": encryptMessage(t, compress(t, signMessage(t, plain, o)), "", bob),
	} {
		m := open(t, message, w.options(bob))
		wantVerdict(t, m, Valid, CoverageWhole)
		wantWarning(t, m, "")
		if !strings.HasSuffix(written(t, m), "see you at noon.\r\n") {
			t.Errorf("%s: %q", name, written(t, m))
		}
	}
	m := open(t, compress(t, plain), w.options())
	wantVerdict(t, m, Unsigned, CoverageNone)
}

// TestCompressionBomb: layers multiply.
func TestCompressionBomb(t *testing.T) {
	w := newWorld(t)
	bomb := "From: alice@example.com\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("\r\n", 1<<20)
	for range 3 {
		bomb = compress(t, bomb)
	}
	if len(bomb) > 100_000 {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	m, err := Open(strings.NewReader(bomb), int64(len(bomb)), w.options())
	var malformed *MalformedError
	if err != nil && !errors.As(err, &malformed) || m == nil || m.Verdict.Verdict == Valid {
		t.Errorf("%v", err)
	}
	big := "From: alice@example.com\r\nContent-Type: text/plain\r\n\r\n" + strings.Repeat("x\r\n", 20<<20)
	if m, err := Open(strings.NewReader(compress(t, big)), int64(len(compress(t, big))), w.options()); !errors.As(err, &malformed) || m.Content() != nil {
		t.Errorf("%v", err)
	}
}

// TestForms: how real senders label their messages (RFC 8551 §3.10).
func TestForms(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}
	detached := signMessage(t, plain, o)
	opaque := signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	sealed := encryptMessage(t, opaque, "", bob)
	_, body, _ := strings.Cut(opaque, "\r\n\r\n")
	der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	const from = "From: alice@example.com\r\n"
	replace := func(s string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(s) }
	for name, message := range map[string]string{
		"x-pkcs7":                   replace(detached, "application/pkcs7-signature", "application/x-pkcs7-signature"),
		"x-pkcs7-mime":              replace(opaque, "application/pkcs7-mime", "application/x-pkcs7-mime"),
		"upper case":                replace(detached, "multipart/signed", "Multipart/SIGNED", "application/pkcs7-signature", "Application/PKCS7-Signature"),
		"protocol without quotes":   replace(detached, `"application/pkcs7-signature"`, "application/pkcs7-signature"),
		"no protocol":               replace(detached, "protocol=\"application/pkcs7-signature\";", ""),
		"micalg unknown":            replace(detached, "sha-256", "unknown"),
		"no smime-type":             replace(opaque, "smime-type=signed-data;", ""),
		"wrong smime-type":          replace(opaque, "smime-type=signed-data;", "smime-type=enveloped-data;"),
		"octet-stream":              replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream"),
		"octet-stream, disposition": replace(opaque, "application/pkcs7-mime; smime-type=signed-data;\r\n\tname=\"smime.p7m\"", "application/octet-stream"),
		"octet-stream signature":    replace(detached, "application/pkcs7-signature; name=", "application/octet-stream; name="),
		"no transfer encoding":      replace(opaque, "Content-Transfer-Encoding: base64\r\n", ""),
		"8bit label":                replace(opaque, "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: 8bit"),
		"binary":                    from + "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n" + string(der),
		"binary, not labelled":      from + "Content-Type: application/pkcs7-mime\r\n\r\n" + string(der),
		"LF":                        replace(sealed, "\r\n", "\n"),
		"odd lines":                 from + "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n" + oddLines(body),
		"no padding":                strings.TrimRight(opaque, "=\r\n"),
		"no header inside":          wrapRaw(t, from, bob, string(der)),
	} {
		m := open(t, message, w.options(bob))
		if m.Verdict.Verdict != Valid || m.Verdict.Coverage != CoverageWhole || !strings.HasSuffix(written(t, m), "see you at noon.\r\n") {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
	}
	for name, message := range map[string]string{
		"OpenPGP":             replace(detached, `protocol="application/pkcs7-signature"`, `protocol="application/pgp-signature"`, "application/pkcs7-signature", "application/pgp-signature"),
		"a file named p7m":    from + "Content-Type: application/octet-stream; name=x.p7m\r\n\r\nnot at all\r\n",
		"other name":          replace(opaque, "application/pkcs7-mime; smime-type=signed-data", "application/octet-stream", "smime.p7m", "smime.bin"),
		"text without header": "Hello",
		"empty":               "",
	} {
		m := open(t, message, w.options())
		if m.Verdict.Verdict != Unsigned || len(m.Verdict.Layers) != 0 {
			t.Errorf("%s: %s", name, show(m.Verdict))
		}
	}
}

func oddLines(body string) string {
	var b strings.Builder
	for i, c := range strings.NewReplacer("\r", "", "\n", "").Replace(body) {
		if i%101 == 7 {
			b.WriteString(" \n")
		}
		b.WriteRune(c)
	}
	return b.String()
}

// wrapRaw encrypts bytes that are no MIME entity.
func wrapRaw(t testing.TB, header string, to *testca.Leaf, content string) string {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(header)
	err := writePKCS7(&b, "enveloped-data", func(w io.Writer) (io.WriteCloser, error) {
		return cms.Encrypt(w, []*cms.Recipient{recipientOf(t, to)}, nil)
	}, func(w io.Writer) error { _, err := io.WriteString(w, content); return err })
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestContentWithoutHeader: encrypted text that is no entity is text/plain.
func TestContentWithoutHeader(t *testing.T) {
	w := newWorld(t)
	bob := w.ca.Leaf("bob@example.org", testca.P256)
	m := open(t, wrapRaw(t, "From: a@example.com\r\n", bob, "Hello, Bob.\n\nBye.\n"), w.options(bob))
	if got := written(t, m); got != "From: a@example.com\r\nMIME-Version: 1.0\r\n\r\nHello, Bob.\r\n\r\nBye.\r\n" {
		t.Errorf("%q", got)
	}
}

// TestNoMail: a file that is something else, a bare CMS object perhaps, is told from a mail that nobody signed.
func TestNoMail(t *testing.T) {
	w := newWorld(t)
	for _, in := range []string{"", "\x30\x82", "MIIB\n", "\r\nFrom: alice@example.com\r\n"} {
		m := open(t, in, w.options())
		wantVerdict(t, m, Unsigned, CoverageNone)
		wantWarning(t, m, "no mail")
	}
	wantWarning(t, open(t, plain, w.options()), "")
}

// TestRawLineEnds: OpenSSL's -binary signs LF as it is.
func TestRawLineEnds(t *testing.T) {
	w := newWorld(t)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	part := "Content-Type: text/plain\n\nLF\n"
	var der bytes.Buffer
	s, err := cms.Sign(&der, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, part)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	message := func(part string) string {
		return "From: alice@example.com\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=x\n\n--x\n" + part + "\n--x\n" +
			armour("Content-Type: application/pkcs7-signature\nContent-Transfer-Encoding: base64\n\n", der.Bytes()) + "\n--x--\n"
	}
	m := open(t, message(part), w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "those of this file")
	wantVerdict(t, open(t, message("Content-Type: text/plain\n\nLf\n"), w.options()), Invalid, CoverageWhole)
	m = open(t, crlf(message(part)), w.options()) // as it arrives by mail
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "bare LFs")
	wantVerdict(t, open(t, crlf(message("Content-Type: text/plain\n\nLf\n")), w.options()), Invalid, CoverageWhole)

	part = "Content-Type: text/plain\r\n\r\nboth\r\nof them\n"
	der.Reset()
	if s, err = cms.Sign(&der, []*cms.Signer{signerOf(alice)}, &cms.SignOptions{Detached: true}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(s, part)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, message(part), w.options())
	wantVerdict(t, m, Valid, CoverageWhole)
	wantWarning(t, m, "those of this file")
}

func TestRevocation(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	expired := w.ca.Leaf("alice@example.com", testca.P256, testca.Expired())
	list := func(revoked ...*testca.Leaf) *cert.CRL {
		var entries []testca.Revoked
		for _, l := range revoked {
			entries = append(entries, testca.Revoked{SerialNumber: new(big.Int).Set(l.Certificate.Serial), RevocationTime: testca.Now.Add(-time.Hour)})
		}
		crl, err := cert.ParseCRL(w.ca.Issuing.CRL(entries))
		if err != nil {
			t.Fatal(err)
		}
		return crl
	}
	other, err := cert.ParseCRL(testca.NewRoot(t, "Other").CRL(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		signer *testca.Leaf
		crls   []*cert.CRL
		status Status
		want   Conclusion
	}{
		{"no list", alice, nil, StatusValid, Valid},
		{"good", alice, []*cert.CRL{list(bob)}, StatusValid, Valid},
		{"revoked", alice, []*cert.CRL{list(alice)}, StatusRevoked, Invalid},
		{"revoked in one of two", alice, []*cert.CRL{list(bob), list(alice)}, StatusRevoked, Invalid},
		{"revoked and expired", expired, []*cert.CRL{list(expired)}, StatusRevoked, Invalid},
		{"another authority's list", alice, []*cert.CRL{other}, StatusRevocationUnknown, Unknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := w.options()
			o.CRLs = tc.crls
			m := open(t, signMessage(t, plain, &SignOptions{Signers: []*cms.Signer{signerOf(tc.signer)}}), o)
			if m.Verdict.Verdict != tc.want || m.Verdict.Signers[0].Status != tc.status {
				t.Error(show(m.Verdict))
			}
			warned := strings.Contains(strings.Join(m.Verdict.Warnings, " "), "revocation was not checked")
			if warned != (tc.crls == nil) {
				t.Errorf("warnings %q", m.Verdict.Warnings)
			}
		})
	}
}

// failing is a source or a spool that breaks.
type failing struct {
	*memory
	after int
}

var errDisk = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errDisk
	}
	return f.memory.Write(p)
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(f.after) {
		return 0, errDisk
	}
	return f.memory.ReadAt(p, off)
}

// TestFaults: a fault of the machine is an error, and no verdict about the message.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	long := plain + strings.Repeat("long\r\n", 100_000)
	for _, message := range []string{
		encryptMessage(t, signMessage(t, long, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}), "", bob),
		signMessage(t, long, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true}),
	} {
		o := w.options(bob)
		o.Spool = func() (Spool, error) { return &failing{&memory{}, 1000}, nil }
		if m, err := Open(strings.NewReader(message), int64(len(message)), o); m != nil || !errors.Is(err, errDisk) {
			t.Errorf("spool: %v, %v", m, err)
		}
		o.Spool = func() (Spool, error) { return nil, errDisk }
		if m, err := Open(strings.NewReader(message), int64(len(message)), o); m != nil || !errors.Is(err, errDisk) {
			t.Errorf("no spool: %v, %v", m, err)
		}
		src := &failing{&memory{b: []byte(message)}, 60_000}
		if m, err := Open(src, int64(len(message)), w.options(bob)); m != nil || !errors.Is(err, errDisk) {
			t.Errorf("source: %v, %v", m, err)
		}
	}
	huge := encryptMessage(t, plain+strings.Repeat(strings.Repeat("x", 70)+"\r\n", MaxMemory/72+1), "", bob)
	if m, err := Open(strings.NewReader(huge), int64(len(huge)), w.options(bob)); m != nil || !errors.Is(err, ErrTooLarge) {
		t.Errorf("memory: %v, %v", m, err)
	}
}

// TestClose: decrypted content is gone.
func TestClose(t *testing.T) {
	w := newWorld(t)
	bob := w.ca.Leaf("bob@example.org", testca.P256)
	var spool *memory
	o := w.options(bob)
	o.Spool = func() (Spool, error) { spool = &memory{}; return spool, nil }
	m := open(t, encryptMessage(t, plain, "", bob), o)
	held := spool.b
	if !bytes.Contains(held, []byte("noon")) {
		t.Fatal("nothing was spooled")
	}
	if err := m.Close(); err != nil || bytes.Contains(held[:cap(held)], []byte("noon")) || m.Content() != nil {
		t.Error("the content is still there")
	}
}
