package interop

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/testca"
)

// gpgsm is GnuPG's S/MIME program, behind KMail, Claws Mail and git.
type gpgsm struct {
	path, dir string
}

func newGPGSM(t testing.TB, ca *testca.CA, parties []*party) *gpgsm {
	g := &gpgsm{path: tool(t, "gpgsm", "gpgsm")}
	// A short path: gpg-agent's socket lives there and must fit 108 octets.
	var err error
	if g.dir, err = os.MkdirTemp("", "gpgsm"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// gpgconf answers when the agent is gone; its own exit status adds nothing.
		_ = exec.Command("gpgconf", "--homedir", g.dir, "--kill", "all").Run()
		os.RemoveAll(g.dir)
	})
	root := sha1.Sum(ca.Root.Certificate.Raw) // trustlist.txt names roots so
	put(t, g.dir, "trustlist.txt", []byte(hex.EncodeToString(root[:])+" S relax\n"))
	put(t, g.dir, "gpg-agent.conf", []byte("allow-loopback-pinentry\n"))
	for _, c := range append(parties[0].leaf.Chain, ca.Root.Certificate) {
		g.must(t, c.PEM(), "--import")
	}
	for _, p := range parties {
		if !g.can(signs, p.kind) {
			continue
		}
		path := put(t, g.dir, p.name+".p12", p.pkcs12(t, "passphrase"))
		g.must(t, []byte("passphrase\n"), "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import", path)
	}
	return g
}

func (g *gpgsm) run(t testing.TB, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	common := []string{"--homedir", g.dir, "--batch", "--no-tty", "--disable-crl-checks", "--disable-dirmngr"}
	return call(t, g.dir, stdin, nil, g.path, append(common, args...)...)
}

func (g *gpgsm) must(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := g.run(t, stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// can: gpgsm 2.2 ends with a segmentation fault when it imports an EC key, so
// that it can neither sign nor decrypt with one.
func (g *gpgsm) can(op operation, kind testca.Kind) bool {
	return isRSA(kind) || op == verifies
}

func isRSA(kind testca.Kind) bool { return kind == testca.RSA2048 || kind == testca.RSA3072 }

// ciphers: gpgsm 2.2 knows CBC alone.
func (g *gpgsm) ciphers() []cms.Cipher { return []cms.Cipher{cms.AES128CBC, cms.AES256CBC} }

// unlocked runs gpgsm on input with the passphrase that protects the imported
// keys on standard input.
func (g *gpgsm) unlocked(t testing.TB, input []byte, args ...string) ([]byte, error) {
	t.Helper()
	args = append([]string{"--pinentry-mode", "loopback", "--passphrase-fd", "0"}, args...)
	return g.run(t, []byte("passphrase\n"), append(args, put(t, g.dir, "input", input))...)
}

func (g *gpgsm) sign(t testing.TB, p *party, content []byte, detached bool) []byte {
	t.Helper()
	args := []string{"--sign", "-u", p.email, "--digest-algo", "SHA256"}
	if detached {
		args[0] = "--detach-sign"
	}
	out, err := g.unlocked(t, content, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (g *gpgsm) verify(t testing.TB, message, content []byte) ([]byte, error) {
	t.Helper()
	out := g.dir + "/verified"
	os.Remove(out)
	args := []string{"--status-fd", "1", "--output", out, "--verify", put(t, g.dir, "message", message)}
	if content != nil {
		args = append(args, put(t, g.dir, "content", content))
	}
	status, err := g.run(t, nil, args...)
	if err == nil && !strings.Contains(string(status), "TRUST_FULLY") {
		err = fmt.Errorf("gpgsm does not trust the signature:\n%s", status)
	}
	if err != nil || content != nil {
		return nil, err
	}
	return get(t, out), nil
}

func (g *gpgsm) encrypt(t testing.TB, to []*party, content []byte, c cms.Cipher) []byte {
	t.Helper()
	args := []string{"--encrypt", "--cipher-algo", map[cms.Cipher]string{cms.AES128CBC: "AES", cms.AES256CBC: "AES256"}[c]}
	for _, p := range to {
		args = append(args, "-r", p.email)
	}
	return g.must(t, content, args...)
}

func (g *gpgsm) decrypt(t testing.TB, _ *party, message []byte) ([]byte, error) {
	t.Helper()
	return g.unlocked(t, message, "--decrypt")
}

func TestGPGSM(t *testing.T) {
	t.Parallel()
	ca := testca.New(t, validNow())
	all := parties(ca)
	exchange(t, newGPGSM(t, ca, all), all)
}
