package cli_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/cli"
)

// TestDemo plays the whole story and looks at what it leaves.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var stdout, stderr bytes.Buffer
	begin := time.Now()
	exit := cli.Run(context.Background(), []string{"demo", "--dir", dir}, strings.NewReader(""), &stdout, &stderr, cli.Environment{
		LookupEnv: func(string) (string, bool) { return "", false },
		ConfigDir: os.UserConfigDir,
		Now:       time.Now,

		GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
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

// TestEnterpriseDemo plays the administrator's story, which looks at every answer
// itself: what is refused as well.
func TestEnterpriseDemo(t *testing.T) {
	const people = 4
	var stdout, stderr bytes.Buffer
	run := func(args ...string) int {
		stdout.Reset()
		return cli.Run(context.Background(), args, strings.NewReader(""), &stdout, &stderr, cli.Environment{
			LookupEnv: func(string) (string, bool) { return "", false }, ConfigDir: os.UserConfigDir, Now: time.Now,
			GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
		})
	}
	if exit := run("demo", "--enterprise", "4", "--json"); exit != 0 {
		t.Fatalf("exit status %d\n%s%s", exit, &stdout, &stderr)
	}
	var facts map[string]float64
	if err := json.Unmarshal(stdout.Bytes(), &facts); err != nil {
		t.Fatal(err)
	}
	if len(facts) != 4 || facts["people"] != people || facts["issued"] != people || facts["seconds"] <= 0 || facts["peak_rss_mib"] <= 0 {
		t.Errorf("%v", facts)
	}
	dir := filepath.Join(t.TempDir(), "story")
	if exit := run("demo", "--enterprise", "1", "--dir", dir); exit != 0 || !strings.Contains(stdout.String(), "picked-up.p12") {
		t.Fatalf("exit status %d\n%s%s", exit, &stdout, &stderr)
	}
	for _, name := range []string{"picked-up.p12", "passphrases.csv", "root.pem"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	for _, args := range [][]string{{"demo", "--enterprise", "0"}, {"demo", "--enterprise", "100001"}, {"demo", "--json"}} {
		if exit := run(args...); exit != 2 {
			t.Errorf("%q: exit status %d", args, exit)
		}
	}
}
