package cms

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/gcm"
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
	known      algorithm
	content    OID
	ciphertext *ber.OctetReader
	plain      plaintext
	out        []byte // decrypted, not read yet
	buf        []byte
	err        error
}

// plaintext decrypts.
type plaintext interface {
	// next decrypts more ciphertext; the result is valid until the next call.
	next(ciphertext []byte) []byte
	// last ends the content. mac and aad are those of AuthEnvelopedData. A nil
	// error gives the last octets.
	last(aad, mac []byte) ([]byte, error)
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
	if err != nil {
		return err
	}
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
// other.
func (e *EnvelopedReader) checkAlgorithm() error {
	name := e.algorithm.Algorithm.Name()
	known, ok := contentAlgorithm(e.algorithm.Algorithm)
	if !ok {
		e.known = algorithm{}
		return nil // shown by Recipients and Cipher; start refuses
	}
	if known.aead() != (e.r.contentType == oid.AuthEnvelopedData) {
		return malformed(fmt.Sprintf("cipher %s does not belong into %s", name, e.r.contentType.Name()), nil)
	}
	e.known = known
	return nil
}

// start opens the content key and the ciphertext.
func (e *EnvelopedReader) start(k *RecipientKey, ri *RecipientInfo) error {
	if e.known.block == nil {
		return fmt.Errorf("%w: cipher %s", ErrUnsupported, e.algorithm.Algorithm.Name())
	}
	present, err := e.r.next("encryptedContent", 0)
	if err != nil {
		return err
	}
	if !present {
		return malformed("encryptedContent is missing", nil)
	}
	// The parameters are checked before the key is used: what is wrong with
	// them does not depend on it.
	open, err := e.opener()
	if err != nil {
		return err
	}
	key, err := k.open(rand.Reader, ri, e.known.keySize)
	if err != nil {
		return err
	}
	defer clear(key)
	block, err := e.known.block(key)
	if err != nil {
		return err
	}
	if e.plain, err = open(block); err != nil {
		return err
	}
	e.ciphertext, err = e.r.ber.Octets()
	if err != nil {
		return malformed("encryptedContent", err)
	}
	return nil
}

func (e *EnvelopedReader) opener() (func(cipher.Block) (plaintext, error), error) {
	if e.known.aead() {
		nonce, tagSize, err := gcmParameters(e.algorithm.Parameters)
		if err != nil {
			return nil, err
		}
		return func(b cipher.Block) (plaintext, error) {
			s, err := gcm.New(b, nonce)
			return &gcmPlaintext{stream: s, tagSize: tagSize}, err
		}, nil
	}
	iv, err := cbcParameters(e.algorithm.Parameters, e.known.blockSize)
	if err != nil {
		return nil, err
	}
	return func(b cipher.Block) (plaintext, error) {
		return &cbcPlaintext{mode: cipher.NewCBCDecrypter(b, iv)}, nil
	}, nil
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

// WriteTo implements io.WriterTo with large buffers.
func (e *EnvelopedReader) WriteTo(w io.Writer) (int64, error) { return copyAll(w, e) }

func (e *EnvelopedReader) fill() {
	if e.buf == nil {
		e.buf = make([]byte, 256<<10)
	}
	n, err := io.ReadFull(e.ciphertext, e.buf)
	e.out = e.plain.next(e.buf[:n])
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
	if r.contentType == oid.EnvelopedData {
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
func (e *EnvelopedReader) Weak() bool { return e.known.weak }

// Authenticated reports whether io.EOF proves that the ciphertext is
// unchanged. It does not say by whom it was made.
func (e *EnvelopedReader) Authenticated() bool { return e.r.contentType == oid.AuthEnvelopedData }

// ContentType returns the type of the content: oid.Data for mail.
func (e *EnvelopedReader) ContentType() OID { return e.content }

// cbcPlaintext decrypts CBC and holds the last block back, which has the
// padding.
type cbcPlaintext struct {
	mode cipher.BlockMode
	held []byte
	buf  []byte
}

func (c *cbcPlaintext) next(ciphertext []byte) []byte {
	size := c.mode.BlockSize()
	c.buf = append(append(c.buf[:0], c.held...), ciphertext...)
	whole := max(0, (len(c.buf)-1)/size*size)
	c.held = append(c.held[:0], c.buf[whole:]...)
	c.mode.CryptBlocks(c.buf[:whole], c.buf[:whole])
	return c.buf[:whole]
}

// last removes the padding of RFC 5652 §6.3 without branching on it.
func (c *cbcPlaintext) last(_, _ []byte) ([]byte, error) {
	size := c.mode.BlockSize()
	if len(c.held) != size {
		return nil, ErrDecrypt
	}
	c.mode.CryptBlocks(c.held, c.held)
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
	buf     []byte
	tooLong bool
}

func (g *gcmPlaintext) next(ciphertext []byte) []byte {
	g.buf = append(g.buf[:0], ciphertext...)
	if g.stream.Decrypt(g.buf, g.buf) != nil {
		g.tooLong = true
		return nil
	}
	return g.buf
}

func (g *gcmPlaintext) last(aad, mac []byte) ([]byte, error) {
	if g.tooLong || len(mac) != g.tagSize || !g.stream.Check(aad, mac) {
		return nil, ErrDecrypt
	}
	return nil, nil
}
