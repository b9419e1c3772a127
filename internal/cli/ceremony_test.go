package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var fenced = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestCeremonyPage runs the commands of docs/ceremony.md in their order. Keys are
// made on P-256, because RSA-4096 takes minutes for all of them; nothing else is
// different.
func TestCeremonyPage(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a process for each line")
	}
	page, err := os.ReadFile("../../docs/ceremony.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "[!peer:openssl] skip\n[!peer:softhsm2-util] skip\n[!peer:pkcs11-tool] skip\n"
	commands := 0
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		for line := range strings.SplitSeq(strings.ReplaceAll(block[1], "\\\n", " "), "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			commands++
			script += scriptLine(line) + "\n"
		}
	}
	if commands < 20 {
		t.Fatalf("the page has %d commands only: is it read right?", commands)
	}
	script += "grep 'Example Ltd Root G2' 14-rollover.txt\n"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir, RequireExplicitExec: true, Condition: peer,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CLOCK", "now")
			e.Setenv("SOFTHSM2_CONF", filepath.Join(e.WorkDir, "softhsm2.conf"))
			for name, content := range map[string]string{
				"root.pass": "the root sleeps in a safe\n", "site.pass": "the site opens at noon\n", "token.pin": "123456\n", "new.pass": "the root sleeps in another safe\n",
				"softhsm2.conf": "directories.tokendir = tokens\nobjectstore.backend = file\n", "carry/stick": "", "tokens/none": "",
			} {
				path := filepath.Join(e.WorkDir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					return err
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

var makesKeys = regexp.MustCompile(`^mailseal ca (ceremony root|init|add|rollover) `)

// scriptLine is a line of a shell as one of a story.
func scriptLine(line string) string {
	if variable, ok := strings.CutPrefix(line, "export "); ok {
		return "env " + variable
	}
	line = strings.ReplaceAll(line, `"`, `'`)
	if makesKeys.MatchString(line) {
		line += " --algorithm p-256"
	}
	return "exec " + line
}
