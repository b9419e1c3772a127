package identity

import (
	"os"
	"path/filepath"
	"testing"
)

// testdata returns the path of a file in the collection of published vectors,
// which lies beside the repository or where MAILSEAL_TESTDATA says.
func testdata(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("MAILSEAL_TESTDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "testdata")
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

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// passphrase is the callback for a known passphrase.
func passphrase(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}
