package pbe

import (
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// SaltSize is the length of the salts that this package writes: macOS refuses
// PKCS #12 files with 16 bytes, and RFC 8018, Section 4.1, asks for 8.
const SaltSize = 8

func newSalt(rand io.Reader) ([]byte, error) { return randomBytes(rand, SaltSize) }

func randomBytes(rand io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return b, nil
}

// Encryption makes the algorithm identifier for one encryption: [PBES2] or
// [TripleDES], with a fresh salt, or [OnePBES2].
type Encryption func(rand io.Reader, iterations int) (oid.AlgorithmIdentifier, error)

// Encrypt encrypts plain and returns what [Passphrase.Decrypt] needs.
func (p *Passphrase) Encrypt(rand io.Reader, e Encryption, iterations int, plain []byte) (oid.AlgorithmIdentifier, []byte, error) {
	alg, err := e(rand, iterations)
	for err == nil && gnupgStumbles(alg, p.secrets(bmpString)[0]) {
		alg, err = e(rand, iterations)
	}
	if err != nil {
		return alg, nil, err
	}
	s, err := parseScheme(alg)
	if err != nil {
		return alg, nil, err
	}
	key, iv, err := p.derive(s, p.secrets(s.encoding)[0])
	if err != nil {
		return alg, nil, err
	}
	ciphertext, err := s.cipher.encrypt(key, iv, plain)
	return alg, ciphertext, err
}

// PBES2 is AES-256-CBC with a key from PBKDF2 with HMAC-SHA-256 (RFC 8018).
func PBES2(rand io.Reader, iterations int) (oid.AlgorithmIdentifier, error) {
	salt, err := newSalt(rand)
	if err != nil {
		return oid.AlgorithmIdentifier{}, err
	}
	return pbes2With(rand, salt, iterations)
}

// OnePBES2 returns PBES2 with one salt for all parts of a file: whoever writes
// or, with this package, reads it derives one key for all of them. Each has an
// initialization vector of its own.
func OnePBES2() Encryption {
	var salt []byte
	return func(rand io.Reader, iterations int) (alg oid.AlgorithmIdentifier, err error) {
		if salt == nil {
			if salt, err = newSalt(rand); err != nil {
				return alg, err
			}
		}
		return pbes2With(rand, salt, iterations)
	}
}

func pbes2With(rand io.Reader, salt []byte, iterations int) (oid.AlgorithmIdentifier, error) {
	alg := oid.AlgorithmIdentifier{Algorithm: oid.PBES2}
	iv, err := randomBytes(rand, 16)
	if err != nil {
		return alg, err
	}
	alg.Parameters, err = sequence(func(b *cryptobyte.Builder) {
		addPBKDF2(b, salt, iterations, 0)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			oid.Add(b, oid.AES256CBC)
			b.AddASN1OctetString(iv)
		})
	})
	return alg, err
}

// TripleDES is pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292, Appendix C), the
// strongest form that GnuPG 2.2 and old iOS and Windows read.
func TripleDES(rand io.Reader, iterations int) (oid.AlgorithmIdentifier, error) {
	alg := oid.AlgorithmIdentifier{Algorithm: oid.PBEWithSHA1DES3}
	salt, err := newSalt(rand)
	if err != nil {
		return alg, err
	}
	alg.Parameters, err = sequence(func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(int64(iterations))
	})
	return alg, err
}

// addPBKDF2 appends PBKDF2 with HMAC-SHA-256; keyLength 0 leaves it unstated.
func addPBKDF2(b *cryptobyte.Builder, salt []byte, iterations, keyLength int) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		oid.Add(b, oid.PBKDF2)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(salt)
			b.AddASN1Int64(int64(iterations))
			if keyLength > 0 {
				b.AddASN1Int64(int64(keyLength))
			}
			oid.AlgorithmIdentifier{Algorithm: oid.HMACSHA256, Parameters: oid.Null}.Add(b)
		})
	})
}
