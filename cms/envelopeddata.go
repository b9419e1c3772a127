package cms

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ahead"
	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
)

// EnvelopedReader reads the plaintext of an EnvelopedData or an
// AuthEnvelopedData. What Read gives before the end is unverified: someone may
// have changed the ciphertext. At the end it returns io.EOF, or ErrDecrypt
// when the padding or the tag is wrong, and then nothing that it gave is to be
// used. An EnvelopedData that reads to io.EOF may still have been changed
// (CBC malleability, "Efail"); only a signature inside, or Authenticated, says
// that it was not.
type EnvelopedReader struct {
	r          *Reader
	recipients []RecipientInfo
	algorithm  AlgorithmIdentifier
	content    OID
	cipher     *contentCipher
	ciphertext *ber.OctetReader
	plain      plaintext
	out        []byte // decrypted, not read yet
	buf        []byte
	err        error

	unsupported error // the cipher is not known
}

// EnvelopedData continues with the body of a message of type
// oid.EnvelopedData or oid.AuthEnvelopedData, and decrypts it with the first
// of its recipients' keys that is among keys. The key is chosen by what the
// message says, never tried blindly: that would be an oracle. ErrNoRecipient
// when none fits; the reader is still returned then, to ask for Recipients.
func (r *Reader) EnvelopedData(keys []*RecipientKey) (*EnvelopedReader, error) {
	if r.contentType != oid.EnvelopedData && r.contentType != oid.AuthEnvelopedData {
		return nil, fmt.Errorf("%w: %s where envelopedData is wanted", ErrMalformed, r.contentType.Name())
	}
	e := &EnvelopedReader{r: r}
	if err := e.readHead(); err != nil {
		return nil, err
	}
	if err := e.readContentInfo(); err != nil {
		return nil, err
	}
	e.err = ErrNoRecipient
	for i := range e.recipients {
		k := e.recipients[i].keyAmong(keys)
		if k == nil {
			continue
		}
		if e.err = e.start(k, &e.recipients[i]); e.err != nil {
			return nil, e.err
		}
		return e, nil
	}
	return e, e.err
}

func (e *EnvelopedReader) readHead() error {
	r := e.r
	place := r.contentType.Name()
	if err := r.enter(place); err != nil {
		return err
	}
	if err := r.readVersion(place + " version"); err != nil {
		return err
	}
	if present, err := r.next("originatorInfo", 0); err != nil {
		return err
	} else if present {
		if _, err := r.element("originatorInfo", r.limits.Metadata); err != nil {
			return err
		}
	}
	err := r.elements("recipientInfos", ber.Universal, ber.TagSet, r.limits.Recipients, func(der []byte) error {
		infos, err := parseRecipientInfo(der)
		if len(e.recipients)+len(infos) > MaxRecipients {
			return malformed("too many recipients", nil)
		}
		e.recipients = append(e.recipients, infos...)
		return err
	})
	return err
}

// readContentInfo reads EncryptedContentInfo up to its content.
func (e *EnvelopedReader) readContentInfo() (err error) {
	r := e.r
	if err := r.enter("encryptedContentInfo"); err != nil {
		return err
	}
	if e.content, err = r.readOID("encrypted contentType"); err != nil {
		return err
	}
	if e.algorithm, err = r.readAlgorithm("contentEncryptionAlgorithm"); err != nil {
		return err
	}
	return e.checkAlgorithm()
}

// checkAlgorithm holds the cipher to the content type: one that authenticates
// in AuthEnvelopedData and no other, lest a message be moved from one to the
// other. What is wrong with it shows before a key is used, and whatever the key.
func (e *EnvelopedReader) checkAlgorithm() error {
	c, err := readCipher(e.algorithm)
	if errors.Is(err, ErrUnsupported) {
		e.unsupported = err // said when a key is used; the recipients can be shown
		return nil
	}
	if err != nil {
		return err
	}
	if c.aead() != (e.r.contentType == oid.AuthEnvelopedData) {
		return malformed(fmt.Sprintf("cipher %s does not belong into %s", e.algorithm.Algorithm.Name(), e.r.contentType.Name()), nil)
	}
	e.cipher = c
	return nil
}

// start opens the content key and the ciphertext.
func (e *EnvelopedReader) start(k *RecipientKey, ri *RecipientInfo) error {
	if e.unsupported != nil {
		return e.unsupported
	}
	key, err := k.open(rand.Reader, ri, e.cipher.keySize)
	if err != nil {
		return err
	}
	defer clear(key)
	return e.decrypt(key)
}

// decrypt starts the content under its key.
func (e *EnvelopedReader) decrypt(key []byte) error {
	present, err := e.r.next("encryptedContent", 0)
	if err != nil {
		return err
	}
	if !present {
		return malformed("encryptedContent is missing", nil)
	}
	if key, err = e.cipher.contentKey(key); err != nil {
		return err
	}
	if e.plain, err = e.cipher.decrypter(key); err != nil {
		return err
	}
	e.ciphertext, err = e.r.ber.Octets()
	if err != nil {
		return malformed("encryptedContent", err)
	}
	return nil
}

// Read implements io.Reader; see [EnvelopedReader].
func (e *EnvelopedReader) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.fill()
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: one block is decrypted while the one ahead of
// it is written.
func (e *EnvelopedReader) WriteTo(w io.Writer) (int64, error) { return ahead.Copy(w, e) }

func (e *EnvelopedReader) fill() {
	if e.buf == nil {
		size := int64(256 << 10)
		if n := e.ciphertext.Length(); n != ber.Indefinite {
			size = min(size, n+1) // most messages are small
		}
		e.buf = make([]byte, size)
	}
	n, err := io.ReadFull(e.ciphertext, e.buf)
	if e.out, e.err = e.plain.next(e.buf[:n]); e.err != nil {
		return
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) || isEnd(err, e.ciphertext):
		var last []byte
		if last, e.err = e.finish(); e.err == nil {
			e.out = append(e.out, last...)
			e.err = io.EOF
		}
	default:
		e.err = malformed("encryptedContent", err)
	}
}

// isEnd tells io.ReadFull's short read at the end of a complete string from
// input that is cut short.
func isEnd(err error, o *ber.OctetReader) bool {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	_, err = o.Read(make([]byte, 1))
	return err == io.EOF //nolint:errorlint // io.ErrUnexpectedEOF is what this tells apart
}

// finish reads what stands behind the ciphertext, then lets the cipher judge.
// All of the structure is read first: what is wrong with it shows whatever the
// key is.
func (e *EnvelopedReader) finish() ([]byte, error) {
	r := e.r
	if err := r.leave("encryptedContentInfo"); err != nil {
		return nil, err
	}
	place := r.contentType.Name()
	if r.contentType != oid.AuthEnvelopedData {
		if err := e.skipAttributes("unprotectedAttrs", 1); err != nil {
			return nil, err
		}
		if err := r.end(place); err != nil {
			return nil, err
		}
		return e.plain.last(nil, nil)
	}
	aad, err := e.authAttrs()
	if err != nil {
		return nil, err
	}
	mac, err := r.element("mac", maxSmall)
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(mac)
	var tag cryptobyte.String
	if !in.ReadASN1(&tag, asn1.OCTET_STRING) {
		return nil, malformed("mac is not an OCTET STRING", nil)
	}
	if err := e.skipAttributes("unauthAttrs", 2); err != nil {
		return nil, err
	}
	if err := r.end(place); err != nil {
		return nil, err
	}
	return e.plain.last(aad, tag)
}

// authAttrs returns the authenticated attributes as the SET OF that the tag
// covers (RFC 5083 §2.2), nil where there are none; and holds content type and
// attributes together (RFC 5083 §2.1).
func (e *EnvelopedReader) authAttrs() ([]byte, error) {
	present, err := e.r.next("authAttrs", 1)
	if err != nil {
		return nil, err
	}
	if !present {
		if e.content != oid.Data {
			return nil, malformed("authAttrs are missing for content type "+e.content.Name(), nil)
		}
		return nil, nil
	}
	der, err := e.r.element("authAttrs", e.r.limits.Metadata)
	if err != nil {
		return nil, err
	}
	set := append([]byte{byte(asn1.SET)}, der[1:]...)
	in := cryptobyte.String(set)
	var content cryptobyte.String
	in.ReadASN1(&content, asn1.SET)
	attrs, ok := parseAttributes(content)
	if !ok {
		return nil, malformed("authAttrs", nil)
	}
	v, present, err := attrs.single(oid.AttrContentType)
	if err != nil || !present && e.content != oid.Data {
		return nil, malformed("authAttrs: contentType", nil)
	}
	if s := cryptobyte.String(v); present && !readEqualOID(&s, e.content) {
		return nil, malformed("authAttrs: contentType names another type", nil)
	}
	return sortedAttributes(set)
}

func (e *EnvelopedReader) skipAttributes(place string, tag int) error {
	present, err := e.r.next(place, tag)
	if err != nil || !present {
		return err
	}
	_, err = e.r.element(place, e.r.limits.Metadata)
	return err
}

// Recipients returns for whom the message is.
func (e *EnvelopedReader) Recipients() []RecipientInfo { return e.recipients }

// Cipher returns the content-encryption algorithm.
func (e *EnvelopedReader) Cipher() AlgorithmIdentifier { return e.algorithm }

// Weak reports whether the cipher is one that is only read.
func (e *EnvelopedReader) Weak() bool { return e.cipher != nil && e.cipher.weak }

// Authenticated reports whether io.EOF proves that the ciphertext is
// unchanged. It does not say by whom it was made.
func (e *EnvelopedReader) Authenticated() bool { return e.r.contentType == oid.AuthEnvelopedData }

// ContentType returns the type of the content: oid.Data for mail.
func (e *EnvelopedReader) ContentType() OID { return e.content }
