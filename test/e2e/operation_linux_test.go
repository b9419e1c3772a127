package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailout/catcher"
)

// TestUnits holds the score of the units: below 2 of 10, where 10 is all open.
func TestUnits(t *testing.T) {
	program := need(t, "systemd-analyze")
	for _, name := range []string{"mailseal.service", "mailseal-signer.service"} {
		unit := filepath.Join("..", "..", "deploy", "systemd", name)
		out, err := exec.Command(program, "security", "--offline=true", unit).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		score := regexp.MustCompile(`Overall exposure level for ` + name + `: ([0-9.]+)`).FindSubmatch(out)
		if score == nil {
			t.Fatalf("no score in: %s", out)
		}
		if level, err := strconv.ParseFloat(string(score[1]), 64); err != nil || level > 2 {
			t.Errorf("%s: exposure level %s, want at most 2.0:\n%s", name, score[1], out)
		}
	}
}

const operatorsHost = "certificates.example.org"

// operator runs the program as an operator does, in a folder.
type operator struct {
	t       *testing.T
	dir     string
	program string
	trust   *x509.CertPool
	portal  *net.TCPListener // as systemd would have opened it
	others  map[string]string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir(), trust: x509.NewCertPool(), others: map[string]string{}}
	o.program = filepath.Join(o.dir, "mailseal")
	if out, err := exec.Command("go", "build", "-o", o.program, "../../cmd/mailseal").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.portal = l.(*net.TCPListener)
	t.Cleanup(func() { _ = l.Close() })
	for _, door := range []string{"repository", "metrics", "relay"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		o.others[door] = l.Addr().String()
		_ = l.Close()
	}
	o.write("passphrase", "a long passphrase for the keys\n")
	o.certificate(1)
	o.write("mailseal.yaml", fmt.Sprintf(`data: %[1]s/data
keys: {passphrase: %[1]s/passphrase}
portal: {url: "https://%[2]s", listen: systemd:portal, certificate: %[1]s/cert.pem, key: %[1]s/key.pem}
repository: {listen: "%[3]s"}
metrics: {listen: "%[4]s"}
mail: {from: ca@example.org, relay: "%[5]s", tls: none}
`, o.dir, operatorsHost, o.others["repository"], o.others["metrics"], o.others["relay"]))
	return o
}

func (o *operator) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// certificate replaces the TLS certificate.
func (o *operator) certificate(serial int64) {
	o.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: operatorsHost}, DNSNames: []string{operatorsHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(20 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		o.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		o.t.Fatal(err)
	}
	o.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	o.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	o.trust.AddCert(leaf)
}

// run runs one command to its end.
func (o *operator) run(want int, args ...string) (stdout, stderr string) {
	o.t.Helper()
	var out, messages bytes.Buffer
	cmd := exec.Command(o.program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.dir, &out, &messages
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != want {
		o.t.Fatalf("mailseal %s: exit status %d, want %d: %v\n%s%s", strings.Join(args, " "), got, want, err, &out, &messages)
	}
	return out.String(), messages.String()
}

// start starts the server as systemd does, with a socket and with somebody who
// wants to hear when it is ready.
func (o *operator) start() (cmd *exec.Cmd, said chan string, logs *buffer) {
	o.t.Helper()
	path := filepath.Join(o.dir, "notify")
	_ = os.Remove(path)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = notify.Close() })
	said = make(chan string, 10)
	go func() {
		for b := make([]byte, 100); ; {
			n, err := notify.Read(b)
			if err != nil {
				return
			}
			said <- string(b[:n])
		}
	}()
	socket, err := o.portal.File()
	if err != nil {
		o.t.Fatal(err)
	}
	defer socket.Close()
	// The number of the process that the sockets are for is known only inside.
	cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" serve --config mailseal.yaml`, o.program)
	cmd.Dir, cmd.ExtraFiles = o.dir, []*os.File{socket}
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=portal", "NOTIFY_SOCKET="+path)
	logs = &buffer{}
	cmd.Stdout, cmd.Stderr = logs, logs
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = cmd.Process.Kill() })
	o.hear(said, "READY=1", logs)
	return cmd, said, logs
}

func (o *operator) hear(said chan string, want string, logs *buffer) {
	o.t.Helper()
	select {
	case got := <-said:
		if got != want {
			o.t.Fatalf("systemd hears %q, want %q", got, want)
		}
	case <-time.After(time.Minute):
		o.t.Fatalf("systemd never hears %s:\n%s", want, logs)
	}
}

func (o *operator) client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: o.trust}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", o.portal.Addr().String())
		},
	}}
}

// TestOperation is the life of an installation, by the program as it is released:
// authorities are made, the settings are checked, the server starts on systemd's
// socket, takes up a new TLS certificate on SIGHUP, is examined, finishes a
// request that is under way when SIGTERM comes, and keeps a mail that the relay
// did not take until it is started again.
func TestOperation(t *testing.T) {
	o := newOperator(t)
	o.run(0, "ca", "init", "--data", "data", "--algorithm", "p-256", "--operator", "Example Ltd", "--base-url", "http://pki.example.org",
		"--yes", "--present", "Alice", "--present", "Bob", "--passphrase-file", "passphrase")
	if _, text := o.run(0, "config", "check", "mailseal.yaml"); !strings.Contains(text, "the server takes it") || !strings.Contains(text, "warning: line 3: portal.certificate: expires at") {
		t.Errorf("config check: %s", text)
	}
	cmd, said, logs := o.start()

	serial := func() string {
		answer, err := o.client().Get("https://" + operatorsHost + "/healthz")
		if err != nil {
			t.Fatalf("%v\n%s", err, logs)
		}
		defer answer.Body.Close()
		return answer.TLS.PeerCertificates[0].SerialNumber.String()
	}
	if got := serial(); got != "1" {
		t.Errorf("TLS certificate %s", got)
	}
	o.certificate(2)
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); serial() != "2"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not taken up:\n%s", logs)
		}
	}

	o.examine()

	// The relay is down: the order is taken and its mail waits.
	answer, err := o.client().Post("https://"+operatorsHost+"/api/v1/orders", "application/json", strings.NewReader(`{"email":"alice@example.net"}`))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusCreated || !strings.Contains(string(text), `"mail":"waiting"`) {
		t.Errorf("with the relay down: %s %s", answer.Status, text)
	}

	// A request whose second half comes after SIGTERM.
	reader, writer := io.Pipe()
	result := make(chan string, 1)
	go func() {
		answer, err := o.client().Post("https://"+operatorsHost+"/api/v1/orders", "application/json", reader)
		if err != nil {
			result <- err.Error()
			return
		}
		_ = answer.Body.Close()
		result <- answer.Status
	}()
	if _, err := writer.Write([]byte(`{"email":"bob@ex`)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the first half is on its way
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	o.hear(said, "STOPPING=1", logs)
	if _, err := writer.Write([]byte(`ample.net"}`)); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	if got := <-result; got != "201 Created" {
		t.Errorf("the request under way: %s\n%s", got, logs)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped with %v\n%s", err, logs)
	}

	// The relay is back, and so is the server: both mails leave.
	relay := o.startRelay()
	cmd, _, logs = o.start()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		mails, err := relay.List(10)
		if err != nil {
			t.Fatal(err)
		}
		if len(mails) >= 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d mails came, want 2:\n%s", len(mails), logs)
		}
	}
	if strings.Contains(logs.String(), "example.net") {
		t.Errorf("the log names people:\n%s", logs)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped with %v\n%s", err, logs)
	}
}

// examine asks the doctor, who finds that the public names lead nowhere in this
// test and that the relay is down, and that all else is well.
func (o *operator) examine() {
	o.t.Helper()
	out, _ := o.run(1, "doctor", "--config", "mailseal.yaml", "--json")
	var findings []struct{ Check, Level, What, Remedy string }
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		o.t.Fatal(err)
	}
	levels := map[string]string{}
	for _, f := range findings {
		if levels[f.Check] != "trouble" {
			levels[f.Check] = f.Level
		}
		if f.Level != "well" && f.Remedy == "" {
			o.t.Errorf("no way out: %+v", f)
		}
	}
	for check, want := range map[string]string{
		"files": "well", "database": "well", "keys": "well", "authority": "well", "revocation": "well", "audit": "well", "tls": "odd",
		"relay": "trouble", "portal": "trouble", "repository": "trouble",
	} {
		if levels[check] != want {
			o.t.Errorf("doctor on %s: %q, want %q\n%s", check, levels[check], want, out)
		}
	}
	if err := os.Chmod(filepath.Join(o.dir, "data", "mailseal.db"), 0o666); err != nil {
		o.t.Fatal(err)
	}
	if out, _ := o.run(1, "doctor", "--config", "mailseal.yaml"); !regexp.MustCompile(`trouble  files: .*mailseal.db has mode 0666: others can replace it\n         -> chmod go-rwx`).MatchString(out) {
		o.t.Errorf("a database that everybody may write: %s", out)
	}
	if err := os.Chmod(filepath.Join(o.dir, "data", "mailseal.db"), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// startRelay runs a relay where the settings look for it.
func (o *operator) startRelay() *catcher.Catcher {
	o.t.Helper()
	c, err := catcher.Open(catcher.Options{
		Dir: filepath.Join(o.dir, "relay"), Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		o.t.Fatal(err)
	}
	l, err := net.Listen("tcp", o.others["relay"])
	if err != nil {
		o.t.Fatal(err)
	}
	go func() { _ = c.Serve(l) }()
	o.t.Cleanup(func() { _ = c.Shutdown(context.Background()) })
	return c
}
