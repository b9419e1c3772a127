package smime

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/testca"
)

var update = flag.Bool("update", false, "write new people for the fuzz targets")

// fuzzWorld is a PKI that all processes of a fuzz run share: what one of them found to be valid is so for the others.
type fuzzWorld struct {
	root       *cert.Certificate
	alice, bob *testca.Leaf
}

const fuzzPeople = "testdata/people.pem"

func newFuzzWorld(f *testing.F) *fuzzWorld {
	f.Helper()
	if *update {
		writeFuzzPeople(f)
	}
	rest, err := os.ReadFile(fuzzPeople)
	if err != nil {
		f.Fatal(err)
	}
	next := func() []byte {
		block, after := pem.Decode(rest)
		rest = after
		return block.Bytes
	}
	parse := func() *cert.Certificate {
		c, err := cert.Parse(next())
		if err != nil {
			f.Fatal(err)
		}
		return c
	}
	root, issuing := parse(), parse()
	person := func() *testca.Leaf {
		key, err := x509.ParsePKCS8PrivateKey(next())
		if err != nil {
			f.Fatal(err)
		}
		return &testca.Leaf{Key: key, Certificate: parse(), Chain: []*cert.Certificate{issuing}}
	}
	return &fuzzWorld{root, person(), person()}
}

func writeFuzzPeople(f *testing.F) {
	w := newWorld(f)
	out := append([]byte("Keys of the fuzz targets of this package. They are public and protect nothing.\n"), w.ca.Root.Certificate.PEM()...)
	out = append(out, w.ca.Issuing.Certificate.PEM()...)
	for _, email := range []string{"alice@example.com", "bob@example.org"} {
		l := w.ca.Leaf(email, testca.P256)
		key, err := x509.MarshalPKCS8PrivateKey(l.Key)
		if err != nil {
			f.Fatal(err)
		}
		out = append(append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), l.Certificate.PEM()...)
	}
	if err := os.WriteFile(fuzzPeople, out, 0o600); err != nil {
		f.Fatal(err)
	}
}

func (w *fuzzWorld) options() *OpenOptions {
	return &OpenOptions{Anchors: []*cert.Certificate{w.root}, At: testca.Now, Keys: []*cms.RecipientKey{keyOf(w.bob)}}
}

// FuzzOpen changes good messages. Nothing may crash or hang, and what is valid has a content that Alice signed.
func FuzzOpen(f *testing.F) {
	w := newFuzzWorld(f)
	o := &SignOptions{Signers: []*cms.Signer{signerOf(w.alice)}}
	detached := signMessage(f, plain, o)
	o.Opaque = true
	opaque := signMessage(f, plain, o)
	for _, m := range []string{
		plain, detached, opaque, strings.ReplaceAll(detached, "\r\n", "\n"), compress(f, detached),
		encryptMessage(f, opaque, cms.AES256CBC, w.bob), encryptMessage(f, detached, cms.AES256GCM, w.bob),
		signMessage(f, encryptMessage(f, opaque, cms.AES128GCM, w.bob), o),
		signMessage(f, plain, &SignOptions{Signers: o.Signers, Headers: HeadersVisible}),
		binaryBody(f, opaque), binaryBody(f, encryptMessage(f, binaryBody(f, opaque), cms.AES256CBC, w.bob)),
		"From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nevil\r\n--x\r\n" + detached + "\r\n--x--\r\n",
	} {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Open(bytes.NewReader(in), int64(len(in)), w.options())
		if m == nil {
			return
		}
		defer m.Close()
		if (err == nil) != (m.Content() != nil) {
			t.Fatalf("content %v with error %v", m.Content(), err)
		}
		if m.Verdict.Verdict != Valid {
			return
		}
		// All that Alice ever signed says this in the end.
		if got := content(t, m); !strings.HasSuffix(strings.ReplaceAll(got, "\r\n", "\n"), "\n\nDear Bob,\n\nsee you at noon.\n") || m.Verdict.From[0] == "" {
			t.Fatalf("valid with content %q", got)
		}
	})
}

// binaryBody takes the armour off, so that a change of one byte is one of the CMS object.
func binaryBody(f *testing.F, message string) string {
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	der, err := io.ReadAll(entity.NewBase64Reader(strings.NewReader(body)))
	if err != nil {
		f.Fatal(err)
	}
	return strings.Replace(head, "base64", "binary", 1) + "\r\n\r\n" + string(der)
}

// FuzzSign signs anything: it is refused, or it opens as valid with nothing lost.
func FuzzSign(f *testing.F) {
	w := newFuzzWorld(f)
	f.Add([]byte(plain))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: 8bit\n\n\xe3\x81\x82 \n--b--"))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Transfer-Encoding: quoted-printable\n\n=e3 \n"))
	o := &SignOptions{Signers: []*cms.Signer{signerOf(w.alice)}, Time: testca.Now}
	f.Fuzz(func(t *testing.T, in []byte) {
		var b bytes.Buffer
		o.Headers = []HeaderPolicy{HeadersUnprotected, HeadersVisible}[len(in)%2]
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
		if v := m.Verdict; len(v.DifferingHeaders) > 0 || o.Headers != HeadersUnprotected && v.HeaderProtection != HeaderSigned {
			t.Fatalf("%s\n%q", show(v), b.Bytes())
		}
		var again bytes.Buffer
		if err := m.WriteContent(&again); err != nil {
			t.Fatal(err)
		}
	})
}
