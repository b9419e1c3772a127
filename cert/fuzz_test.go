package cert

import (
	"os"
	"path/filepath"
	"testing"
)

// seeds adds the published vectors where they are at hand, and a few strays.
func seeds(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Add([]byte{0x30, 0x82})
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
	}
	files, err := filepath.Glob(filepath.Join(dir, "pyca-vectors", "vectors", "cryptography_vectors", "x509", "*", "*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && len(data) < 1<<14 {
			f.Add(data)
			for _, der := range blocks(data) {
				f.Add(der)
			}
		}
	}
}

// FuzzParse reads anything as a certificate; what comes out can be shown.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		for _, r := range c.Subject.String() + c.Issuer.String() {
			if !isVisible(r) {
				t.Fatalf("%U in a name", r)
			}
		}
		if !c.Subject.Equal(c.Subject) || !c.Equal(c) || c.Serial == nil {
			t.Fatal("not equal to itself")
		}
		_, _, _ = c.Emails(), c.CanSign(), c.CanEncrypt()
		_ = c.CheckSignatureFrom(c)
		again, err := Parse(c.Raw)
		if err != nil || len(again.Defects) != len(c.Defects) {
			t.Fatalf("read again: %v", err)
		}
	})
}

// FuzzParseCRL reads anything as a list; every entry that is told of is found.
func FuzzParseCRL(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseCRL(data)
		if err != nil {
			return
		}
		n := 0
		for e := range l.Entries() {
			if n++; n > 50 {
				return
			}
			direct := l.IssuingDistributionPoint == nil || !l.IssuingDistributionPoint.IndirectCRL
			if _, found := l.Lookup(e.Issuer, e.Serial); !found && (!direct || e.Issuer.Equal(l.Issuer)) {
				t.Fatalf("entry %d (%v) is not found", n, e.Serial)
			}
		}
		if n != l.Len() {
			t.Fatalf("%d entries told of, %d counted", n, l.Len())
		}
	})
}

// FuzzParseRequest reads anything as a certification request.
func FuzzParseRequest(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseRequest(data); err == nil && r.PublicKey == nil {
			t.Fatal("a request without a key was taken")
		}
	})
}

// FuzzParseAll reads anything as a file of certificates.
func FuzzParseAll(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if list, err := ParseAll(data); (err == nil) != (len(list) > 0) {
			t.Fatalf("%d certificates and %v", len(list), err)
		}
	})
}

// FuzzParseCRLs reads anything as a file of lists.
func FuzzParseCRLs(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseCRLs(data)
		if (err == nil) != (len(list) > 0) {
			t.Fatalf("%d lists and error %v", len(list), err)
		}
	})
}
