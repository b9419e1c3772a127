package cli_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// lintFixtures are certificates as an authority of ours issues them, under the
// Forum's policy and under its own, beside the others.
func lintFixtures(t *testing.T) string {
	t.Helper()
	dir := certFixtures(t)
	now := time.Date(2026, time.November, 23, 12, 0, 0, 0, time.UTC)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial := new(big.Int).Lsh(big.NewInt(3), 120)
	root, err := issuance.NewRoot(key, issuance.AuthorityRequest{
		Subject: issuance.Subject{Country: "XX", Organization: "Example", CommonName: "Example Root"},
		Serial:  serial, NotBefore: now, NotAfter: now.AddDate(10, 0, 0),
	})
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := issuance.NewIssuer(root, key, "http://ca.example.org/crl/root.crl", "http://ca.example.org/ca/root.cer")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mailbox.Parse("alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"our-root.pem": root.PEM()}
	for name, config := range map[string]issuance.ProfileConfig{
		"public.pem":  {Policy: "2.23.140.1.5.1.3", Compliance: "for this test"},
		"private.pem": {Policy: "2.25.340282366920938463463374607431768211455.1.3"},
	} {
		config.Name, config.Type, config.Generation, config.ValidityDays = "basic", issuance.MailboxValidated, issuance.Strict, 730
		p, err := issuance.NewProfile(config)
		if err != nil {
			t.Fatal(err)
		}
		prepared, err := issuance.Prepare(p, issuer, issuance.Request{
			Key: key.Public(), Serial: serial, NotBefore: now, Names: issuance.Names{Mailboxes: []mailbox.Mailbox{m}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := issuer.Issue(prepared)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = c.PEM()
	}
	files["both.pem"] = append(append([]byte{}, files["public.pem"]...), files["our-root.pem"]...)
	files["many.pem"] = bytes.Repeat(files["public.pem"], 1001)
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCertLint(t *testing.T) {
	schema := readSchema(t, "lint.schema.json")
	dir := lintFixtures(t)
	for _, tt := range []struct {
		line string
		exit int
		says string // standard output or standard error, in part
	}{
		{"public.pem", 0, "held against mailbox-strict\n0 errors, 0 warnings"},
		{"both.pem", 0, "held against the rules for all certificates\n0 errors"},
		{"private.pem", 1, "hint: 1 certificate does not say what was validated"},
		{"--profile mailbox-strict private.pem", 0, "0 errors, 0 warnings"},
		{"--profile sponsor-strict private.pem", 1, "personal-name-required"},
		{"--profile sponsor-strict private.pem", 1, "e_invalid_individual_identity (zlint; CABF S/MIME BR 7.1.4.2.5 and 7.1.4.2.6)"},
		{"--profile mailbox-multipurpose public.pem", 1, "where mailbox-multipurpose is 2.23.140.1.5.1.2"},
		{"weak.pem", 1, "RSA modulus of 1024 bits"},
		{"root.pem", 1, "ca-name"},
		{"--profile sponsor private.pem", 2, `"sponsor" is not mailbox, organization`},
		{"", 2, "takes one file"},
		{"letter.eml", 3, "a certificate in PEM or DER is needed"},
		{"many.pem", 3, "1001 certificates; 1000 are looked at"},
		{"nowhere.pem", 3, "no such file"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			args := append([]string{"cert", "lint"}, strings.Fields(tt.line)...)
			stdout, stderr, exit := mailseal(t, dir, args...)
			if exit != tt.exit || !strings.Contains(stdout+stderr, tt.says) {
				t.Errorf("%d, want %d and %q\n%s%s", exit, tt.exit, tt.says, stdout, stderr)
			}
			if exit > 1 {
				return
			}
			stdout, stderr, again := mailseal(t, dir, append(args, "--json")...)
			var object map[string]any
			if err := json.Unmarshal([]byte(stdout), &object); err != nil || again != exit {
				t.Fatalf("%d, %v: %s%s", again, err, stdout, stderr)
			}
			for _, fault := range conform("", schema, object) {
				t.Error(fault)
			}
			if (object["errors"] != 0.0) != (exit == 1) {
				t.Errorf("exit status %d with %v errors", exit, object["errors"])
			}
		})
	}
}
