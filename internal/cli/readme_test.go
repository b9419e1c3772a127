package cli_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
)

// TestReadme runs the commands of README.md, in order, against a real server.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	if len(lines) < 5 {
		t.Fatalf("README has %d commands for its five tasks", len(lines))
	}
	url := startServer(t)
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("letter.eml", []byte(letter), 0o600); err != nil {
		t.Fatal(err)
	}
	// Those whom Alice writes to have gone the same way before.
	for _, name := range []string{"bob", "carol"} {
		address := name + "@example.com"
		readmeCommand(t, url, "mailseal id request --server http://127.0.0.1:8080 --key p256 --email "+address)
		readmeCommand(t, url, "mailseal id export --certificate -o "+name+".pem "+address)
	}
	for _, line := range lines {
		readmeCommand(t, url, line)
	}
	for _, name := range []string{"alice.p12", "alice.pem", "signed.eml", "sealed.eml", "opened.eml"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if opened, _ := os.ReadFile("opened.eml"); !bytes.Contains(opened, []byte("let us meet at noon")) {
		t.Errorf("opened.eml: %q", opened)
	}
}

var emailFlag = regexp.MustCompile(`--email (\S+)`)

// readmeCommand runs one line as a person would who looks for the code in the mail
// catcher when asked for it.
func readmeCommand(t *testing.T, url, line string) {
	t.Helper()
	words := strings.Fields(strings.ReplaceAll(line, "http://127.0.0.1:8080", url))
	if words[0] != "mailseal" {
		t.Fatalf("README: %q is no command of ours", line)
	}
	stdin := io.Reader(strings.NewReader(""))
	if m := emailFlag.FindStringSubmatch(line); m != nil {
		stdin = &reluctant{func() (string, error) { return newestCode(url, m[1]) }, nil}
	}
	var stdout, stderr bytes.Buffer
	exit := cli.Run(context.Background(), words[1:], stdin, &stdout, &stderr, cli.Environment{
		LookupEnv: func(key string) (string, bool) {
			switch key {
			case "MAILSEAL_HOME":
				return filepath.Join(".", "home"), true
			case "MAILSEAL_PASSPHRASE":
				return passphrase, true
			}
			return "", false
		},
		ConfigDir: os.UserConfigDir,
		Now:       func() time.Time { return testca.Now },
	})
	if exit != 0 {
		t.Fatalf("%s: exit status %d\n%s%s", line, exit, &stdout, &stderr)
	}
}

// reluctant is a standard input on which the line stands only when it is asked for.
type reluctant struct {
	line func() (string, error)
	rest *strings.Reader
}

func (r *reluctant) Read(p []byte) (int, error) {
	if r.rest == nil {
		text, err := r.line()
		if err != nil {
			return 0, err
		}
		r.rest = strings.NewReader(text + "\n")
	}
	return r.rest.Read(p)
}
