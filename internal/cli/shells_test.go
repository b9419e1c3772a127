package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestShells runs testdata/shells: real shells complete what real people begin to
// type, and the manual pages are formatted.
func TestShells(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a process for each line")
	}
	for _, name := range []string{"bash", "zsh", "fish", "groff", "/usr/share/bash-completion/bash_completion"} {
		_, err := exec.LookPath(name)
		if filepath.IsAbs(name) {
			_, err = os.Stat(name)
		}
		if err != nil && os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: run scripts/test-deps", name)
		}
		if err != nil {
			t.Skipf("%s is missing: run scripts/test-deps", name)
		}
	}
	files := fixtures(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "shells"), RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("MAILSEAL_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("MAILSEAL_PASSPHRASE", passphrase)
			e.Setenv("TMPDIR", e.WorkDir)
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}
