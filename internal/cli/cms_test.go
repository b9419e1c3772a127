package cli_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/cli"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// TestCMSOfAnySize: what goes in is several times what is held in memory. What
// comes out is DER, and with --indefinite not.
func TestCMSOfAnySize(t *testing.T) {
	dir := fixtureFolder(t)
	content := make([]byte, 5<<20+17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(r.Uint32())
	}
	put(t, dir, "large", content)
	for _, c := range []struct{ name, make, read string }{
		{"signed", "cms sign --as alice.p12", "cms verify --trust root.pem --intermediates issuing.pem"},
		{"enveloped", "cms encrypt --to bob.pem", "cms decrypt --as bob.p12"},
		{"authenticated", "cms encrypt --to bob.pem --cipher aes-256-gcm", "cms decrypt --as bob.p12"},
		{"ccm", "cms encrypt --to bob.pem --cipher aes-128-ccm", "cms decrypt --as bob.p12"},
		{"compressed", "cms compress", "cms uncompress"},
		{"digested", "cms digest", "cms digest --check"},
	} {
		for _, form := range []string{"", " --indefinite"} {
			for _, line := range []string{c.make + form + " -o message large", c.read + " -o back message"} {
				if _, stderr, exit := mailseal(t, dir, strings.Fields(line)...); exit != 0 {
					t.Fatalf("%s: %d\n%s", line, exit, stderr)
				}
			}
			message, back := get(t, dir, "message"), get(t, dir, "back")
			if !bytes.Equal(back, content) {
				t.Errorf("%s%s: other content", c.name, form)
			}
			der, err := ber.DER(message)
			if err != nil || bytes.Equal(der, message) != (form == "") {
				t.Errorf("%s%s: DER %v, %v", c.name, form, bytes.Equal(der, message), err)
			}
			armored := pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: message})
			put(t, dir, "message", append([]byte("Explanatory text\n"), armored...))
			if _, stderr, exit := mailseal(t, dir, strings.Fields(c.read+" -o back2 message")...); exit != 0 || !bytes.Equal(get(t, dir, "back2"), content) {
				t.Errorf("%s%s as PEM: %d\n%s", c.name, form, exit, stderr)
			}
		}
	}
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestIndefiniteStreams: with --indefinite the message flows before its content
// has ended.
func TestIndefiniteStreams(t *testing.T) {
	dir := fixtureFolder(t)
	contentOut, contentIn := io.Pipe()
	messageOut, messageIn := io.Pipe()
	done := make(chan int)
	go func() {
		exit := cli.Run(context.Background(), []string{"cms", "sign", "--as", filepath.Join(dir, "alice.p12"), "--indefinite"}, contentOut, messageIn, io.Discard, cli.Environment{
			LookupEnv: func(key string) (string, bool) { return passphrase, key == "MAILSEAL_PASSPHRASE" },
			ConfigDir: os.UserConfigDir,
			Now:       func() time.Time { return testca.Now },
		})
		messageIn.Close()
		done <- exit
	}()
	piece := bytes.Repeat([]byte("x"), 1<<20)
	go func() {
		contentIn.Write(piece)
		contentIn.Write(piece)
	}()
	// A megabyte comes out while the content is still open.
	if _, err := io.ReadFull(messageOut, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	go func() { contentIn.Close() }()
	if _, err := io.Copy(io.Discard, messageOut); err != nil {
		t.Fatal(err)
	}
	if exit := <-done; exit != 0 {
		t.Errorf("exit status %d", exit)
	}
}

// TestIndefiniteDoesNotWait: with --indefinite what a slow pipe brings comes out
// before it brings more, however little it is.
func TestIndefiniteDoesNotWait(t *testing.T) {
	dir := fixtureFolder(t)
	for line, clear := range map[string]bool{
		"cms sign --as alice.p12 --indefinite": true, "cms digest --indefinite": true, "cms compress --indefinite": false,
		"cms encrypt --to alice.pem --indefinite": false, "cms encrypt --cipher aes-256-gcm --to alice.pem --indefinite": false,
	} {
		args := strings.Fields(line)
		for i, a := range args {
			if strings.HasPrefix(a, "alice.") {
				args[i] = filepath.Join(dir, a)
			}
		}
		contentOut, contentIn := io.Pipe()
		messageOut, messageIn := io.Pipe()
		done := make(chan int, 1)
		go func() {
			exit := cli.Run(context.Background(), args, contentOut, messageIn, io.Discard, cli.Environment{
				LookupEnv: func(key string) (string, bool) { return passphrase, key == "MAILSEAL_PASSPHRASE" },
				ConfigDir: os.UserConfigDir,
				Now:       func() time.Time { return testca.Now },
			})
			messageIn.Close()
			done <- exit
		}()
		var message bytes.Buffer
		head := make([]byte, 64<<10)
		for i := range 4 {
			piece := fmt.Sprintf("line %d, of three blocks of a cipher's or so", i)
			if i == 3 {
				piece = strings.Repeat(piece, 2500) // more than a pipe holds otherwise
			}
			if _, err := io.WriteString(contentIn, piece); err != nil {
				t.Fatal(err)
			}
			// Blocks where it does not come; of what is compressed the head must do.
			least := message.Len() + 1
			if clear {
				least += len(piece) - 1
			}
			for message.Len() < least {
				n, err := messageOut.Read(head)
				if err != nil {
					t.Fatal(err)
				}
				message.Write(head[:n])
			}
			if clear && i < 3 && !bytes.Contains(message.Bytes(), []byte(piece)) {
				t.Errorf("%s: line %d is not there", line, i)
			}
		}
		contentIn.Close()
		if _, err := io.Copy(&message, messageOut); err != nil {
			t.Fatal(err)
		}
		if exit := <-done; exit != 0 {
			t.Errorf("%s: exit status %d", line, exit)
		}
	}
}

// faulty panics as a bug in a reader would.
type faulty struct{ left int }

func (f *faulty) Read(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		panic("a bug")
	}
	return len(p), nil
}

// TestFaultOnAGoroutine: a bug on a goroutine of a long copy ends the program as one
// anywhere else does: said, with its own exit status, and without a result. A flow has
// none.
func TestFaultOnAGoroutine(t *testing.T) {
	dir := fixtureFolder(t)
	made := filepath.Join(t.TempDir(), "made.p7m")
	for fault, more := range map[string][]string{"internal fault: a bug, on a goroutine": {"-o", made}, "internal fault: a bug": nil} {
		args := append([]string{"cms", "sign", "--as", filepath.Join(dir, "alice.p12"), "--indefinite"}, more...)
		var errs bytes.Buffer
		exit := cli.Run(context.Background(), args, &faulty{4 << 20}, io.Discard, &errs, cli.Environment{
			LookupEnv: func(key string) (string, bool) { return passphrase, key == "MAILSEAL_PASSPHRASE" },
			ConfigDir: os.UserConfigDir,
			Now:       func() time.Time { return testca.Now },
		})
		if exit != 3 || !strings.Contains(errs.String(), fault) || !strings.Contains(errs.String(), "faulty") {
			t.Errorf("exit status %d: %s", exit, errs.String())
		}
	}
	if _, err := os.Stat(made); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was not finished is there: %v", err)
	}
}

// newTSA serves timestamps over HTTP, at a time that the test sets.
func newTSA(t *testing.T, ca *testca.Authority, at time.Time) *httptest.Server {
	timeStamping := testca.Extension(oid.ExtExtKeyUsage, true, []byte("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08"))
	leaf := ca.Leaf("", testca.P256, timeStamping, testca.KeyUsage(x509.KeyUsageDigitalSignature),
		testca.Validity(testca.Now.AddDate(-1, 0, 0), testca.Now.AddDate(8, 0, 0)), func(c *x509.Certificate) { c.Subject.CommonName = "Test TSA" })
	a := &cms.TimestampAuthority{Signer: &cms.Signer{Key: leaf.Signer(), Certificate: leaf.Certificate, Chain: leaf.Chain}, Policy: "1.2.3"}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		response, err := a.Respond(request, big.NewInt(1), at)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(response)
	}))
	t.Cleanup(s.Close)
	return s
}

// TestTimestampedFile: the verdict says when a trusted authority has seen the
// signature, and an authority that nobody trusts says nothing.
func TestTimestampedFile(t *testing.T) {
	dir := fixtureFolder(t)
	root := testca.NewRoot(t, "Clock Root")
	put(t, dir, "both.pem", append(root.Certificate.PEM(), get(t, dir, "root.pem")...))
	at := testca.Now.Add(-time.Hour)
	tsa := newTSA(t, root.Authority("Clock Issuing"), at)
	if _, stderr, exit := mailseal(t, dir, "cms", "sign", "--as", "alice.p12", "--timestamp", tsa.URL, "-o", "signed", "letter.eml"); exit != 0 {
		t.Fatal(stderr)
	}
	for trust, want := range map[string]time.Time{"both.pem": at, "root.pem": {}} {
		out, stderr, exit := mailseal(t, dir, "cms", "verify", "--trust", trust, "--intermediates", "issuing.pem", "--json", "signed")
		var v smime.Verdict
		if err := json.Unmarshal([]byte(out), &v); err != nil || exit != 0 || len(v.Signers) != 1 || !v.Signers[0].Timestamped.Equal(want) {
			t.Errorf("%s: %d, %s%s", trust, exit, out, stderr)
		}
	}
	out, _, _ := mailseal(t, dir, "cms", "verify", "--trust", "both.pem", "--intermediates", "issuing.pem", "signed")
	if !strings.Contains(out, "Stamped at   2026-06-01 11:00:00 UTC") {
		t.Error(out)
	}
	for _, url := range []string{tsa.URL[:len(tsa.URL)-1], "http://127.0.0.1:1"} {
		if _, stderr, exit := mailseal(t, dir, "cms", "sign", "--as", "alice.p12", "--timestamp", url, "-o", "never", "letter.eml"); exit != 3 || !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: %d, %s", url, exit, stderr)
		}
	}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	if _, stderr, exit := mailseal(t, dir, "cms", "sign", "--as", "alice.p12", "--timestamp", web.URL, "-o", "never", "letter.eml"); exit != 3 || !strings.Contains(stderr, "404") {
		t.Errorf("%d, %s", exit, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); err == nil {
		t.Error("a message without its timestamp was written")
	}
}

// TestTimestampedMail: sign and seal carry timestamps too, and the verdict names
// them.
func TestTimestampedMail(t *testing.T) {
	dir := fixtureFolder(t)
	root := testca.NewRoot(t, "Clock Root")
	put(t, dir, "both.pem", append(root.Certificate.PEM(), get(t, dir, "root.pem")...))
	tsa := newTSA(t, root.Authority("Clock Issuing"), testca.Now)
	for _, lines := range [][2]string{
		{"sign --as alice.p12 --timestamp " + tsa.URL + " -o made.eml letter.eml", "verify --trust both.pem --json made.eml"},
		{"seal --as alice.p12 --to bob.pem --timestamp " + tsa.URL + " -o made.eml letter.eml", "open --as bob.p12 --trust both.pem --json made.eml"},
	} {
		if _, stderr, exit := mailseal(t, dir, strings.Fields(lines[0])...); exit != 0 {
			t.Fatal(stderr)
		}
		out, stderr, exit := mailseal(t, dir, strings.Fields(lines[1])...)
		if exit != 0 || !strings.Contains(out, `"timestamped": "2026-06-01T12:00:00Z"`) {
			t.Errorf("%s: %d\n%s%s", lines[1], exit, out, stderr)
		}
	}
}
