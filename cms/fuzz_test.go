package cms

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

var update = flag.Bool("update", false, "write the seeds in testdata anew")

const signedSeeds = "testdata/signed"

// TestSignedSeeds writes, with -update, the messages that FuzzSignedData
// starts from. Fuzzing runs in several processes, which must agree on them.
func TestSignedSeeds(t *testing.T) {
	if *update {
		ca := testca.New(t)
		for name, kind := range map[string]testca.Kind{"p256": testca.P256, "ed25519": testca.Ed25519, "rsa": testca.RSA2048} {
			leaf := ca.Leaf("alice@example.com", kind)
			for form, o := range map[string]*SignOptions{"der": {Time: testca.Now}, "ber": {Indefinite: true}, "detached": {Detached: true}} {
				message := signed(t, seedContent, []*Signer{signerOf(leaf, ca)}, o)
				if err := os.WriteFile(filepath.Join(signedSeeds, name+"-"+form), message, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, seed := range readSeeds(t) {
		got, s, err := verify(seed, seedOptions(name))
		if err != nil || len(s.Signers()) != 1 || !bytes.Equal(got, seedContent) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

var seedContent = []byte("Pay 10 to Bob")

func seedOptions(name string) *SignedOptions {
	if strings.HasSuffix(name, "detached") {
		return &SignedOptions{Content: bytes.NewReader(seedContent)}
	}
	return nil
}

func readSeeds(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := os.ReadDir(signedSeeds)
	if err != nil || len(files) == 0 {
		t.Fatalf("no seeds: %v", err)
	}
	seeds := map[string][]byte{}
	for _, f := range files {
		if seeds[f.Name()], err = os.ReadFile(filepath.Join(signedSeeds, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return seeds
}

// FuzzSignedData starts from good messages. A mutant may be valid only with
// the content, the attributes and the signer of one of them.
func FuzzSignedData(f *testing.F) {
	originals := map[string]bool{}
	for name, seed := range readSeeds(f) {
		_, s, err := verify(seed, seedOptions(name))
		if err != nil {
			f.Fatal(err)
		}
		originals[string(s.Signers()[0].signedAttrs)+string(s.Signers()[0].Certificate.Raw)] = true
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, o := range []*SignedOptions{nil, {Content: bytes.NewReader(seedContent)}} {
			got, s, err := verify(message, o)
			if err != nil || len(s.Signers()) == 0 {
				continue
			}
			if !bytes.Equal(got, seedContent) {
				t.Fatalf("valid with content %q", got)
			}
			for _, r := range s.Signers() {
				if !originals[string(r.signedAttrs)+string(r.Certificate.Raw)] {
					t.Fatal("valid with other attributes or another signer")
				}
			}
		}
	})
}

// FuzzEnvelopedData: no mutant of an authenticated message decrypts to another
// plaintext.
func FuzzEnvelopedData(f *testing.F) {
	ca := testca.New(f)
	leaves := []*testca.Leaf{ca.Leaf("a@example.com", testca.P256), ca.Leaf("b@example.com", testca.X25519), ca.Leaf("c@example.com", testca.RSA2048)}
	content := []byte("the plaintext of all of them")
	to, keys := recipients(f, leaves...)
	for _, o := range []*EncryptOptions{{Cipher: AES256GCM}, {Cipher: AES256CBC}, {Cipher: AES128GCM, Indefinite: true}, {Cipher: AES128GCM, ContentType: oid.SignedData}} {
		f.Add(encrypted(f, content, to, o))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := NewReader(bytes.NewReader(message), nil)
		if err != nil {
			return
		}
		e, err := r.EnvelopedData(keys)
		if err != nil {
			return
		}
		got, err := io.ReadAll(e)
		if err == nil && e.Authenticated() && !bytes.Equal(got, content) {
			t.Fatalf("authenticated other plaintext %q", got)
		}
	})
}
