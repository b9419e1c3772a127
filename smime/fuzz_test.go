package smime

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// FuzzOpen changes good messages. Nothing may crash or hang, and what is valid has a content that was signed.
func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	alice, bob := w.ca.Leaf("alice@example.com", testca.P256), w.ca.Leaf("bob@example.org", testca.P256)
	detached := signMessage(f, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}})
	opaque := signMessage(f, plain, &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Opaque: true})
	signed := content(f, open(f, detached, w.options()))
	for _, m := range []string{
		plain, detached, opaque, strings.ReplaceAll(detached, "\r\n", "\n"),
		encryptMessage(f, opaque, cms.AES256CBC, bob), encryptMessage(f, detached, cms.AES256GCM, bob),
		signMessage(f, encryptMessage(f, opaque, cms.AES128GCM, bob), &SignOptions{Signers: []*cms.Signer{signerOf(alice)}}),
		"From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nevil\r\n--x\r\n" + detached + "\r\n--x--\r\n",
	} {
		f.Add([]byte(m))
	}
	o := w.options(bob)
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Open(bytes.NewReader(in), int64(len(in)), o)
		if m == nil {
			return
		}
		defer m.Close()
		if err == nil && m.Content() == nil || err != nil && m.Content() != nil {
			t.Fatalf("content %v with error %v", m.Content(), err)
		}
		if m.Verdict.Verdict != Valid {
			return
		}
		layers := []string{signed, content(t, open(t, opaque, w.options()))}
		got := content(t, m)
		// A signed layer inside a signed layer is valid content too; the innermost is always the one that Alice signed.
		if got != layers[0] && strings.ReplaceAll(got, "\n", "\r\n") != layers[0] && got != layers[1] {
			t.Fatalf("valid with content %q", got)
		}
	})
}

// FuzzSign signs anything: it is refused, or it opens as valid with nothing lost.
func FuzzSign(f *testing.F) {
	w := newWorld(f)
	alice := w.ca.Leaf("alice@example.com", testca.P256)
	f.Add([]byte(plain))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: 8bit\n\n\xe3\x81\x82 \n--b--"))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Transfer-Encoding: quoted-printable\n\n=e3 \n"))
	o := &SignOptions{Signers: []*cms.Signer{signerOf(alice)}, Time: testca.Now}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b bytes.Buffer
		if err := Sign(&b, bytes.NewReader(in), int64(len(in)), o); err != nil {
			return
		}
		options := w.options()
		if !bytes.Contains(bytes.ToLower(in), []byte("from")) {
			options.From = "alice@example.com"
		}
		m, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()), options)
		if err != nil {
			t.Fatalf("%v\n%q", err, b.Bytes())
		}
		defer m.Close()
		if m.Verdict.Coverage != CoverageWhole {
			t.Fatalf("%s\n%q", show(m.Verdict), b.Bytes())
		}
		for _, s := range m.Verdict.Signers[:1] {
			if s.Status == StatusInvalid {
				t.Fatalf("%s\n%q", show(m.Verdict), b.Bytes())
			}
		}
		var again bytes.Buffer
		if err := m.WriteContent(&again); err != nil {
			t.Fatal(err)
		}
	})
}
