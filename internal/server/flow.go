package server

import (
	"net/http"
	"time"
)

// Limits of an answer that is longer than what fits into writeTimeout: as long as
// whoever reads takes pieceSize octets in that time they get more, up to
// longestAnswer.
const (
	pieceSize     = 32 << 10
	longestAnswer = 30 * time.Minute
)

// flow lets an answer take longer than the server's WriteTimeout while it flows.
// Whoever stops reading is cut off as before, and nobody reads for ever.
type flow struct {
	http.ResponseWriter
	out     *http.ResponseController
	step    time.Duration // for one piece
	end     time.Time     // of it all
	renewed time.Time
}

func newFlow(w http.ResponseWriter, step, longest time.Duration) *flow {
	now := time.Now()
	return &flow{ResponseWriter: w, out: http.NewResponseController(w), step: step, end: now.Add(longest), renewed: now}
}

// Write implements io.Writer.
func (f *flow) Write(data []byte) (n int, err error) {
	for {
		piece := data[n:min(n+pieceSize, len(data))]
		f.renew()
		written, err := f.ResponseWriter.Write(piece)
		if n += written; err != nil || n == len(data) {
			return n, err
		}
	}
}

// renew moves the deadline on, seldom: an answer may be many small writes.
func (f *flow) renew() {
	now := time.Now()
	if now.Sub(f.renewed) < f.step/20 {
		return
	}
	f.renewed = now
	deadline := now.Add(f.step)
	if deadline.After(f.end) {
		deadline = f.end
	}
	_ = f.out.SetWriteDeadline(deadline) // where there are none, nothing cuts the answer off
}

// Unwrap is for http.ResponseController.
func (f *flow) Unwrap() http.ResponseWriter { return f.ResponseWriter }
