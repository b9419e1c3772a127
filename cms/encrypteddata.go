package cms

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/internal/oid"
)

// EncryptWithKey returns a writer for the content of an EncryptedData (RFC 5652
// §8) under a key that the reader has by other ways. The cipher is a CBC one.
// Close finishes the message. Of the options, DeriveKey has no place here.
func EncryptWithKey(dst io.Writer, key []byte, o *EncryptOptions) (io.WriteCloser, error) {
	e, err := newEnvelope(o)
	if err != nil {
		return nil, err
	}
	if e.cipher.aead() || e.options.DeriveKey {
		return nil, fmt.Errorf("%w: EncryptedData takes a CBC cipher with a key of its own", ErrUnsupported)
	}
	if len(key) != e.cipher.keySize {
		return nil, fmt.Errorf("cms: key of %d octets for %s", len(key), e.options.Cipher)
	}
	return e.open(dst, oid.EncryptedData, random(e.options.Rand), key, func(b *cryptobyte.Builder) { b.AddASN1Int64(0) })
}

// EncryptedData continues with the body of a message of type oid.EncryptedData
// and decrypts it with key. It reads as EnvelopedData does, without recipients.
func (r *Reader) EncryptedData(key []byte) (*EnvelopedReader, error) {
	if err := r.wants(oid.EncryptedData); err != nil {
		return nil, err
	}
	e := &EnvelopedReader{r: r}
	if err := r.enter("EncryptedData"); err != nil {
		return nil, err
	}
	if err := r.readVersion("EncryptedData version"); err != nil {
		return nil, err
	}
	if err := e.readContentInfo(); err != nil {
		return nil, err
	}
	if e.unsupported != nil {
		return nil, e.unsupported
	}
	if len(key) != e.cipher.keySize {
		return nil, ErrDecrypt
	}
	return e, e.decrypt(key)
}
