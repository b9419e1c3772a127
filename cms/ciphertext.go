package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/cbc"
	"github.com/mailseal/mailseal/internal/ccm"
	"github.com/mailseal/mailseal/internal/gcm"
)

// encrypter returns a writer of content into f, which stands ready. aad is the
// authenticated attributes as SET OF, nil for none; length -1 when it is not
// known.
func (c *contentCipher) encrypter(f *framing, key, aad []byte, length int64, indefinite bool) (io.WriteCloser, error) {
	var tail int64
	ciphertext := length
	if c.aead() {
		tail = int64(len(aad)) + 2 + int64(c.tagSize)
	} else if length >= 0 {
		ciphertext = length - length%int64(c.blockSize) + int64(c.blockSize)
	}
	w, err := c.writer(f, key, aad, length)
	if err != nil {
		return nil, err
	}
	return w, f.begin(ciphertext, tail, indefinite)
}

func (c *contentCipher) writer(f *framing, key, aad []byte, length int64) (io.WriteCloser, error) {
	if c.mode == modeChaCha {
		aead, err := chacha20poly1305.New(key)
		return &heldWriter{framing: f, aead: aead, nonce: c.nonce, aad: aad}, err
	}
	if c.mode == modeCBC && c.blockSize == aes.BlockSize { // the others have 8 octets
		mode, err := cbc.NewEncrypter(key, c.nonce)
		return &cbcWriter{framing: f, mode: mode}, err
	}
	block, err := c.block(key)
	if err != nil {
		return nil, err
	}
	switch c.mode {
	case modeGCM:
		s, err := gcm.New(block, c.nonce)
		return &aeadWriter{framing: f, aad: aad, encrypt: s.Encrypt, tag: func() ([]byte, error) {
			tag := s.Tag(aad)
			return tag[:], nil
		}}, err
	case modeCCM:
		if length < 0 {
			return nil, fmt.Errorf("%w: CCM authenticates the length first, which must be given", ErrUnsupported)
		}
		s, err := ccm.New(block, c.nonce, c.tagSize, uint64(length), aad)
		if err != nil {
			return nil, err
		}
		return &aeadWriter{framing: f, aad: aad, encrypt: s.Encrypt, tag: s.Tag}, nil
	}
	return &cbcWriter{framing: f, mode: cipher.NewCBCEncrypter(block, c.nonce)}, nil
}

// cbcWriter pads and encrypts (RFC 5652 §6.3).
type cbcWriter struct {
	framing *framing
	mode    cipher.BlockMode
	rest    []byte // less than a block
	buf     []byte
	closed  bool
}

func (w *cbcWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		piece := p[:n]
		p = p[n:]
		if len(w.rest) > 0 {
			w.buf = append(append(w.buf[:0], w.rest...), piece...)
			piece = w.buf
		}
		whole := len(piece) - len(piece)%w.mode.BlockSize()
		w.rest = append(w.rest[:0], piece[whole:]...)
		w.buf = slices.Grow(w.buf[:0], whole)
		w.mode.CryptBlocks(w.buf[:whole], piece[:whole])
		if _, err := w.framing.Write(w.buf[:whole]); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// Flush implements Flusher.
func (w *cbcWriter) Flush() error { return w.framing.Flush() }

func (w *cbcWriter) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	n := w.mode.BlockSize() - len(w.rest)
	for range n {
		w.rest = append(w.rest, byte(n))
	}
	w.mode.CryptBlocks(w.rest, w.rest)
	if _, err := w.framing.Write(w.rest); err != nil {
		return err
	}
	return w.framing.finish(nil)
}

// aeadWriter encrypts and ends with attributes and tag (RFC 5083 §2.1).
type aeadWriter struct {
	framing *framing
	aad     []byte
	encrypt func(dst, src []byte) error
	tag     func() ([]byte, error)
	buf     []byte
	closed  bool
}

func (w *aeadWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		w.buf = append(w.buf[:0], p[:n]...)
		p = p[n:]
		if err := w.encrypt(w.buf, w.buf); err != nil {
			return 0, err
		}
		if _, err := w.framing.Write(w.buf); err != nil {
			return 0, err
		}
	}
	return total, nil
}

// Flush implements Flusher.
func (w *aeadWriter) Flush() error { return w.framing.Flush() }

func (w *aeadWriter) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	tag, err := w.tag()
	if err != nil {
		return err
	}
	return w.framing.finish(aeadTail(w.aad, tag))
}

// aeadTail is authAttrs, where there are any, and mac.
func aeadTail(aad, tag []byte) []byte {
	var tail []byte
	if aad != nil {
		tail = append([]byte{byte(context1.Constructed())}, aad[1:]...)
	}
	tail = ber.AppendHeader(tail, ber.Universal, false, ber.TagOctetString, int64(len(tag)))
	return append(tail, tag...)
}

// heldWriter encrypts all at once: ChaCha20-Poly1305, of which the libraries
// have no stream. What could not be read back (MaxHeld) is not written.
type heldWriter struct {
	framing *framing
	aead    cipher.AEAD
	nonce   []byte
	aad     []byte
	held    []byte
	closed  bool
}

func (w *heldWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	if len(w.held)+len(p) > MaxHeld {
		return 0, errHeld
	}
	w.held = append(w.held, p...)
	return len(p), nil
}

func (w *heldWriter) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	sealed := w.aead.Seal(w.held[:0], w.nonce, w.held, w.aad)
	n := len(sealed) - w.aead.Overhead()
	if _, err := w.framing.Write(sealed[:n]); err != nil {
		return err
	}
	return w.framing.finish(aeadTail(w.aad, sealed[n:]))
}
