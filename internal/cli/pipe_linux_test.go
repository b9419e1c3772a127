package cli

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWiden(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(r.Close(), w.Close()) }()
	widen(w)
	if size, err := unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0); err != nil || size != pipeSize {
		t.Errorf("the pipe holds %d octets, %v", size, err)
	}
	// Neither is a pipe.
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	widen(f)
	widen(t)
}
