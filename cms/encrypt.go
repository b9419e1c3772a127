package cms

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/gcm"
	"github.com/mailseal/mailseal/internal/oid"
)

// EncryptOptions choose how content is encrypted. The zero value is what every
// mail client reads: AES-256-CBC.
type EncryptOptions struct {
	// Cipher decides the type of message: a cipher that authenticates makes
	// AuthEnvelopedData, another EnvelopedData. Empty stands for AES256CBC.
	Cipher Cipher
	// ContentType is that of the content; empty stands for data.
	ContentType OID
	// Length is the number of octets of the content where HasLength is set:
	// the message is then DER and still a stream. Otherwise up to 1 MiB is
	// held for that, and beyond it lengths are indefinite.
	Length    int64
	HasLength bool
	// Indefinite writes indefinite lengths from the start.
	Indefinite bool
	// Rand is the source of randomness; nil stands for crypto/rand.
	Rand io.Reader
}

// Encrypt returns a writer for the content of an EnvelopedData (RFC 5652 §6)
// or AuthEnvelopedData (RFC 5083) to the recipients, who are written in the
// order given; the sender must be among them to read the message later. Close
// finishes it; without Close, or after an error, what dst has got is no
// message. Each message has a content key of its own.
func Encrypt(dst io.Writer, recipients []*Recipient, o *EncryptOptions) (io.WriteCloser, error) {
	if len(recipients) == 0 {
		return nil, errors.New("cms: encryption to nobody")
	}
	if len(recipients) > MaxRecipients {
		return nil, fmt.Errorf("cms: more than %d recipients", MaxRecipients)
	}
	if o == nil {
		o = &EncryptOptions{}
	}
	e := &envelope{options: *o}
	if e.options.Cipher == "" {
		e.options.Cipher = AES256CBC
	}
	if e.options.ContentType == "" {
		e.options.ContentType = oid.Data
	}
	algorithm, ok := contentAlgorithm(OID(e.options.Cipher))
	if !ok || algorithm.weak {
		return nil, fmt.Errorf("%w: cipher %s is not written", ErrUnsupported, e.options.Cipher)
	}
	rand := random(o.Rand)
	key := make([]byte, algorithm.keySize)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, err
	}
	defer clear(key)
	infos := make([][]byte, len(recipients))
	failures := make([]error, len(recipients))
	parallel(len(recipients), func(i int) { infos[i], failures[i] = recipients[i].info(rand, key) })
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("encrypt to %s: %w", recipients[i].name, err)
		}
	}
	block, err := algorithm.block(key)
	if err != nil {
		return nil, err
	}
	return e.open(dst, block, algorithm, rand, infos)
}

// envelope is the message in the making.
type envelope struct {
	options EncryptOptions
}

func (e *envelope) open(dst io.Writer, block cipher.Block, a algorithm, rand io.Reader, infos [][]byte) (io.WriteCloser, error) {
	nonce := make([]byte, block.BlockSize())
	if a.aead() {
		nonce = nonce[:gcmNonce]
	}
	if _, err := io.ReadFull(rand, nonce); err != nil {
		return nil, err
	}
	params, err := e.parameters(a, nonce)
	if err != nil {
		return nil, err
	}
	f, err := e.framing(dst, a, params, infos)
	if err != nil {
		return nil, err
	}
	if a.aead() {
		return e.openGCM(f, block, nonce)
	}
	length := int64(-1)
	if e.options.HasLength {
		length = e.options.Length - e.options.Length%int64(block.BlockSize()) + int64(block.BlockSize())
	}
	if err := f.begin(length, 0, e.options.Indefinite); err != nil {
		return nil, err
	}
	return &cbcWriter{framing: f, mode: cipher.NewCBCEncrypter(block, nonce)}, nil
}

func (e *envelope) parameters(a algorithm, nonce []byte) ([]byte, error) {
	if a.aead() {
		return gcmParametersDER(nonce)
	}
	var b cryptobyte.Builder
	b.AddASN1OctetString(nonce)
	return b.Bytes()
}

// framing prepares what stands ahead of the ciphertext.
func (e *envelope) framing(dst io.Writer, a algorithm, params []byte, infos [][]byte) (*framing, error) {
	contentType := oid.EnvelopedData
	var version int64
	for _, info := range infos {
		if info[0] != byte(asn1.SEQUENCE) { // RFC 5652 §6.1: version 2 unless all are ktri
			version = 2
		}
	}
	if a.aead() {
		contentType, version = oid.AuthEnvelopedData, 0 // RFC 5083 §2.1
	}
	algorithm := AlgorithmIdentifier{Algorithm: OID(e.options.Cipher), Parameters: params}
	return encrypting(dst, contentType, e.options.ContentType, algorithm, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			for _, info := range sortedSet(infos) {
				b.AddBytes(info)
			}
		})
	})
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
		w.buf = append(append(w.buf[:0], w.rest...), p[:n]...)
		p = p[n:]
		whole := len(w.buf) - len(w.buf)%w.mode.BlockSize()
		w.rest = append(w.rest[:0], w.buf[whole:]...)
		w.mode.CryptBlocks(w.buf[:whole], w.buf[:whole])
		if _, err := w.framing.Write(w.buf[:whole]); err != nil {
			return 0, err
		}
	}
	return total, nil
}

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

// openGCM starts the ciphertext. Content other than data has its type among
// the authenticated attributes (RFC 5083 §2.1).
func (e *envelope) openGCM(f *framing, block cipher.Block, nonce []byte) (io.WriteCloser, error) {
	stream, err := gcm.New(block, nonce)
	if err != nil {
		return nil, err
	}
	w := &gcmWriter{framing: f, stream: stream}
	if e.options.ContentType != oid.Data {
		var b cryptobyte.Builder
		oid.Add(&b, e.options.ContentType)
		v, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		if w.aad, err = (Attributes{{Type: oid.AttrContentType, Values: [][]byte{v}}}).der(); err != nil {
			return nil, err
		}
	}
	length := int64(-1)
	if e.options.HasLength {
		length = e.options.Length
	}
	return w, f.begin(length, int64(len(w.aad))+2+gcm.TagSize, e.options.Indefinite)
}

// gcmWriter encrypts and ends with the tag (RFC 5084 §3.2).
type gcmWriter struct {
	framing *framing
	stream  *gcm.Stream
	aad     []byte // authenticated attributes as SET OF
	buf     []byte
	closed  bool
}

func (w *gcmWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), pieceSize)
		w.buf = append(w.buf[:0], p[:n]...)
		p = p[n:]
		if err := w.stream.Encrypt(w.buf, w.buf); err != nil {
			return 0, err
		}
		if _, err := w.framing.Write(w.buf); err != nil {
			return 0, err
		}
	}
	return total, nil
}

func (w *gcmWriter) Close() error {
	if w.closed {
		return errClosed
	}
	w.closed = true
	tag := w.stream.Tag(w.aad)
	var tail []byte
	if w.aad != nil {
		tail = append([]byte{byte(context1.Constructed())}, w.aad[1:]...)
	}
	tail = ber.AppendHeader(tail, ber.Universal, false, ber.TagOctetString, int64(len(tag)))
	return w.framing.finish(append(tail, tag[:]...))
}
