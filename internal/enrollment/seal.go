package enrollment

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// KeyStore makes and opens private keys, as *keys.Keys does.
type KeyStore interface {
	Create(name string, key crypto.Signer) (uri string, err error)
	Signer(uri string) (crypto.Signer, error)
}

// What sealers are for; their keys are derived from the one of the store, apart
// for each purpose.
const (
	forEnrollment = "mailseal enrollment 1"
	forAccounts   = "mailseal accounts 1"
)

// sealer encrypts what lies in the store for people, under a key that does not:
// whoever has a copy of the database alone has no key and no passphrase, and no
// secret of an authenticator app.
type sealer struct {
	aead   cipher.AEAD
	random io.Reader
}

var errNoKey = errors.New("enrollment: opened without keys, to look only")

// openKeyOfStore opens the key of the store, and makes it where there is none.
func openKeyOfStore(ctx context.Context, db *store.DB, keys KeyStore, random io.Reader, now time.Time) (ed25519.PrivateKey, error) {
	uri, err := sealingKey(ctx, db)
	if errors.Is(err, store.ErrNotFound) {
		if err = newSealingKey(ctx, db, keys, random, now); err == nil {
			uri, err = sealingKey(ctx, db) // another node may have been faster
		}
	}
	if err != nil {
		return nil, fmt.Errorf("enrollment: key: %w", err)
	}
	signer, err := keys.Signer(uri)
	if err != nil {
		return nil, fmt.Errorf("enrollment: key: %w", err)
	}
	private, ok := signer.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("enrollment: the key at %s is a %T", uri, signer)
	}
	return private, nil
}

func (s *Service) openSealers(ctx context.Context) error {
	private, err := openKeyOfStore(ctx, s.o.Store, s.o.Keys, s.o.Rand, s.now())
	if err != nil {
		return err
	}
	if s.sealer, err = newSealer(private, forEnrollment, s.o.Rand); err != nil {
		return err
	}
	s.accounts, err = newSealer(private, forAccounts, s.o.Rand)
	return err
}

// newSealer derives a sealer for a purpose.
func newSealer(private ed25519.PrivateKey, purpose string, random io.Reader) (*sealer, error) {
	secret, err := hkdf.Key(sha256.New, private.Seed(), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("enrollment: key: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("enrollment: key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	return &sealer{aead, random}, err
}

func sealingKey(ctx context.Context, db *store.DB) (uri string, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		uri, err = tx.EnrollmentKey()
		return err
	})
	return uri, err
}

func newSealingKey(ctx context.Context, db *store.DB, keys KeyStore, random io.Reader, now time.Time) error {
	seed := make([]byte, ed25519.SeedSize+4)
	if _, err := io.ReadFull(random, seed); err != nil {
		return err
	}
	defer clear(seed)
	name := "enrollment-" + hex.EncodeToString(seed[ed25519.SeedSize:])
	uri, err := keys.Create(name, ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize]))
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(tx *store.Tx) error { return tx.InsertEnrollmentKey(uri, now) })
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}

// Seal encrypts what belongs to a row; it opens in no other place.
func (s *sealer) Seal(what, id string, plain []byte) ([]byte, error) {
	if s == nil {
		return nil, errNoKey
	}
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, fmt.Errorf("enrollment: randomness: %w", err)
	}
	return s.aead.Seal(nonce, nonce, plain, []byte(what+"\x00"+id)), nil
}

// Open decrypts what was sealed for this row.
func (s *sealer) Open(what, id string, sealed []byte) ([]byte, error) {
	if s == nil {
		return nil, errNoKey
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, fmt.Errorf("enrollment: %s of %s is not here", what, id)
	}
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(what+"\x00"+id))
	if err != nil {
		return nil, fmt.Errorf("enrollment: %s of %s: %w", what, id, err)
	}
	return plain, nil
}

// Secrets seals what accounts keep, as auth.Secrets, under the key of the store.
func (s *Service) Secrets() auth.Secrets {
	if s.accounts == nil {
		return nil
	}
	return s.accounts
}
