package certpath

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/testca"
)

// FuzzVerify gives Verify a leaf and an intermediate of the fuzzer's making: a
// path comes out only for the two that the authorities signed.
func FuzzVerify(f *testing.F) {
	// From files: the fuzzer's processes must have the same keys.
	root, received := file(f, "roots.pem")[0], file(f, "alice.pem")
	f.Add(received[0].Raw, received[1].Raw)
	f.Add(received[1].Raw, root.Raw)
	signed := map[string]bool{string(root.RawTBS): true}
	for _, c := range received {
		signed[string(c.RawTBS)] = true
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		first, err := cert.Parse(a)
		if err != nil {
			return
		}
		o := &Options{Anchors: []*cert.Certificate{root}, At: testca.Now, Purpose: AnyPurpose}
		if second, err := cert.Parse(b); err == nil {
			o.Intermediates = []*cert.Certificate{second}
		}
		chain, err := Verify(first, o)
		if err != nil {
			_ = err.Error()
			return
		}
		for _, c := range chain {
			if !signed[string(c.RawTBS)] {
				t.Fatalf("%s was signed by nobody", c.Subject)
			}
		}
	})
}

func file(f *testing.F, name string) []*cert.Certificate {
	f.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	list, err := cert.ParseAll(data)
	if err != nil {
		f.Fatal(err)
	}
	return list
}

// FuzzConstraints compares arbitrary names with arbitrary subtrees: what an
// authority excludes it cannot permit at once.
func FuzzConstraints(f *testing.F) {
	for _, kind := range []cert.Kind{cert.RFC822Name, cert.DNSName, cert.URI} {
		for _, base := range []string{"", "example.com", ".example.com", alice, "*.example.com", "a..b", "\x00"} {
			f.Add(uint8(kind), "mail.example.com", base)
			f.Add(uint8(kind), alice, base)
			f.Add(uint8(kind), "http://user@example.com:1/", base)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, text, base string) {
		n := prepare([]cert.GeneralName{{Kind: cert.Kind(kind % 9), Text: text, Bytes: []byte(text)}})[0]
		tree := prepare([]cert.GeneralName{{Kind: cert.Kind(kind % 9), Text: base, Bytes: []byte(base)}})
		excluded := constraints{excluded: tree, critical: true}.refuse(n)
		permitted := constraints{permitted: tree, critical: true}.refuse(n)
		if excluded == "" && permitted == "" {
			t.Fatalf("%q under %q is neither excluded nor refused", text, base)
		}
		if both := (constraints{permitted: tree, excluded: tree, critical: true}).refuse(n); both == "" {
			t.Fatalf("%q under %q is taken though excluded", text, base)
		}
	})
}
