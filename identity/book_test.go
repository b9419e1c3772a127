package identity

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
)

func openBook(t testing.TB) *Book {
	t.Helper()
	b, err := OpenBook(filepath.Join(t.TempDir(), "book"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var aes = []oid.AlgorithmIdentifier{{Algorithm: oid.AES256CBC}}

// told is what a mail that was signed days after Now tells of a certificate.
func told(t testing.TB, l *testca.Leaf, days int) *Contact {
	t.Helper()
	return &Contact{
		Address: address(t, "alice@example.com"), Certificate: l.Certificate, Chain: l.Chain, Capabilities: aes,
		Signed: testca.Now.AddDate(0, 0, days), Learned: testca.Now.AddDate(0, 0, days),
	}
}

func learn(t testing.TB, b *Book, c *Contact, want Change) {
	t.Helper()
	if got, err := b.Learn(c); err != nil || got != want {
		t.Fatalf("change %d, want %d: %v", got, want, err)
	}
}

// contacts says which certificates of Alice's there are, pending ones in brackets.
func contacts(t testing.TB, b *Book, names map[string]*testca.Leaf) string {
	t.Helper()
	found, err := b.Find(address(t, "Alice@example.com"))
	if err != nil && !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	var out []string
	for _, c := range found {
		name := "?"
		for n, l := range names {
			if l.Certificate.Equal(c.Certificate) {
				name = n
			}
		}
		if c.Pending {
			name = "(" + name + ")"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// TestBookLearns: a key is added, confirmed and renewed by newer mail alone;
// another key waits.
func TestBookLearns(t *testing.T) {
	ca := testca.New(t)
	first := ca.Leaf("alice@example.com", testca.P256)
	renewed := ca.Leaf("alice@example.com", testca.P256, testca.Validity(testca.Now, testca.Now.AddDate(3, 0, 0))) // the same key
	second, third := ca.Leaf("alice@example.com", testca.RSA2048), ca.Leaf("alice@example.com", testca.P384)
	names := map[string]*testca.Leaf{"first": first, "renewed": renewed, "second": second, "third": third}
	b := openBook(t)
	is := func(want string) {
		t.Helper()
		if got := contacts(t, b, names); got != want {
			t.Fatalf("book has %q, want %q", got, want)
		}
	}
	is("")
	learn(t, b, told(t, first, 0), Added)
	learn(t, b, told(t, first, 0), Unchanged)
	learn(t, b, told(t, first, -1), Unchanged)
	learn(t, b, told(t, first, 1), Confirmed)
	learn(t, b, told(t, renewed, 2), Renewed)
	is("renewed")
	learn(t, b, told(t, first, 3), Confirmed) // signed with the old certificate: the key stays, and so does the newer certificate
	is("renewed")
	learn(t, b, told(t, second, 1), Unchanged) // an old mail, read again
	is("renewed")
	learn(t, b, told(t, second, 4), Deferred)
	learn(t, b, told(t, second, 5), Confirmed)
	learn(t, b, told(t, third, 5), Deferred)
	is("renewed (second) (third)")
	unknown := told(t, third, 0)
	unknown.Signed = time.Time{}
	learn(t, b, unknown, Unchanged)

	better := told(t, renewed, 6)
	better.Capabilities = append(aes, oid.AlgorithmIdentifier{Algorithm: oid.AES256GCM})
	learn(t, b, better, Renewed)
	found, err := b.Find(address(t, "alice@example.com"))
	if err != nil || len(found[0].Capabilities) != 2 || !found[0].Signed.Equal(testca.Now.AddDate(0, 0, 6)) || !found[0].Learned.Equal(testca.Now) || len(found[0].Chain) != 1 {
		t.Fatalf("%v, %+v", err, found[0])
	}
	if err := b.Accept(found[1], testca.Now.AddDate(0, 0, 7)); err != nil {
		t.Fatal(err)
	}
	is("second (third)")
	learn(t, b, told(t, renewed, 8), Deferred) // the old key comes back: that too is a change
	is("second (third) (renewed)")
	for range 3 {
		found, _ = b.Find(address(t, "alice@example.com"))
		if err := b.Remove(found[0]); err != nil {
			t.Fatal(err)
		}
	}
	is("")
}

// TestBookCrowded: MaxPending changes wait at most.
func TestBookCrowded(t *testing.T) {
	b := openBook(t)
	ca := testca.New(t)
	learn(t, b, told(t, ca.Leaf("alice@example.com", testca.P256), 0), Added)
	for i := range MaxPending + 2 {
		want := Deferred
		if i >= MaxPending {
			want = Crowded
		}
		l := ca.Leaf(fmt.Sprintf("alice%d@example.com", i), testca.P256) // each with a key of its own
		learn(t, b, told(t, l, i+1), want)
	}
	if all, err := b.List(); err != nil || len(all) != MaxPending+1 {
		t.Errorf("%d contacts, %v", len(all), err)
	}
}

// TestBookCrash: what is left when a change is cut off, or two programs learn at
// once, still has one key for each address, the same one whoever reads it.
func TestBookCrash(t *testing.T) {
	ca := testca.New(t)
	first, second := ca.Leaf("alice@example.com", testca.P256), ca.Leaf("alice@example.com", testca.RSA2048)
	names := map[string]*testca.Leaf{"first": first, "second": second}
	b := openBook(t)
	for _, c := range []*Contact{told(t, second, 1), told(t, first, 0)} {
		if err := b.put(c); err != nil {
			t.Fatal(err)
		}
	}
	if got := contacts(t, b, names); got != "first (second)" {
		t.Errorf("two that learned at once: %s", got)
	}
	accepted := told(t, second, 1)
	accepted.Accepted = testca.Now.AddDate(0, 0, 2)
	if err := b.put(accepted); err != nil { // and the first is not removed any more
		t.Fatal(err)
	}
	if got := contacts(t, b, names); got != "second (first)" {
		t.Errorf("accepted: %s", got)
	}
	// What a crash leaves of a file is not read.
	if err := os.WriteFile(filepath.Join(b.dir, ".new-123"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := b.List(); err != nil || len(all) != 2 {
		t.Errorf("%d contacts, %v", len(all), err)
	}
	if runtime.GOOS != "windows" {
		files, _ := filepath.Glob(filepath.Join(b.dir, "*.json"))
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
		}
	}
}

// TestBookTogether: several programs learn at a time; no file is ever half there.
func TestBookTogether(t *testing.T) {
	ca := testca.New(t)
	l := ca.Leaf("alice@example.com", testca.P256)
	b := openBook(t)
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for j := range 10 {
				if _, err := b.Learn(told(t, l, 10*i+j)); err != nil {
					t.Error(err)
				}
				if all, err := b.List(); err != nil || len(all) != 1 || all[0].Defect != nil {
					t.Errorf("%v, %v", all, err)
				}
			}
		})
	}
	wait.Wait()
}

// TestBookDefects: a damaged file is told and hides nothing.
func TestBookDefects(t *testing.T) {
	ca := testca.New(t)
	l := ca.Leaf("alice@example.com", testca.P256)
	sound, err := told(t, l, 0).encode()
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) []byte { return bytes.Replace(sound, []byte(old), []byte(new), 1) }
	many := told(t, l, 0)
	for len(many.Chain) <= maxContactChain {
		many.Chain = append(many.Chain, l.Certificate)
	}
	long, err := many.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"cut":              {sound[:len(sound)/2], "unexpected"},
		"another version":  {replace(`"version": 1`, `"version": 2`), "version 2"},
		"another state":    {replace(`"known"`, `"trusted"`), "trusted"},
		"unknown field":    {replace(`"version"`, `"trust": true, "version"`), "trust"},
		"no certificate":   {replace(`"certificate": "MII`, `"certificate": "AAA`), "certificate"},
		"two":              {append(sound, sound...), "data behind"},
		"another address":  {replace("alice@", "mallory@"), "named after another"},
		"long chain":       {long, "33 certificates"},
		"larger than ever": {append(sound, bytes.Repeat([]byte(" "), maxContact)...), "more than 1048576 bytes"},
	} {
		b := openBook(t)
		learn(t, b, told(t, ca.Leaf("alice@example.com", testca.RSA2048), 0), Added)
		file := "alice@example.com~" + told(t, l, 0).keyID() + ".json"
		if err := os.WriteFile(filepath.Join(b.dir, file), c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := b.Find(address(t, "alice@example.com"))
		if err != nil || len(all) != 2 || all[0].Defect != nil || all[0].Pending || all[1].Defect == nil || !strings.Contains(all[1].Defect.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, err, all[len(all)-1].Defect)
		}
		if err := b.Accept(all[1], testca.Now); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := b.Remove(all[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := openBook(t)
	huge := told(t, l, 0)
	for range 30 {
		huge.Chain = append(huge.Chain, &cert.Certificate{Raw: make([]byte, 50_000)})
	}
	if _, err := b.Learn(huge); !errors.Is(err, ErrLimit) {
		t.Errorf("a file that could not be read again is written: %v", err)
	}
	if _, err := b.Find(mailbox.Mailbox{}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func FuzzParseContact(f *testing.F) {
	ca := testca.New(f)
	l := ca.Leaf("alice@example.com", testca.P256)
	c := told(f, l, 0)
	c.Anchor, c.Accepted, c.Pending = ca.Root.Certificate, testca.Now, true
	data, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"address":"a@example.com","state":"known","certificate":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseContact(data)
		if err != nil {
			return
		}
		again, err := c.encode()
		if err != nil {
			t.Skip("a time beyond what JSON holds")
		}
		if back, err := parseContact(again); err != nil || !back.sameKey(c) || !back.Address.Equal(c.Address) || back.Pending != c.Pending {
			t.Errorf("%s became %s: %v", data, again, err)
		}
	})
}
