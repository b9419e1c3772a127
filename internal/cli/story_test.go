package cli_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/internal/testdns"
)

var update = flag.Bool("update", false, "rewrite the stories' expected output")

// TestMain lets the stories call this test binary as mailseal, with a clock that
// stands where the test certificates are valid.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailseal-pkcs11": tokenProgram, "mailseal": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, cli.Environment{
			LookupEnv: os.LookupEnv,
			Environ:   os.Environ,
			ConfigDir: os.UserConfigDir,
			Now:       clock,
			Version:   "v1.2.3",
		}))
	}})
}

// clock stands at testca.Now unless the story says CLOCK: a time, or now.
func clock() time.Time {
	if os.Getenv("CLOCK") == "now" {
		return time.Now()
	}
	if at, err := time.Parse(time.RFC3339, os.Getenv("CLOCK")); err == nil {
		return at
	}
	return testca.Now
}

// TestStories runs testdata/script: one story for each thing that a person wants to do.
func TestStories(t *testing.T) {
	if testing.Short() {
		t.Skip("long: a process for each line")
	}
	files := fixtures(t)
	url := startServer(t)
	tsa := newTSA(t, testca.NewRoot(t, "Clock Root"), testca.Now)
	dns := testdns.New(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition:           peer,
		Setup: func(e *testscript.Env) error {
			e.Setenv("MAILSEAL_HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("MAILSEAL_PASSPHRASE", passphrase)
			e.Setenv("TMPDIR", e.WorkDir)
			e.Setenv("SERVER", url)
			e.Setenv("TSA", tsa.URL)
			e.Setenv("DNS", dns.Address)
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "mailed-code": mailedCode, "alter": alter, "digest": digest, "claim": claim, "serial": serial, "wait-for": waitFor, "issue-in": issueIn, "first-word": firstWord, "after-word": afterWord, "enter-record": enterRecord(dns)},
	})
}

// status runs a command and holds its exit status to the number: status 1 mailseal verify x
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND [ARG ...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// firstWord puts the first word that was printed into a variable: first-word NAME
func firstWord(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || len(words) == 0 {
		ts.Fatalf("usage: first-word NAME, after something was printed")
	}
	ts.Setenv(args[0], words[0])
}

// afterWord puts the word that was printed after another one into a variable:
// after-word WORD NAME
func afterWord(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(args) != 2 || !slices.Contains(words[:max(len(words)-1, 0)], args[0]) {
		ts.Fatalf("usage: after-word WORD NAME, after both were printed")
	}
	ts.Setenv(args[1], words[slices.Index(words, args[0])+1])
}

// enterRecord enters the TXT record that was printed into the DNS: enter-record
func enterRecord(dns *testdns.Server) func(*testscript.TestScript, bool, []string) {
	record := regexp.MustCompile(`(?m)^(\S+)\. IN TXT "(\S+)"$`)
	return func(ts *testscript.TestScript, neg bool, args []string) {
		found := record.FindStringSubmatch(ts.ReadFile("stdout"))
		if neg || len(args) != 0 || found == nil {
			ts.Fatalf("usage: enter-record, after a record was printed")
		}
		dns.TXT(found[1], found[2])
	}
}

// alter copies a file with one text in place of another: alter FROM TO OLD NEW
func alter(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 || len(args[2]) != len(args[3]) {
		ts.Fatalf("usage: alter FROM TO OLD NEW, both texts of one length")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	changed := bytes.ReplaceAll(data, []byte(args[2]), []byte(args[3]))
	if bytes.Equal(changed, data) {
		ts.Fatalf("%s has no %q", args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), changed, 0o600))
}

const passphrase = "correct horse"

// fixtures makes the files that every story finds in its folder: three people's keys
// and certificates, the root they share, a stranger's root, and a letter.
func fixtures(t *testing.T) map[string][]byte {
	ca := testca.New(t)
	stranger := testca.NewRoot(t, "Stranger Root")
	files := map[string][]byte{
		"root.pem":     ca.Root.Certificate.PEM(),
		"issuing.pem":  ca.Issuing.Certificate.PEM(),
		"stranger.pem": stranger.Certificate.PEM(),
		"pass":         []byte(passphrase + "\n"),
		"letter.eml":   []byte(letter),
	}
	ended := testca.Validity(time.Date(2025, time.May, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC))
	people := map[string]*testca.Leaf{
		"alice": ca.Leaf("alice@example.com", testca.RSA2048),
		"bob":   ca.Leaf("bob@example.com", testca.P256),
		"carol": ca.Leaf("carol@example.org", testca.RSA2048),
		"ended": ca.Leaf("alice@example.com", testca.P256, ended),
		// Dana has a key to sign and one to decrypt, both soon to end, and new ones.
		"dana-signs":     ca.Leaf("dana@example.com", testca.P256, testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now.AddDate(0, 0, 12)), testca.KeyUsage(x509.KeyUsageDigitalSignature)),
		"dana-opens":     ca.Leaf("dana@example.com", testca.RSA2048, testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now.AddDate(0, 0, 20)), testca.KeyUsage(x509.KeyUsageKeyEncipherment)),
		"dana-signs-new": ca.Leaf("dana@example.com", testca.P384, testca.KeyUsage(x509.KeyUsageDigitalSignature)),
		"dana-opens-new": ca.Leaf("dana@example.com", testca.P521, testca.KeyUsage(x509.KeyUsageKeyAgreement)),
		"signs":          ca.Leaf("bob@example.com", testca.Ed25519),
		"ed":             ca.Leaf("ed@example.org", testca.X25519),
		"mal":            stranger.Authority("Stranger Issuing").Leaf("alice@example.com", testca.P256),
	}
	people["alice-new"] = ca.Leaf("alice@example.com", testca.P256)
	clock := testca.NewRoot(t, "Clock Root")
	files["clock.pem"] = clock.Certificate.PEM()
	after := func(l *x509.RevocationList) {
		l.ThisUpdate, l.NextUpdate = testca.Now.Add(time.Hour), testca.Now.AddDate(0, 1, 0)
	}
	files["root-after.crl"], files["issuing-after.crl"], files["clock-after.crl"] = ca.Root.CRL(nil, after), ca.Issuing.CRL(nil, after), clock.CRL(nil, after)
	files["root.crl"] = ca.Root.CRL(nil)
	files["issuing.crl"] = ca.Issuing.CRL(nil)
	files["revoked.crl"] = ca.Issuing.CRL([]testca.Revoked{{SerialNumber: people["alice"].Certificate.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1)}})
	for name, leaf := range people {
		id := &identity.Identity{Key: leaf.Key, Certificate: leaf.Certificate, Chain: leaf.Chain, Label: name}
		p12, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte(passphrase), &identity.PKCS12Options{Iterations: 1000})
		if err != nil {
			t.Fatal(err)
		}
		files[name+".p12"] = p12
		files[name+".pem"] = leaf.Certificate.PEM()
		key, err := identity.MarshalPrivateKey(leaf.Key)
		if err != nil {
			t.Fatal(err)
		}
		files[name+".both"] = append(leaf.Certificate.PEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	}
	return files
}

const letter = `From: Alice <alice@example.com>
To: Bob <bob@example.com>
Subject: Lunch
Date: Mon, 01 Jun 2026 12:00:00 +0000
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Dear Bob,

let us meet at noon, at the fountain.
`
