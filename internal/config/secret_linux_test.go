package config

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe is refused at once, and not waited for.
func TestSecretInAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var s Secret
	if err := s.UnmarshalText([]byte(path)); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := s.Read("")
		got <- err
	}()
	select {
	case err := <-got:
		if err == nil || !strings.Contains(err.Error(), "not a plain file") {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("it waits for somebody who writes into the pipe")
	}
}
