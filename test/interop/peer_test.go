// Package interop holds mailseal to software that we did not write: OpenSSL,
// gpgsm and NSS sign, verify, encrypt and decrypt against it, each algorithm
// that the peer knows, both directions.
package interop

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/testca"
)

// peerTimeout is for one call of a peer; gpg-agent takes a second or two.
const peerTimeout = 60 * time.Second

// tool returns the path of a peer's program. In CI a missing one fails the
// test; elsewhere the test is skipped with a hint.
func tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: install Debian's package %s", name, debianPackage)
	}
	t.Skipf("%s is missing: install Debian's package %s (make test does)", name, debianPackage)
	return ""
}

// call runs a program and returns what it wrote. An error carries its
// messages.
func call(t testing.TB, dir string, stdin []byte, env []string, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), peerTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, messages bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &messages
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, messages.Bytes())
	}
	return out.Bytes(), nil
}

// party is one person with a certificate, in every form that peers take.
type party struct {
	name, email string
	kind        testca.Kind
	leaf        *testca.Leaf
	ca          *testca.CA
}

// validNow makes certificates that peers, who read the machine's clock, find
// valid.
func validNow() testca.Option {
	return testca.Validity(time.Now().Add(-24*time.Hour), time.Now().Add(30*24*time.Hour))
}

func newParty(ca *testca.CA, name string, kind testca.Kind) *party {
	email := name + "@example.com"
	return &party{name: name, email: email, kind: kind, ca: ca, leaf: ca.Leaf(email, kind, validNow())}
}

func (p *party) signer() *cms.Signer {
	return &cms.Signer{Key: p.leaf.Signer(), Certificate: p.leaf.Certificate, Chain: p.leaf.Chain}
}

func (p *party) recipient(t testing.TB) *cms.Recipient {
	t.Helper()
	r, err := cms.NewRecipient(p.leaf.Certificate, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *party) key() *cms.RecipientKey {
	return &cms.RecipientKey{Key: p.leaf.Key, Certificate: p.leaf.Certificate}
}

func (p *party) keyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := identity.MarshalPrivateKey(p.leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// pkcs12 is in the form that gpgsm 2.2 reads too.
func (p *party) pkcs12(t testing.TB, passphrase string) []byte {
	t.Helper()
	out, err := identity.EncodePKCS12(
		[]*identity.Identity{{Key: p.leaf.Key, Certificate: p.leaf.Certificate, Chain: p.leaf.Chain, Label: p.name}},
		[]byte(passphrase), &identity.PKCS12Options{Compatible: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func put(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func get(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// peer is software that reads and writes CMS. Verify and Decrypt return the
// content, and an error when the peer refuses the message.
type peer interface {
	can(op operation, kind testca.Kind) bool
	ciphers() []cms.Cipher
	sign(t testing.TB, p *party, content []byte, detached bool) []byte
	verify(t testing.TB, message, detachedContent []byte) ([]byte, error)
	encrypt(t testing.TB, to []*party, content []byte, c cms.Cipher) []byte
	decrypt(t testing.TB, p *party, message []byte) ([]byte, error)
}

// operation is what a peer can do with a kind of key.
type operation string

const (
	signs    operation = "sign"
	verifies operation = "verify"
	encrypts operation = "encrypt"
	decrypts operation = "decrypt"
)

func ourSign(t testing.TB, p *party, content []byte, detached bool) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := cms.Sign(&out, []*cms.Signer{p.signer()}, &cms.SignOptions{Detached: detached, Time: time.Now()})
	return finish(t, &out, w, err, content)
}

func ourEncrypt(t testing.TB, to []*party, content []byte, o *cms.EncryptOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	var recipients []*cms.Recipient
	for _, p := range to {
		recipients = append(recipients, p.recipient(t))
	}
	w, err := cms.Encrypt(&out, recipients, o)
	return finish(t, &out, w, err, content)
}

func finish(t testing.TB, out *bytes.Buffer, w io.WriteCloser, err error, content []byte) []byte {
	t.Helper()
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func ourVerify(message, detachedContent []byte, p *party) ([]byte, error) {
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		return nil, err
	}
	o := &cms.SignedOptions{}
	if detachedContent != nil {
		o.Content = bytes.NewReader(detachedContent)
	}
	s, err := r.SignedData(o)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(s)
	if err != nil {
		return nil, err
	}
	if len(s.Signers()) != 1 || !s.Signers()[0].Certificate.Equal(p.leaf.Certificate) {
		return nil, fmt.Errorf("signers %v", s.Signers())
	}
	return content, nil
}

func ourDecrypt(message []byte, p *party) ([]byte, error) {
	r, err := cms.NewReader(bytes.NewReader(message), nil)
	if err != nil {
		return nil, err
	}
	e, err := r.EnvelopedData([]*cms.RecipientKey{p.key()})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(e)
}
