// Package ahead lets both ends of a long copy work at the same time: while one
// core writes, hashes or encrypts a block, another reads, decodes or decrypts
// the next. Short copies, as most mails are, start no goroutine.
//
// [Copy] and [Reader] run the source's side on a goroutine of its own, [Writer]
// the destination's. Nobody else may use that side until Copy has returned or
// Close was called; the goroutine has ended then. A panic on that goroutine becomes
// one of the caller, at the next call, so that whoever watches over the caller sees
// it.
package ahead

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

const (
	firstBlock = 8 << 10 // most messages end within
	// Alone is how much is copied before a goroutine is worth its start: 64 KiB.
	Alone = 8 * firstBlock
	// block is what changes hands; depth blocks may be full at a time. Together they fit
	// the cache of a core, and so many that one who is late does not stop the other.
	block = 128 << 10
	depth = 8
)

// Panic is what a caller panics with where a goroutine of its own has panicked.
type Panic struct {
	Value any
	Stack []byte // of the goroutine
}

// Error says what the goroutine panicked with, and where.
func (p *Panic) Error() string { return fmt.Sprintf("%v, on a goroutine:\n%s", p.Value, p.Stack) }

// caught is what was recovered, with the way there; nil for nothing.
func caught(value any) *Panic {
	if value == nil {
		return nil
	}
	if p, is := value.(*Panic); is {
		return p
	}
	return &Panic{value, debug.Stack()}
}

// Reader reads ahead.
type Reader struct {
	src  io.Reader
	rest []byte // of the block at hand
	read int    // octets, as long as there is no goroutine
	err  error  // behind rest

	current []byte // the block at hand, to be given back
	full    chan filled
	empty   chan []byte
	stop    chan struct{}
}

// filled is a block with what ended it.
type filled struct {
	buf      []byte
	n        int
	err      error
	panicked *Panic
}

// NewReader returns a Reader of src. Close it, also after an error.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Read implements io.Reader. Errors of the source come behind what it gave.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.next(); err != nil {
		return 0, err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo without a copy in between.
func (r *Reader) WriteTo(w io.Writer) (written int64, err error) {
	for {
		if err := r.next(); errors.Is(err, io.EOF) {
			return written, nil
		} else if err != nil {
			return written, err
		}
		n, err := w.Write(r.rest)
		written += int64(n)
		if err == nil && n < len(r.rest) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
		r.rest = nil
	}
}

// next makes sure that rest has something.
func (r *Reader) next() error {
	for len(r.rest) == 0 {
		if r.err != nil {
			return r.err
		}
		r.fill()
	}
	return nil
}

func (r *Reader) fill() {
	if r.read < Alone {
		if size := max(firstBlock, r.read); len(r.current) < size { // doubles what was read
			r.release()
			r.current = newBlock(size)
		}
		n, err := fillBlock(r.src, r.current)
		r.read += n
		r.rest, r.err = r.current[:n], err
		return
	}
	if r.full == nil {
		r.start()
	} else {
		r.empty <- r.current
	}
	f := <-r.full
	if f.panicked != nil {
		r.rest, r.err = nil, f.panicked
		panic(f.panicked)
	}
	r.current, r.rest, r.err = f.buf, f.buf[:f.n], f.err
}

var firstBlocks = sync.Pool{New: func() any { return new([firstBlock]byte) }}

func newBlock(size int) []byte {
	if size == firstBlock {
		return firstBlocks.Get().(*[firstBlock]byte)[:]
	}
	return make([]byte, size)
}

// giveBack takes a first block of which so much was in use. It may be secret, and is
// not for the next.
func giveBack(first []byte, used int) {
	clear(first[:used])
	firstBlocks.Put((*[firstBlock]byte)(first))
}

// release gives the first block back; nothing of it may be in use.
func (r *Reader) release() {
	if len(r.current) == firstBlock {
		giveBack(r.current, firstBlock) // a source may leave more than it gives
	}
	r.current = nil
}

func (r *Reader) start() {
	r.full, r.empty, r.stop = make(chan filled, depth), make(chan []byte, depth), make(chan struct{})
	for range depth {
		r.empty <- nil // made when it is needed
	}
	go func() {
		defer close(r.full)
		for {
			select {
			case <-r.stop:
				return
			case buf := <-r.empty:
				if buf == nil {
					buf = make([]byte, block)
				}
				f := r.block(buf)
				r.full <- f // as many places as blocks
				if f.err != nil || f.panicked != nil {
					return
				}
			}
		}
	}()
}

// block reads the next block.
func (r *Reader) block(buf []byte) (f filled) {
	f.buf = buf
	defer func() { f.panicked = caught(recover()) }()
	f.n, f.err = fillBlock(r.src, buf)
	return f
}

// fillBlock reads until the block is full or the source fails.
func fillBlock(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

// Close waits for a read that is under way and ends the reading.
func (r *Reader) Close() {
	var panicked *Panic
	if r.full != nil {
		close(r.stop)
		for f := range r.full { // until the goroutine has closed it
			if f.panicked != nil {
				panicked = f.panicked
			}
		}
		r.full = nil
	}
	r.release()
	r.rest, r.err, r.read = nil, errClosed, 0
	if panicked != nil {
		panic(panicked)
	}
}

var errClosed = errors.New("ahead: closed")

// Copy copies src to dst until io.EOF, as io.Copy does.
func Copy(dst io.Writer, src io.Reader) (int64, error) {
	r := NewReader(src)
	defer r.Close()
	return r.WriteTo(dst)
}

// Writer writes behind the caller's back. An error of the destination shows at
// a later Write, or at Close.
type Writer struct {
	dst    io.Writer
	buf    []byte
	work   chan []byte
	free   chan []byte
	done   chan struct{}
	failed atomic.Pointer[error]
	closed bool

	panicked atomic.Pointer[Panic]
}

// NewWriter returns a Writer to dst. Close it, also after an error; it does not
// close dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write implements io.Writer. It keeps nothing of p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		if err := w.failure(); err != nil {
			return total - len(p), err
		}
		n := min(len(p), block-len(w.buf))
		w.room(n)
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == block {
			w.handOver()
		}
	}
	return total, nil
}

// room makes place for n octets, in a first block if they fit.
func (w *Writer) room(n int) {
	if w.buf == nil {
		w.buf = newBlock(firstBlock)[:0]
	}
	if need := len(w.buf) + n; need > cap(w.buf) {
		larger := append(make([]byte, 0, min(max(need, 2*cap(w.buf)), block)), w.buf...)
		w.release()
		w.buf = larger
	}
}

// release gives a first block back.
func (w *Writer) release() {
	if cap(w.buf) == firstBlock {
		giveBack(w.buf[:firstBlock], len(w.buf))
	}
	w.buf = nil
}

// failure is what the destination has said; where it has panicked, so does this.
func (w *Writer) failure() error {
	if p := w.panicked.Load(); p != nil {
		panic(p)
	}
	if err := w.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (w *Writer) handOver() {
	if w.work == nil {
		w.work, w.free, w.done = make(chan []byte, depth), make(chan []byte, depth), make(chan struct{})
		for range depth - 1 {
			w.free <- nil // made when it is needed
		}
		go w.run()
	}
	w.work <- w.buf
	if w.buf = (<-w.free)[:0]; w.buf == nil {
		w.buf = make([]byte, 0, block)
	}
}

func (w *Writer) run() {
	defer close(w.done)
	for buf := range w.work {
		if w.failed.Load() == nil && w.panicked.Load() == nil {
			w.writeBehind(buf)
		}
		w.free <- buf
	}
}

func (w *Writer) writeBehind(buf []byte) {
	defer func() {
		if p := caught(recover()); p != nil {
			w.panicked.Store(p)
		}
	}()
	w.write(buf)
}

func (w *Writer) write(buf []byte) {
	if _, err := w.dst.Write(buf); err != nil {
		w.failed.Store(&err)
	}
}

// Close writes what is left, waits until all is written, and returns the first
// error.
func (w *Writer) Close() error {
	if !w.closed {
		w.closed = true
		if w.work != nil {
			close(w.work)
			<-w.done
		}
		if len(w.buf) > 0 && w.failure() == nil {
			w.write(w.buf)
		}
		w.release()
	}
	return w.failure()
}
