package ahead

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
	"time"
)

// sizes are on both sides of every block's end.
func sizes() []int {
	var all []int
	for _, n := range []int{0, 1, firstBlock, alone, alone + firstBlock, block, firstBlock + alone + depth*block, 20 * block} {
		all = append(all, max(0, n-1), n, n+1)
	}
	return all
}

func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func TestCopyGivesWhatItReads(t *testing.T) {
	for _, n := range sizes() {
		want := content(n)
		for name, src := range map[string]io.Reader{
			"whole": bytes.NewReader(want), "half reads": iotest.HalfReader(bytes.NewReader(want)), "data with EOF": iotest.DataErrReader(bytes.NewReader(want)),
		} {
			var got bytes.Buffer
			written, err := Copy(&got, src)
			if err != nil || written != int64(n) || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s, %d octets: %d written, %v", name, n, written, err)
			}
		}
	}
}

func TestReaderReadsInSmallPieces(t *testing.T) {
	want := content(5*block + 3)
	r := NewReader(bytes.NewReader(want))
	defer r.Close()
	if err := iotest.TestReader(r, want); err != nil {
		t.Error(err)
	}
}

func TestWriterWritesWhatItGets(t *testing.T) {
	for _, n := range sizes() {
		want := content(n)
		var got bytes.Buffer
		w := NewWriter(&got)
		for p := want; len(p) > 0; {
			k := min(len(p), 1+rand.IntN(3*block))
			if m, err := w.Write(p[:k]); m != k || err != nil {
				t.Fatal(m, err)
			}
			p = p[k:]
		}
		if err := w.Close(); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%d octets: %d came out, %v", n, got.Len(), err)
		}
		if _, err := w.Write([]byte("late")); err == nil {
			t.Error("a closed writer takes more")
		}
	}
}

var errBroken = errors.New("broken")

// brokenAfter fails behind n octets, on either side.
type brokenAfter struct{ n int }

func (b *brokenAfter) Read(p []byte) (int, error) {
	n := min(b.n, len(p))
	if b.n -= n; n == 0 {
		return 0, errBroken
	}
	return n, nil
}

func (b *brokenAfter) Write(p []byte) (int, error) {
	if len(p) > b.n {
		return b.n, errBroken
	}
	b.n -= len(p)
	return len(p), nil
}

func TestErrorsComeThroughBehindTheContent(t *testing.T) {
	for _, n := range sizes() {
		var got bytes.Buffer
		written, err := Copy(&got, &brokenAfter{n})
		if !errors.Is(err, errBroken) || written != int64(n) || got.Len() != n {
			t.Errorf("source broken after %d: %d written, %v", n, written, err)
		}
		if _, err := Copy(&brokenAfter{n}, &brokenAfter{21 * block}); !errors.Is(err, errBroken) {
			t.Errorf("destination broken after %d: %v", n, err)
		}
		w := NewWriter(&brokenAfter{n})
		_, werr := w.Write(content(n + 1))
		if err := w.Close(); !errors.Is(err, errBroken) {
			t.Errorf("writer broken after %d: %v, then %v", n, werr, err)
		}
		if err := w.Close(); !errors.Is(err, errBroken) {
			t.Errorf("the second Close forgot the error: %v", err)
		}
	}
}

// TestNothingIsLeftRunning gives up at every stage.
func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, n := range sizes() {
		r := NewReader(&brokenAfter{30 * block})
		if _, err := io.CopyN(io.Discard, r, int64(n)); err != nil {
			t.Fatal(err)
		}
		r.Close()
		r.Close()
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errClosed) {
			t.Error(err)
		}
		w := NewWriter(io.Discard)
		_, _ = w.Write(content(n))
		_ = w.Close()
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}
