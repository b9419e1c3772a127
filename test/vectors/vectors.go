// Package vectors holds mailseal to test vectors that others published. The
// vectors are not part of the repository: they lie beside it, or where
// MAILSEAL_TESTDATA says.
//
// A suite over a set runs every case in it. A case passes, or it stands in the
// suite's list of what is not supported, with the reason; the suite fails when
// a case is neither, and when a listed case passes after all.
//
// Packages with vectors for what they do not export run these themselves, with
// the help of this one: see cms, cert and identity.
package vectors

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Dir returns the folder of a set. Where there are no vectors, the test says
// so and is skipped; with CI=true it fails.
func Dir(t testing.TB, set string) string {
	t.Helper()
	dir := os.Getenv("MAILSEAL_TESTDATA")
	for up := ""; dir == ""; up += "../" { // the repository is where go.mod is
		if _, err := os.Stat(up + "go.mod"); err == nil {
			dir = filepath.Join(up, "..", "shared", "testdata")
		} else if len(up) > 60 {
			t.Fatal("no go.mod above the test: where is the repository?")
		}
	}
	dir = filepath.Join(dir, set)
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the published test vectors are missing: %v", err)
		}
		t.Skipf("no published test vectors here: %v", err)
	}
	return dir
}

// Read returns a file of a set.
func Read(t testing.TB, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Files returns the files below dir, as slash-separated paths from there.
func Files(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			p, err = filepath.Rel(dir, p)
			names = append(names, filepath.ToSlash(p))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Suite counts the cases of a set.
type Suite struct {
	t           testing.TB
	unsupported map[string]string // pattern of path.Match -> reason
	used        map[string]int
	seen        map[string]bool
	passed      int
}

// NewSuite starts to count. unsupported names cases by pattern ([path.Match])
// and says why each is not supported. What a case does not reach by itself,
// the end of the test reports: patterns without a case, and the sums.
func NewSuite(t testing.TB, unsupported map[string]string) *Suite {
	s := &Suite{t: t, unsupported: unsupported, used: map[string]int{}, seen: map[string]bool{}}
	t.Cleanup(s.close)
	return s
}

// Check counts the case of that name; a nil error means that it passed.
func (s *Suite) Check(name string, err error) {
	s.t.Helper()
	if s.seen[name] {
		s.t.Errorf("%s: two cases of that name", name)
	}
	s.seen[name] = true
	pattern := s.listed(name)
	switch {
	case pattern == "" && err == nil:
		s.passed++
	case pattern == "":
		s.t.Errorf("%s: %v", name, err)
	case err == nil:
		s.t.Errorf("%s: is listed as not supported (%s), and passes", name, s.unsupported[pattern])
	default:
		s.used[pattern]++
	}
}

func (s *Suite) listed(name string) string {
	for pattern := range s.unsupported {
		if ok, err := path.Match(pattern, name); err != nil {
			s.t.Fatalf("pattern %q: %v", pattern, err)
		} else if ok {
			return pattern
		}
	}
	return ""
}

// Seen reports whether a case of that name was counted.
func (s *Suite) Seen(name string) bool { return s.seen[name] }

func (s *Suite) close() {
	left := 0
	reasons := map[string]int{}
	for pattern, reason := range s.unsupported {
		if s.used[pattern] == 0 && !s.t.Skipped() {
			s.t.Errorf("no case for the pattern %q of what is not supported", pattern)
		}
		left += s.used[pattern]
		reasons[reason] += s.used[pattern]
	}
	lines := make([]string, 0, len(reasons))
	for reason := range reasons {
		lines = append(lines, reason)
	}
	slices.Sort(lines)
	for i, reason := range lines {
		lines[i] = "\n  not supported: " + strings.TrimSpace(reason) + ": " + count(reasons[reason])
	}
	s.t.Logf("%s, %d passed, %d not supported%s", count(len(s.seen)), s.passed, left, strings.Join(lines, ""))
}
