package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailout/catcher"
	"github.com/mailseal/mailseal/internal/server"
)

// site is a running server.
type site struct {
	t    *testing.T
	url  string
	data string  // its data folder
	out  *buffer // what it printed for people
	logs *buffer
}

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// serve starts the server in a folder and stops it at the end of the test. The
// authority gets P-256 keys, because RSA-4096 ones take seconds.
func serve(t *testing.T, changes ...func(*server.Config)) *site {
	t.Helper()
	s := &site{t: t, data: t.TempDir(), out: &buffer{}, logs: &buffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	c := server.Config{
		Data: s.data, Listen: "127.0.0.1:0", SMTPListen: "127.0.0.1:0", Dev: true,
		Clock: time.Now, Rand: rand.Reader, Out: s.out, Ready: func(url string) { ready <- url },
		Log:         slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		GenerateKey: func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	}
	for _, change := range changes {
		change(&c)
	}
	go func() { done <- server.Run(ctx, c) }()
	select {
	case s.url = <-ready:
	case err := <-done:
		t.Fatalf("server did not start: %v\n%s", err, s.logs)
	case <-time.After(time.Minute):
		t.Fatal("server not ready after a minute")
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return s
}

// mails are the caught mails to an address, newest first.
func (s *site) mails(to string) []catcher.Mail {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, s.url+"/dev/mail", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	var all, found []catcher.Mail
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		s.t.Fatal(err)
	}
	for _, m := range all {
		if len(m.To) == 1 && m.To[0] == to {
			found = append(found, m)
		}
	}
	return found
}

// codeLine is a challenge code: alone on its line, letters, digits and hyphens.
var codeLine = regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`)

// code is what the newest mail to an address says.
func (s *site) code(to string) string {
	s.t.Helper()
	mails := s.mails(to)
	if len(mails) == 0 {
		s.t.Fatalf("no mail to %s", to)
	}
	codes := codeLine.FindAllString(mails[0].Text, -1)
	if len(codes) != 1 {
		s.t.Fatalf("codes %q in the mail:\n%s", codes, mails[0].Text)
	}
	return codes[0]
}

// get reads a file of the site as somebody without a session.
func (s *site) get(path string) []byte {
	s.t.Helper()
	answer, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("GET %s: %s, %v", path, answer.Status, err)
	}
	return body
}
