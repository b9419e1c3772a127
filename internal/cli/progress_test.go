package cli

import (
	"bytes"
	"strings"
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
	for _, off := range []int64{0, 100, 200, 0, 900} {
		if n, err := g.ReadAt(buf, off); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	g.end()
	// At most every 200 ms, and never back.
	if want := "\r 10 %\r 30 %\r100 %\r\x1b[K"; shown.String() != want {
		t.Errorf("%q, want %q", shown.String(), want)
	}
}
