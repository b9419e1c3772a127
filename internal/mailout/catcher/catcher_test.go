package catcher

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Catcher {
	t.Helper()
	c, err := Open(Options{Dir: dir, Now: func() time.Time { return noon }, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// talk is an SMTP client that sends bytes as they are.
type talk struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, c *Catcher) *talk {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = c.Shutdown(context.Background()) })
	k := &talk{t, conn, bufio.NewReader(conn)}
	k.expect("220")
	return k
}

// expect reads one reply, of one or more lines, and wants its code.
func (k *talk) expect(code string) {
	k.t.Helper()
	for {
		_ = k.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		line, err := k.in.ReadString('\n')
		if err != nil {
			k.t.Fatalf("waiting for %s: %v", code, err)
		}
		if !strings.HasPrefix(line, code) {
			k.t.Fatalf("got %q, want %s", line, code)
		}
		if line[3] == ' ' {
			return
		}
	}
}

func (k *talk) send(bytes, code string) {
	k.t.Helper()
	if _, err := k.conn.Write([]byte(bytes)); err != nil {
		k.t.Fatal(err)
	}
	k.expect(code)
}

func (k *talk) begin(to ...string) {
	k.t.Helper()
	k.send("EHLO client.example.com\r\n", "250")
	k.send("MAIL FROM:<ca@example.com>\r\n", "250")
	for _, address := range to {
		k.send("RCPT TO:<"+address+">\r\n", "250")
	}
	k.send("DATA\r\n", "354")
}

func TestKeepsEnvelopeAndBytes(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	k := dial(t, c)
	k.begin("alice@example.com", "bob@example.org")
	message := "Subject: Hi\r\nDelivered-To: carol@example.com\r\n\r\n..dot\r\nbytes \xff\r\n"
	k.send(strings.ReplaceAll(message, "\r\n.", "\r\n..")+".\r\n", "250")
	list, err := c.List(5)
	if err != nil || len(list) != 1 {
		t.Fatalf("list %v, %v", list, err)
	}
	m := list[0]
	if m.From != "ca@example.com" || strings.Join(m.To, " ") != "alice@example.com bob@example.org" {
		t.Errorf("envelope %q -> %q", m.From, m.To)
	}
	if !m.Date.Equal(noon) || m.Subject != "Hi" {
		t.Errorf("date %v, subject %q", m.Date, m.Subject)
	}
	file, err := os.ReadFile(filepath.Join(dir, m.ID+".eml"))
	if err != nil || !strings.HasSuffix(string(file), "\r\n"+message) {
		t.Errorf("file %q, %v, want the message as sent at its end", file, err)
	}
	if m.Raw != string(file) {
		t.Error("raw is not the file")
	}
	again, err := open(t, dir).Get(m.ID)
	if err != nil || again.Subject != "Hi" {
		t.Errorf("after a restart: %+v, %v", again, err)
	}
}

func TestRefusesBareLineEnds(t *testing.T) {
	for _, body := range []string{"a\nb\r\n", "a\rb\r\n", "a\r\r\nb\r\n", "\n\r\n", "a\n.\nb\r\n"} {
		t.Run(fmt.Sprintf("%q", body), func(t *testing.T) {
			c := open(t, t.TempDir())
			k := dial(t, c)
			k.begin("alice@example.com")
			k.send(body+".\r\n", "554")
			if list, _ := c.List(1); len(list) != 0 {
				t.Errorf("kept %q", list[0].Raw)
			}
			k.send("NOOP\r\n", "250") // the session goes on
		})
	}
}

// TestStops ends whether Serve has begun or not, and whoever is still connected.
func TestStops(t *testing.T) {
	for range 200 {
		c := open(t, t.TempDir())
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Serve(l) }()
		if err := c.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("Serve goes on after Shutdown")
		}
	}
	c := open(t, t.TempDir())
	k := dial(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Shutdown(ctx); err != nil {
		t.Errorf("with a session open: %v", err)
	}
	_ = k.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := k.in.ReadByte(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the session goes on: %v", err)
	}
}

// TestRefusesControlsInPaths: an address with a control character would break
// the fields that keep the envelope.
func TestRefusesControlsInPaths(t *testing.T) {
	k := dial(t, open(t, t.TempDir()))
	k.send("EHLO client.example\r\n", "250")
	for _, path := range []string{"a\x00b@example.com", "a\rb@example.com", "a\x0bb@example.com", "a\x7fb@example.com", "a\u0085b@example.com"} {
		k.send("MAIL FROM:<"+path+">\r\n", "5")
	}
	k.send("MAIL FROM:<alice@example.com>\r\n", "250")
	k.send("RCPT TO:<a\x00b@example.com>\r\n", "5")
	k.send("RCPT TO:<a\rb@example.com>\r\n", "5")
}

func TestLimits(t *testing.T) {
	t.Run("recipients", func(t *testing.T) {
		k := dial(t, open(t, t.TempDir()))
		k.send("EHLO x\r\n", "250")
		k.send("MAIL FROM:<>\r\n", "250")
		for i := range maxRecipients {
			k.send(fmt.Sprintf("RCPT TO:<p%d@example.com>\r\n", i), "250")
		}
		k.send("RCPT TO:<more@example.com>\r\n", "452")
	})
	t.Run("announced size", func(t *testing.T) {
		k := dial(t, open(t, t.TempDir()))
		k.send("EHLO x\r\n", "250")
		k.send(fmt.Sprintf("MAIL FROM:<> SIZE=%d\r\n", maxMessageBytes+1), "552")
	})
	t.Run("real size", func(t *testing.T) {
		c := open(t, t.TempDir())
		k := dial(t, c)
		k.begin("alice@example.com")
		line := strings.Repeat("x", 998) + "\r\n"
		k.send(strings.Repeat(line, maxMessageBytes/len(line)+1)+".\r\n", "552")
		if list, _ := c.List(1); len(list) != 0 {
			t.Error("kept a mail that is too big")
		}
	})
}

func TestListNewestFirst(t *testing.T) {
	dir := t.TempDir()
	now := noon
	c, err := Open(Options{Dir: dir, Now: func() time.Time { now = now.Add(time.Second); return now }, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := c.keep((&session{}).deliveryFields, fmt.Appendf(nil, "Subject: %d\r\n\r\n", i)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.List(2)
	if err != nil || len(list) != 2 || list[0].Subject != "2" || list[1].Subject != "1" {
		t.Errorf("list %+v, %v", list, err)
	}
}

func TestGetStaysInFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret.eml"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, filepath.Join(dir, "mail"))
	for _, id := range []string{"../secret", "..%2fsecret", "", ".", "20261123T120000.000000-00000000"} {
		if m, err := c.Get(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %+v, %v", id, m, err)
		}
	}
}

func TestOpenRemovesHalfWritten(t *testing.T) {
	dir := t.TempDir()
	half := filepath.Join(dir, temporary+"1")
	if err := os.WriteFile(half, []byte("Subject: ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func TestTextOfMultipart(t *testing.T) {
	raw := "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/html\r\n\r\n<p>\r\n" +
		"--a\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGFsbG8=\r\n--a--\r\n"
	if m := parse([]byte(raw)); m.Text != "Hallo" {
		t.Errorf("text %q", m.Text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Return-Path: <a@b>\r\nReceived: x;\r\n y\r\nSubject: =?utf-8?B?eA==?=\r\n\r\nbody"))
	f.Add([]byte("\r\nReceived: "))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m := parse(raw); m.Raw != string(raw) || m.To == nil {
			t.Errorf("parse lost bytes or gave a null list: %+v", m)
		}
	})
}
