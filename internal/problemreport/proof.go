package problemreport

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/oid"
)

// MaxProof is the longest proof that is read, in octets: the PEM of an RSA-8192
// key has 6 kB.
const MaxProof = 32 << 10

// Statement is what the key has to sign, as the common name of a certification
// request: that it is compromised, on this day, for this authority. Nobody signs
// that by mistake, and what was signed elsewhere or long ago is worth nothing
// here.
func (s *Service) Statement() string { return s.statement(s.o.Clock()) }

func (s *Service) statement(at time.Time) string {
	site := sha256.Sum256([]byte(s.o.Site))
	return "key compromised " + at.UTC().Format(time.DateOnly) + " at " + hex.EncodeToString(site[:4])
}

// provenKey reads a proof, in PEM: the private key itself, unencrypted, or a
// certification request for the statement of today or yesterday. It returns
// SHA-256 of the SubjectPublicKeyInfo; the private key is neither kept nor
// shown.
func (s *Service) provenKey(proof []byte) ([]byte, error) {
	if len(proof) > MaxProof {
		return nil, fmt.Errorf("%w: longer than %d octets", ErrProof, MaxProof)
	}
	block, _ := pem.Decode(proof)
	if block == nil {
		return nil, fmt.Errorf("%w: it is no PEM", ErrProof)
	}
	defer clear(block.Bytes)
	public, err := s.publicKey(block)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return issuance.KeyHash(public)
}

func (s *Service) publicKey(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return s.requested(block.Bytes)
	case "PRIVATE KEY":
		return public(x509.ParsePKCS8PrivateKey(block.Bytes))
	case "RSA PRIVATE KEY":
		return public(x509.ParsePKCS1PrivateKey(block.Bytes))
	case "EC PRIVATE KEY":
		return public(x509.ParseECPrivateKey(block.Bytes))
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted")
	}
	return nil, fmt.Errorf("a PEM block %q is neither a private key nor a certification request", block.Type)
}

// public is the public half, worked out from the private one by the parser and
// not merely read beside it.
func public[K any](key K, err error) (crypto.PublicKey, error) {
	if err != nil {
		return nil, errors.New("the private key cannot be read") // the cause may quote it
	}
	signer, ok := any(key).(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T is not a key of ours", key)
	}
	return signer.Public(), nil
}

func (s *Service) requested(der []byte) (crypto.PublicKey, error) {
	r, err := cert.ParseRequest(der) // with its signature, by the key that it names
	if err != nil {
		return nil, err
	}
	now := s.o.Clock()
	good := []string{s.statement(now), s.statement(now.AddDate(0, 0, -1))}
	if names := r.Subject.Get(oid.CommonName); len(names) != 1 || !slices.Contains(good, names[0]) {
		return nil, fmt.Errorf("the request's common name is not %q", good[0])
	}
	return r.PublicKey, nil
}
