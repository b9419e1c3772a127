package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// host is the portal's in these tests; everybody dials loopback for it.
const host = "certificates.example.org"

// installation is a server as an operator runs it, in one process with the test.
type installation struct {
	t      *testing.T
	dir    string
	config Config
	log    *syncBuffer
	out    *syncBuffer
	doors  map[string]net.Addr
	trust  *x509.CertPool
	reload chan struct{}
	relay  *catcher.Catcher
	// database is the part of the settings that names PostgreSQL, or "".
	database string
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// install makes the folder of an installation with an authority in it, TLS
// files, and a relay. More goes into the configuration.
func install(t *testing.T, more string) *installation {
	t.Helper()
	i := &installation{t: t, dir: t.TempDir(), log: &syncBuffer{}, out: &syncBuffer{}, reload: make(chan struct{}, 1)}
	data := filepath.Join(i.dir, "data")
	if source := storetest.Source(t); storetest.Postgres() {
		databases.Store(data, source)
		i.database = fmt.Sprintf("database: {url: %q}\n", source)
	}
	run(t, data, func(string) {}) // founds the authority
	i.writePair("cert.pem", "key.pem", 1)
	i.configure(fmt.Sprintf(`data: %[1]s/data
portal: {url: "https://%[2]s", listen: "127.0.0.1:0", certificate: %[1]s/cert.pem, key: %[1]s/key.pem}
repository: {listen: "127.0.0.1:00"}
metrics: {listen: "127.0.0.1:000"}
mail: {from: ca@example.org, relay: "%[3]s", tls: none}
log: {level: debug}
`, i.dir, host, i.startRelay()) + more)
	return i
}

// configure takes the text of a file as the command does.
func (i *installation) configure(text string) {
	i.t.Helper()
	f, err := config.Parse([]byte(text + i.database))
	if err != nil {
		i.t.Fatal(err)
	}
	if _, err := f.Check(); err != nil {
		i.t.Fatal(err)
	}
	if _, err := f.CheckFiles("", time.Now()); err != nil {
		i.t.Fatal(err)
	}
	i.config = Config{
		Settings: &f.Settings, Reload: i.reload, Clock: time.Now, Rand: rand.Reader,
		Log: NewLog(i.log, f.Settings.Log.Format, f.Settings.Log.Level), Out: i.out,
		Keys:  &keys.Keys{Dir: f.Settings.Data, Plaintext: true},
		Doors: func(a map[string]net.Addr) { i.doors = a },
	}
}

// startRelay runs a relay on loopback for as long as the test lasts.
func (i *installation) startRelay() string {
	i.t.Helper()
	var err error
	i.relay, err = catcher.Open(catcher.Options{
		Dir: filepath.Join(i.dir, "relay"), Now: time.Now, Random: rand.Reader, Log: NewLog(io.Discard, "text", "error"),
	})
	if err != nil {
		i.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		i.t.Fatal(err)
	}
	go func() { _ = i.relay.Serve(l) }()
	i.t.Cleanup(func() { _ = i.relay.Shutdown(context.Background()) })
	return l.Addr().String()
}

// writePair makes a TLS certificate for the portal and trusts it.
func (i *installation) writePair(certificate, key string, serial int64) {
	i.t.Helper()
	i.writePairFor(host, certificate, key, serial)
}

func (i *installation) writePairFor(name, certificate, key string, serial int64) {
	i.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		i.t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		i.t.Fatal(err)
	}
	for file, text := range map[string][]byte{certificate: pemBlock("CERTIFICATE", der), key: pemBlock("PRIVATE KEY", encoded)} {
		if err := os.WriteFile(filepath.Join(i.dir, file), text, 0o600); err != nil {
			i.t.Fatal(err)
		}
	}
	if i.trust == nil {
		i.trust = x509.NewCertPool()
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	i.trust.AddCert(leaf)
}

// run serves while use looks at it.
func (i *installation) run(use func()) {
	i.t.Helper()
	ctx, cancel := context.WithCancel(i.t.Context())
	defer cancel()
	ready, done := make(chan struct{}), make(chan error, 1)
	c := i.config
	c.Ready = func(string) { close(ready) }
	go func() { done <- Run(ctx, c) }()
	select {
	case <-ready:
		use()
	case err := <-done:
		i.t.Fatalf("did not start: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		i.t.Errorf("did not stop cleanly: %v", err)
	}
}

// client reaches a door under the portal's name.
func (i *installation) client(door string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: i.trust}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", i.doors[door].String())
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       30 * time.Second,
	}
}

func (i *installation) get(door, url string) (*http.Response, string) {
	i.t.Helper()
	answer, err := i.client(door).Get(url)
	if err != nil {
		i.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	return answer, string(body)
}

// becomeReady waits until everything is: the first lists are signed meanwhile.
func (i *installation) becomeReady() { i.t.Helper(); i.becomeReadyBut("") }

// becomeReadyBut does not wait for one of the checks.
func (i *installation) becomeReadyBut(check string) {
	i.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, text := i.get(doorMetrics, "http://127.0.0.1/readyz")
		if answer.StatusCode == http.StatusOK || check != "" && strings.Count(text, ": ok\n") == strings.Count(text, "\n")-1 && !strings.Contains(text, check+": ok") {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("not ready:\n%s", text)
		}
	}
}

// TestServing walks around the doors of a real installation.
func TestServing(t *testing.T) {
	i := install(t, "")
	i.run(func() {
		i.becomeReady()
		answer, page := i.get(doorPortal, "https://"+host+"/")
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 || !strings.Contains(page, "mailseal") {
			t.Errorf("portal: %s %s", answer.Proto, answer.Status)
		}
		if strings.Contains(page, "/dev/mail") {
			t.Error("the portal leads to caught mails")
		}
		if got := answer.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("HSTS %q", got)
		}
		if answer.Header.Get("X-Request-Id") == "" || answer.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("header %v", answer.Header)
		}
		if answer, _ := i.get(doorPortal, "https://"+host+"/dev/mail"); answer.StatusCode != http.StatusNotFound {
			t.Errorf("/dev/mail: %s", answer.Status)
		}
		for _, path := range []string{"/crl/root.crl", "/crl/issuing.crl", "/ca/issuing.cer", "/healthz"} {
			if answer, _ := i.get(doorRepository, "http://pki.example.org"+path); answer.StatusCode != http.StatusOK || answer.Header.Get("Strict-Transport-Security") != "" {
				t.Errorf("repository %s: %s", path, answer.Status)
			}
		}
		if answer, _ := i.get(doorRepository, "http://"+host+"/apply?x"); answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != "https://"+host+"/" {
			t.Errorf("plain http to the portal: %s to %q", answer.Status, answer.Header.Get("Location"))
		}
		if answer, _ := i.get(doorRepository, "http://"+host+"/metrics"); answer.StatusCode != http.StatusFound {
			t.Errorf("metrics for everybody: %s", answer.Status)
		}
		for _, door := range []string{doorPortal, doorMetrics} {
			scheme := map[string]string{doorPortal: "https://"}[door]
			if scheme == "" {
				scheme = "http://"
			}
			if answer, text := i.get(door, scheme+host+"/readyz"); answer.StatusCode != http.StatusOK || !strings.Contains(text, "database: ok\nauthority: ok\nrevocation: ok\ndisk: ok\nclock: ok\n") {
				t.Errorf("%s: ready: %s\n%s", door, answer.Status, text)
			}
		}
		_, text := i.get(doorMetrics, "http://127.0.0.1/metrics")
		for _, want := range []string{
			`mailseal_http_requests_total{code="200",door="portal",method="GET"}`, `mailseal_ready{check="database"} 1`,
			`mailseal_crl_next_update_seconds{authority="issuing"}`, `mailseal_certificate_end_seconds{certificate="tls"}`,
			"mailseal_mails_waiting 0", "go_goroutines",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	})
	if !strings.Contains(i.out.String(), "claims the place at https://"+host+"/admin/claim") {
		t.Errorf("printed: %s", i.out)
	}
}

// TestAppleProfile has OpenSSL verify that the profile is signed with the
// certificate by which devices know the portal, and reads the portal in it.
func TestAppleProfile(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (scripts/test-deps installs it)", err)
	}
	i := install(t, "")
	i.run(func() {
		i.becomeReady()
		answer, profile := i.get(doorPortal, "https://"+host+"/install/mailseal.mobileconfig")
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != "application/x-apple-aspen-config" {
			t.Fatalf("%s, %s", answer.Status, got)
		}
		verify := exec.Command(openssl, "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-CAfile", filepath.Join(i.dir, "cert.pem"))
		verify.Stdin = strings.NewReader(profile)
		content, err := verify.Output()
		if err != nil {
			t.Fatalf("openssl cms -verify: %v", err)
		}
		for _, want := range []string{"<string>mailseal " + host + "</string>", "<string>org.example.certificates.mailseal</string>"} {
			if !strings.Contains(string(content), want) {
				t.Errorf("no %s in\n%s", want, content)
			}
		}
	})
}

// TestOtherHosts refuses names that are not the portal's, but for health checks.
func TestOtherHosts(t *testing.T) {
	i := install(t, "")
	i.run(func() {
		i.becomeReady()
		for path, want := range map[string]int{"/": 421, "/api/v1/orders/x": 421, "/healthz": 200, "/readyz": 200} {
			request, err := http.NewRequest(http.MethodGet, "https://"+host+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "rebind.example.net"
			answer, err := i.client(doorPortal).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("GET %s: %s", path, answer.Status)
			}
		}
	})
}

func serialOf(t *testing.T, i *installation) string {
	t.Helper()
	answer, _ := i.get(doorPortal, "https://"+host+"/healthz")
	return answer.TLS.PeerCertificates[0].SerialNumber.String()
}

// TestTLSReload: a new certificate is taken up when asked; half of one is not.
func TestTLSReload(t *testing.T) {
	i := install(t, "")
	i.run(func() {
		if got := serialOf(t, i); got != "1" {
			t.Fatalf("serial %s", got)
		}
		i.writePair("cert.pem", "other.pem", 2)
		i.reload <- struct{}{}
		i.waitForLog("TLS certificate not taken up")
		if got := serialOf(t, i); got != "1" {
			t.Errorf("after half a change: serial %s", got)
		}
		i.writePair("cert.pem", "key.pem", 3)
		i.reload <- struct{}{}
		i.waitForLog("TLS certificate taken up")
		if got := serialOf(t, i); got != "3" {
			t.Errorf("after the change: serial %s", got)
		}
	})
}

// waitForLog waits for what is sure to come. Pebble refuses one nonce in five, and a
// client that is refused several times in a row waits for seconds each time.
func (i *installation) waitForLog(words string) {
	i.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(i.log.String(), words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			i.t.Fatalf("the log does not say %q:\n%s", words, i.log)
		}
	}
}

// TestOldTLS: nothing below TLS 1.2 is spoken.
func TestOldTLS(t *testing.T) {
	i := install(t, "")
	i.run(func() {
		c := &tls.Config{RootCAs: i.trust, ServerName: host, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		conn, err := tls.Dial("tcp", i.doors[doorPortal].String(), c)
		if err == nil {
			_ = conn.Close()
			t.Error("TLS 1.1 was spoken")
		}
	})
}

// TestProxy: behind a proxy it is plain HTTP, for the proxy alone, and the
// client that the proxy names is the one whose mails are counted.
func TestProxy(t *testing.T) {
	i := install(t, "")
	i.configure(fmt.Sprintf(`data: %s/data
portal: {url: "https://%s", listen: "127.0.0.1:0", trusted-proxies: [127.0.0.1]}
repository: {listen: "127.0.0.1:00"}
metrics: {listen: none}
mail: {from: ca@example.org, relay: "127.0.0.1:1", tls: none}
`, i.dir, host))
	i.run(func() {
		if answer, _ := i.get(doorPortal, "http://"+host+"/"); answer.StatusCode != http.StatusOK || answer.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("through the proxy: %s", answer.Status)
		}
		if i.doors[doorMetrics] != nil {
			t.Error("metrics are there")
		}
	})
}

func TestClientAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		peer, forwarded, want string
		alone                 bool
	}{
		"direct":           {"192.0.2.7:9", "", "192.0.2.7:9", false},
		"direct, claiming": {"192.0.2.7:9", "198.51.100.1", "192.0.2.7:9", false},
		"proxy":            {"10.0.0.1:9", "198.51.100.1", "198.51.100.1:0", true},
		"two proxies":      {"10.0.0.1:9", "198.51.100.1, 10.0.0.2", "198.51.100.1:0", true},
		"claiming before":  {"10.0.0.1:9", "203.0.113.5, 198.51.100.1", "198.51.100.1:0", true},
		"no claim":         {"10.0.0.1:9", "", "10.0.0.1:0", true},
		"nonsense":         {"10.0.0.1:9", "198.51.100.1, unknown", "10.0.0.1:0", true},
		"mapped":           {"[::ffff:10.0.0.1]:9", "2001:db8::1", "[2001:db8::1]:0", true},
		"stranger":         {"192.0.2.7:9", "198.51.100.1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			h, err := behindProxies([]string{"10.0.0.0/24"}, tc.alone, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
			if err != nil {
				t.Fatal(err)
			}
			r, _ := http.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			if tc.forwarded != "" {
				r.Header.Set("X-Forwarded-For", tc.forwarded)
			}
			h.ServeHTTP(nopWriter{}, r)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

type nopWriter struct{}

func (nopWriter) Header() http.Header         { return http.Header{} }
func (nopWriter) Write(b []byte) (int, error) { return len(b), nil }
func (nopWriter) WriteHeader(int)             {}

// TestMetricsStayFew is row 41 of the threats: whatever comes in, the number of
// series stays. A million in the long form, some thousands here.
func TestMetricsStayFew(t *testing.T) {
	m := newMetrics("test")
	series := func() int {
		return len(m.set.ListMetricNames())
	}
	s := &system{Config: Config{Log: NewLog(io.Discard, "json", "error")}, metrics: m}
	h := s.observed(doorPortal, http.NotFoundHandler())
	ask := func(n int) {
		r, _ := http.NewRequest("X"+fmt.Sprint(n), fmt.Sprintf("/%d?%d", n, n), nil)
		r.Host, r.RemoteAddr = fmt.Sprintf("h%d.example.org", n), fmt.Sprintf("192.0.2.1:%d", n%65536)
		r.Header.Set("User-Agent", fmt.Sprint(n))
		h.ServeHTTP(nopWriter{}, r)
	}
	ask(0)
	few := series()
	inputs := 20000
	if os.Getenv("MAILSEAL_METRICS") != "" {
		inputs = 1000000
	}
	for n := range inputs {
		ask(n)
	}
	if got := series(); got != few {
		t.Errorf("%d series after %d distinct inputs, %d before", got, inputs, few)
	}
}

// TestLogKeepsSecrets: addresses, names and codes stay out of the log, at its
// most talkative, and each line is one JSON object with the request's number.
func TestLogKeepsSecrets(t *testing.T) {
	i := install(t, "")
	i.run(func() {
		body := strings.NewReader(`{"email":"canary@example.net","name":"Canary\nBird"}`)
		answer, err := i.client(doorPortal).Post("https://"+host+"/api/v1/orders", "application/json", body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		body = strings.NewReader(`{"email":"canary@example.net","name":"Canary Bird"}`)
		if answer, err = i.client(doorPortal).Post("https://"+host+"/api/v1/orders", "application/json", body); err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Fatalf("order: %s\n%s", answer.Status, i.log)
		}
		if n := answer.Header.Get("X-Request-Id"); !strings.Contains(i.log.String(), `"request":"`+n+`"`) {
			t.Errorf("the log does not know request %s", n)
		}
	})
	mails, err := i.relay.List(1)
	if err != nil || len(mails) != 1 {
		t.Fatal(mails, err)
	}
	code := codeIn(mails[0].Text)
	for _, secret := range []string{"canary", "Canary", code, "127.0.0.1"} {
		if strings.Contains(i.log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, i.log)
		}
	}
	for line := range strings.Lines(i.log.String()) {
		if !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}\n") {
			t.Errorf("not one object: %s", line)
		}
	}
}

func codeIn(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) == 35 && strings.Count(line, "-") == 5 {
			return line
		}
	}
	return "no code"
}
