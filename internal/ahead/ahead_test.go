package ahead

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"
)

// sizes are on both sides of every block's end.
func sizes() []int {
	var all []int
	for _, n := range []int{0, 1, firstBlock, Alone, Alone + firstBlock, block, firstBlock + Alone + depth*block, 20 * block} {
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

// panicsAfter panics behind n octets, on either side.
type panicsAfter struct{ n int }

func (b *panicsAfter) Read(p []byte) (int, error) {
	n := min(b.n, len(p))
	if b.n -= n; n == 0 {
		panic("broken")
	}
	return n, nil
}

func (b *panicsAfter) Write(p []byte) (int, error) {
	if b.n -= len(p); b.n < 0 {
		panic("broken")
	}
	return len(p), nil
}

// panics tells whether f panics with what one side did.
func panics(f func()) (did bool) {
	defer func() {
		switch r := recover().(type) {
		case string:
			did = r == "broken"
		case *Panic:
			did = r.Value == "broken" && bytes.Contains(r.Stack, []byte("panicsAfter"))
		}
	}()
	f()
	return false
}

// TestPanicsReachTheCaller: a panic on a goroutine is one of the caller, who is
// watched over, and nothing blocks or is taken for done.
func TestPanicsReachTheCaller(t *testing.T) {
	for _, n := range []int{0, 1, Alone, Alone + block + 1, 12 * block} {
		if !panics(func() { _, _ = Copy(io.Discard, &panicsAfter{n}) }) {
			t.Errorf("source, %d octets: no panic", n)
		}
		if !panics(func() { // the panic lies ahead of what was read
			r := NewReader(&panicsAfter{Alone + n})
			defer r.Close()
			_, _ = io.CopyN(io.Discard, r, Alone+1)
			_, _ = io.Copy(io.Discard, r)
		}) {
			t.Errorf("reader, %d octets: no panic", n)
		}
		if !panics(func() {
			w := NewWriter(&panicsAfter{n})
			_, _ = w.Write(content(n + 8*block))
			_ = w.Close()
		}) {
			t.Errorf("destination, %d octets: no panic", n)
		}
		w := NewWriter(&panicsAfter{n})
		_ = panics(func() { _, _ = w.Write(content(n + 8*block)) })
		if !panics(func() { _ = w.Close() }) {
			t.Errorf("destination, %d octets: closed as if all was well", n)
		}
	}
	// Given up before the caller came to it.
	r := NewReader(&panicsAfter{Alone + block})
	if _, err := io.CopyN(io.Discard, r, Alone+1); err != nil {
		t.Fatal(err)
	}
	for len(r.full) == 0 {
		time.Sleep(time.Millisecond)
	}
	if !panics(r.Close) || panics(r.Close) {
		t.Error("the panic did not come once")
	}
}

// TestParallel: each piece of work is done once, and a panic in one is the caller's.
func TestParallel(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for _, n := range []int{0, 1, 3, 1000} {
		done := make([]atomic.Int32, n)
		Parallel(n, func(i int) { done[i].Add(1) })
		for i := range done {
			if got := done[i].Load(); got != 1 {
				t.Errorf("%d of %d was done %d times", i, n, got)
			}
		}
		if n > 0 && !panics(func() {
			Parallel(n, func(i int) {
				if i == n-1 {
					_, _ = (&panicsAfter{}).Read(make([]byte, 1))
				}
			})
		}) {
			t.Errorf("%d: no panic", n)
		}
	}
}

// short takes all but the last octet, and says nothing.
type short struct{}

func (short) Write(p []byte) (int, error) { return max(0, len(p)-1), nil }

func TestShortWrite(t *testing.T) {
	for _, n := range []int{1, Alone + 1, 3 * block} {
		if _, err := Copy(short{}, bytes.NewReader(content(n))); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%d octets: %v", n, err)
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

// TestBlocksAreClear: what was in a first block is not for the next.
func TestBlocksAreClear(t *testing.T) {
	look := func(after string) {
		t.Helper()
		b := newBlock(firstBlock)
		defer giveBack(b, firstBlock)
		for i, c := range b {
			if c != 0 {
				t.Fatalf("%s: octet %d of the block is %#x", after, i, c)
			}
		}
	}
	for _, n := range []int{1, firstBlock - 1, firstBlock, firstBlock + 1, Alone, Alone + block} {
		secret := bytes.Repeat([]byte{0xaa}, n)
		w := NewWriter(io.Discard)
		if _, err := w.Write(secret); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		look("Writer")
		if _, err := Copy(io.Discard, bytes.NewReader(secret)); err != nil {
			t.Fatal(err)
		}
		look("Copy")
	}
}
