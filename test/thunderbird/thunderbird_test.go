package thunderbird

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/testca"
)

//go:embed testdata/show.js
var showScript string

//go:embed testdata/send.js
var sendScript string

// need returns the path of a program. In CI a missing one fails the test.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: run scripts/test-deps", name)
	}
	if err != nil {
		t.Skipf("%s is missing: run scripts/test-deps", name)
	}
	return path
}

// screen starts an X server without a screen and returns the name of its display.
func screen(t *testing.T, dir string) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command(need(t, "Xvfb"), "-displayfd", "3", "-screen", "0", "1400x900x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	background(t, cmd, filepath.Join(dir, "xvfb.log"))
	write.Close()
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb does not start: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// background starts a program that ends with the test, and all that it started.
func background(t *testing.T, cmd *exec.Cmd, log string) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		out.Close()
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, text)
		}
	})
}

// port is one that nobody listens on.
func port(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// relay receives what Thunderbird sends.
func relay(t *testing.T) (*catcher.Catcher, int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catcher.Open(catcher.Options{Dir: t.TempDir(), Now: time.Now, Random: rand.Reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(c.Shutdown(t.Context()), <-done); err != nil {
			t.Error(err)
		}
	})
	return c, l.Addr().(*net.TCPAddr).Port
}

// mailseal runs a command line and returns standard output and what was said.
func mailseal(t *testing.T, dir string, args ...string) (stdout, said string, exit int) {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"MAILSEAL_HOME": filepath.Join(dir, "home"), "MAILSEAL_PASSPHRASE": passphrase}
	exit = cli.Run(t.Context(), args, strings.NewReader(""), &out, &errs, cli.Environment{
		LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ConfigDir: func() (string, error) { return "", errors.New("MAILSEAL_HOME is set") },
		Now:       time.Now,
		Version:   "test",

		GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	})
	return out.String(), errs.String(), exit
}

const (
	passphrase = "correct horse"
	words      = "let us meet at noon, at the fountain"
)

// folder holds the files of one test: letters go in, mails come out.
type folder struct{ dir string }

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(f.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return f.path(name)
}

func pkcs12(t *testing.T, l *testca.Leaf) []byte {
	t.Helper()
	id := &identity.Identity{Key: l.Key, Certificate: l.Certificate, Chain: l.Chain, Label: "person"}
	out, err := identity.EncodePKCS12([]*identity.Identity{id}, []byte(passphrase), &identity.PKCS12Options{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// made is a mail of ours that Thunderbird judges.
type made struct {
	id      string
	from    string // empty: Alice
	to      string
	command []string
	change  func([]byte) []byte
	want    seen
}

// seen is what a person sees of a mail's security: the icons, and the words of the
// panel behind them.
type seen struct{ Signed, Encrypted, Signature, Encryption string }

var (
	good   = seen{"message-signed-ok.svg", "", "Message Is Signed", "Message Is Not Encrypted"}
	sealed = seen{"message-signed-ok.svg", "message-encrypted-ok.svg", "Message Is Signed", "Message Is Encrypted"}
	bad    = seen{"", "", "Digital Signature Is Not Valid", "Message Is Not Encrypted"}
)

// mail makes one, as mailseal's command line does.
func (f folder) mail(t *testing.T, m *made) []byte {
	t.Helper()
	// Thunderbird refuses a Date that is an hour away from the signing time.
	letter := f.write(t, "letter.eml", fmt.Appendf(nil, "From: %s\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n",
		cmp.Or(m.from, "Alice <alice@example.com>"), m.to, m.id, time.Now().Format(time.RFC1123Z), m.id, words))
	out := f.path("out.eml")
	if _, said, exit := mailseal(t, f.dir, append(append([]string{}, m.command...), "-o", out, letter)...); exit != 0 {
		t.Fatalf("%v: %d %s", m.command, exit, said)
	}
	mail, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if m.change != nil {
		changed := m.change(mail)
		if bytes.Equal(changed, mail) {
			t.Fatalf("%s was not changed", m.id)
		}
		mail = changed
	}
	return mail
}

// person is who sits at Thunderbird: what a bulk run made for them, and gave out at
// the pick-up.
type person struct {
	keyFile
	email             string
	certificate, root *cert.Certificate
}

// equipped has an organization equip its people with keys that the server makes,
// and returns one of them as they are after picking up.
func equipped(t *testing.T, f folder) (p person) {
	t.Helper()
	dir := f.path("organization")
	if out, said, exit := mailseal(t, f.dir, "demo", "--enterprise", "2", "--dir", dir, "--json"); exit != 0 {
		t.Fatalf("%d %s%s", exit, out, said)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p.file = read("picked-up.p12")
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(read("passphrases.csv"), []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		opened, err := identity.DecodePKCS12(p.file, func() ([]byte, error) { return []byte(row[4]), nil })
		if err == nil {
			p.email, p.passphrase, p.certificate = row[1], row[4], opened.Identities[0].Certificate
		}
	}
	roots, err := cert.ParseAll(read("root.pem"))
	if err != nil || p.certificate == nil || len(roots) != 1 {
		t.Fatalf("%d roots, %v, and what was picked up is %v", len(roots), err, p.certificate)
	}
	p.root = roots[0]
	return p
}

// TestThunderbird: Thunderbird takes the identity that a bulk run made for somebody,
// decrypts and signs with it, finds mailseal's signed and sealed mails good and a
// changed one bad, whatever the kind of the signer's certificate, and learns from them
// for whom it can encrypt; mailseal opens what it sends back.
func TestThunderbird(t *testing.T) {
	if testing.Short() {
		t.Skip("long: starts Thunderbird")
	}
	f := folder{t.TempDir()}
	valid := testca.Validity(time.Now().Add(-24*time.Hour), time.Now().Add(30*24*time.Hour))
	ca := testca.New(t, valid)
	alice := ca.Leaf("alice@example.com", testca.RSA2048, valid)
	bob := equipped(t, f)
	curve := ca.Leaf("alice@example.com", testca.P256, valid)
	aliceID, curveID := f.write(t, "alice.p12", pkcs12(t, alice)), f.write(t, "curve.p12", pkcs12(t, curve))
	former := ca.Leaf("bob@example.com", testca.RSA2048, valid) // an RSA key of theirs, and another address
	formerCert := f.write(t, "former.pem", former.Certificate.PEM())
	bobCert, bobRoot := f.write(t, "bob.pem", bob.certificate.PEM()), f.write(t, "root.pem", bob.root.PEM())

	garble := func(mail []byte) []byte { return bytes.Replace(mail, []byte("fountain"), []byte("f0untain"), 1) }
	mails := []*made{
		{"changed@example.com", "", bob.email, []string{"sign", "--as", aliceID}, garble, bad},
		{"signed@example.com", "", bob.email, []string{"sign", "--as", curveID}, nil, good},
		{"opaque@example.com", "", bob.email, []string{"sign", "--opaque", "--as", curveID}, nil, good},
		{"sealed@example.com", "", bob.email, []string{"seal", "--as", aliceID, "--to", bobCert}, nil, sealed},
		{"sealed-before@example.com", "", bob.email, []string{"seal", "--as", aliceID, "--to", formerCert}, nil, sealed},
	}
	authority, issued := kinds(t)
	var everybody []string // to whom one mail is encrypted
	for kind, leaf := range issued {
		everybody = append(everybody, kind+"@example.com")
		as := f.write(t, kind+".p12", pkcs12(t, leaf))
		mails = append(mails, &made{"by-" + kind + "@example.com", kind + "@example.com", bob.email, []string{"sign", "--as", as}, nil, good})
	}
	var mbox bytes.Buffer
	for _, m := range mails {
		fmt.Fprintf(&mbox, "From - %s\r\n%s\r\n", time.Now().Format(time.ANSIC), f.mail(t, m))
	}

	caught, smtpPort := relay(t)
	p := &profile{dir: f.path("profile"), email: bob.email, smtpPort: smtpPort, marionettePort: port(t)}
	p.write(t, []*cert.Certificate{ca.Root.Certificate, authority, bob.root}, []keyFile{bob.keyFile, {pkcs12(t, former), passphrase}}, mbox.Bytes())
	tb := start(t, f, p)

	for _, m := range mails {
		t.Run("reads "+strings.TrimSuffix(m.id, "@example.com"), func(t *testing.T) {
			var s seen
			if err := tb.call(showScript, &s, m.id, "let us meet"); err != nil {
				t.Fatal(err)
			}
			if want := m.want; s != want {
				t.Errorf("saw  %+v\nwant %+v", s, want)
			}
		})
	}
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("writes, encrypted %v", encrypted), func(t *testing.T) {
			var sent bool
			if err := tb.call(sendScript, &sent, bob.email, "alice@example.com", "An answer", "at noon, then", encrypted); err != nil {
				t.Fatal(err)
			}
			list, err := caught.List(1)
			if err != nil || len(list) != 1 {
				t.Fatalf("caught %v, %v", list, err)
			}
			answer := f.write(t, "answer.eml", []byte(list[0].Raw))
			opened := f.path("opened.eml")
			out, said, exit := mailseal(t, f.dir, "open", "--as", aliceID, "--as", curveID, "--trust", bobRoot, "--json", "-o", opened, answer)
			var v struct {
				Verdict, Coverage string
				Encrypted         bool
				From              []string
			}
			if err := json.Unmarshal([]byte(out), &v); err != nil || exit != 0 {
				t.Fatalf("%d %s%s", exit, out, said)
			}
			if v.Verdict != "valid" || v.Coverage != "whole" || v.Encrypted != encrypted || v.From[0] != bob.email {
				t.Errorf("%+v", v)
			}
			if text := text(t, opened); text != "at noon, then\r\n" {
				t.Errorf("it says %q", text)
			}
		})
	}
	t.Run("writes to all kinds of certificates", func(t *testing.T) {
		var sent bool
		if err := tb.call(sendScript, &sent, bob.email, strings.Join(everybody, ", "), "To all", "at noon, then", true); err != nil {
			t.Fatal(err)
		}
		list, err := caught.List(1)
		if err != nil || len(list) != 1 {
			t.Fatalf("caught %v, %v", list, err)
		}
		f.allOpen(t, f.write(t, "all.eml", []byte(list[0].Raw)), bobRoot, issued)
	})
}

// allOpen has each of those to whom a mail was encrypted open it.
func (f folder) allOpen(t *testing.T, mail, root string, issued map[string]*testca.Leaf) {
	t.Helper()
	for kind := range issued {
		opened := f.path("for-" + kind)
		if out, said, exit := mailseal(t, f.dir, "open", "--as", f.path(kind+".p12"), "--trust", root, "-o", opened, mail); exit != 0 {
			t.Errorf("%s: %d %s%s", kind, exit, out, said)
		} else if text := text(t, opened); text != "at noon, then\r\n" {
			t.Errorf("%s: it says %q", kind, text)
		}
	}
}

// text reads what a mail of one part says.
func text(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := mail.ReadMessage(file)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Content-Transfer-Encoding") == "base64" {
		m.Body = base64.NewDecoder(base64.StdEncoding, m.Body)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// start starts Thunderbird on a profile.
func start(t *testing.T, f folder, p *profile) *marionette {
	t.Helper()
	cmd := exec.Command(need(t, "thunderbird"), "--profile", p.dir, "--no-remote", "--marionette", "--remote-allow-system-access")
	cmd.Env = append(os.Environ(), "DISPLAY="+screen(t, f.dir), "HOME="+f.dir, "LANG=en_US.UTF-8", "LC_ALL=C.UTF-8", "LIBGL_ALWAYS_SOFTWARE=1", "MOZ_DISABLE_CONTENT_SANDBOX=1")
	background(t, cmd, f.path("thunderbird.log"))
	tb, err := dialMarionette(fmt.Sprintf("127.0.0.1:%d", p.marionettePort), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return tb
}
