package interop

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

// bouncyCastle is the library of Java mail programs and of many gateways,
// driven by testdata/BouncyCastle.java in one process.
type bouncyCastle struct {
	requests io.Writer
	answers  *bufio.Reader
}

func newBouncyCastle(t testing.TB) *bouncyCastle {
	t.Helper()
	javac, java := tool(t, "javac", "default-jdk-headless"), tool(t, "java", "default-jdk-headless")
	classes := t.TempDir()
	jars := []string{classes}
	for jar, debian := range map[string]string{"bcprov": "libbcprov-java", "bcpkix": "libbcpkix-java", "bcutil": "libbcutil-java"} {
		jars = append(jars, debianFile(t, "/usr/share/java/"+jar+".jar", debian))
	}
	path := strings.Join(jars, string(os.PathListSeparator))
	if _, err := call(t, ".", nil, nil, javac, "-cp", path, "-d", classes, filepath.Join("testdata", "BouncyCastle.java")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), java, "-cp", path, "BouncyCastle")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // ends it
		_ = cmd.Wait()
	})
	return &bouncyCastle{in, bufio.NewReader(out)}
}

// debianFile is tool for a file.
func debianFile(t testing.TB, path, debianPackage string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: install Debian's package %s", path, debianPackage)
		}
		t.Skipf("%s is missing: install Debian's package %s (make test does)", path, debianPackage)
	}
	return path
}

func (b *bouncyCastle) ask(t testing.TB, operation string, fields ...[]byte) ([]byte, error) {
	t.Helper()
	line := operation
	for _, f := range fields {
		line += " " + base64.StdEncoding.EncodeToString(f)
	}
	if _, err := io.WriteString(b.requests, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := b.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	word, rest, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
	result, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		t.Fatal(err)
	}
	if word != "ok" {
		return nil, errors.New("Bouncy Castle: " + string(result))
	}
	return result, nil
}

// flag is a field that says yes or no.
func flag(yes bool) []byte {
	if yes {
		return []byte{1}
	}
	return nil
}

func pkcs8(t testing.TB, p *party) []byte {
	t.Helper()
	der, err := identity.MarshalPrivateKey(p.leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (b *bouncyCastle) can(operation, testca.Kind) bool { return true }

// ciphers: what Bouncy Castle 1.72 opens to any key. Authenticated ciphers it
// opens with RSA alone, which the matrix shows.
func (b *bouncyCastle) ciphers() []cms.Cipher {
	return []cms.Cipher{cms.AES128CBC, cms.AES192CBC, cms.AES256CBC}
}

func (b *bouncyCastle) sign(t testing.TB, p *party, content []byte, detached bool) []byte {
	t.Helper()
	name := map[testca.Kind]string{testca.P256: "SHA256withECDSA", testca.P384: "SHA384withECDSA"}[p.kind]
	if isRSA(p.kind) {
		name = "SHA256withRSA"
	}
	out, err := b.ask(t, "sign", p.leaf.Certificate.Raw, pkcs8(t, p), []byte(name), flag(detached), content)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bouncyCastle) verify(t testing.TB, message, content []byte) ([]byte, error) {
	t.Helper()
	return b.ask(t, "verify", message, flag(content != nil), content)
}

// way names how the key gets to the party, for the driver.
func way(kind testca.Kind) string {
	switch {
	case isRSA(kind):
		return "rsa"
	case kind == testca.X25519:
		return string(oid.ECDHHKDFSHA256)
	case kind == testca.X448:
		return string(oid.ECDHHKDFSHA512)
	}
	return string(oid.ECDHStdSHA256KDF)
}

func (b *bouncyCastle) encrypt(t testing.TB, to []*party, content []byte, c cms.Cipher) []byte {
	t.Helper()
	out, err := b.ask(t, "encrypt", []byte(way(to[0].kind)), to[0].leaf.Certificate.Raw, []byte(c), content)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bouncyCastle) decrypt(t testing.TB, p *party, message []byte) ([]byte, error) {
	t.Helper()
	return b.ask(t, "decrypt", []byte(way(p.kind)), nil, pkcs8(t, p), message)
}

func TestBouncyCastle(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	exchange(t, newBouncyCastle(t), parties(ca))
}
