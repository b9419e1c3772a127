package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// built is the folder of the real program, once a test has asked for it.
var built string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mailseal-program")
	if err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "mailseal"), "github.com/mailseal/mailseal/cmd/mailseal").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return dir, os.Symlink("mailseal", filepath.Join(dir, "mailseal-git"))
})

// program returns the path of mailseal under one of its names.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatalf("build mailseal: %v\n%s", err, dir)
	}
	return filepath.Join(dir, name)
}

func TestMain(m *testing.M) {
	exit := m.Run()
	os.RemoveAll(built)
	os.Exit(exit)
}

// mailsealHome makes a folder MAILSEAL_HOME: a key store with one person's key, under
// the passphrase "passphrase", and the roots that are trusted.
func mailsealHome(t testing.TB, home string, p *party, roots ...[]byte) string {
	t.Helper()
	trust := filepath.Join(home, "trust")
	if err := os.MkdirAll(trust, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, root := range roots {
		put(t, trust, fmt.Sprintf("%d.pem", i), root)
	}
	store, err := identity.OpenStore(filepath.Join(home, "identities"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := mailbox.Parse(p.email)
	if err != nil {
		t.Fatal(err)
	}
	id := &identity.Identity{Key: p.leaf.Key, Certificate: p.leaf.Certificate, Chain: p.leaf.Chain}
	if err := store.Put(address, id, []byte("passphrase")); err != nil {
		t.Fatal(err)
	}
	return home
}
