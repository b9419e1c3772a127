package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// built is the folder of the real program, once a test has asked for it.
var built string

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mailseal-program")
	if err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "mailseal"), "github.com/mailseal/mailseal/cmd/mailseal").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return dir, os.Symlink("mailseal", filepath.Join(dir, "mailseal-git"))
})

// program returns the path of mailseal under one of its names.
func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatalf("build mailseal: %v\n%s", err, dir)
	}
	return filepath.Join(dir, name)
}

func TestMain(m *testing.M) {
	exit := m.Run()
	os.RemoveAll(built)
	os.Exit(exit)
}
