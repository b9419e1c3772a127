package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/gcm"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/rc2"
)

// Cipher is a content-encryption algorithm that messages are written with.
type Cipher OID

// The ciphers. CBC gives EnvelopedData, which every mail client reads and
// which hides the content without protecting it from change: sign inside. The
// others authenticate and give AuthEnvelopedData. CCM needs the length of the
// content beforehand.
const (
	AES128CBC        = Cipher(oid.AES128CBC)
	AES192CBC        = Cipher(oid.AES192CBC)
	AES256CBC        = Cipher(oid.AES256CBC)
	AES128GCM        = Cipher(oid.AES128GCM)
	AES192GCM        = Cipher(oid.AES192GCM)
	AES256GCM        = Cipher(oid.AES256GCM)
	AES128CCM        = Cipher(oid.AES128CCM)
	AES192CCM        = Cipher(oid.AES192CCM)
	AES256CCM        = Cipher(oid.AES256CCM)
	ChaCha20Poly1305 = Cipher(oid.ChaCha20Poly1305)
)

// String returns the cipher's name: "aes-256-cbc".
func (c Cipher) String() string { return OID(c).Name() }

// Ciphers returns all that are written, the usual ones first.
func Ciphers() []Cipher {
	return []Cipher{AES256CBC, AES256GCM, AES128CBC, AES128GCM, AES192CBC, AES192GCM, AES256CCM, AES192CCM, AES128CCM, ChaCha20Poly1305}
}

// ParseCipher returns the cipher of that name.
func ParseCipher(name string) (Cipher, error) {
	all := Ciphers()
	if i := slices.IndexFunc(all, func(c Cipher) bool { return c.String() == name }); i >= 0 {
		return all[i], nil
	}
	return "", fmt.Errorf("%w: cipher %q (there are %v)", ErrUnsupported, name, all)
}

// Authenticates reports whether a change of the ciphertext is noticed.
func (c Cipher) Authenticates() bool {
	a, ok := cipherFor(OID(c))
	return ok && a.aead()
}

// contentCipher is a content-encryption algorithm with its parameters.
type contentCipher struct {
	mode      mode
	keySize   int
	blockSize int
	block     func(key []byte) (cipher.Block, error)
	weak      bool // read only, and marked

	nonce   []byte // or initialization vector
	tagSize int
	// derivation is the identifier of the cipher itself, DER, where its key is
	// derived from the one that recipients get (RFC 9709).
	derivation []byte
}

type mode int

const (
	modeCBC mode = iota + 1
	modeGCM
	modeCCM
	modeChaCha
)

// aead reports whether the algorithm authenticates, and so belongs into
// AuthEnvelopedData and nowhere else.
func (c *contentCipher) aead() bool { return c.mode != modeCBC }

// Lengths that RFC 5084 §3 permits and that are safe; SP 800-38D Appendix C
// tells why a short tag is forged in days. Twelve octets is the DEFAULT, which
// some senders use.
const (
	minTag     = 12
	maxTag     = 16
	defaultTag = 12
	aeadNonce  = 12
)

// cipherFor returns what is known of an algorithm without its parameters. The
// key size of RC2 comes with these.
func cipherFor(o OID) (*contentCipher, bool) {
	c := &contentCipher{mode: modeCBC, blockSize: aes.BlockSize, block: aes.NewCipher, tagSize: maxTag}
	switch o {
	case oid.AES128CBC, oid.AES128GCM, oid.AES128CCM:
		c.keySize = 16
	case oid.AES192CBC, oid.AES192GCM, oid.AES192CCM:
		c.keySize = 24
	case oid.AES256CBC, oid.AES256GCM, oid.AES256CCM, oid.ChaCha20Poly1305:
		c.keySize = 32
	case oid.DES3CBC:
		c.keySize, c.blockSize, c.block, c.weak = 24, des.BlockSize, des.NewTripleDESCipher, true
	case oid.RC2CBC:
		c.blockSize, c.weak = rc2.BlockSize, true
	default:
		return nil, false
	}
	switch o {
	case oid.AES128GCM, oid.AES192GCM, oid.AES256GCM:
		c.mode = modeGCM
	case oid.AES128CCM, oid.AES192CCM, oid.AES256CCM:
		c.mode = modeCCM
	case oid.ChaCha20Poly1305:
		c.mode, c.block = modeChaCha, nil
	}
	return c, true
}

// readCipher reads a contentEncryptionAlgorithm. ErrUnsupported when it is not
// known, ErrMalformed when its parameters are not right.
func readCipher(a AlgorithmIdentifier) (*contentCipher, error) {
	var derivation []byte
	if a.Algorithm == oid.CEKHKDFSHA256 { // RFC 9709 §2
		derivation = a.Parameters
		in := cryptobyte.String(derivation)
		if !oid.ReadAlgorithm(&in, &a) || !in.Empty() || a.Algorithm == oid.CEKHKDFSHA256 {
			return nil, malformed("parameters of cek-hkdf-sha256", nil)
		}
	}
	c, ok := cipherFor(a.Algorithm)
	if !ok {
		return nil, fmt.Errorf("%w: cipher %s", ErrUnsupported, a.Algorithm.Name())
	}
	c.derivation = derivation
	switch {
	case a.Algorithm == oid.RC2CBC:
		return c, c.readRC2(a.Parameters)
	case c.mode == modeGCM || c.mode == modeCCM:
		return c, c.readAEAD(a.Parameters)
	}
	// RFC 3565 §4.1, RFC 3370 §5.1, RFC 8103 §2: an OCTET STRING.
	size := c.blockSize
	if c.mode == modeChaCha {
		size = chacha20poly1305.NonceSize
	}
	in := cryptobyte.String(a.Parameters)
	var iv cryptobyte.String
	if !in.ReadASN1(&iv, asn1.OCTET_STRING) || !in.Empty() || len(iv) != size {
		return nil, malformed("initialization vector of "+a.Algorithm.Name(), nil)
	}
	c.nonce = iv
	return c, nil
}

// readAEAD reads GCMParameters and CCMParameters (RFC 5084 §3).
func (c *contentCipher) readAEAD(params []byte) error {
	in := cryptobyte.String(params)
	var s, nonce cryptobyte.String
	c.tagSize = defaultTag
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1(&nonce, asn1.OCTET_STRING) ||
		(!s.Empty() && !s.ReadASN1Integer(&c.tagSize)) || !s.Empty() {
		return malformed("GCMParameters or CCMParameters", nil)
	}
	smallest, largest := 1, gcm.MaxNonce
	if c.mode == modeCCM {
		smallest, largest = 7, 13
	}
	if len(nonce) < smallest || len(nonce) > largest {
		return malformed(fmt.Sprintf("nonce of %d octets", len(nonce)), nil)
	}
	if c.tagSize < minTag || c.tagSize > maxTag || c.mode == modeCCM && c.tagSize%2 != 0 {
		return malformed(fmt.Sprintf("tag of %d octets; 12 to 16 are safe", c.tagSize), nil)
	}
	c.nonce = nonce
	return nil
}

// readRC2 reads RC2CBCParameter (RFC 2268 §6). Its version stands for the
// effective key bits; the key itself is as long.
func (c *contentCipher) readRC2(params []byte) error {
	in := cryptobyte.String(params)
	var s, iv cryptobyte.String
	version := 0
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1Integer(&version) || !s.ReadASN1(&iv, asn1.OCTET_STRING) ||
		!s.Empty() || len(iv) != rc2.BlockSize {
		return malformed("RC2CBCParameter", nil)
	}
	bits, ok := map[int]int{160: 40, 120: 64, 58: 128}[version]
	if !ok {
		return fmt.Errorf("%w: RC2 of version %d", ErrUnsupported, version)
	}
	c.nonce, c.keySize = iv, bits/8
	c.block = func(key []byte) (cipher.Block, error) { return rc2.New(key, bits) }
	return nil
}

// parameters are the cipher's as they are written.
func (c *contentCipher) parameters() ([]byte, error) {
	var b cryptobyte.Builder
	if c.mode == modeGCM || c.mode == modeCCM {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(c.nonce)
			b.AddASN1Int64(int64(c.tagSize))
		})
	} else {
		b.AddASN1OctetString(c.nonce)
	}
	return b.Bytes()
}

// contentKey returns the key of the cipher from the one that recipients get
// (RFC 9709 §2): the same, or one that is bound to the algorithm, so that a
// message cannot be moved to another algorithm under its key.
func (c *contentCipher) contentKey(key []byte) ([]byte, error) {
	if c.derivation == nil {
		return key, nil
	}
	return hkdf.Key(sha256.New, key, []byte("The Cryptographic Message Syntax"), string(c.derivation), len(key))
}
