package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRooms holds every package of the module to the map.
func TestRooms(t *testing.T) {
	m, err := Parse(Module, Rooms)
	if err != nil {
		t.Fatal(err)
	}
	packages := list(t)
	for _, sentence := range m.Check(packages, &LibraryLimits) {
		t.Error(sentence)
	}
	var seen int
	for _, p := range packages {
		if _, ours := m.relative(p.ImportPath); ours {
			seen++
		}
	}
	if seen < 10 {
		t.Fatalf("go list named %d packages of the module; the check saw nothing", seen)
	}
}

// list asks the go command, so the check sees what the compiler sees.
func list(t *testing.T) []Package {
	t.Helper()
	readSources(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports,Deps", Module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// readSources opens every Go file. The go command reuses a test's result as long as the
// files that the test itself opened are the same; what its child reads does not count.
func readSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "var" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestChecker runs the checker on graphs made by hand, each wrong in one way:
// a check that cannot fail holds nothing.
func TestChecker(t *testing.T) {
	const rooms = `
		internal/oid  names
		internal/ber  bytes

		*cert         facts

		internal/testca  for tests
	`
	const module = "example.org/m"
	limits := &Limits{
		Allowed:   []string{"golang.org/x/crypto"},
		Forbidden: []Rule{{"net/http/...", "no server"}},
		Unnamed:   []Rule{{"os", "no files"}},
		Excepted:  map[string][]string{"cert/store": {"os"}},
		TestOnly:  []string{"internal/testca"},
	}
	std := []Package{
		{ImportPath: "bytes", Standard: true}, {ImportPath: "os", Standard: true},
		{ImportPath: "net/http", Standard: true}, {ImportPath: "net/http/internal", Standard: true}, {ImportPath: "os/signal", Standard: true},
	}
	tests := []struct {
		name string
		pkg  Package
		want string // part of the only sentence; empty: nothing is wrong
	}{
		{"down", Package{ImportPath: "cert", Imports: []string{"M/internal/oid", "bytes"}, Deps: []string{"M/internal/oid", "bytes", "golang.org/x/crypto/cryptobyte"}}, ""},
		{"up", Package{ImportPath: "internal/oid", Imports: []string{"M/cert"}}, "internal/oid (line 2: names) imports cert (line 3: facts): imports go down only"},
		{"up from a folder below a room", Package{ImportPath: "internal/oid/deep", Imports: []string{"M/cert"}}, "imports go down only"},
		{"sideways", Package{ImportPath: "internal/oid", Imports: []string{"M/internal/ber"}}, "imports go down only"},
		{"no room", Package{ImportPath: "util"}, "util is in no room"},
		{"prefix is not a room", Package{ImportPath: "certificate"}, "certificate is in no room"},
		{"test authority in the product", Package{ImportPath: "cert", Imports: []string{"M/internal/testca"}}, "which only tests may"},
		{"links a server", Package{ImportPath: "cert", Deps: []string{"bytes", "net/http/internal"}}, "cert links net/http/internal: no server"},
		{"links a stranger", Package{ImportPath: "cert", Deps: []string{"github.com/some/one"}}, "cert links github.com/some/one"},
		{"internal may link a stranger", Package{ImportPath: "internal/oid", Deps: []string{"github.com/some/one"}}, ""},
		{"names os", Package{ImportPath: "cert", Imports: []string{"os"}, Deps: []string{"os"}}, "cert imports os: no files"},
		{"names a package below", Package{ImportPath: "cert", Imports: []string{"os/signal"}, Deps: []string{"os/signal"}}, ""},
		{"links os", Package{ImportPath: "cert", Imports: []string{"bytes"}, Deps: []string{"os"}}, ""},
		{"names os, excepted", Package{ImportPath: "cert/store", Imports: []string{"os"}, Deps: []string{"os"}}, ""},
	}
	m, err := Parse(module, rooms)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := Package{ImportPath: module + "/" + test.pkg.ImportPath, Imports: here(test.pkg.Imports), Deps: here(test.pkg.Deps)}
			got := m.Check(append([]Package{p}, std...), limits)
			if test.want == "" {
				if len(got) != 0 {
					t.Fatalf("refused: %q", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Fatalf("got %q, want one sentence with %q", got, test.want)
			}
		})
	}
}

// here writes the short M/ of the table as the module's path.
func here(paths []string) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = strings.Replace(p, "M/", "example.org/m/", 1)
	}
	return out
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{"no reason": "cert", "twice": "cert a\ncert b"} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse("m", text); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}
