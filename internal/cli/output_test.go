package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func testProgram() (*program, *bytes.Buffer) {
	var stdout bytes.Buffer
	env := Environment{LookupEnv: func(string) (string, bool) { return "", false }}
	return &program{stdin: strings.NewReader(""), stdout: &stdout, stderr: io.Discard, env: env}, &stdout
}

func TestOutputExistsOnlyAfterCommit(t *testing.T) {
	p, _ := testProgram()
	path := filepath.Join(t.TempDir(), "out.eml")
	o, err := p.createOutput(path, modePublic, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "hello")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("there before commit: %v", err)
	}
	if err := o.commit(); err != nil {
		t.Fatal(err)
	}
	o.discard() // after commit it must not harm
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
}

// The temporary name is ours; the person hears of the one that they gave.
func TestNoFolderForOutput(t *testing.T) {
	p, _ := testProgram()
	path := filepath.Join(t.TempDir(), "missing", "out.eml")
	_, err := p.createOutput(path, modePublic, nil)
	if err == nil || !strings.Contains(err.Error(), "open "+path+":") {
		t.Errorf("%v", err)
	}
}

func TestDiscardLeavesOldFileAndNoLitter(t *testing.T) {
	p, _ := testProgram()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.eml")
	os.WriteFile(path, []byte("old"), 0o600)
	o, err := p.createOutput(path, modePublic, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "half of the new")
	o.discard()
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("old file is %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("litter: %v", entries)
	}
}

func TestStandardOutputIsHeldBack(t *testing.T) {
	p, stdout := testProgram()
	o, err := p.createOutput("", modePublic, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "hello")
	if stdout.Len() != 0 {
		t.Fatalf("written before commit: %q", stdout)
	}
	if err := o.commit(); err != nil || stdout.String() != "hello" {
		t.Fatalf("%q, %v", stdout, err)
	}
}

func TestInputIsNeverTheOutput(t *testing.T) {
	p, _ := testProgram()
	dir := t.TempDir()
	path := filepath.Join(dir, "in.eml")
	os.WriteFile(path, []byte("From: a\r\n\r\n"), 0o600)
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	if err := errors.Join(os.Symlink(path, link), os.Link(path, hard)); err != nil {
		t.Fatal(err)
	}
	in, err := p.openInput(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for _, out := range []string{path, link, hard, dir + "/./in.eml"} {
		_, err := p.createOutput(out, modePublic, in)
		if p.report(err) != statusUsage {
			t.Errorf("%s: %v", out, err)
		}
	}
}

// TestDeviceIsNotReplaced would, if it failed, turn the device into a plain file.
func TestDeviceIsNotReplaced(t *testing.T) {
	p, _ := testProgram()
	o, err := p.createOutput(os.DevNull, modePublic, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(o, "hello")
	if err := o.commit(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
}

func TestSecretMode(t *testing.T) {
	p, _ := testProgram()
	path := filepath.Join(t.TempDir(), "key.p12")
	o, err := p.createOutput(path, modeSecret, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.commit(); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{
		"plain\r\n\ttext":    true,
		"日本語":                true,
		"":                   true,
		"\x1b[2Jcleared":     false, // a sequence that clears the screen
		"bell\a":             false,
		"c1 \u009b2J":        false,
		"\xff\xfe":           false,
		"\x30\x82\x01\x00":   false,
		"the rune \uFFFD is": true,
	} {
		if got := printable(strings.NewReader(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
