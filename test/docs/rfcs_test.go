// Package docs holds documents against the code that they speak of.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// notAboutUs are RFCs that code cites in passing: notations, registries and the
// network below us, of which docs/rfcs.md has nothing to say.
var notAboutUs = []string{
	"1123",                 // host names
	"1421",                 // PEM headers, with 1423
	"2119",                 // the word MUST
	"2315",                 // PKCS#7, which 5652 replaced
	"2985",                 // names of attributes
	"3282",                 // Accept-Language
	"3339",                 // written times
	"3696",                 // what an address may look like
	"4231", "6070", "9106", // test vectors and parameters of key derivations
	"4514", "4518", "4519", // written names
	"5892",                                 // characters in domains
	"6066", "6797", "7766", "8446", "6265", // TLS and its extensions, HSTS, DNS over TCP, cookies
	"6266", "9110", "9111", // HTTP
	"6761", // example domains
	"7748", // X25519, with 8418
	"8619", // names of HKDF
	"9562", // UUIDs
}

// TestEveryRFCIsListed finds an RFC that the code cites and docs/rfcs.md does not name.
func TestEveryRFCIsListed(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "rfcs.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([0-9, ]+) \|`).FindAllStringSubmatch(string(doc), -1) {
		for number := range strings.SplitSeq(row[1], ", ") {
			listed[number] = true
		}
	}
	if len(listed) < 50 {
		t.Fatalf("docs/rfcs.md lists %d RFCs; the table was not read", len(listed))
	}
	for number, where := range cited(t) {
		if !listed[number] && !slices.Contains(notAboutUs, number) {
			t.Errorf("%s cites RFC %s, which docs/rfcs.md does not list", where, number)
		}
	}
}

// TestStates finds a row whose state is none of the four words.
func TestStates(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "rfcs.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`(?m)^\| [0-9, ]+ \|.*$`).FindAllString(string(doc), -1) {
		cells := strings.Split(row, "|")
		if len(cells) != 6 {
			t.Errorf("%d cells in %q", len(cells)-2, row)
			continue
		}
		state, note := strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4])
		if !slices.Contains([]string{"yes", "partial", "planned", "no"}, state) {
			t.Errorf("state %q in %q", state, row)
		}
		if (state == "partial" || state == "no") && note == "" {
			t.Errorf("%q says neither what is missing nor why", row)
		}
	}
}

// cited returns every RFC that a Go file names, with one file that does.
func cited(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	number := regexp.MustCompile(`RFC ?([0-9]{4})\b`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "var") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.Contains(path, "test/docs/") {
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range number.FindAllStringSubmatch(string(data), -1) {
			found[m[1]] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestLinks finds a link between documents that leads nowhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	documents, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, more...) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
