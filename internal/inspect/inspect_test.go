package inspect

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/testca"
)

// testdata returns the path of a file in the collection of published vectors,
// which lies beside the repository or where MAILSEAL_TESTDATA says.
func testdata(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("published test vectors are needed: %v", err)
		}
		t.Skipf("no published test vectors here: %v", err)
	}
	return path
}

func explain(data []byte, o *Options) (*Report, error) {
	return File(bytes.NewReader(data), int64(len(data)), o)
}

func text(t testing.TB, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wantLines(t *testing.T, got string, want ...string) {
	t.Helper()
	var squeezed strings.Builder
	for line := range strings.Lines(got) {
		squeezed.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	for _, w := range want {
		if !strings.Contains(squeezed.String(), w+"\n") {
			t.Errorf("no line %q in\n%s", w, got)
		}
	}
}

// Each published OCSP response, and lines that must be in its explanation.
func TestOCSPResponse(t *testing.T) {
	for name, want := range map[string][]string{
		"rustcrypto/x509-ocsp/tests/examples/ocsp-try-later.der":      {"status tryLater"},
		"rustcrypto/x509-ocsp/tests/examples/ocsp-sig-required.der":   {"status sigRequired"},
		"rustcrypto/x509-ocsp/tests/examples/ocsp-internal-error.der": {"status internalError"},
		"rustcrypto/x509-ocsp/tests/examples/ocsp-malformed.der":      {"status malformedRequest"},
		"rustcrypto/x509-ocsp/tests/examples/ocsp-unauthorized.der":   {"status unauthorized"},
		"rustcrypto/x509-ocsp/tests/examples/ocsp-multiple-responses-res.der": {"status successful",
			"responder CN=rsa-2048-sha256-ocsp-crt", "answer count 8",
			"answers 10001 of issuer key sha1 5dd72c171c018b2ffa92c3133913689ebd82115c: good, as of 2020-01-01T00:00:00Z until 2020-01-01T00:00:00Z"},
		"pyca-vectors/vectors/cryptography_vectors/x509/ocsp/resp-responder-key-hash.der": {
			"responder key 0f80611c823161d52f28e78d4638b42ce1c6d9e2", "produced at 2018-09-01T13:45:20Z", "answer count 1"},
		"pyca-vectors/vectors/cryptography_vectors/x509/ocsp/ocsp-army.deps.mil-resp.der": {"answer count 20"},
		"pyca-vectors/vectors/cryptography_vectors/x509/ocsp/resp-revoked-reason.der": {
			"answers 81d8b989e92fae68956dce62a893209a1bc24d3 of issuer key sha1 b31289b5a94b35bc1500f080e9d87887f1137c76: " +
				"revoked at 2018-06-27T12:30:01Z, superseded, as of 2018-09-01T19:48:17Z until 2018-09-03T19:48:17Z"},
		"pyca-vectors/vectors/cryptography_vectors/x509/ocsp/resp-invalid-signature-oid.der": {"signature 1.2.840.113549.1.1.2"},
	} {
		data, err := os.ReadFile(testdata(t, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := explain(data, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Kind != "ocsp response" {
			t.Errorf("%s: taken for %s", name, r.Kind)
		}
		wantLines(t, text(t, r), want...)
	}
}

// Whatever is in the published sets, the answer is a report or an error, both
// forms can be written, and no control character of the file reaches a terminal.
func TestPublishedFiles(t *testing.T) {
	count := map[string]int{}
	err := filepath.WalkDir(testdata(t), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "wycheproof") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if r, err := explain(data, nil); err == nil {
			count[r.Kind]++
			checkReport(t, path, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(count)
	for _, kind := range []string{"certificate", "certification request", "crl", "cms", "message", "ocsp response", "pkcs12", "private key"} {
		if count[kind] == 0 {
			t.Errorf("no %s among the published files", kind)
		}
	}
}

func checkReport(t testing.TB, name string, r *Report) {
	t.Helper()
	for _, c := range text(t, r) {
		if c != '\n' && (c < ' ' || c == 0x7f || c == 0x202e) {
			t.Errorf("%s: control character %U in the text", name, c)
			break
		}
	}
	out, err := json.Marshal(r)
	if err != nil || !json.Valid(out) {
		t.Errorf("%s: JSON: %v", name, err)
	}
}

// A private key is described and never shown.
func TestNoKeyMaterial(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.Ed25519)
	der, err := identity.MarshalPrivateKey(leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	seed := der[len(der)-32:]
	p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: leaf.Key, Certificate: leaf.Certificate, Label: "Alice"}},
		[]byte("secret"), &identity.PKCS12Options{Iterations: 10})
	if err != nil {
		t.Fatal(err)
	}
	ask := &Options{Passphrase: func() ([]byte, error) { return []byte("secret"), nil }}
	for name, data := range map[string][]byte{"PKCS #8": der, "PKCS #12": p12} {
		r, err := explain(data, ask)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all := text(t, r) + string(out)
		for _, secret := range []string{string(seed), fmt.Sprintf("%x", seed[:8])} {
			if strings.Contains(all, secret) {
				t.Errorf("%s: the key is in the report", name)
			}
		}
		if !strings.Contains(all, "Ed25519") {
			t.Errorf("%s: %s", name, all)
		}
	}
}

// What a PKCS #12 file shows without its passphrase.
func TestPKCS12Structure(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: leaf.Key, Certificate: leaf.Certificate}},
		[]byte("secret"), &identity.PKCS12Options{Iterations: 10, Compatible: true})
	if err != nil {
		t.Fatal(err)
	}
	r, err := explain(p12, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, text(t, r),
		"mac PKCS #12: HMAC-SHA-1, PKCS #12 with SHA-1, 10 iterations, salt of 8 bytes",
		"structure part 1: PKCS #12: 3DES-CBC, PKCS #12 with SHA-1, 10 iterations, salt of 8 bytes",
		"part 2: pkcs8ShroudedKeyBag, PKCS #12: 3DES-CBC, PKCS #12 with SHA-1, 10 iterations, salt of 8 bytes")
	wrong := &Options{Passphrase: func() ([]byte, error) { return []byte("Secret"), nil }}
	if _, err := explain(p12, wrong); !errors.Is(err, identity.ErrPassphrase) {
		t.Errorf("a wrong passphrase gives %v", err)
	}
}

// Names come from whoever wrote the file: nothing in them moves the cursor or
// turns the direction of writing.
func TestHostileNames(t *testing.T) {
	leaf := testca.New(t).Leaf("", testca.P256, testca.AltNames(false, testca.Mailbox("a\x1b[2J\u202e@example.com\r\n  ca  yes")))
	r, err := explain(leaf.Certificate.Raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkReport(t, "hostile", r)
	if got := text(t, r); !strings.Contains(got, `a\u{1b}[2J\u{202e}@example.com\u{d}\u{a}  ca  yes`) {
		t.Errorf("%s", got)
	}
}

// One block that cannot be explained does not hide the others, and PEM is found
// below the text that OpenSSL writes before it.
func TestPEMFiles(t *testing.T) {
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	spki, err := cert.MarshalPublicKey(leaf.Certificate.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(label string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}) }
	bundle := bytes.Join([][]byte{block("MYSTERY", []byte("?")), block("PUBLIC KEY", spki), leaf.Certificate.PEM(),
		block("TRUSTED CERTIFICATE", append(bytes.Clone(leaf.Certificate.Raw), 0x30, 0))}, nil)
	r, err := explain(bundle, nil)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, part := range r.Parts {
		kinds = append(kinds, part.Kind)
	}
	if got := strings.Join(kinds, ", "); got != "pem block, public key, certificate, certificate" {
		t.Errorf("explained as %s", got)
	}
	r, err = explain(append(bytes.Repeat([]byte("    Data, as text\n"), 1000), leaf.Certificate.PEM()...), nil)
	if err != nil || r.Kind != "certificate" {
		t.Errorf("PEM below text: %v, %v", r, err)
	}
	if _, err := explain(block("CERTIFICATE", []byte{0x30, 0}), nil); err == nil || errors.Is(err, ErrUnknown) {
		t.Errorf("a damaged certificate: %v; the error should say what is wrong with it", err)
	}
	if _, err := explain([]byte("just text\n"), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("text: %v", err)
	}
}

func FuzzFile(f *testing.F) {
	leaf := testca.New(f).Leaf("alice@example.com", testca.P256)
	f.Add(leaf.Certificate.Raw)
	f.Add(leaf.Certificate.PEM())
	if q, err := cert.CreateRequest(rand.Reader, leaf.Signer(), &cert.RequestTemplate{Emails: []string{"alice@example.com"}}); err == nil {
		f.Add(q)
	}
	if p12, err := identity.EncodePKCS12([]*identity.Identity{{Key: leaf.Key, Certificate: leaf.Certificate}},
		[]byte("secret"), &identity.PKCS12Options{Iterations: 1}); err == nil {
		f.Add(p12)
	}
	var signed bytes.Buffer
	w, err := cms.Sign(&signed, []*cms.Signer{{Key: leaf.Signer(), Certificate: leaf.Certificate}}, &cms.SignOptions{})
	if err == nil {
		_, err = w.Write([]byte("hello"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed.Bytes())
	f.Add([]byte("From: alice@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n--x--\r\n"))
	f.Add([]byte{0x30, 0x03, 0x0a, 0x01, 0x03})
	for _, name := range []string{"ocsp-multiple-responses-res.der", "ocsp-by-key-res.der"} {
		if data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "testdata", "rustcrypto", "x509-ocsp", "tests", "examples", name)); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := explain(data, nil)
		if err == nil {
			checkReport(t, "input", r)
		}
	})
}
