package export

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/testca"
)

// run runs a program, or skips where it is missing; with CI=true it has to be there.
func run(t *testing.T, input []byte, env []string, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs %s (scripts/test-deps installs it)", name)
		}
		t.Skipf("needs %s", name)
	}
	command := exec.Command(name, args...)
	command.Stdin, command.Env = bytes.NewReader(input), append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestSST(t *testing.T) {
	ca := testca.New(t)
	want := []*cert.Certificate{ca.Root.Certificate, ca.Issuing.Certificate}
	b := SST(want)
	if string(b[:8]) != "\x00\x00\x00\x00CERT" {
		t.Fatalf("header %x", b[:8])
	}
	b = b[8:]
	for _, c := range want {
		id, encoding, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])
		if id != 32 || encoding != 1 || !bytes.Equal(b[12:12+n], c.Raw) {
			t.Fatalf("entry %d %d of %d bytes is not the certificate", id, encoding, n)
		}
		b = b[12+n:]
	}
	if !bytes.Equal(b, make([]byte, 12)) {
		t.Errorf("ends with %x", b)
	}
}

// TestLDIF reads back what was written, as RFC 2849 says.
func TestLDIF(t *testing.T) {
	ca := testca.New(t)
	der := ca.Leaf("taro@example.com", testca.P256).Certificate.Raw
	entries := []Entry{
		{Name: "山田 太郎", Surname: "Yamada", GivenName: "Taro", Mail: "taro@example.com", Certificates: [][]byte{der, der}},
		{Name: " leading\nmail: other@example.org", Mail: `a,b+"c"@example.com`, Certificates: [][]byte{der}},
		{Name: ": colon ", Mail: "#x@example.com"},
	}
	var b bytes.Buffer
	l := NewLDIF(&b, "ou=people,dc=example,dc=com")
	for _, e := range entries {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		if len(line) > width {
			t.Errorf("line of %d bytes", len(line))
		}
	}
	unfolded := strings.ReplaceAll(b.String(), "\n ", "")
	records := strings.Split(strings.TrimSuffix(unfolded, "\n"), "\n\n")
	if records[0] != "version: 1" || len(records) != len(entries)+1 {
		t.Fatalf("%d records:\n%s", len(records), unfolded)
	}
	for i, record := range records[1:] {
		got := map[string][]string{}
		for line := range strings.SplitSeq(record, "\n") {
			name, value, _ := strings.Cut(line, ":")
			if coded, ok := strings.CutPrefix(value, ":"); ok {
				plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(coded))
				if err != nil {
					t.Fatal(err)
				}
				got[name] = append(got[name], string(plain))
			} else {
				got[name] = append(got[name], strings.TrimPrefix(value, " "))
			}
		}
		if got["cn"][0] != entries[i].Name || got["mail"][0] != entries[i].Mail || len(got["mail"]) != 1 {
			t.Errorf("record %d: cn %q, mail %q", i, got["cn"], got["mail"])
		}
		if n := len(got["userCertificate;binary"]); n != len(entries[i].Certificates) || n > 0 && got["userCertificate;binary"][0] != string(der) {
			t.Errorf("record %d: %d certificates", i, n)
		}
	}
	if want := `dn: mail=a\,b\+\"c\"@example.com,ou=people,dc=example,dc=com`; !strings.Contains(unfolded, want) {
		t.Errorf("no %s in\n%s", want, unfolded)
	}
}

// TestAppleProfile has OpenSSL verify the signature and reads what it gives.
func TestAppleProfile(t *testing.T) {
	ca := testca.New(t)
	signer := ca.Leaf("profiles@example.com", testca.P256)
	p := AppleProfile{
		Name: "Mail & <seal>", Description: "d", Organization: "山田商事", Identifier: "com.example.ca",
		Root: ca.Root.Certificate, Issuing: []*cert.Certificate{ca.Issuing.Certificate}, PKCS12: []byte("file"), PKCS12Name: "taro@example.com",
	}
	signed, err := p.Signed(&cms.Signer{Key: signer.Key.(crypto.Signer), Certificate: signer.Certificate, Chain: signer.Chain})
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, ca.Root.Certificate.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	content := run(t, signed, nil, "openssl", "cms", "-verify", "-inform", "DER", "-CAfile", root, "-purpose", "any", "-no_check_time", "-binary")
	body := strings.ReplaceAll(content, "CMS Verification successful\n", "")
	var values []string
	for d := xml.NewDecoder(strings.NewReader(body)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
		if text, ok := token.(xml.CharData); ok {
			values = append(values, string(text))
		}
	}
	all := strings.Join(values, "\n")
	for _, want := range []string{
		p.Name, p.Organization, payloadRoot, payloadIssuer, payloadPKCS12, base64.StdEncoding.EncodeToString(p.PKCS12),
		base64.StdEncoding.EncodeToString(ca.Root.Certificate.Raw), base64.StdEncoding.EncodeToString(ca.Issuing.Certificate.Raw),
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the profile has no %.60s", want)
		}
	}
	if !bytes.Equal(p.XML(), p.XML()) {
		t.Error("the same profile has two forms: a device would take it for another")
	}
}

const prefs = `user_pref("mail.identity.id1.useremail", "taro@example.com");
user_pref("mail.identity.id2.useremail", "jiro@example.com");
`

// TestThunderbird runs the script against a profile with NSS's own tools.
func TestThunderbird(t *testing.T) {
	ca := testca.New(t)
	leaf := ca.Leaf("taro@example.com", testca.P256)
	home := t.TempDir()
	profile := filepath.Join(home, ".thunderbird", "abc.default")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(".thunderbird/abc.default/prefs.js", []byte(prefs))
	write("empty", nil)
	run(t, nil, nil, "certutil", "-N", "-d", "sql:"+profile, "--empty-password")
	id := &identity.Identity{Key: leaf.Key, Certificate: leaf.Certificate, Chain: leaf.Chain, Label: `Taro "T" Yamada (taro@example.com)`}
	p12, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte("passphrase"), &identity.PKCS12Options{Iterations: identity.GeneratedIterations})
	if err != nil {
		t.Fatal(err)
	}
	file := write("taro.p12", p12)
	script := write("thunderbird.sh", Thunderbird(ca.Root.Certificate, []*cert.Certificate{ca.Issuing.Certificate}))
	// pk12util asks for the passphrase; a file answers where there is no terminal.
	wrapped := write("pk12util", []byte("#!/bin/sh\nexec /usr/bin/pk12util \"$@\" -W passphrase\n"))
	if err := os.Chmod(wrapped, 0o700); err != nil {
		t.Fatal(err)
	}
	out := run(t, nil, []string{"HOME=" + home, "PATH=" + home + ":" + os.Getenv("PATH")}, "sh", script, file)
	if !strings.Contains(out, "Mail from taro@example.com is signed") || strings.Contains(out, "jiro") {
		t.Errorf("it says:\n%s", out)
	}
	listed := run(t, nil, nil, "certutil", "-L", "-d", "sql:"+profile)
	for _, want := range []string{",C,", "u,u,u", "mailseal issuing"} {
		if !strings.Contains(listed, want) {
			t.Errorf("the profile has no %s:\n%s", want, listed)
		}
	}
	run(t, nil, nil, "certutil", "-V", "-d", "sql:"+profile, "-u", "S", "-b", "260601120000Z", "-n", id.Label)
	settings, err := os.ReadFile(filepath.Join(profile, "prefs.js"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `user_pref("mail.identity.id1.signing_cert_name", "Taro \"T\" Yamada (taro@example.com)");`; !strings.Contains(string(settings), want) || strings.Contains(string(settings), "id2.signing") {
		t.Errorf("no %s in\n%s", want, settings)
	}
}

func TestWindows(t *testing.T) {
	ca := testca.New(t)
	script := string(Windows(ca.Root.Certificate, []*cert.Certificate{ca.Issuing.Certificate}))
	for _, want := range []string{
		"Add-Authority 'Root' '" + base64.StdEncoding.EncodeToString(ca.Root.Certificate.Raw) + "'",
		"Add-Authority 'CA' '" + base64.StdEncoding.EncodeToString(ca.Issuing.Certificate.Raw) + "'",
	} {
		if !strings.Contains(script, want) {
			t.Errorf("no %.60s", want)
		}
	}
	if strings.Contains(script, "@CERT") || strings.Contains(script, "@THUMB") || strings.Count(script, "\n") != strings.Count(script, "\r\n") {
		t.Error("a gap is left, or a line does not end in CR LF")
	}
	for i := range len(script) {
		if script[i] > 0x7e { // PowerShell 5.1 takes a file without a mark for the system's code page
			t.Fatalf("a byte beyond ASCII: %q", script[max(i-10, 0):i+4])
		}
	}
}
