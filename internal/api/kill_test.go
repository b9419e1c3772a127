package api_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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
	s.now = s.now.Add(time.Minute)
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
