package api_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/testdns"
)

// TestKilledServer is the other process of the test below; it serves until it is
// killed.
func TestKilledServer(t *testing.T) {
	source := os.Getenv("MAILSEAL_API_SOURCE")
	if source == "" {
		return // it is for the process that TestIdempotencyKilled starts
	}
	s := serveIn(t, os.Getenv("MAILSEAL_API_DIR"), source, os.Getenv("MAILSEAL_API_DNS"))
	if _, err := os.Stdout.WriteString("\nserves " + s.URL + "\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}

// A request whose process is killed in the middle is under way for a minute more,
// and then lost: it is not done again by itself, and who asked is told, and goes on
// with another key.
func TestIdempotencyKilled(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	base := "/api/v1/organizations/" + ours.objects["organization"]
	path := base + "/domains/" + s.json(token, "POST", base+"/domains", object{"name": "slow.example"}, 201)["id"].(string) + "/check"

	silent, err := net.ListenPacket("udp", "127.0.0.1:0") // a resolver that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledServer$", "-test.v")
	other.Env = append(os.Environ(), "MAILSEAL_API_SOURCE="+s.source, "MAILSEAL_API_DIR="+s.dir, "MAILSEAL_API_DNS="+silent.LocalAddr().String())
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var talk strings.Builder // of its output; its errors are shown as they come
	other.Stderr = os.Stderr
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill() }()
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		url, _ = strings.CutPrefix(lines.Text(), "serves ")
		if !strings.HasPrefix(url, "http") {
			talk.WriteString(url + "\n")
			url = ""
		}
	}
	if url == "" {
		t.Fatalf("the other process does not serve: %s", talk.String())
	}
	cut := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, nil)
		if err == nil {
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Idempotency-Key", "cut")
			var w *http.Response
			if w, err = http.DefaultClient.Do(r); err == nil {
				w.Body.Close()
			}
		}
		cut <- err
	}()
	if err := silent.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := silent.ReadFrom(make([]byte, 1500)); err != nil { // it is in the middle
		t.Fatalf("the request does not come as far as the DNS: %v", err)
	}
	ask := func(key string) (int, string) {
		t.Helper()
		s.later()
		w := s.ask(token, "POST", path, "", "", "Idempotency-Key: "+key)
		return w.Code, w.Body.String()
	}
	if code, body := ask("cut"); code != 409 || !strings.Contains(body, "idempotency-under-way") {
		t.Errorf("while it is under way: %d %s", code, body)
	}
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait() // killed, as was wanted
	if err := <-cut; err == nil {
		t.Error("it was answered")
	}
	if code, body := ask("cut"); code != 409 || !strings.Contains(body, "idempotency-under-way") {
		t.Errorf("just after the kill: %d %s", code, body)
	}
	s.mu.Lock()
	s.now = time.Now().Add(time.Minute) // its clock stood at when it began to serve
	s.mu.Unlock()
	for range 2 {
		if code, body := ask("cut"); code != 409 || !strings.Contains(body, "idempotency-lost") {
			t.Errorf("a minute later: %d %s", code, body)
		}
	}
	if code, body := ask("another"); code != 200 || !strings.Contains(body, "slow.example") {
		t.Errorf("with another key: %d %s", code, body)
	}
}

// A request that takes longer than a process is trusted for is under way as long as
// it takes: the process says so again in time, and says no more when it has ended.
func TestIdempotencyHeld(t *testing.T) {
	s := serve(t)
	ours := s.found("ours")
	token := s.token(ours.admin, ours.admin.Grants...)
	base := "/api/v1/organizations/" + ours.objects["organization"]
	path := base + "/domains/" + s.json(token, "POST", base+"/domains", object{"name": "slow.example"}, 201)["id"].(string) + "/check"
	dns := testdns.New(t)
	release := dns.Hold()
	defer release()
	other := serveIn(t, s.dir, s.source, dns.Address)
	other.beat = make(chan time.Time)
	pass := func(d time.Duration) {
		for _, one := range []*server{s, other} {
			one.mu.Lock()
			one.now = one.now.Add(d)
			one.mu.Unlock()
		}
	}
	ask := func(one *server) *httptest.ResponseRecorder {
		return one.ask(token, "POST", path, "", "", "Idempotency-Key: long")
	}
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() { answered <- ask(other) }()
	for end := time.Now().Add(20 * time.Second); dns.Asked("_mailseal-challenge.slow.example") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the request does not come as far as the DNS")
		}
	}
	beat := func() {
		t.Helper()
		select {
		case other.beat <- time.Time{}:
		case <-time.After(20 * time.Second):
			t.Fatal("nobody holds the request")
		}
	}
	for range 4 { // three minutes
		if w := ask(s); w.Code != 409 || !strings.Contains(w.Body.String(), "idempotency-under-way") {
			t.Fatalf("while it is under way: %d %s", w.Code, w.Body)
		}
		pass(45 * time.Second)
		beat()
		beat() // is taken when the one before it has been written down
	}
	if other.beats <= 0 || other.beats > 30*time.Second {
		t.Errorf("it is held every %s: one that is late loses it", other.beats)
	}
	release()
	first := <-answered
	if first.Code != 200 {
		t.Errorf("%d %s", first.Code, first.Body)
	}
	if _, on := <-other.beat; on {
		t.Error("it is held when it has ended")
	}
	if again := ask(s); again.Code != 200 || again.Header().Get("Idempotency-Replayed") != "true" || again.Body.String() != first.Body.String() {
		t.Errorf("asked again: %d %s", again.Code, again.Body)
	}
}
