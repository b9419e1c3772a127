package cli

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a stream is kept in memory before a temporary file is
// made: most mail never touches the disk.
const spoolMemory = 1 << 20

// spool holds bytes that may not be shown yet, until the verdict is known, and
// bytes from a pipe that must be read twice. What goes beyond spoolMemory lies in a
// temporary file, readable by its owner only and encrypted with a key that exists
// in this process alone: what a crash leaves on the disk is noise.
type spool struct {
	memory []byte
	size   int64
	file   *os.File
	block  cipher.Block
	nonce  [8]byte
	buf    []byte // for what is being encrypted
}

func newSpool() *spool { return &spool{} }

// Size is the number of bytes written so far.
func (s *spool) Size() int64 { return s.size }

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && len(s.memory)+len(p) <= spoolMemory {
		s.grow(len(p))
		s.memory = append(s.memory, p...)
		s.size += int64(len(p))
		return len(p), nil
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	return s.writeFile(p)
}

// grow makes room in memory, by large steps: append alone would copy a megabyte a
// dozen times, and leave every copy behind.
func (s *spool) grow(n int) {
	need := len(s.memory) + n
	if need <= cap(s.memory) {
		return
	}
	old := s.memory
	s.memory = append(make([]byte, 0, max(need, min(8*cap(old), spoolMemory))), old...)
	clear(old)
}

// open makes the temporary file. What is in memory stays there: the file holds the
// bytes from len(s.memory) on.
func (s *spool) open() error {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("make a key for the temporary file: %w", err)
	}
	if _, err := rand.Read(s.nonce[:]); err != nil {
		return fmt.Errorf("make a key for the temporary file: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return fmt.Errorf("make a key for the temporary file: %w", err)
	}
	file, err := os.CreateTemp("", "mailseal-*") // CreateTemp's mode is 0600
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	s.block, s.file = block, file
	return nil
}

func (s *spool) writeFile(p []byte) (n int, err error) {
	if s.buf == nil {
		s.buf = make([]byte, 64<<10)
	}
	for n < len(p) {
		m := copy(s.buf, p[n:])
		at := s.size - int64(len(s.memory))
		s.xor(s.buf[:m], at)
		if _, err := s.file.WriteAt(s.buf[:m], at); err != nil {
			return n, fmt.Errorf("write temporary file: %w", err)
		}
		n += m
		s.size += int64(m)
	}
	return n, nil
}

// ReadAt reads what was written; it may be called while more is being written.
func (s *spool) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("spool: negative offset")
	}
	if off < int64(len(s.memory)) {
		n = copy(p, s.memory[off:])
	}
	if n < len(p) && s.file != nil {
		at := off + int64(n) - int64(len(s.memory))
		m, err := s.file.ReadAt(p[n:], at)
		s.xor(p[n:n+m], at)
		n += m
		if err != nil && err != io.EOF {
			return n, fmt.Errorf("read temporary file: %w", err)
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// xor encrypts or decrypts the bytes that lie at offset at of the file: AES in
// counter mode, entered in the middle. The key is never used for a second stream,
// and nobody but this process decides what is read back.
func (s *spool) xor(p []byte, at int64) {
	var iv [aes.BlockSize]byte
	copy(iv[:], s.nonce[:])
	binary.BigEndian.PutUint64(iv[8:], uint64(at/aes.BlockSize))
	stream := cipher.NewCTR(s.block, iv[:])
	var skip [aes.BlockSize]byte
	stream.XORKeyStream(skip[:at%aes.BlockSize], skip[:at%aes.BlockSize])
	stream.XORKeyStream(p, p)
}

// Close forgets the bytes and removes the file.
func (s *spool) Close() error {
	clear(s.memory)
	s.memory, s.size = nil, 0
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := errors.Join(s.file.Close(), os.Remove(name))
	s.file, s.block = nil, nil
	return err
}

// reader reads everything that was written.
func (s *spool) reader() io.Reader { return io.NewSectionReader(s, 0, s.size) }

// spoolAll takes in a stream that cannot be read twice.
func spoolAll(r io.Reader) (*spool, error) {
	s := newSpool()
	if _, err := io.Copy(s, r); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
