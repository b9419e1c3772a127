package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store/storetest"
)

func quickKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// folder returns a new data folder and says where its state is kept.
func folder(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	if source := storetest.Source(t); storetest.Postgres() {
		databases.Store(data, source)
	}
	return data
}

// databases has the databases of folders whose state is not kept in a file.
var databases sync.Map

func development(data string, out io.Writer) Config {
	db, _ := databases.Load(data)
	source, _ := db.(string)
	return Config{
		Data: data, DB: source, Listen: "127.0.0.1:0", SMTPListen: "127.0.0.1:0", Dev: true,
		Clock: time.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler), Out: out, GenerateKey: quickKey,
	}
}

// run serves on a data folder while use looks at it, and returns what was
// printed.
func run(t *testing.T, data string, use func(url string)) string {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, done := make(chan string, 1), make(chan error, 1)
	c := development(data, &out)
	c.Ready = func(url string) { ready <- url }
	go func() { done <- Run(ctx, c) }()
	select {
	case url := <-ready:
		use(url)
	case err := <-done:
		t.Fatalf("did not start: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("did not stop cleanly: %v", err)
	}
	return out.String()
}

func get(t *testing.T, url, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// TestSecondStart finds everything as it was, and the place of the first
// administrator still to be claimed, by a new code.
func TestSecondStart(t *testing.T) {
	data := folder(t)
	var roots [2]string
	var out [2]string
	for i := range 2 {
		out[i] = run(t, data, func(url string) {
			for _, path := range []string{"/", "/healthz", "/install", "/dev/mail", "/crl/root.crl", "/crl/issuing.crl", "/ca/issuing.cer"} {
				if status, _ := get(t, url+path, ""); status != http.StatusOK {
					t.Errorf("GET %s: %d", path, status)
				}
			}
			_, roots[i] = get(t, url+"/ca/root.pem", "")
		})
	}
	if roots[0] != roots[1] || !strings.Contains(roots[0], "BEGIN CERTIFICATE") {
		t.Error("the second start has another root")
	}
	code := regexp.MustCompile(`(?m)^  [A-Z0-9-]{24,40}$`)
	first, second := code.FindString(out[0]), code.FindString(out[1])
	if first == "" || second == "" || first == second {
		t.Errorf("codes of the first administrator: %q, then %q", first, second)
	}
	if !strings.Contains(out[0], "Making a root") || strings.Contains(out[1], "Making a root") {
		t.Errorf("printed:\n%s\nthen:\n%s", out[0], out[1])
	}
}

// TestFingerprints holds that people can compare the root with what OpenSSL,
// Apple and Windows show of it.
func TestFingerprints(t *testing.T) {
	run(t, folder(t), func(url string) {
		_, root := get(t, url+"/ca/root.cer", "")
		_, page := get(t, url+"/install", "")
		page = strings.ReplaceAll(page, " ", "")
		for _, want := range []string{fmt.Sprintf("%x", sha256.Sum256([]byte(root))), fmt.Sprintf("%x", sha1.Sum([]byte(root)))} {
			if !strings.Contains(page, want) {
				t.Errorf("the install page does not show %s", want)
			}
		}
	})
}

// TestMoved tells that certificates go on naming the first port.
func TestMoved(t *testing.T) {
	const notice = "say that revocation lists are at "
	data, first := folder(t), ""
	if out := run(t, data, func(url string) { first = url }); strings.Contains(out, notice) {
		t.Errorf("at the first start:\n%s", out)
	}
	taken, err := net.Listen("tcp", strings.TrimPrefix(first, "http://")) // so that the next port is another one
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if out := run(t, data, func(string) {}); !strings.Contains(out, notice+first) {
		t.Errorf("on another port:\n%s", out)
	}
}

// TestOneProcess keeps a second server out of the folder of a running one, on
// whatever ports, and lets it in afterwards.
func TestOneProcess(t *testing.T) {
	data := folder(t)
	run(t, data, func(string) {
		c := development(data, io.Discard)
		c.Ready = func(string) { t.Error("it serves") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Run(ctx, c); err == nil || !strings.Contains(err.Error(), "another mailseal is using it") {
			t.Errorf("a second server on the folder: %v", err)
		}
	})
	run(t, data, func(string) {})
}

// TestOpenFolder refuses a folder in which everybody may replace the keys.
func TestOpenFolder(t *testing.T) {
	data := folder(t)
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), development(data, io.Discard)); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("folder open to everybody: %v", err)
	}
}

// TestOtherNames refuses requests for names that are not this machine's, which
// is how DNS rebinding comes in.
func TestOtherNames(t *testing.T) {
	run(t, folder(t), func(url string) {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
		for host, want := range map[string]int{
			"": 200, "localhost:" + port: 200, "127.0.0.1": 200, "[::1]:" + port: 200, "[::1]": 200,
			"rebind.example.org:" + port: 421, "rebind.example.org": 421, "192.0.2.1": 421, "localhost.example.org": 421, "[2001:db8::1]": 421,
		} {
			for _, path := range []string{"/", "/healthz", "/dev/mail", "/api/v1/orders/x", "/ca/root.pem"} {
				status, _ := get(t, url+path, host)
				if want == 421 && status != want || want == 200 && status == 421 {
					t.Errorf("Host %q, GET %s: %d", host, path, status)
				}
			}
		}
	})
}

func TestDoesNotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, tc := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"without --dev":   {func(c *Config) { c.Dev = false }, "--dev"},
		"port taken":      {func(c *Config) { c.Listen = taken.Addr().String() }, "the port is taken"},
		"SMTP port taken": {func(c *Config) { c.SMTPListen = taken.Addr().String() }, "choose another port with --smtp"},
		"all interfaces":  {func(c *Config) { c.Listen = ":8080" }, "loopback"},
		"other machine":   {func(c *Config) { c.SMTPListen = "192.0.2.1:25" }, "loopback"},
		"no port":         {func(c *Config) { c.Listen = "127.0.0.1" }, "host:port"},
		"no folder":       {func(c *Config) { c.Data = "/dev/null/x" }, "data folder"},
		"incomplete":      {func(c *Config) { c.Clock = nil }, "not complete"},
	} {
		t.Run(name, func(t *testing.T) {
			c := development(folder(t), io.Discard)
			tc.change(&c)
			c.Ready = func(string) { t.Error("it serves") }
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := Run(ctx, c); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

// TestStopsWhileBusy ends with a connection open that says nothing.
func TestStopsWhileBusy(t *testing.T) {
	begin := time.Now()
	run(t, folder(t), func(url string) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil {
			t.Fatal(err)
		}
	})
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v to stop", took)
	}
}
