// Package pbe is encryption and authentication with a passphrase, as private
// keys at rest are protected: PBES1, PBES2 and PBMAC1 of PKCS #5 (RFC 8018,
// RFC 9879 for its use in PKCS #12), scrypt (RFC 7914), and the password-based
// encryption and MAC of PKCS #12 itself (RFC 7292, Appendices B and C).
//
// Start with [NewPassphrase]; a [Passphrase] decrypts, verifies, encrypts and
// authenticates. [Describe] and [MAC.Describe] tell what protects a file without
// a passphrase.
//
// It reads what others wrote, weak as it may be (RC2-40, one iteration), and
// writes only [PBES2] and, for software that reads nothing newer, [TripleDES].
// It knows nothing of the structures that hold the ciphertext.
package pbe

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on what a file may ask for. An attacker chooses these numbers, so they
// bound the time and memory that opening a file takes.
const (
	// MaxIterations bounds the iterations of one [Passphrase] over its whole
	// life, which is one file: about five seconds of work. The highest count
	// met in practice is 600,000 for each of at most five derivations.
	MaxIterations = 10_000_000
	// MaxSalt is the largest salt in bytes; 8 to 64 are in use.
	MaxSalt = 1024
	// MaxScryptMemory bounds 128*N*r (RFC 7914, Section 2) in bytes.
	MaxScryptMemory = 256 << 20
	// MaxScryptWork bounds N*r*p, which scrypt's time is proportional to.
	MaxScryptWork = 1 << 23
)

var (
	// ErrPassphrase means that the passphrase does not fit, or that the
	// protected bytes were altered: nothing can tell the two apart.
	ErrPassphrase = errors.New("wrong passphrase, or the protected data was altered")
	// ErrUnsupported means an algorithm that this package does not know.
	ErrUnsupported = errors.New("unsupported algorithm")
	// ErrMalformed means parameters that are not what their standard says.
	ErrMalformed = errors.New("malformed data")
	// ErrLimit means parameters that would take too much work or memory.
	ErrLimit = errors.New("asks for more than is allowed")
)

// Passphrase is one passphrase together with the work that may still be spent
// on it. It is made for one file and is not safe for concurrent use.
type Passphrase struct {
	text []byte
	bmp  [][]byte // encodings for the PKCS #12 derivation, the likeliest first
	work int      // iterations spent

	derived map[string][]byte // keys of PBES2 that were derived already
}

// NewPassphrase returns the passphrase whose UTF-8 encoding is text. It keeps no
// reference to text.
func NewPassphrase(text []byte) *Passphrase {
	return &Passphrase{text: bytes.Clone(text), bmp: bmpEncodings(text)}
}

// Limit lowers what may still be spent on p to n iterations.
func (p *Passphrase) Limit(n int) { p.work = max(p.work, MaxIterations-n) }

// spend takes n iterations from what is left.
func (p *Passphrase) spend(n int) error {
	if n < 0 || n > MaxIterations-p.work {
		return fmt.Errorf("%w: more than %d iterations in all", ErrLimit, MaxIterations)
	}
	p.work += n
	return nil
}

// Decrypt decrypts ciphertext, which alg says how it was encrypted. The
// plaintext is a SEQUENCE (a PrivateKeyInfo or a SafeContents, RFC 7292);
// anything else counts as a wrong passphrase.
func (p *Passphrase) Decrypt(alg oid.AlgorithmIdentifier, ciphertext []byte) ([]byte, error) {
	s, err := parseScheme(alg)
	if err != nil {
		return nil, err
	}
	for i, secret := range p.secrets(s.encoding) {
		plain, err := p.decrypt(s, secret, ciphertext)
		if err != nil && !errors.Is(err, ErrPassphrase) {
			return nil, err
		}
		if err == nil && len(plain) > 0 && plain[0] == 0x30 {
			p.prefer(s.encoding, i)
			return plain, nil
		}
	}
	return nil, ErrPassphrase
}

// decrypt tries one encoding of the passphrase.
func (p *Passphrase) decrypt(s *scheme, secret, ciphertext []byte) ([]byte, error) {
	key, iv, err := p.derive(s, secret)
	if err != nil {
		return nil, err
	}
	return s.cipher.decrypt(key, iv, ciphertext)
}

// derive spends the work of a derivation, once where several parts of a file
// share it.
func (p *Passphrase) derive(s *scheme, secret []byte) (key, iv []byte, err error) {
	if s.same != "" && p.derived[s.same] != nil { // PBES2 knows one secret
		return p.derived[s.same], s.iv, nil
	}
	if err := p.spend(s.work); err != nil {
		return nil, nil, err
	}
	key, iv, err = s.derive(secret)
	if err == nil && s.same != "" {
		if p.derived == nil {
			p.derived = map[string][]byte{}
		}
		p.derived[s.same] = key
	}
	return key, iv, err
}

// secrets returns the byte strings that the passphrase may stand for.
func (p *Passphrase) secrets(e encoding) [][]byte {
	if e == bmpString {
		return p.bmp
	}
	return [][]byte{p.text}
}

// prefer moves the encoding that fitted to the front: the rest of a file was
// written by the same software.
func (p *Passphrase) prefer(e encoding, i int) {
	if e == bmpString {
		p.bmp = [][]byte{p.bmp[i]}
	}
}

// Info tells how something is protected.
type Info struct {
	Scheme     string // "PBES2", "PBMAC1", "PKCS #12"
	KDF        string // "PBKDF2 with HMAC-SHA-256", "PKCS #12 with SHA-1", "scrypt"
	Cipher     string // "AES-256-CBC"; of a MAC: "HMAC-SHA-256"
	Iterations int    // scrypt: N
	Salt       int    // length in bytes
}

// String returns "PBES2: AES-256-CBC, PBKDF2 with HMAC-SHA-256, 600000 iterations, salt of 8 bytes".
func (i Info) String() string {
	return fmt.Sprintf("%s: %s, %s, %d iterations, salt of %d bytes", i.Scheme, i.Cipher, i.KDF, i.Iterations, i.Salt)
}

// Describe returns what alg asks for, without a passphrase.
func Describe(alg oid.AlgorithmIdentifier) (Info, error) {
	s, err := parseScheme(alg)
	if err != nil {
		return Info{}, err
	}
	return s.info, nil
}
