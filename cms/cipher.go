package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/gcm"
	"github.com/mailseal/mailseal/internal/oid"
)

// Cipher is a content-encryption algorithm that messages are written with.
type Cipher OID

// The ciphers. CBC gives EnvelopedData, which every mail client reads and
// which hides the content without protecting it from change: sign inside. GCM
// gives AuthEnvelopedData.
const (
	AES128CBC = Cipher(oid.AES128CBC)
	AES192CBC = Cipher(oid.AES192CBC)
	AES256CBC = Cipher(oid.AES256CBC)
	AES128GCM = Cipher(oid.AES128GCM)
	AES192GCM = Cipher(oid.AES192GCM)
	AES256GCM = Cipher(oid.AES256GCM)
)

// String returns the cipher's name: "aes-256-cbc".
func (c Cipher) String() string { return OID(c).Name() }

// ParseCipher returns the cipher of that name.
func ParseCipher(name string) (Cipher, error) {
	for _, c := range []Cipher{AES256CBC, AES256GCM, AES128CBC, AES128GCM, AES192CBC, AES192GCM} {
		if c.String() == name {
			return c, nil
		}
	}
	return "", fmt.Errorf("%w: cipher %q (aes-128, aes-192 or aes-256, with -cbc or -gcm)", ErrUnsupported, name)
}

// Authenticates reports whether a change of the ciphertext is noticed.
func (c Cipher) Authenticates() bool {
	a, _ := contentAlgorithm(OID(c))
	return a.aead()
}

// algorithm is what is known of a content-encryption algorithm.
type algorithm struct {
	mode      mode
	keySize   int
	blockSize int
	block     func(key []byte) (cipher.Block, error)
	weak      bool // read only, and marked
}

type mode int

const (
	modeCBC mode = iota + 1
	modeGCM
)

// aead reports whether the algorithm authenticates, and so belongs into
// AuthEnvelopedData and nowhere else.
func (a algorithm) aead() bool { return a.mode > modeCBC }

func contentAlgorithm(o OID) (algorithm, bool) {
	a := algorithm{mode: modeCBC, blockSize: aes.BlockSize, block: aes.NewCipher}
	switch o {
	case oid.AES128CBC:
		a.keySize = 16
	case oid.AES192CBC:
		a.keySize = 24
	case oid.AES256CBC:
		a.keySize = 32
	case oid.AES128GCM:
		a.mode, a.keySize = modeGCM, 16
	case oid.AES192GCM:
		a.mode, a.keySize = modeGCM, 24
	case oid.AES256GCM:
		a.mode, a.keySize = modeGCM, 32
	case oid.DES3CBC:
		return algorithm{mode: modeCBC, keySize: 24, blockSize: des.BlockSize, block: des.NewTripleDESCipher, weak: true}, true
	default:
		return algorithm{}, false
	}
	return a, true
}

// Lengths that RFC 5084 §3.2 permits and that are safe; SP 800-38D Appendix C
// tells why a short tag is forged in days. Twelve octets is the DEFAULT, which
// some senders use.
const (
	minTag     = 12
	gcmNonce   = 12
	defaultTag = 12
)

// gcmParameters reads GCMParameters (RFC 5084 §3.2).
func gcmParameters(params []byte) (nonce []byte, tagSize int, err error) {
	in := cryptobyte.String(params)
	var s, n cryptobyte.String
	tagSize = defaultTag
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1(&n, asn1.OCTET_STRING) ||
		(!s.Empty() && !s.ReadASN1Integer(&tagSize)) || !s.Empty() {
		return nil, 0, malformed("GCMParameters", nil)
	}
	if len(n) == 0 || len(n) > gcm.MaxNonce {
		return nil, 0, malformed(fmt.Sprintf("GCM nonce of %d octets", len(n)), nil)
	}
	if tagSize < minTag || tagSize > gcm.TagSize {
		return nil, 0, malformed(fmt.Sprintf("GCM tag of %d octets; 12 to 16 are safe", tagSize), nil)
	}
	return n, tagSize, nil
}

func gcmParametersDER(nonce []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(nonce)
		b.AddASN1Int64(gcm.TagSize)
	})
	return b.Bytes()
}

// cbcParameters reads the initialization vector (RFC 3565 §4.1, RFC 3370 §5.1).
func cbcParameters(params []byte, blockSize int) ([]byte, error) {
	in := cryptobyte.String(params)
	var iv cryptobyte.String
	if !in.ReadASN1(&iv, asn1.OCTET_STRING) || !in.Empty() || len(iv) != blockSize {
		return nil, malformed("initialization vector", nil)
	}
	return iv, nil
}
