package cli

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	var shown bytes.Buffer
	clock := time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)
	g := &progress{ReaderAt: strings.NewReader(strings.Repeat("x", 1000)), w: &shown, size: 1000, now: func() time.Time {
		clock = clock.Add(150 * time.Millisecond)
		return clock
	}}
	buf := make([]byte, 100)
	for _, off := range []int64{0, 900, 100, 200, 0, 300} { // 900 is a look at the end
		if n, err := g.ReadAt(buf, off); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	g.end()
	// At most every 200 ms, and never back.
	if want := "\r 10 %\r 20 %\r 30 %\r\x1b[K"; shown.String() != want {
		t.Errorf("%q, want %q", shown.String(), want)
	}
}

// TestProgressTogether: a long signed mail is read by two at a time.
func TestProgressTogether(t *testing.T) {
	var shown bytes.Buffer
	const size = 100_000
	g := &progress{ReaderAt: strings.NewReader(strings.Repeat("x", size)), w: &shown, size: size, now: time.Now}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			buf := make([]byte, 100)
			for off := int64(0); off < size; off += 100 {
				g.ReadAt(buf, off)
			}
		})
	}
	readers.Wait()
	if g.reached != size {
		t.Errorf("%d of %d", g.reached, size)
	}
}
