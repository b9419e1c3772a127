package testkit

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"flag"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder is where the cases are, seen from this package.
const folder = "../../testkit"

var update = flag.Bool("update", false, "write the folder testkit anew")

// each goes through a map in the order of its keys, with randomness that depends on the key alone.
func each[T any](k *kit, m map[string]T) iter.Seq2[string, T] {
	return func(yield func(string, T) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			k.seed(name)
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

func sum(b []byte) []byte {
	s := sha256.Sum256(b)
	return s[:]
}

// TestFresh makes every case anew and compares it with the folder; `make testkit` writes the folder.
func TestFresh(t *testing.T) {
	if testing.Short() {
		t.Skip("long, and shares no memory")
	}
	k := makeKit(t)
	files := k.files()
	if *update {
		writeFolder(t, files)
	}
	t.Logf("%d cases", len(k.cases))
	there := readFolder(t)
	for name, file := range files {
		if !bytes.Equal(there[name], file) {
			t.Errorf("%s is not as it is made: run make testkit, with the toolchain that go.mod names", name)
		}
		delete(there, name)
	}
	for name := range there {
		t.Errorf("%s is not made by anything", name)
	}
	for _, c := range k.cases {
		if c.Twin != "" && !k.names[c.Twin] {
			t.Errorf("%s: no twin %s", c.Name, c.Twin)
		}
	}
}

// files is the folder as it shall be.
func (k *kit) files() map[string][]byte {
	out := map[string][]byte{}
	for _, c := range k.cases {
		file, err := c.File()
		k.check(err)
		out["cases/"+c.Name+".case"] = file
	}
	for name, pem := range k.pki {
		out["pki/"+name+".pem"] = pem
	}
	return out
}

func writeFolder(t *testing.T, files map[string][]byte) {
	t.Helper()
	for _, dir := range []string{"cases", "pki"} {
		if err := os.RemoveAll(filepath.Join(folder, dir)); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		path := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// readFolder reads what is published.
func readFolder(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{"cases", "pki"} {
		err := filepath.WalkDir(filepath.Join(folder, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			out[filepath.ToSlash(name)], err = os.ReadFile(path)
			return err
		})
		if err != nil && !*update {
			t.Fatal(err)
		}
	}
	return out
}

// readCases parses the folder, in the order of names.
func readCases(t testing.TB) []*Case {
	t.Helper()
	var cases []*Case
	for name, file := range readFolder(t) {
		name, isCase := strings.CutPrefix(name, "cases/")
		if !isCase {
			continue
		}
		c, err := Parse(strings.TrimSuffix(name, ".case"), file)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	slices.SortFunc(cases, func(a, b *Case) int { return cmp.Compare(a.Name, b.Name) })
	return cases
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readCase parses one case of the folder.
func readCase(t testing.TB, name string) *Case {
	t.Helper()
	c, err := Parse(name, readFile(t, "cases/"+name+".case"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
