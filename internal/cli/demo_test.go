package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
)

// TestDemo plays the whole story and looks at what it leaves.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("long: makes RSA-4096 keys")
	}
	dir := filepath.Join(t.TempDir(), "demo")
	var stdout, stderr bytes.Buffer
	begin := time.Now()
	exit := cli.Run(context.Background(), []string{"demo", "--dir", dir}, strings.NewReader(""), &stdout, &stderr, cli.Environment{
		LookupEnv: func(string) (string, bool) { return "", false },
		ConfigDir: os.UserConfigDir,
		Now:       time.Now,
	})
	if exit != 0 {
		t.Fatalf("exit status %d\n%s%s", exit, &stdout, &stderr)
	}
	t.Logf("%.1f s", time.Since(begin).Seconds())
	for _, name := range []string{"letter.eml", "sealed.eml", "changed.eml", "signed.eml", "signed-changed.eml", "forged.eml", "bob-reads.eml", "carol-reads.eml", "passphrase.txt"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "bob-is-warned.eml")); err == nil {
		t.Error("the content of a mail that was changed was written")
	}
	for verdict, want := range map[string]int{"| VALID ": 3, "| INVALID ": 3} {
		if got := strings.Count(stdout.String(), verdict); got != want {
			t.Errorf("%d times %q, want %d", got, verdict, want)
		}
	}

	// A second story in the same folder would mix with the first.
	if exit := cli.Run(context.Background(), []string{"demo", "--dir", dir}, strings.NewReader(""), &stdout, &stderr, cli.Environment{LookupEnv: func(string) (string, bool) { return "", false }}); exit != 2 {
		t.Errorf("exit status %d in a folder that is not empty", exit)
	}
}
