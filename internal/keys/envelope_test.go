package keys

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const passphrase = "a passphrase of some length"

// secrets answers every question with the passphrase, and counts.
func secrets(answer string) (*Secrets, *int) {
	asked := 0
	return &Secrets{Ask: func(string, bool) ([]byte, error) { asked++; return []byte(answer), nil }}, &asked
}

func mldsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	generate, err := Generator("ml-dsa-65")
	if err != nil {
		t.Fatal(err)
	}
	key, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEncryptedFile(t *testing.T) {
	s, asked := secrets(passphrase)
	k := &Keys{Dir: t.TempDir(), Secrets: s}
	key := mldsaKey(t)
	uri, err := k.Create("a", key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Signer(uri)
	if err != nil {
		t.Fatal(err)
	}
	if !key.Public().(comparable).Equal(got.Public()) {
		t.Error("another key came back")
	}
	if *asked != 1 {
		t.Errorf("asked %d times for one passphrase", *asked)
	}
	if _, err := (&Keys{Dir: k.Dir}).Signer(uri); !errors.Is(err, ErrNoSecret) {
		t.Errorf("opened without a passphrase: %v", err)
	}
	wrong, asked := secrets("another passphrase")
	bad := &Keys{Dir: k.Dir, Secrets: wrong}
	for range 2 { // a slip is not kept
		if _, err := bad.Signer(uri); !errors.Is(err, ErrPassphrase) {
			t.Errorf("wrong passphrase: %v", err)
		}
	}
	if *asked != 2 {
		t.Errorf("asked %d times after a wrong passphrase", *asked)
	}
	short, _ := secrets("eleven char")
	if _, err := (&Keys{Dir: k.Dir, Secrets: short}).Create("b", key); err == nil || !strings.Contains(err.Error(), "12 characters") {
		t.Errorf("a short passphrase: %v", err)
	}
}

// Every octet before the ciphertext is authenticated, and so is the ciphertext.
func TestEnvelopeIsAuthentic(t *testing.T) {
	sealed, err := seal(rand.Reader, cost{minPasses, minMemory, 1}, []byte(passphrase), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("not encrypted")
	}
	passes, memory, lanes, salt, nonce := 8, 11, 13, 14, 14+saltSize
	for name, at := range map[string]int{
		"none": -1, "passes": passes, "memory": memory, "lanes": lanes, "salt": salt, "nonce": nonce,
		"ciphertext": envelopeHeader, "tag": len(sealed) - 1,
	} {
		changed := slices.Clone(sealed)
		if at >= 0 {
			changed[at]++
		}
		e, err := parseEnvelope(changed)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		plaintext, err := e.open([]byte(passphrase))
		if at < 0 && (err != nil || string(plaintext) != "secret") || at >= 0 && !errors.Is(err, ErrPassphrase) {
			t.Errorf("%s changed: %q, %v", name, plaintext, err)
		}
	}
	for _, at := range []int{0, 3, 4} {
		changed := slices.Clone(sealed)
		changed[at]++
		if _, err := parseEnvelope(changed); !errors.Is(err, ErrEnvelope) {
			t.Errorf("octet %d changed: %v", at, err)
		}
	}
}

// A hostile file asks for no more than the limits, a weak one is not taken.
func TestCostLimits(t *testing.T) {
	good := cost{minPasses, minMemory, minLanes}
	for name, tt := range map[string]struct {
		change func(*cost)
		ok     bool
	}{
		"lowest":      {func(*cost) {}, true},
		"highest":     {func(c *cost) { *c = cost{maxPasses, maxMemory, maxLanes} }, true},
		"written":     {func(c *cost) { *c = writtenCost }, true},
		"few passes":  {func(c *cost) { c.passes = minPasses - 1 }, false},
		"many passes": {func(c *cost) { c.passes = maxPasses + 1 }, false},
		"low memory":  {func(c *cost) { c.memory = minMemory - 1 }, false},
		"all memory":  {func(c *cost) { c.memory = maxMemory + 1 }, false},
		"no lanes":    {func(c *cost) { c.lanes = 0 }, false},
		"many lanes":  {func(c *cost) { c.lanes = maxLanes + 1 }, false},
	} {
		c := good
		tt.change(&c)
		if err := c.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(envelopeMagic + "\x01\x00\x00\x00\x03\x00\x01\x00\x00\x04" + strings.Repeat("s", saltSize+nonceSize) + "ciphertext"))
	f.Add([]byte(envelopeMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data)
		if err != nil {
			if !errors.Is(err, ErrEnvelope) {
				t.Errorf("%v is not ErrEnvelope", err)
			}
			return
		}
		if e.cost.check() != nil || len(e.salt) != saltSize || len(e.nonce) != nonceSize {
			t.Errorf("%+v was let through", e)
		}
		if !bytes.Equal(append(slices.Clone(e.header), e.ciphertext...), data) {
			t.Error("what is authenticated and what is encrypted are not all of the file")
		}
	})
}

// The passphrase of a file stands before systemd's, and that before a person.
func TestSecretSources(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ask := func(string, bool) ([]byte, error) { return []byte("from a person"), nil }
	file := write("file", "from a file\nsecond line\n", 0o600)
	credentials := &Secrets{Credentials: dir, Ask: ask}
	if got, err := credentials.Passphrase("x", false); string(got) != "from a person" {
		t.Errorf("no credential: %q, %v", got, err)
	}
	credentials = &Secrets{Credentials: dir, Ask: ask}
	write(PassphraseCredential, "from systemd\r\n", 0o440)
	write(PINCredential, "1234", 0o400)
	for _, tt := range []struct {
		secrets *Secrets
		want    string
	}{{&Secrets{PassphraseFile: file, Credentials: dir, Ask: ask}, "from a file"}, {credentials, "from systemd"}, {&Secrets{Ask: ask}, "from a person"}} {
		if got, err := tt.secrets.Passphrase("x", false); err != nil || string(got) != tt.want {
			t.Errorf("%q, %v, want %q", got, err, tt.want)
		}
	}
	if got, err := credentials.PIN("x"); string(got) != "1234" || err != nil {
		t.Errorf("PIN %q, %v", got, err)
	}
	if _, err := (&Secrets{}).Passphrase("x", false); !errors.Is(err, ErrNoSecret) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := (&Secrets{}).PIN("x"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("nobody there: %v", err)
	}
	for name, bad := range map[string]string{
		"readable": write("readable", "x", 0o644), "empty": write("empty", "\n", 0o600),
		"long": write("long", strings.Repeat("x", maxSecret+1), 0o600), "missing": filepath.Join(dir, "missing"), "folder": dir,
	} {
		if got, err := (&Secrets{PassphraseFile: bad, Ask: ask, Credentials: filepath.Join(dir, "elsewhere")}).Passphrase("x", false); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPEMHeadersAreRefused(t *testing.T) {
	k := &Keys{Dir: t.TempDir(), Plaintext: true}
	block := &pem.Block{Type: envelopeType, Bytes: []byte("x"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}}
	if _, err := k.decode("a", pem.EncodeToMemory(block)); err == nil || !strings.Contains(err.Error(), "not one PEM block") {
		t.Errorf("headers: %v", err)
	}
}

// Another passphrase opens all keys from then on; a wrong one changes nothing, and
// what was interrupted is finished.
func TestChangePassphrase(t *testing.T) {
	with := func(text string) *Secrets { s, _ := secrets(text); return s }
	k := &Keys{Dir: t.TempDir(), Secrets: with(passphrase)}
	key := mldsaKey(t)
	first, err := k.Create("a", key)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Create("b", key)
	if err != nil {
		t.Fatal(err)
	}
	const other = "another passphrase"
	opens := func(uri, text string) bool {
		t.Helper()
		got, err := (&Keys{Dir: k.Dir, Secrets: with(text)}).Signer(uri)
		return err == nil && key.Public().(comparable).Equal(got.Public())
	}
	if n, err := (&Keys{Dir: k.Dir, Secrets: with("a wrong passphrase")}).ChangePassphrase(with(other)); !errors.Is(err, ErrPassphrase) || n != 0 {
		t.Errorf("the wrong passphrase: %d files, %v", n, err)
	}
	if _, err := k.ChangePassphrase(with("too short")); err == nil {
		t.Error("a short passphrase")
	}
	// One of the two is done already.
	half := filepath.Join(k.Dir, "keys", "b.pem")
	before, err := os.ReadFile(half)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := k.ChangePassphrase(with(other)); n != 2 || err != nil {
		t.Fatalf("%d files, %v", n, err)
	}
	if err := os.WriteFile(half, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := k.ChangePassphrase(with(other)); n != 1 || err != nil {
		t.Fatalf("the rest: %d files, %v", n, err)
	}
	for _, uri := range []string{first, second} {
		if !opens(uri, other) || opens(uri, passphrase) {
			t.Errorf("%s is not under the new passphrase alone", uri)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(k.Dir, "keys", "*.pem.*")); len(left) != 0 {
		t.Errorf("temporary files left: %v", left)
	}
	if _, err := (&Keys{Dir: t.TempDir(), Secrets: with(passphrase)}).ChangePassphrase(with(other)); err == nil {
		t.Error("an empty folder")
	}
}
