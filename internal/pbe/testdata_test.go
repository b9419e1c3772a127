package pbe

import (
	"os"
	"path/filepath"
	"testing"
)

// testdata returns the path of a file in the collection of published vectors,
// which lies beside the repository or where MAILSEAL_TESTDATA says.
func testdata(t *testing.T, elem ...string) string {
	t.Helper()
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "testdata")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("published test vectors are needed: %v", err)
		}
		t.Skipf("no published test vectors here: %v", err)
	}
	return path
}
