package smime

import (
	"fmt"
	"io"
)

// MaxMemory is how much of a decrypted or opaque layer is kept in memory where [OpenOptions] has no Spool.
const MaxMemory = 32 << 20

// Spool holds the content of one layer while its signature or its tag is still to come. It is written once from the beginning to
// the end, then read. A temporary file is a Spool.
//
// It holds decrypted text: Close should remove it.
type Spool interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// memory is the Spool of small messages.
type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) {
	if len(m.b)+len(p) > MaxMemory {
		return 0, fmt.Errorf("%w: above %d MiB, use OpenOptions.Spool", ErrTooLarge, MaxMemory>>20)
	}
	m.b = append(m.b, p...)
	return len(p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) Close() error {
	clear(m.b)
	m.b = nil
	return nil
}
