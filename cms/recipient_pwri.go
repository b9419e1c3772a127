package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// Iterations of PBKDF2: what is written, and the most that is read. The latter
// takes a second or two, and whoever sends a message chooses it.
const (
	PasswordIterations    = 600_000
	MaxPasswordIterations = 2_000_000
	saltSize              = 16
	maxSalt               = 1 << 10
)

// NewPasswordRecipient makes a recipient of those who know the passphrase
// (RFC 5652 §6.2.4, RFC 3211): PBKDF2 with HMAC-SHA-256 and AES-256.
func NewPasswordRecipient(passphrase []byte) (*Recipient, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("cms: empty passphrase")
	}
	return passwordRecipient(passphrase, PasswordIterations), nil
}

func passwordRecipient(passphrase []byte, iterations int) *Recipient {
	return &Recipient{name: "whoever knows the passphrase", info: func(rand io.Reader, key []byte) ([]byte, error) {
		random := make([]byte, saltSize+aes.BlockSize)
		if _, err := io.ReadFull(rand, random); err != nil {
			return nil, err
		}
		salt, iv := random[:saltSize], random[saltSize:]
		kek, err := pbkdf2.Key(crypto.SHA256.New, string(passphrase), salt, iterations, 32)
		if err != nil {
			return nil, err
		}
		encrypted, err := wrapPassword(rand, kek, iv, key)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			b.AddASN1(context0.Constructed(), func(b *cryptobyte.Builder) { // keyDerivationAlgorithm
				oid.Add(b, oid.PBKDF2)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1OctetString(salt)
					b.AddASN1Int64(int64(iterations))
					AlgorithmIdentifier{Algorithm: oid.HMACSHA256, Parameters: oid.Null}.Add(b)
				})
			})
			addNested(b, oid.PWRIKEK, func(b *cryptobyte.Builder) {
				addNested(b, oid.AES256CBC, func(b *cryptobyte.Builder) { b.AddASN1OctetString(iv) })
			})
			b.AddASN1OctetString(encrypted)
		})
		return b.Bytes()
	}}
}

// wrapPassword is RFC 3211 §2.3.1: length, check value, key and padding, CBC
// encrypted twice.
func wrapPassword(rand io.Reader, kek, iv, key []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	out := make([]byte, max(2*size, (4+len(key)+size-1)/size*size))
	if _, err := io.ReadFull(rand, out); err != nil {
		return nil, err
	}
	out[0] = byte(len(key))
	for i := range 3 {
		out[1+i] = ^key[i]
	}
	copy(out[4:], key)
	e := cipher.NewCBCEncrypter(block, iv)
	e.CryptBlocks(out, out)
	e.CryptBlocks(out, out) // chained on: the last block is the second pass' IV
	return out, nil
}

// unwrapPassword is RFC 3211 §2.3.2.
func unwrapPassword(block cipher.Block, iv, wrapped []byte) ([]byte, error) {
	size := block.BlockSize()
	n := len(wrapped)
	if n < 2*size || n%size != 0 || n > 1<<10 {
		return nil, errUnwrap
	}
	out := make([]byte, n)
	// The last block was encrypted under the one before it; decrypted, it is
	// the IV of the rest.
	cipher.NewCBCDecrypter(block, wrapped[n-2*size:n-size]).CryptBlocks(out[n-size:], wrapped[n-size:])
	cipher.NewCBCDecrypter(block, out[n-size:]).CryptBlocks(out[:n-size], wrapped[:n-size])
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, append([]byte{}, out...))
	length := int(out[0])
	good := 1
	for i := range 3 {
		good &= subtle.ConstantTimeByteEq(out[1+i]^out[4+i], 0xff)
	}
	if good != 1 || length < 3 || length > n-4 {
		return nil, errUnwrap
	}
	return out[4 : 4+length], nil
}

// pwri is what a PasswordRecipientInfo holds.
type pwri struct {
	derivation   *AlgorithmIdentifier // nil: the passphrase is the key itself
	algorithm    AlgorithmIdentifier
	encryptedKey []byte
}

func parsePassword(s cryptobyte.String) ([]RecipientInfo, error) {
	i := &pwri{}
	var version int64
	var encrypted cryptobyte.String
	ok := s.ReadASN1Integer(&version)
	if ok && s.PeekASN1Tag(context0.Constructed()) {
		i.derivation = &AlgorithmIdentifier{}
		ok = oid.ReadTaggedAlgorithm(&s, i.derivation, context0.Constructed())
	}
	if !ok || !oid.ReadAlgorithm(&s, &i.algorithm) || !s.ReadASN1(&encrypted, asn1.OCTET_STRING) || !s.Empty() {
		return nil, malformed("PasswordRecipientInfo", nil)
	}
	i.encryptedKey = encrypted
	return []RecipientInfo{{Kind: "pwri", Algorithm: i.algorithm, sealed: i}}, nil
}

func (i *pwri) fits(k *RecipientKey) bool { return len(k.Passphrase) > 0 }

func (i *pwri) open(_ io.Reader, k *RecipientKey, _ int) ([]byte, error) {
	in := cryptobyte.String(i.algorithm.Parameters)
	var inner AlgorithmIdentifier
	if i.algorithm.Algorithm != oid.PWRIKEK || !oid.ReadAlgorithm(&in, &inner) || !in.Empty() {
		return nil, fmt.Errorf("%w: key encryption %s", ErrUnsupported, i.algorithm.Algorithm.Name())
	}
	known, err := readCipher(inner)
	if err != nil || known.mode != modeCBC { // RFC 3211 §2.3: a block cipher in CBC mode, and nothing else
		return nil, fmt.Errorf("%w: key encryption with %s", ErrUnsupported, inner.Algorithm.Name())
	}
	kek, err := i.derive(k.Passphrase, known.keySize)
	if err != nil {
		return nil, err
	}
	block, err := known.block(kek)
	if err != nil {
		return nil, err
	}
	return unwrapPassword(block, known.nonce, i.encryptedKey)
}

// derive is PBKDF2 (RFC 8018 §5.2) with the parameters of the message.
func (i *pwri) derive(passphrase []byte, size int) ([]byte, error) {
	if i.derivation == nil || i.derivation.Algorithm != oid.PBKDF2 {
		return nil, fmt.Errorf("%w: passphrase without PBKDF2", ErrUnsupported)
	}
	in := cryptobyte.String(i.derivation.Parameters)
	var s, salt cryptobyte.String
	iterations, length := 0, size
	prf := AlgorithmIdentifier{Algorithm: oid.HMACWithSHA1} // DEFAULT
	ok := in.ReadASN1(&s, asn1.SEQUENCE) && in.Empty() && s.ReadASN1(&salt, asn1.OCTET_STRING) && s.ReadASN1Integer(&iterations)
	if ok && s.PeekASN1Tag(asn1.INTEGER) {
		ok = s.ReadASN1Integer(&length)
	}
	if ok && !s.Empty() {
		ok = oid.ReadAlgorithm(&s, &prf)
	}
	hash, known := prfHash(prf.Algorithm)
	switch {
	case !ok || !s.Empty() || length != size || len(salt) > maxSalt || !known:
		return nil, fmt.Errorf("%w: PBKDF2 parameters", ErrUnsupported)
	case iterations < 1 || iterations > MaxPasswordIterations:
		return nil, fmt.Errorf("%w: PBKDF2 with %d iterations; up to %d are done", ErrUnsupported, iterations, MaxPasswordIterations)
	}
	return pbkdf2.Key(hash.New, string(passphrase), salt, iterations, size)
}

func prfHash(o OID) (crypto.Hash, bool) {
	switch o {
	case oid.HMACWithSHA1:
		return crypto.SHA1, true
	case oid.HMACSHA224:
		return crypto.SHA224, true
	case oid.HMACSHA256:
		return crypto.SHA256, true
	case oid.HMACSHA384:
		return crypto.SHA384, true
	case oid.HMACSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}
