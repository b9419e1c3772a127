package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type comparable interface{ Equal(crypto.PublicKey) bool }

func TestRoundTrip(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := &Keys{Dir: t.TempDir(), Plaintext: true}
	for name, key := range map[string]crypto.Signer{"ec": ec, "rsa": r, "ed": ed} {
		uri, err := k.Create(name, key)
		if err != nil {
			t.Fatal(err)
		}
		if uri != "file:keys/"+name+".pem" {
			t.Errorf("uri %q names more than the place inside the folder", uri)
		}
		got, err := k.Signer(uri)
		if err != nil {
			t.Fatal(err)
		}
		if !key.Public().(comparable).Equal(got.Public()) {
			t.Errorf("%s: another key came back", name)
		}
		info, err := os.Stat(filepath.Join(k.Dir, "keys", name+".pem"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v, want 0600", name, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(k.Dir, "keys", "*.pem.*")); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestRefusals(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	k := &Keys{Dir: dir, Plaintext: true}
	uri, err := k.Create("a", key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Create("a", key); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second key of the same name: %v, want %v", err, fs.ErrExist)
	}
	for _, name := range []string{"", "../b", "b/c", "B", "-b", "b.pem", "b\x00"} {
		if _, err := k.Create(name, key); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}

	strict := &Keys{Dir: dir}
	if _, err := strict.Signer(uri); !errors.Is(err, ErrPlaintext) {
		t.Errorf("unencrypted key without --dev: %v, want %v", err, ErrPlaintext)
	}
	if _, err := strict.Create("b", key); !errors.Is(err, ErrPlaintext) {
		t.Errorf("new unencrypted key without --dev: %v, want %v", err, ErrPlaintext)
	}
	if _, err := k.Signer("vault:token=secret"); !errors.Is(err, ErrScheme) || strings.Contains(err.Error(), "secret") {
		t.Errorf("unknown scheme: %v, want %v and nothing secret", err, ErrScheme)
	}

	file := filepath.Join(dir, "keys", "a.pem")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside.pem")
	if err := os.WriteFile(outside, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "keys", "link.pem")); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"file:keys/link.pem", "file:" + outside, "file:../outside.pem", "file:keys", "file:", "file:keys/none.pem"} {
		if _, err := k.Signer(bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Signer(uri); err == nil {
		t.Error("a key file that others can read was opened")
	}
	for name, content := range map[string][]byte{"empty": nil, "twice": append(data, data...), "junk": []byte("junk"), "cut": data[:len(data)/2]} {
		if err := os.WriteFile(filepath.Join(dir, "keys", name+".pem"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Signer("file:keys/" + name + ".pem"); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

// FuzzDecode: no file makes a signer that is none.
func FuzzDecode(f *testing.F) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	k := &Keys{Dir: f.TempDir(), Plaintext: true}
	if _, err := k.Create("a", key); err != nil {
		f.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(k.Dir, "keys", "a.pem"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN MAILSEAL ENCRYPTED KEY-----\nTVNLAQEAAAADAAEAAAQ=\n-----END MAILSEAL ENCRYPTED KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		signer, err := k.decode("a", data)
		if (err == nil) != (signer != nil) || err == nil && signer.Public() == nil {
			t.Errorf("signer %v, %v", signer, err)
		}
	})
}
