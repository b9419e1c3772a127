package cms

import (
	"bytes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/ccm"
	"github.com/mailseal/mailseal/internal/gcm"
)

// MaxHeld is how much content CCM and ChaCha20-Poly1305 decrypt: they take the
// additional data, which CMS puts behind the content (RFC 5083 §2.1), first, and
// CCM the length too. So the content is held, and none of it is given out
// before its tag has been checked.
const MaxHeld = 64 << 20

var errHeld = fmt.Errorf("%w: more than %d MiB of content under a cipher that cannot be read as a stream", ErrUnsupported, MaxHeld>>20)

// plaintext decrypts one content.
type plaintext interface {
	// next decrypts more ciphertext, maybe in place; the result is valid until
	// the next call.
	next(ciphertext []byte) ([]byte, error)
	// last ends the content. mac and aad are those of AuthEnvelopedData. A nil
	// error gives the last octets.
	last(aad, mac []byte) ([]byte, error)
}

// decrypter starts a content. key is the cipher's own.
func (c *contentCipher) decrypter(key []byte) (plaintext, error) {
	if c.mode == modeChaCha {
		aead, err := chacha20poly1305.New(key)
		return &heldPlaintext{open: func(ciphertext, aad, mac []byte) ([]byte, error) {
			return aead.Open(ciphertext[:0], c.nonce, append(ciphertext, mac...), aad)
		}, tagSize: c.tagSize}, err
	}
	block, err := c.block(key)
	if err != nil {
		return nil, err
	}
	switch c.mode {
	case modeGCM:
		s, err := gcm.New(block, c.nonce)
		return &gcmPlaintext{stream: s, tagSize: c.tagSize}, err
	case modeCCM:
		return &heldPlaintext{open: c.openCCM(block), tagSize: c.tagSize}, nil
	}
	return &cbcPlaintext{block: block, iv: bytes.Clone(c.nonce)}, nil
}

func (c *contentCipher) openCCM(block cipher.Block) func(ciphertext, aad, mac []byte) ([]byte, error) {
	return func(ciphertext, aad, mac []byte) ([]byte, error) {
		s, err := ccm.New(block, c.nonce, c.tagSize, uint64(len(ciphertext)), aad)
		if err != nil {
			return nil, err
		}
		if err := s.Decrypt(ciphertext, ciphertext); err != nil {
			return nil, err
		}
		if !s.Check(mac) {
			return nil, ErrDecrypt
		}
		return ciphertext, nil
	}
}

// cbcPlaintext decrypts CBC and holds the last block back, which has the
// padding.
type cbcPlaintext struct {
	block cipher.Block
	iv    []byte // the ciphertext block ahead of held
	held  []byte
	buf   []byte
}

func (c *cbcPlaintext) next(ciphertext []byte) ([]byte, error) {
	size := c.block.BlockSize()
	c.buf = append(append(c.buf[:0], c.held...), ciphertext...)
	whole := max(0, (len(c.buf)-1)/size*size)
	c.held = append(c.held[:0], c.buf[whole:]...)
	c.decrypt(c.buf[:whole])
	return c.buf[:whole], nil
}

// cbcShare is the least that is worth a goroutine of its own, and a multiple of
// every block size.
const cbcShare = 16 << 10

// decrypt decrypts whole blocks in place. Each needs the ciphertext of the one
// ahead of it alone, so that the cores at hand can share them.
func (c *cbcPlaintext) decrypt(p []byte) {
	size := c.block.BlockSize()
	shares := max(1, len(p)/cbcShare)
	ivs := make([]byte, 0, (shares+1)*size)
	ivs = append(ivs, c.iv...)
	for i := 1; i < shares; i++ {
		ivs = append(ivs, p[i*cbcShare-size:i*cbcShare]...)
	}
	if len(p) > 0 {
		copy(c.iv, p[len(p)-size:])
	}
	ahead.Parallel(shares, func(i int) {
		share := p[i*cbcShare:]
		if i < shares-1 {
			share = share[:cbcShare]
		}
		cipher.NewCBCDecrypter(c.block, ivs[i*size:(i+1)*size]).CryptBlocks(share, share)
	})
}

// last removes the padding of RFC 5652 §6.3 without branching on it.
func (c *cbcPlaintext) last(_, _ []byte) ([]byte, error) {
	size := c.block.BlockSize()
	if len(c.held) != size {
		return nil, ErrDecrypt
	}
	c.decrypt(c.held)
	n := int(c.held[size-1])
	good := subtle.ConstantTimeLessOrEq(1, n) & subtle.ConstantTimeLessOrEq(n, size)
	for i := range size {
		inPadding := subtle.ConstantTimeLessOrEq(size-n, i)
		same := subtle.ConstantTimeByteEq(c.held[i], byte(n))
		good &= subtle.ConstantTimeSelect(inPadding, same, 1)
	}
	if good != 1 {
		return nil, ErrDecrypt
	}
	return c.held[:size-n], nil
}

// gcmPlaintext decrypts GCM.
type gcmPlaintext struct {
	stream  *gcm.Stream
	tagSize int
}

func (g *gcmPlaintext) next(ciphertext []byte) ([]byte, error) {
	if err := g.stream.Decrypt(ciphertext, ciphertext); err != nil {
		return nil, malformed("encryptedContent", err)
	}
	return ciphertext, nil
}

func (g *gcmPlaintext) last(aad, mac []byte) ([]byte, error) {
	if len(mac) != g.tagSize || !g.stream.Check(aad, mac) {
		return nil, ErrDecrypt
	}
	return nil, nil
}

// heldPlaintext decrypts all at once; see MaxHeld.
type heldPlaintext struct {
	open    func(ciphertext, aad, mac []byte) ([]byte, error)
	tagSize int
	held    []byte
}

func (h *heldPlaintext) next(ciphertext []byte) ([]byte, error) {
	if len(h.held)+len(ciphertext) > MaxHeld {
		return nil, errHeld
	}
	h.held = append(h.held, ciphertext...)
	return nil, nil
}

func (h *heldPlaintext) last(aad, mac []byte) ([]byte, error) {
	if len(mac) != h.tagSize {
		return nil, ErrDecrypt
	}
	plain, err := h.open(h.held, aad, mac)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plain, nil
}
