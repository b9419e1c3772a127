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
	// Headers, if not "", protects the header too (RFC 9788): a copy of it is encrypted, and what the policy hides is not readable
	// outside any more.
	Headers HeaderPolicy
	// DecodeHeader, for the copy of hidden fields in the text, is that of OpenOptions.
	DecodeHeader func(value string) string
	// Compress makes what is encrypted smaller first (RFC 8551 §3.6); together with a signature, what was signed. Not every program
	// reads it. Whoever can choose a part of a text and see how long the message becomes may guess the rest of it.
	Compress bool
	// Time, if not zero, becomes the message's Date if it has none. [Seal] takes that of SignOptions.
	Time time.Time
	// Rand is the source of keys and nonces; nil is crypto/rand. It is for tests.
	Rand io.Reader
}

// Encrypt writes the message of the first size bytes of src to dst, encrypted (RFC 8551 §3.3, §3.4). The header is treated as by
// [Sign]: what is not about the body stays outside, readable.
func Encrypt(dst io.Writer, src io.ReaderAt, size int64, o *EncryptOptions) error {
	if o == nil {
		return errNobodyReads
	}
	d, err := newDraft(src, size)
	if err != nil {
		return err
	}
	if !d.has("Date") {
		if err := d.date(o.Time, false, nil); err != nil {
			return err
		}
	}
	if err := d.protect(o.Headers, true, o.DecodeHeader); err != nil {
		return err
	}
	encrypted, err := encryptedEntity(d.writeEntity, o)
	if err != nil {
		return err
	}
	return d.write(dst, encrypted)
}

// Seal signs, then encrypts, in one pass (RFC 8551 §3.7). The signature is inside, where nobody but the recipients sees it and
// nobody can strip it to put another in its place.
func Seal(dst io.Writer, src io.ReaderAt, size int64, s *SignOptions, e *EncryptOptions) error {
	d, sealed, err := sealedDraft(src, size, s, e)
	if err != nil {
		return err
	}
	return d.write(dst, sealed)
}

// TripleWrap signs, encrypts, and signs again (RFC 2634 §1.1). The outer signature lets those who pass the message on see who sent
// it without reading it; what is believed of the message rests on the inner one.
func TripleWrap(dst io.Writer, src io.ReaderAt, size int64, inner *SignOptions, e *EncryptOptions, outer *SignOptions) error {
	d, sealed, err := sealedDraft(src, size, inner, e)
	if err != nil {
		return err
	}
	if outer != nil && outer.Receipt != nil {
		// RFC 2634 §1.3.4: only the inner signature asks for a receipt.
		without := *outer
		without.Receipt, outer = nil, &without
	}
	wrapped, err := signedEntity(sealed, outer)
	if err != nil {
		return err
	}
	return d.write(dst, wrapped)
}

func sealedDraft(src io.ReaderAt, size int64, s *SignOptions, e *EncryptOptions) (*draft, entityWriter, error) {
	switch {
	case s == nil:
		return nil, nil, errNobodySigns
	case e == nil:
		return nil, nil, errNobodyReads
	}
	d, err := newDraft(src, size)
	if err != nil {
		return nil, nil, err
	}
	if err := d.date(s.Time, s.Redate, s.Redated); err != nil {
		return nil, nil, err
	}
	if err := d.protect(e.Headers, true, e.DecodeHeader); err != nil {
		return nil, nil, err
	}
	signed, err := signedEntity(d.writeEntity, s.inside())
	if err != nil {
		return nil, nil, err
	}
	sealed, err := encryptedEntity(signed, e)
	return d, sealed, err
}

var errNobodyReads = errors.New("smime: nobody can read it: EncryptOptions.Recipients is empty")

// inside are the options of a signature that is encrypted.
func (o *SignOptions) inside() *SignOptions {
	in := *o
	in.Opaque = !o.Detached
	return &in
}

func encryptedEntity(content entityWriter, o *EncryptOptions) (entityWriter, error) {
	if o == nil || len(o.Recipients) == 0 {
		return nil, errNobodyReads
	}
	smimeType := typeEnveloped
	if o.Cipher.Authenticates() {
		smimeType = typeAuthEnveloped
	}
	if o.Compress {
		content = compressedEntity(content)
	}
	return func(w io.Writer) error {
		return writePKCS7(w, smimeType, func(dst io.Writer) (io.WriteCloser, error) {
			return cms.Encrypt(dst, o.Recipients, &cms.EncryptOptions{Cipher: o.Cipher, DeriveKey: o.DeriveKey, Rand: o.Rand})
		}, content)
	}, nil
}
