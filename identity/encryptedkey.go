package identity

import (
	"crypto"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/ber"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/pbe"
)

// Iteration counts for key derivation: what one guess at a passphrase costs.
const (
	// ChosenIterations is for a passphrase that a person chose.
	ChosenIterations = 600_000
	// GeneratedIterations is for a passphrase with at least 128 random bits,
	// which nobody guesses at any speed.
	GeneratedIterations = 10_000
)

// EncryptPKCS8 writes a private key as EncryptedPrivateKeyInfo (RFC 5958,
// Section 3) with PBES2: AES-256-CBC and PBKDF2 with HMAC-SHA-256, salt and
// initialization vector from rand, [ChosenIterations] rounds.
func EncryptPKCS8(rand io.Reader, key crypto.PrivateKey, passphrase []byte) ([]byte, error) {
	return encryptPKCS8(rand, key, passphrase, ChosenIterations)
}

func encryptPKCS8(rand io.Reader, key crypto.PrivateKey, passphrase []byte, iterations int) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errEmptyPassphrase
	}
	plain, err := MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return encryptKeyInfo(pbe.NewPassphrase(passphrase), plain, encryption{rand, pbe.PBES2, iterations})
}

// encryption is how the parts of one file are encrypted.
type encryption struct {
	rand       io.Reader
	scheme     pbe.Encryption
	iterations int
}

func encryptKeyInfo(p *pbe.Passphrase, plain []byte, e encryption) ([]byte, error) {
	alg, ciphertext, err := p.Encrypt(e.rand, e.scheme, e.iterations, plain)
	if err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		alg.Add(b)
		b.AddASN1OctetString(ciphertext)
	})
	return b.Bytes()
}

// DecryptPKCS8 reads an EncryptedPrivateKeyInfo. The error is [ErrPassphrase]
// when the passphrase does not fit.
func DecryptPKCS8(der, passphrase []byte) (crypto.PrivateKey, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("encrypted private key: %w: %d bytes", ErrLimit, len(der))
	}
	return decryptKeyInfo(pbe.NewPassphrase(passphrase), der)
}

func decryptKeyInfo(p *pbe.Passphrase, der []byte) (crypto.PrivateKey, error) {
	e, err := readEncryptedKeyInfo(der)
	if err != nil {
		return nil, err
	}
	plain, err := p.Decrypt(e.algorithm, e.ciphertext)
	if err != nil {
		return nil, fmt.Errorf("encrypted private key: %w", err)
	}
	return ParsePrivateKey(plain)
}

func readEncryptedKeyInfo(der []byte) (*encryptedPart, error) {
	der, err := ber.DER(der)
	if err != nil {
		return nil, fmt.Errorf("encrypted private key: %w: %w", ErrMalformed, err)
	}
	s := cryptobyte.String(der)
	var seq, ciphertext cryptobyte.String
	e := &encryptedPart{}
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() ||
		!oid.ReadAlgorithm(&seq, &e.algorithm) || !seq.ReadASN1(&ciphertext, asn1.OCTET_STRING) || !seq.Empty() {
		return nil, fmt.Errorf("encrypted private key: %w", ErrMalformed)
	}
	e.ciphertext = ciphertext
	return e, nil
}
