package smime

import (
	"bufio"
	"io"
	"sync"
)

// Entities are written to a buffer, or to one and an ahead.Writer. Both keep their first error until they are flushed or closed,
// so that what is written in between need not be looked at.

// buffer gathers what is written in small pieces.
type buffer struct {
	*bufio.Writer // to reached
	reached       reached
}

// reached passes on what a buffer writes and knows how much of its room was in use.
type reached struct {
	dst  io.Writer
	room int
}

func (r *reached) Write(p []byte) (int, error) {
	r.room = max(r.room, len(p))
	return r.dst.Write(p)
}

// buffers wait for the next message: to make one takes longer than to fill it with most messages.
var buffers = sync.Pool{New: func() any { return &buffer{Writer: bufio.NewWriterSize(nil, 32<<10)} }}

func newBuffer(dst io.Writer) *buffer {
	w := buffers.Get().(*buffer)
	w.reached = reached{dst: dst}
	w.Reset(&w.reached)
	return w
}

// giveBack takes a buffer that nobody writes to any more. What was in it may be secret, and is not for the next.
func giveBack(w *buffer) {
	used := max(w.reached.room, w.Buffered())
	w.Reset(nil)
	w.reached = reached{}
	room := w.AvailableBuffer()
	clear(room[:min(used, cap(room))])
	buffers.Put(w)
}

func writeStrings(w io.Writer, list ...string) {
	for _, s := range list {
		_, _ = io.WriteString(w, s)
	}
}
