package identity

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/testca"
)

func address(t testing.TB, s string) mailbox.Mailbox {
	t.Helper()
	m, err := mailbox.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func openStore(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	s.iterations = fast
	return s
}

// What the store writes costs a guess as much as it should.
func TestStoreIterations(t *testing.T) {
	if testing.Short() {
		t.Skip("600,000 iterations: not in the short run")
	}
	leaf := testca.New(t).Leaf("alice@example.com", testca.P256)
	s, err := OpenStore(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "alice@example.com", identityOf(leaf, ""), "secret")
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DescribePKCS12(readFile(t, entries[0].path))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.MAC, " 600000 iterations") || !strings.Contains(got.Parts[1].Bags[0].Encryption, " 600000 iterations") {
		t.Errorf("%+v", got)
	}
}

func put(t *testing.T, s *Store, addr string, id *Identity, pass string) {
	t.Helper()
	if err := s.Put(address(t, addr), id, []byte(pass)); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	ca := testca.New(t)
	current := identityOf(ca.Leaf("alice@example.com", testca.P256), "Alice")
	old := identityOf(ca.Leaf("alice@example.com", testca.RSA2048, testca.Expired()), "Alice")
	bob := identityOf(ca.Leaf("bob@example.com", testca.P256), "Bob")
	s := openStore(t)
	put(t, s, "alice@example.com", old, "secret")
	put(t, s, "alice@example.com", current, "secret")
	put(t, s, "bob@example.com", bob, "other")
	put(t, s, "bob@example.com", bob, "other") // again: the same file

	ids, err := s.Get(address(t, "Alice@EXAMPLE.com"), passphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 {
		t.Fatalf("%d identities", len(ids))
	}
	sameIdentity(t, ids[0], current)
	sameIdentity(t, ids[1], old)

	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 || !entries[0].Certificate.Equal(current.Certificate) || len(entries[0].Chain) != 1 {
		t.Fatalf("%d entries", len(entries))
	}
	certs, err := s.Certificates(address(t, "bob@example.com"))
	if err != nil || len(certs) != 1 || !certs[0].Equal(bob.Certificate) {
		t.Errorf("certificates of bob: %d, %v", len(certs), err)
	}
	if _, err := s.Get(address(t, "carol@example.com"), nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("carol: %v", err)
	}
	if _, err := s.Get(address(t, "bob@example.com"), passphrase("secret")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}

	if err := s.Remove(entries[0]); err != nil {
		t.Fatal(err)
	}
	ids, err = s.Get(address(t, "alice@example.com"), passphrase("secret"))
	if err != nil || len(ids) != 1 {
		t.Errorf("after Remove: %d, %v", len(ids), err)
	}
}

// An old identity under a forgotten passphrase does not keep the others shut.
func TestStoreTwoPassphrases(t *testing.T) {
	ca := testca.New(t)
	current := identityOf(ca.Leaf("alice@example.com", testca.P256), "")
	s := openStore(t)
	put(t, s, "alice@example.com", identityOf(ca.Leaf("alice@example.com", testca.RSA2048), ""), "forgotten")
	put(t, s, "alice@example.com", current, "secret")
	ids, err := s.Get(address(t, "alice@example.com"), passphrase("secret"))
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d, %v", len(ids), err)
	}
	sameIdentity(t, ids[0], current)
}

// A damaged file is named, and hides no other.
func TestStoreDamagedFile(t *testing.T) {
	ca := testca.New(t)
	s := openStore(t)
	put(t, s, "alice@example.com", identityOf(ca.Leaf("alice@example.com", testca.P256), ""), "secret")
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(entries[0].path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	alice := address(t, "alice@example.com")
	if _, err := s.Get(alice, passphrase("secret")); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), filepath.Base(entries[0].path)) {
		t.Errorf("damaged alone: %v", err)
	}
	current := identityOf(ca.Leaf("alice@example.com", testca.RSA2048), "")
	put(t, s, "alice@example.com", current, "secret")
	ids, err := s.Get(alice, passphrase("secret"))
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d, %v", len(ids), err)
	}
	sameIdentity(t, ids[0], current)
	entries, err = s.List()
	if err != nil || len(entries) != 2 || entries[0].Defect != nil || !errors.Is(entries[1].Defect, ErrMalformed) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

// A certificate for several addresses is found under each.
func TestStoreAlias(t *testing.T) {
	ca := testca.New(t)
	id := identityOf(ca.Leaf("", testca.P256, testca.Emails("alice@example.com", "a.liddell@example.com")), "")
	s := openStore(t)
	put(t, s, "alice@example.com", id, "secret")
	if found, err := s.Find(address(t, "A.Liddell@example.com")); err != nil || len(found) != 1 {
		t.Errorf("%d, %v", len(found), err)
	}
}

func TestStorePending(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("alice@example.com", testca.P256)
	alice := address(t, "alice@example.com")
	s := openStore(t)
	if err := s.PutPending(alice, leaf.Key, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Find(alice)
	if err != nil || len(entries) != 1 || !entries[0].Pending || entries[0].Certificate != nil {
		t.Fatalf("%+v, %v", entries, err)
	}
	for name, err := range map[string]error{
		"Get":          second(s.Get(alice, passphrase("secret"))),
		"Certificates": second(s.Certificates(alice)),
		"Complete":     second(s.Complete([]*cert.Certificate{ca.Root.Certificate}, passphrase("secret"))),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s before the certificate: %v", name, err)
		}
	}

	certs := []*cert.Certificate{ca.Issuing.Certificate, leaf.Certificate}
	if _, err := s.Complete(certs, passphrase("Secret")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	done, err := s.Complete(certs, passphrase("secret"))
	if err != nil || len(done) != 1 || done[0].Renewed || !done[0].Address.Equal(alice) {
		t.Fatalf("%+v, %v", done, err)
	}
	sameIdentity(t, done[0].Identity, identityOf(leaf, ""))
	ids, err := s.Get(alice, passphrase("secret"))
	if err != nil || len(ids) != 1 {
		t.Fatalf("%d, %v", len(ids), err)
	}
	sameIdentity(t, ids[0], identityOf(leaf, ""))
	if entries, err := s.List(); err != nil || len(entries) != 1 {
		t.Errorf("the pending key is still there: %d, %v", len(entries), err)
	}
}

// One file brings the certificates of two keys; a renewed certificate for a key
// stays beside the old one; the issuing certificate may come later.
func TestStoreComplete(t *testing.T) {
	ca := testca.New(t)
	alice := address(t, "alice@example.com")
	s := openStore(t)
	signing := ca.Leaf("alice@example.com", testca.P256)
	encryption := ca.Leaf("alice@example.com", testca.RSA2048)
	for _, leaf := range []*testca.Leaf{signing, encryption} {
		if err := s.PutPending(alice, leaf.Key, []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	complete := func(certs ...*cert.Certificate) []*Completed {
		t.Helper()
		done, err := s.Complete(certs, passphrase("secret"))
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	asked := 0
	done, err := s.Complete([]*cert.Certificate{signing.Certificate, encryption.Certificate}, func() ([]byte, error) {
		asked++
		return []byte("secret"), nil
	})
	if err != nil || len(done) != 2 || asked != 1 {
		t.Fatalf("%d done, asked %d times, %v", len(done), asked, err)
	}
	if done := complete(signing.Certificate, ca.Issuing.Certificate); len(done) != 1 || len(done[0].Identity.Chain) != 1 {
		t.Errorf("%d done", len(done))
	}
	if _, err := s.Complete([]*cert.Certificate{signing.Certificate}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing new: %v", err)
	}
	renewed := ca.Leaf("alice@example.com", testca.P256) // testca keeps the key of an address
	if done := complete(renewed.Certificate); len(done) != 1 || !done[0].Renewed {
		t.Errorf("%d done", len(done))
	}
	ids, err := s.Get(alice, passphrase("secret"))
	if err != nil || len(ids) != 3 {
		t.Fatalf("%d identities, %v", len(ids), err)
	}
	for _, id := range ids {
		if id.Certificate.Equal(signing.Certificate) && len(id.Chain) != 1 {
			t.Error("the chain that came later is not there")
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestStoreFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no Unix permissions here")
	}
	s := openStore(t)
	put(t, s, "alice@example.com", identityOf(testca.New(t).Leaf("alice@example.com", testca.P256), ""), "secret")
	files, err := os.ReadDir(s.dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v: temporary files must not stay", len(files), err)
	}
	if name := files[0].Name(); !strings.HasPrefix(name, "alice@example.com~") || !strings.HasSuffix(name, ".p12") {
		t.Errorf("file %s", name)
	}
	info, err := files[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(s.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v, %v", info.Mode(), err)
	}

	// Whatever else is in the folder is left alone.
	if err := os.WriteFile(filepath.Join(s.dir, "notes.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if entries, err := s.List(); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}

	if err := os.Chmod(s.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(s.dir); err == nil {
		t.Error("a folder that others may enter was opened")
	}
}

// The certificates in clear text are shown, not trusted: an entry whose file was
// exchanged after it was listed does not open as another identity.
func TestStoreExchangedFile(t *testing.T) {
	ca := testca.New(t)
	s := openStore(t)
	put(t, s, "alice@example.com", identityOf(ca.Leaf("alice@example.com", testca.P256), ""), "secret")
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	other := encode(t, []*Identity{identityOf(ca.Leaf("bob@example.com", testca.P256), "")}, "secret", PKCS12Options{})
	if err := os.WriteFile(entries[0].path, other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := entries[0].Open(passphrase("secret")); !errors.Is(err, ErrNoKey) {
		t.Errorf("opened with %v", err)
	}
	data := readFile(t, entries[0].path)
	if err := os.WriteFile(entries[0].path, bytes.Replace(data, []byte{0x30}, []byte{0x31}, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := entries[0].Open(passphrase("secret")); !errors.Is(err, ErrMalformed) {
		t.Errorf("damaged file opened with %v", err)
	}
}

func TestFileName(t *testing.T) {
	for addr, want := range map[string]string{
		"Alice@Example.COM":           "alice@example.com",
		"a.b+tag@example.org":         "a.b+tag@example.org",
		"o'neil@example.org":          "o%27neil@example.org",
		"-rf@example.org":             "%2Drf@example.org",
		"a/b@example.org":             "a%2Fb@example.org",
		"a~b%c@xn--bcher-kva.example": "", // percent is refused by mailbox
		`"a b"@example.org`:           "",
		"müller@example.org":          "m%C3%BCller@example.org",
	} {
		m, err := mailbox.Parse(addr)
		if err != nil {
			continue // what is no mailbox is never stored
		}
		name, err := fileName(m, strings.Repeat("0", idLength), identityExt)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if want != "" && name != want+"~0000000000000000.p12" {
			t.Errorf("%s: %s", addr, name)
		}
		back, id, ext, ok := parseFileName(name, identityExt, pendingExt)
		if !ok || !back.Equal(m) || id != strings.Repeat("0", idLength) || ext != identityExt {
			t.Errorf("%s came back as %s %s %s %v", addr, back, id, ext, ok)
		}
	}
	for _, name := range []string{"", "alice@example.com.p12", "alice@example.com~xyz.p12", "Alice@example.com~0000000000000000.p12",
		"alice@example.com~0000000000000000.txt", "%6@example.com~0000000000000000.p12", "..~0000000000000000.p12"} {
		if _, _, _, ok := parseFileName(name, identityExt, pendingExt); ok {
			t.Errorf("%q is taken for a file of the store", name)
		}
	}
	long := address(t, strings.Repeat("ü", 30)+"@"+strings.Repeat("a.", 20)+"example.org")
	if _, err := fileName(long, "", ""); !errors.Is(err, errLongAddress) {
		t.Errorf("long address: %v", err)
	}
}

func FuzzParseFileName(f *testing.F) {
	f.Add("alice@example.com~0000000000000000.p12")
	f.Add("m%C3%BCller@example.org~0123456789abcdef.key")
	f.Fuzz(func(t *testing.T, name string) {
		m, id, ext, ok := parseFileName(name, identityExt, pendingExt)
		if !ok {
			return
		}
		again, err := fileName(m, id, ext)
		if err == nil && again != name {
			t.Fatalf("%q came back as %q", name, again)
		}
		if strings.ContainsAny(again, "/\\:\x00") {
			t.Fatalf("%q is no safe file name", again)
		}
	})
}
