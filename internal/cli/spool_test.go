package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
)

// TestSpool writes in pieces of every awkward size around the limit of memory and
// reads at random places while it writes.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 3*spoolMemory+12345)
	for i := range want {
		want[i] = byte(r.Uint32())
	}
	s := newSpool()
	for written := 0; written < len(want); {
		n := min(1+r.IntN(200_000), len(want)-written)
		if m, err := s.Write(want[written : written+n]); m != n || err != nil {
			t.Fatalf("Write: %d, %v", m, err)
		}
		written += n
		if s.Size() != int64(written) {
			t.Fatalf("Size %d after %d", s.Size(), written)
		}
		off := r.IntN(written)
		buf := make([]byte, 1+r.IntN(100_000))
		m, err := s.ReadAt(buf, int64(off))
		if short := m < len(buf); short != errors.Is(err, io.EOF) || !bytes.Equal(buf[:m], want[off:off+m]) {
			t.Fatalf("ReadAt %d of %d: %d bytes, %v", off, written, m, err)
		}
	}
	if got, err := io.ReadAll(s.reader()); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read back: %v, equal %v", err, bytes.Equal(got, want))
	}
}

// TestSpoolLeavesNothing looks at the temporary file as a thief of the disk would.
func TestSpoolLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	secret := bytes.Repeat([]byte("the fountain at noon "), spoolMemory/10)
	s := newSpool()
	for chunk := range bytes.Lines(bytes.ReplaceAll(secret, []byte("noon "), []byte("noon\n"))) {
		if _, err := s.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	name := s.file.Name()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	onDisk, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(onDisk) == 0 || bytes.Contains(onDisk, []byte("fountain")) {
		t.Errorf("%d bytes on the disk, in clear: %v", len(onDisk), bytes.Contains(onDisk, []byte("fountain")))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestSmallSpoolMakesNoFile(t *testing.T) {
	s := newSpool()
	if _, err := s.Write(make([]byte, spoolMemory)); err != nil {
		t.Fatal(err)
	}
	if s.file != nil {
		t.Error("a file for what fits in memory")
	}
}
