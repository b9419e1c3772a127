package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progressSize is the size above which a person at a terminal wants to see that
// something happens; below it the work takes less than a second.
const progressSize = 128 << 20

// progress tells a person how much of a large input was read. It follows the reads
// and knows nothing of what they are for. Reads that go on where one ended count, not
// those that look at the end first; of an input that is read twice, even at the same
// time, the reads that are farther.
type progress struct {
	io.ReaderAt
	w    io.Writer
	now  func() time.Time
	size int64

	mu      sync.Mutex
	reached int64
	shown   time.Time
}

func (g *progress) ReadAt(p []byte, off int64) (int, error) {
	n, err := g.ReaderAt.ReadAt(p, off)
	g.mu.Lock()
	defer g.mu.Unlock()
	if off <= g.reached {
		g.reached = max(g.reached, off+int64(n))
	}
	if now := g.now(); now.Sub(g.shown) >= 200*time.Millisecond {
		g.shown = now
		fmt.Fprintf(g.w, "\r%3d %%", g.reached*100/g.size)
	}
	return n, err
}

// end takes the line away, so that what follows begins on a clean one.
func (g *progress) end() { fmt.Fprint(g.w, "\r\x1b[K") }

// showProgress follows an input if it is large and a person is watching.
func (p *program) showProgress(in *input) *input {
	if in.size < progressSize || !p.isTerminal(p.stderr) {
		return in
	}
	g := &progress{ReaderAt: in.ReaderAt, w: p.stderr, now: p.env.Now, size: in.size}
	last := in.close
	in.ReaderAt = g
	in.close = func() error {
		g.end()
		return last()
	}
	return in
}
