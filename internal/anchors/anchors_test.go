package anchors

import (
	"bytes"
	"crypto/x509/pkix"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestEmail: the embedded list is whole, and each of its authorities can issue.
func TestEmail(t *testing.T) {
	text, err := os.ReadFile("email.pem")
	if err != nil {
		t.Fatal(err)
	}
	list, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if der, err := list.Encode(); err != nil || !bytes.Equal(der, embedded) {
		t.Fatalf("what is embedded is not email.pem: run go run ./scripts/anchors (%v)", err)
	}
	if list, err := Email(); err != nil || len(list.Entries) < 60 {
		t.Fatal(err)
	}
	if len(list.Entries) < 60 || list.Source == "" || list.Date.IsZero() {
		t.Fatalf("%d entries from %q of %v", len(list.Entries), list.Source, list.Date)
	}
	for _, e := range list.Entries {
		c, err := cert.Parse(e.DER)
		if err != nil {
			t.Errorf("%q: %v", e.Label, err)
			continue
		}
		if len(c.Defects) > 0 || !c.BasicConstraints.CA || c.PublicKey == nil || !c.SelfIssued() || e.Label == "" {
			t.Errorf("%q: %v, CA %v, key %T", e.Label, c.Defects, c.BasicConstraints.CA, c.PublicKey)
		}
		if found := list.Named(c.Subject); !slices.ContainsFunc(found, c.Equal) {
			t.Errorf("%q is not found by its name", e.Label)
		}
	}
	if list.Format() != string(text) {
		t.Error("the file is not as scripts/anchors writes it")
	}
}

func TestDistrustAfter(t *testing.T) {
	a, b := testca.NewRoot(t, "A").Certificate, testca.NewRoot(t, "B").Certificate
	date := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	written := &List{Source: "test", Date: testca.Now, Entries: []Entry{{"B", b.Raw, time.Time{}}, {"A", a.Raw, date}}}
	der, err := written.Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := Decode(der)
	if err != nil || !decoded.DistrustAfter(a).Equal(date) || !decoded.DistrustAfter(b).IsZero() {
		t.Errorf("embedded: %v", err)
	}
	list, err := Parse(written.Format())
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Entries[0]; got.Label != "A" || !bytes.Equal(got.DER, a.Raw) || !got.DistrustAfter.Equal(date) {
		t.Errorf("%+v", got)
	}
	if !list.DistrustAfter(a).Equal(date) || !list.DistrustAfter(b).IsZero() || !list.DistrustAfter(testca.NewRoot(t, "C").Certificate).IsZero() {
		t.Error("dates are not those of the list")
	}
	if found := list.Named(b.Subject); len(found) != 1 || !found[0].Equal(b) {
		t.Errorf("found %d by name", len(found))
	}
	stranger := testca.NewRoot(t, "B", testca.Subject(pkix.Name{CommonName: "A", Organization: []string{"Example", "Other"}})).Certificate
	if found := append(list.Named(stranger.Subject), list.Named(cert.Name{})...); len(found) != 0 {
		t.Errorf("found %d by the name of another", len(found))
	}
}

func TestParseRefuses(t *testing.T) {
	good := (&List{Source: "test", Date: testca.Now, Entries: []Entry{{"A", testca.NewRoot(t, "A").Certificate.Raw, testca.Now}}}).Format()
	if _, err := Parse(good); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":         "",
		"no certificates": head,
		"cut short":       strings.TrimSuffix(good, end+"\n"),
		"bad base64":      strings.Replace(good, begin+"\nMII", begin+"\n!II", 1),
		"bad date":        strings.Replace(good, "date: 2026", "date: x", 1),
		"bad distrust":    strings.Replace(good, "after: 2026", "after: x", 1),
		"a long line":     good + strings.Repeat("x", 1<<20),
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, der := range []string{"\x30", "\x04\x00", "\x30\x00\x18\x01x"} {
		if _, err := Decode([]byte(der)); err == nil {
			t.Errorf("%x: taken", der)
		}
	}
}

// BenchmarkNamed is what a run without --trust pays.
func BenchmarkNamed(b *testing.B) {
	list, err := Email()
	if err != nil {
		b.Fatal(err)
	}
	c, err := cert.Parse(list.Entries[0].DER)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if list, err := Decode(embedded); err != nil || len(list.Named(c.Subject)) != 1 {
			b.Fatal(err)
		}
	}
}

// FuzzParse: what is read is written, and read again, as the same.
func FuzzParse(f *testing.F) {
	f.Add((&List{Source: "test", Date: testca.Now, Entries: []Entry{{"A", []byte{1, 2, 3}, testca.Now}}}).Format())
	f.Add(head)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse(text)
		if err != nil {
			return
		}
		once := list.Format()
		again, err := Parse(once)
		if err != nil || again.Format() != once {
			t.Fatalf("%v", err)
		}
	})
}
