// Package testnpm installs what tests need of npm's registry: what a lock file
// names, with its hashes, once for each lock file of a machine.
package testnpm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Folder is a folder in which the packages of a folder's package-lock.json are
// installed. Where node or npm is missing the test skips, unless CI=true.
func Folder(t testing.TB, source string) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("needs %s (scripts/test-deps installs it)", program)
			}
			t.Skipf("needs %s (scripts/test-deps installs it)", program)
		}
	}
	lock, err := os.ReadFile(filepath.Join(source, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		caches = os.TempDir()
	}
	folder := filepath.Join(caches, "mailseal-tests", fmt.Sprintf("%s-%x", filepath.Base(source), sha256.Sum256(lock))[:24])
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, source, folder)
	return folder
}

// install fills a folder beside the wanted one and gives it its name at the end,
// so that a folder of that name is whole.
func install(t testing.TB, source, folder string) {
	t.Helper()
	half, err := os.MkdirTemp(filepath.Dir(folder), "half-")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"package.json", "package-lock.json", ".npmrc"} {
		data, err := os.ReadFile(filepath.Join(source, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(half, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = half
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(half, folder); err != nil && !errors.Is(err, os.ErrExist) { // another test was quicker
		if _, there := os.Stat(folder); there != nil {
			t.Fatal(err)
		}
	}
}
