package cms

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ahead"
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
	// held for that, and beyond it the content goes to Spool or, without one,
	// lengths are indefinite.
	Length    int64
	HasLength bool
	// DeriveKey binds the content key to the cipher (RFC 9709), so that no one
	// can pass the ciphertext off as another cipher's. Few can read that yet:
	// use it with recipients who say so in their capabilities.
	DeriveKey bool
	// Indefinite writes indefinite lengths from the start.
	Indefinite bool
	// Spool makes the place where content beyond 1 MiB waits until its length
	// is known, so that the message is DER; nil writes indefinite lengths then.
	Spool func() (Spool, error)
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
	e, err := newEnvelope(o)
	if err != nil {
		return nil, err
	}
	rand := random(e.options.Rand)
	key := make([]byte, e.cipher.keySize)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, err
	}
	defer clear(key)
	infos, err := sealKey(rand, key, recipients)
	if err != nil {
		return nil, err
	}
	message, version := oid.EnvelopedData, envelopedVersion(infos)
	if e.cipher.aead() {
		message, version = oid.AuthEnvelopedData, 0 // RFC 5083 §2.1
	}
	return e.open(dst, message, rand, key, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		addRecipients(b, infos)
	})
}

func newEnvelope(o *EncryptOptions) (*envelope, error) {
	e := &envelope{}
	if o != nil {
		e.options = *o
	}
	if e.options.Cipher == "" {
		e.options.Cipher = AES256CBC
	}
	if e.options.ContentType == "" {
		e.options.ContentType = oid.Data
	}
	var ok bool
	if e.cipher, ok = cipherFor(OID(e.options.Cipher)); !ok || e.cipher.weak {
		return nil, fmt.Errorf("%w: cipher %s is not written", ErrUnsupported, e.options.Cipher)
	}
	return e, nil
}

// sealKey encrypts the key to everybody, on the cores at hand, and returns the
// RecipientInfos.
func sealKey(rand io.Reader, key []byte, recipients []*Recipient) ([][]byte, error) {
	infos := make([][]byte, len(recipients))
	failures := make([]error, len(recipients))
	ahead.Parallel(len(recipients), func(i int) { infos[i], failures[i] = recipients[i].info(rand, key) })
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("encrypt to %s: %w", recipients[i].name, err)
		}
	}
	return infos, nil
}

func addRecipients(b *cryptobyte.Builder, infos [][]byte) {
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		for _, info := range sortedSet(infos) {
			b.AddBytes(info)
		}
	})
}

// envelope is encrypted content in the making.
type envelope struct {
	options EncryptOptions
	cipher  *contentCipher
}

// open starts a message of the given type, of which head stands ahead of the
// content.
func (e *envelope) open(dst io.Writer, message OID, rand io.Reader, key []byte, head func(*cryptobyte.Builder)) (io.WriteCloser, error) {
	algorithm, err := e.algorithm(rand)
	if err != nil {
		return nil, err
	}
	if key, err = e.cipher.contentKey(key); err != nil {
		return nil, err
	}
	f, err := encrypting(dst, message, e.options.ContentType, algorithm, head)
	if err != nil {
		return nil, err
	}
	f.spool = e.options.Spool
	aad, err := e.authAttrs()
	if err != nil {
		return nil, err
	}
	length := int64(-1)
	if e.options.HasLength {
		length = e.options.Length
	}
	return e.cipher.encrypter(f, key, aad, length, e.options.Indefinite)
}

// algorithm draws the nonce and returns contentEncryptionAlgorithm.
func (e *envelope) algorithm(rand io.Reader) (AlgorithmIdentifier, error) {
	a := AlgorithmIdentifier{Algorithm: OID(e.options.Cipher)}
	e.cipher.nonce = make([]byte, aeadNonce)
	if !e.cipher.aead() {
		e.cipher.nonce = make([]byte, e.cipher.blockSize)
	}
	if _, err := io.ReadFull(rand, e.cipher.nonce); err != nil {
		return a, err
	}
	var err error
	if a.Parameters, err = e.cipher.parameters(); err != nil || !e.options.DeriveKey {
		return a, err
	}
	if e.cipher.derivation, err = a.DER(); err != nil {
		return a, err
	}
	return AlgorithmIdentifier{Algorithm: oid.CEKHKDFSHA256, Parameters: e.cipher.derivation}, nil
}

// envelopedVersion is the version of EnvelopedData (RFC 5652 §6.1), as the kinds
// of RecipientInfo decide it.
func envelopedVersion(infos [][]byte) int64 {
	var version int64
	for _, info := range infos {
		switch info[0] {
		case byte(asn1.SEQUENCE): // ktri: version 0, or 2 by key identifier
			s := cryptobyte.String(info)
			var ktri cryptobyte.String
			var v int64
			s.ReadASN1(&ktri, asn1.SEQUENCE)
			if ktri.ReadASN1Integer(&v) && v != 0 {
				version = max(version, 2)
			}
		case byte(asn1.Tag(3).ContextSpecific().Constructed()), byte(asn1.Tag(4).ContextSpecific().Constructed()): // pwri, ori
			version = 3
		default:
			version = max(version, 2)
		}
	}
	return version
}

// authAttrs are the authenticated attributes as SET OF: the type of content
// that is not data (RFC 5083 §2.1), otherwise none.
func (e *envelope) authAttrs() ([]byte, error) {
	if !e.cipher.aead() || e.options.ContentType == oid.Data {
		return nil, nil
	}
	var b cryptobyte.Builder
	oid.Add(&b, e.options.ContentType)
	v, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return Attributes{{Type: oid.AttrContentType, Values: [][]byte{v}}}.der()
}
