package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// certFixtures are a leaf, its authorities and their lists, in several forms.
func certFixtures(t *testing.T) string {
	dir := t.TempDir()
	ca := testca.New(t)
	alice := ca.Leaf("alice@example.com", testca.P256)
	day := func(a *testca.Authority, revoked ...*cert.Certificate) []byte {
		var list []testca.Revoked
		for _, c := range revoked {
			list = append(list, testca.Revoked{SerialNumber: c.Serial, RevocationTime: testca.Now.AddDate(0, 0, -1), ReasonCode: int(cert.KeyCompromise)})
		}
		return a.CRL(list)
	}
	issuing, root := day(ca.Issuing), day(ca.Root)
	for name, data := range map[string][]byte{
		"leaf.pem":       alice.Certificate.PEM(),
		"leaf.der":       alice.Certificate.Raw,
		"chain.pem":      append(alice.Certificate.PEM(), ca.Issuing.Certificate.PEM()...),
		"issuing.pem":    ca.Issuing.Certificate.PEM(),
		"issuing.der":    ca.Issuing.Certificate.Raw,
		"root.pem":       ca.Root.Certificate.PEM(),
		"root.der":       ca.Root.Certificate.Raw,
		"other.pem":      testca.NewRoot(t, "Other").Certificate.PEM(),
		"expired.pem":    ca.Leaf("alice@example.com", testca.P256, testca.Expired()).Certificate.PEM(),
		"weak.pem":       ca.Leaf("alice@example.com", testca.RSA1024).Certificate.PEM(),
		"lists.der":      append(append([]byte{}, issuing...), root...),
		"issuing.crl":    issuing,
		"root.crl":       root,
		"revoked.crl":    day(ca.Issuing, alice.Certificate),
		"ca-revoked.crl": day(ca.Root, ca.Issuing.Certificate),
		"empty":          nil,
		"letter.eml":     []byte("From: a@example.com\r\n\r\nhello\r\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCertVerify(t *testing.T) {
	schema := readSchema(t, "certificate.schema.json")
	dir := certFixtures(t)
	for _, tt := range []struct {
		line   string
		status smime.Status
		cause  string
	}{
		{"--trust root.pem --intermediates issuing.pem leaf.pem", smime.StatusValid, ""},
		{"--trust root.der --intermediates issuing.der leaf.der", smime.StatusValid, ""},
		{"--trust root.pem chain.pem", smime.StatusValid, ""},
		{"--trust root.pem --intermediates empty chain.pem", smime.StatusValid, ""},
		{"--trust root.pem leaf.pem", smime.StatusUntrusted, "no path"},
		{"--trust other.pem chain.pem", smime.StatusUntrusted, "no path"},
		{"--trust other.pem --trust root.pem chain.pem", smime.StatusValid, ""},
		{"--trust leaf.pem leaf.pem", smime.StatusValid, ""},
		{"--trust root.pem --intermediates issuing.pem expired.pem", smime.StatusExpired, "expired"},
		{"--trust root.pem --intermediates issuing.pem --at 2026-05-01T00:00:00Z expired.pem", smime.StatusValid, ""},
		{"--trust root.pem --at 2040-01-01T00:00:00.5+09:00 chain.pem", smime.StatusExpired, "expired"},
		{"--trust root.pem --at 2020-01-01T00:00:00Z chain.pem", smime.StatusUntrusted, "not yet valid"},
		{"--trust root.pem --intermediates issuing.pem weak.pem", smime.StatusWeak, "weak"},
		{"--trust root.pem --purpose client-auth chain.pem", smime.StatusUntrusted, "purpose"},
		{"--trust root.pem --purpose any chain.pem", smime.StatusValid, ""},
		{"--trust root.pem issuing.pem", smime.StatusUntrusted, "key usage"},
		{"--trust root.pem --purpose any issuing.pem", smime.StatusValid, ""},

		// Every certificate of the path must be covered by a list.
		{"--trust root.pem --crl issuing.crl --crl root.crl chain.pem", smime.StatusValid, ""},
		{"--trust root.pem --crl lists.der chain.pem", smime.StatusValid, ""},
		{"--trust root.pem --crl issuing.crl chain.pem", smime.StatusRevocationUnknown, "revocation unknown"},
		{"--trust root.pem --crl root.crl chain.pem", smime.StatusRevocationUnknown, "revocation unknown"},
		{"--trust root.pem --crl revoked.crl --crl root.crl chain.pem", smime.StatusRevoked, "revoked"},
		{"--trust root.pem --crl revoked.crl chain.pem", smime.StatusRevoked, "revoked"},
		{"--trust root.pem --crl issuing.crl --crl ca-revoked.crl chain.pem", smime.StatusRevoked, "revoked"},
		{"--trust root.pem --crl root.crl --purpose any issuing.pem", smime.StatusValid, ""},
		{"--trust root.pem --crl issuing.crl --crl root.crl --at 2026-06-20T00:00:00Z chain.pem", smime.StatusRevocationUnknown, "revocation unknown"},
		{"--trust root.pem --crl issuing.crl --crl root.crl --intermediates issuing.pem expired.pem", smime.StatusExpired, "expired"},

		// policies
		{"--trust root.pem --policy 1.2.3 chain.pem", smime.StatusValid, ""},
		{"--trust root.pem --explicit-policy chain.pem", smime.StatusUntrusted, "policy"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			stdout, stderr, exit := mailseal(t, dir, append([]string{"cert", "verify", "--json"}, strings.Fields(tt.line)...)...)
			if valid := tt.status == smime.StatusValid; valid != (exit == 0) || exit > 1 {
				t.Fatalf("exit status %d: %s", exit, stderr)
			}
			var object map[string]any
			if err := json.Unmarshal([]byte(stdout), &object); err != nil {
				t.Fatalf("%v in %q", err, stdout)
			}
			for _, fault := range conform("", schema, object) {
				t.Error(fault)
			}
			if object["status"] != string(tt.status) || object["cause"] != tt.cause || (object["reason"] == "") != (tt.cause == "") {
				t.Errorf("%v, %v: %v", object["status"], object["cause"], object["reason"])
			}
			warned := strings.Contains(stdout, "revocation was not checked")
			if asked := strings.Contains(tt.line, "--crl"); tt.cause == "" && asked == warned {
				t.Errorf("warned of unchecked revocation: %v", warned)
			}
			human, _, again := mailseal(t, dir, append([]string{"cert", "verify"}, strings.Fields(tt.line)...)...)
			if again != exit || !strings.HasPrefix(human, strings.ToUpper(string(tt.status))+"  ") {
				t.Errorf("for people, exit status %d: %s", again, human)
			}
		})
	}
}

// TestCertVerifyShowsThePath: who stands on it and what lists say of each.
func TestCertVerifyShowsThePath(t *testing.T) {
	dir := certFixtures(t)
	var v struct {
		Chain []struct{ Subject, Revocation string }
		Fault string
	}
	ask := func(line string) {
		t.Helper()
		stdout, _, _ := mailseal(t, dir, append([]string{"cert", "verify", "--json"}, strings.Fields(line)...)...)
		if err := json.Unmarshal([]byte(stdout), &v); err != nil {
			t.Fatal(err)
		}
	}
	ask("--trust root.pem --crl root.crl --crl revoked.crl chain.pem")
	if got := fmt.Sprint(v.Chain); got != "[{CN=alice@example.com revoked} {CN=Test Issuing,O=Example good} {CN=Test Root,O=Example not checked}]" || len(v.Fault) != 64 {
		t.Errorf("%s, fault %q", got, v.Fault)
	}
	ask("--trust root.pem --crl issuing.crl chain.pem")
	if got := fmt.Sprint(v.Chain); got != "[{CN=alice@example.com good} {CN=Test Issuing,O=Example unknown} {CN=Test Root,O=Example not checked}]" {
		t.Error(got)
	}
}

func TestCertVerifyRefusesBadUse(t *testing.T) {
	dir := certFixtures(t)
	for line, want := range map[string]int{
		"--trust root.pem":                                   2,
		"--trust root.pem leaf.pem leaf.pem":                 2,
		"--trust root.pem --purpose mail leaf.pem":           2,
		"--trust root.pem --policy gold leaf.pem":            2,
		"--trust root.pem --at yesterday leaf.pem":           2,
		"--trust root.pem --no-such-flag leaf.pem":           2,
		"--trust root.pem letter.eml":                        3,
		"--trust root.pem empty":                             3,
		"--trust root.pem nosuch.pem":                        3,
		"--trust letter.eml leaf.pem":                        3,
		"--trust empty leaf.pem":                             3,
		"--trust root.pem --intermediates root.crl leaf.pem": 3,
		"--trust root.pem --crl letter.eml leaf.pem":         3,
		"--trust root.pem --crl empty leaf.pem":              3,
	} {
		stdout, stderr, exit := mailseal(t, dir, append([]string{"cert", "verify"}, strings.Fields(line)...)...)
		if exit != want || stdout != "" || !strings.HasPrefix(stderr, "mailseal: error: ") {
			t.Errorf("%s: exit status %d, want %d: %s%s", line, exit, want, stdout, stderr)
		}
	}
}

// TestCertificateSchemaNamesEverything looks for a word of the code that the
// schema lacks.
func TestCertificateSchemaNamesEverything(t *testing.T) {
	data, err := os.ReadFile("../../docs/certificate.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for r := certpath.Reason(1); !strings.HasPrefix(r.String(), "reason "); r++ {
		if !bytes.Contains(data, fmt.Appendf(nil, "%q", r.String())) {
			t.Errorf("the schema does not know the cause %q", r)
		}
		status := smime.PathStatus(&certpath.Error{Reason: r})
		if !bytes.Contains(data, fmt.Appendf(nil, "%q", status)) {
			t.Errorf("the schema does not know the status %q", status)
		}
	}
}

// TestManyCrossSigned: a thousand certificates for one authority, none of which
// leads anywhere, are given up in good time.
func TestManyCrossSigned(t *testing.T) {
	dir := t.TempDir()
	a, b := testca.NewRoot(t, "A"), testca.NewRoot(t, "B")
	var thicket []byte
	for range 500 {
		thicket = append(append(thicket, a.CrossSign(b).PEM()...), b.CrossSign(a).PEM()...)
	}
	for name, data := range map[string][]byte{
		"thicket.pem": thicket,
		"leaf.pem":    a.Leaf("alice@example.com", testca.P256).Certificate.PEM(),
		"root.pem":    testca.NewRoot(t, "Root").Certificate.PEM(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	stdout, _, exit := mailseal(t, dir, "cert", "verify", "--trust", "root.pem", "--intermediates", "thicket.pem", "leaf.pem")
	if took := time.Since(began); exit != 1 || took > 10*time.Second { // half a second on a machine that does nothing else
		t.Errorf("exit status %d after %v: %s", exit, took, stdout)
	}
}

// TestMozillaIsTrustedByDefault: without --trust the authorities of Mozilla's list
// count beside the person's own, with it they do not.
func TestMozillaIsTrustedByDefault(t *testing.T) {
	dir := certFixtures(t)
	list, err := os.ReadFile("../anchors/email.pem")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "public.pem"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func(line string, want int) {
		t.Helper()
		if stdout, stderr, exit := mailseal(t, dir, append([]string{"cert", "verify"}, strings.Fields(line)...)...); exit != want {
			t.Errorf("%s: exit status %d: %s%s", line, exit, stdout, stderr)
		}
	}
	ask("--purpose any public.pem", 0)
	ask("--purpose any --trust root.pem public.pem", 1)
	ask("chain.pem", 1)
	root, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "home", "trust"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "home", "trust", "root.pem"), root, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ask("chain.pem", 0)
	ask("--purpose any public.pem", 0)
}
