package smime

import (
	"errors"
	"io"
	"time"

	"github.com/mailseal/mailseal/cms"
)

// EncryptOptions say for whom, and how.
type EncryptOptions struct {
	// Recipients are all who shall be able to read the message; the sender too, by an entry of their own.
	Recipients []*cms.Recipient
	// Cipher is AES-256-CBC by default, which everybody reads and which needs a signature inside to be safe against changes. An
	// authenticated cipher (AES-256-GCM) makes authEnveloped-data.
	Cipher cms.Cipher
	// DeriveKey binds the content key to the cipher (RFC 9709), for recipients who all say that they read that.
	DeriveKey bool
	// Rand is the source of keys and nonces; nil is crypto/rand. It is for tests.
	Rand io.Reader
}

// Encrypt writes the message of the first size bytes of src to dst, encrypted (RFC 8551 §3.3, §3.4). The header is treated as by
// [Sign]: what is not about the body stays outside, readable.
func Encrypt(dst io.Writer, src io.ReaderAt, size int64, o *EncryptOptions) error {
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	encrypted, err := encryptedEntity(d.writeEntity, o)
	if err != nil {
		return err
	}
	return d.write(dst, encrypted, time.Time{})
}

// Seal signs, then encrypts, in one pass (RFC 8551 §3.7). The signature is inside, where nobody but the recipients sees it and
// nobody can strip it to put another in its place.
func Seal(dst io.Writer, src io.ReaderAt, size int64, s *SignOptions, e *EncryptOptions) error {
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	signed, err := signedEntity(d.writeEntity, s.inside())
	if err != nil {
		return err
	}
	sealed, err := encryptedEntity(signed, e)
	if err != nil {
		return err
	}
	return d.write(dst, sealed, s.Time)
}

// inside are the options of a signature that is encrypted.
func (o *SignOptions) inside() *SignOptions {
	if o == nil {
		return nil
	}
	in := *o
	in.Opaque = !o.Detached
	return &in
}

func encryptedEntity(content entityWriter, o *EncryptOptions) (entityWriter, error) {
	if o == nil || len(o.Recipients) == 0 {
		return nil, errors.New("smime: nobody can read it: EncryptOptions.Recipients is empty")
	}
	smimeType := "enveloped-data"
	if o.Cipher.Authenticates() {
		smimeType = "authEnveloped-data"
	}
	return func(w io.Writer) error {
		return writePKCS7(w, smimeType, func(dst io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(dst, o.Recipients, &cms.EncryptOptions{Cipher: o.Cipher, DeriveKey: o.DeriveKey, Rand: o.Rand})
		}, content)
	}, nil
}
