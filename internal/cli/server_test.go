package cli_test

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailseal/mailseal/internal/server"
	"github.com/mailseal/mailseal/internal/testca"
)

// startServer runs the real server for as long as the test lasts, its clock at noon
// of the fixtures' day, and returns its address.
func startServer(t *testing.T) string {
	t.Helper()
	url, _ := startServerIn(t, t.TempDir())
	return url
}

// startServerIn runs it with a data folder, until stop or the end of the test.
func startServerIn(t *testing.T, dir string) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- server.Run(ctx, server.Config{
			Data: dir, Listen: "127.0.0.1:0", SMTPListen: "127.0.0.1:0", Dev: true,
			Clock: func() time.Time { return testca.Now }, Rand: rand.Reader,
			Log: slog.New(slog.DiscardHandler), Out: io.Discard,
			Ready: func(url string) { ready <- url },
			GenerateKey: func() (crypto.Signer, error) { // RSA-4096 would take most of the test's time
				return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			},
		})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	select {
	case url = <-ready:
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	return url, stop
}

// mailedCode is a command of the stories: it prints the code in the newest mail to an
// address, as its reader copies it.
func mailedCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mailed-code ADDRESS FILE")
	}
	code, err := newestCode(ts.Getenv("SERVER"), args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(code+"\n"), 0o600))
}

func newestCode(base, address string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, base+"/dev/mail", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var mails []struct {
		To   []string `json:"to"`
		Text string   `json:"text"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&mails); err != nil {
		return "", err
	}
	line := regexp.MustCompile(`^[A-Za-z0-9-]{24,40}$`)
	for _, m := range mails { // newest first
		if !slices.ContainsFunc(m.To, func(to string) bool { return strings.Contains(to, address) }) {
			continue
		}
		for lines := bufio.NewScanner(strings.NewReader(m.Text)); lines.Scan(); {
			if text := strings.TrimSpace(lines.Text()); line.MatchString(text) {
				return text, nil
			}
		}
	}
	return "", errors.New("no mail with a code for " + address)
}
