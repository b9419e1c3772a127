package identity

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
)

var (
	// ErrNotFound means that the store has nothing for an address.
	ErrNotFound = errors.New("not in the key store")
	// ErrPending is an [ErrNotFound]: the store has a key that waits for its
	// certificate, and nothing else.
	ErrPending = fmt.Errorf("%w: the key waits for its certificate", ErrNotFound)
)

// idLength is the number of hex digits that tell the files of one address
// apart: half of a SHA-256 fingerprint's first 128 bits.
const idLength = 16

// Store is a person's key store: a folder that only its owner can read, with a
// PKCS #12 file for each identity, old ones included, because old mail is
// encrypted to them. The private keys are under a passphrase; the certificates
// are in clear text, under the MAC, so that they can be listed without it.
//
// A file appears complete or not at all, so several programs may use one store
// at a time.
type Store struct {
	dir        string
	iterations int // of every key derivation; tests lower it
}

// OpenStore opens the key store in dir and makes the folder when it is not there.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key store: others may enter %s: chmod 700 it", dir)
	}
	return &Store{dir: dir, iterations: ChosenIterations}, nil
}

// Entry is one file of a store.
type Entry struct {
	// Address is the mailbox that the file is named by.
	Address mailbox.Mailbox
	// Certificate and Chain are as the file has them in clear text: listed, not
	// proven before [Entry.Open]. Certificate is nil for a pending key and for a
	// file from elsewhere whose certificates are encrypted.
	Certificate *cert.Certificate
	Chain       []*cert.Certificate
	// Pending tells that the key waits for its certificate.
	Pending bool
	// Defect says why the file cannot be read, and is nil for a sound one. One
	// damaged file does not hide the others.
	Defect error

	path string
}

// Put stores an identity under an address with a passphrase, beside the older
// ones of that address. It replaces the file of the same certificate, if any.
func (s *Store) Put(address mailbox.Mailbox, id *Identity, passphrase []byte) error {
	if id.Certificate == nil {
		return fmt.Errorf("key store: identity without a certificate; PutPending keeps it")
	}
	data, err := EncodePKCS12([]*Identity{id}, passphrase, &PKCS12Options{PlainCertificates: true, Iterations: s.iterations})
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return s.put(address, id.Certificate.SHA256()[:idLength], identityExt, data)
}

// PutPending stores a key under an address until its certificate comes; see
// [Store.Complete].
func (s *Store) PutPending(address mailbox.Mailbox, key crypto.PrivateKey, passphrase []byte) error {
	der, err := encryptPKCS8(rand.Reader, key, passphrase, s.iterations)
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	id, err := keyID(Public(key))
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return s.put(address, id, pendingExt, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

// Completed is a key of the store that got a certificate.
type Completed struct {
	// Address is the mailbox that the key is filed under; whether the
	// certificate names it is for the caller to see.
	Address  mailbox.Mailbox
	Identity *Identity
	// Renewed tells that the key had a certificate before, which stays.
	Renewed bool
}

// Complete joins keys of the store with their certificates, found by public key
// among certs, whose other members become the chain. The identity of a pending
// key takes its place. Another certificate for a key that has one already is
// stored beside it, and a longer chain is added to the certificate that is
// there. The error is [ErrNotFound] when no key is for any of the certificates.
// passphrase is called once, and only if there is one.
func (s *Store) Complete(certs []*cert.Certificate, passphrase func() ([]byte, error)) ([]*Completed, error) {
	entries, err := s.List()
	if err != nil {
		return nil, err
	}
	var done []*Completed
	a := newAsker(passphrase)
	for _, c := range certs {
		e := holder(entries, c)
		if e == nil || e.complete(c, chain(c, certs)) {
			continue
		}
		text, err := a.text()
		if err != nil {
			return done, err
		}
		id, err := s.complete(e, c, certs, text)
		if err != nil {
			return done, err
		}
		done = append(done, &Completed{Address: e.Address, Identity: id, Renewed: !e.Pending})
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("%w: no key waits for this certificate", ErrNotFound)
	}
	return done, nil
}

// holder finds the entry of the key that c is for: the one with c itself, else
// the one that waits for it, else any with another certificate for that key.
func holder(entries []*Entry, c *cert.Certificate) (found *Entry) {
	for _, e := range entries {
		switch {
		case e.Certificate != nil && e.Certificate.Equal(c):
			return e
		case e.Pending && e.awaits(c):
			found = e
		case found == nil && e.Certificate != nil && e.Certificate.PublicKey != nil && matches(c, e.Certificate.PublicKey):
			found = e
		}
	}
	return found
}

// complete tells whether the entry has c already, with no shorter a chain.
func (e *Entry) complete(c *cert.Certificate, chain []*cert.Certificate) bool {
	return e.Certificate != nil && e.Certificate.Equal(c) && len(e.Chain) >= len(chain)
}

func (s *Store) complete(e *Entry, c *cert.Certificate, certs []*cert.Certificate, passphrase []byte) (*Identity, error) {
	held, err := e.Open(func() ([]byte, error) { return bytes.Clone(passphrase), nil })
	if err != nil {
		return nil, err
	}
	if !matches(c, Public(held.Key)) { // the file's name or certificate is not that of its key
		return nil, fmt.Errorf("key store: %s: %w for the certificate", filepath.Base(e.path), ErrNoKey)
	}
	id := &Identity{Key: held.Key, Certificate: c, Chain: chain(c, certs), Label: held.Label}
	if err := s.Put(e.Address, id, passphrase); err != nil {
		return nil, err
	}
	if e.Pending {
		return id, s.Remove(e)
	}
	return id, nil
}

// awaits tells whether c is for the key of a pending entry.
func (e *Entry) awaits(c *cert.Certificate) bool {
	id, err := keyID(c.PublicKey)
	return err == nil && strings.HasSuffix(e.path, "~"+id+pendingExt)
}

// keyID names a public key by its SubjectPublicKeyInfo.
func keyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("public key: %w: %w", ErrUnsupported, err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])[:idLength], nil
}

// List returns all entries, ordered by address, the certificate that ends last
// first, those without a certificate at the end of their address. Files that
// are not the store's are passed over.
func (s *Store) List() ([]*Entry, error) {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	var all []*Entry
	for _, f := range files {
		address, _, ext, ok := parseFileName(f.Name(), identityExt, pendingExt)
		if !ok {
			continue
		}
		e := &Entry{Address: address, Pending: ext == pendingExt, path: filepath.Join(s.dir, f.Name())}
		err := e.load()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			e.Defect = fmt.Errorf("key store: %s: %w", f.Name(), err)
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, compareEntries)
	return all, nil
}

func compareEntries(a, b *Entry) int {
	if n := strings.Compare(a.Address.Key(), b.Address.Key()); n != 0 {
		return n
	}
	switch {
	case a.Certificate == nil && b.Certificate == nil:
		return 0
	case a.Certificate == nil:
		return 1
	case b.Certificate == nil:
		return -1
	}
	return b.Certificate.NotAfter.Compare(a.Certificate.NotAfter)
}

// load reads what the file shows without its passphrase.
func (e *Entry) load() error {
	if e.Pending {
		return nil
	}
	data, err := readFileLimited(e.path)
	if err != nil {
		return err
	}
	p, err := parsePFX(data)
	if err != nil {
		return fmt.Errorf("PKCS #12: %w", err)
	}
	v := &certificateLister{}
	if err := walk(p.content, v); err != nil {
		return fmt.Errorf("PKCS #12: %w", err)
	}
	var certs []*cert.Certificate
	for _, c := range v.certs {
		certs = append(certs, c.certificate)
	}
	for _, c := range v.certs {
		if c.localKeyID != nil { // RFC 7292, Section 4.2: of a key in the file
			e.Certificate, e.Chain = c.certificate, chain(c.certificate, certs)
			break
		}
	}
	return nil
}

// Find returns the entries of an address: those filed under it, and those whose
// certificate names it. Order as in [Store.List], [ErrNotFound] when there is none.
func (s *Store) Find(address mailbox.Mailbox) ([]*Entry, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(e *Entry) bool { return !e.names(address) })
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w", address, ErrNotFound)
	}
	slices.SortStableFunc(found, func(a, b *Entry) int {
		return compareEntries(&Entry{Certificate: a.Certificate}, &Entry{Certificate: b.Certificate})
	})
	return found, nil
}

func (e *Entry) names(address mailbox.Mailbox) bool {
	if e.Address.Equal(address) {
		return true
	}
	return e.Certificate != nil && slices.ContainsFunc(e.Certificate.Emails(), func(s string) bool {
		m, err := mailbox.Parse(s)
		return err == nil && m.Equal(address)
	})
}

// Get opens every identity of an address, the certificate that ends last first:
// an expired certificate never hides a good one, and old keys open old mail.
// Pending keys are not among them. Identities that do not open, damaged or under
// another passphrase, are left out; when none opens, the error says why, and is
// [ErrPassphrase] if that was the reason for any.
func (s *Store) Get(address mailbox.Mailbox, passphrase func() ([]byte, error)) ([]*Identity, error) {
	entries, err := s.Find(address)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e *Entry) bool { return e.Pending })
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: %w", address, ErrPending)
	}
	pass, err := passphrase()
	if err != nil {
		return nil, err
	}
	var ids []*Identity
	var refused []error
	for _, o := range openAll(entries, pass) {
		if o.err != nil {
			refused = append(refused, o.err)
			continue
		}
		ids = append(ids, o.id)
	}
	if len(ids) == 0 {
		return nil, errors.Join(refused...)
	}
	return ids, nil
}

type opened struct {
	id  *Identity
	err error
}

// openAll opens entries in order, on all cores: each costs the derivation of a key
// from the passphrase, and after some years there are many.
func openAll(entries []*Entry, passphrase []byte) []opened {
	all := make([]opened, len(entries))
	var group sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, e := range entries {
		turn <- struct{}{}
		group.Go(func() {
			all[i].id, all[i].err = e.Open(func() ([]byte, error) { return bytes.Clone(passphrase), nil })
			<-turn
		})
	}
	group.Wait()
	return all
}

// Certificates returns the certificates of an address, the one that ends last
// first, without a passphrase.
func (s *Store) Certificates(address mailbox.Mailbox) ([]*cert.Certificate, error) {
	entries, err := s.Find(address)
	if err != nil {
		return nil, err
	}
	var certs []*cert.Certificate
	for _, e := range entries {
		if e.Certificate != nil {
			certs = append(certs, e.Certificate)
		}
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s: %w: no certificate that can be read without a passphrase", address, ErrNotFound)
	}
	return certs, nil
}

// Open decrypts the entry. The identity of a pending key has no certificate.
func (e *Entry) Open(passphrase func() ([]byte, error)) (*Identity, error) {
	data, err := readFileLimited(e.path)
	if err != nil {
		return nil, fmt.Errorf("key store: %w", err)
	}
	ids, err := Read(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key store: %s: %w", filepath.Base(e.path), err)
	}
	if e.Certificate == nil {
		return ids[0], nil
	}
	for _, id := range ids {
		if id.Certificate.Equal(e.Certificate) {
			return id, nil
		}
	}
	return nil, fmt.Errorf("key store: %s: %w for the certificate that it shows", filepath.Base(e.path), ErrNoKey)
}

// Remove deletes the entry's file for good. Mail that was encrypted to its
// certificate alone cannot be read any more.
func (s *Store) Remove(e *Entry) error {
	if err := errors.Join(os.Remove(e.path), syncDir(s.dir)); err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return nil
}
