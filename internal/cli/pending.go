package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// pendingRequest is a request for a certificate that has not come to its end: what
// must survive when the program is interrupted between the mail with the code and
// the certificate. Its file is readable by its owner only, for it holds the order's
// token; the key waits in the key store, under the passphrase.
type pendingRequest struct {
	Server string `json:"server"`
	Email  string `json:"email"`
	Order  string `json:"order"`
	Token  string `json:"token"`
	Key    string `json:"key"` // SHA-256 of the SubjectPublicKeyInfo, hex

	path  string
	entry *identity.Entry
	key   crypto.Signer
}

// pendingPath names the file by what it is for, without letting an address choose a path.
func (p *program) pendingPath(server, email string) (string, error) {
	home, err := p.home()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(server + "\n" + email))
	return filepath.Join(home, "pending", hex.EncodeToString(sum[:16])+".json"), nil
}

// loadPending finds the unfinished request for this address at this server, or
// begins one with a new key.
func (p *program) loadPending(server string, address mailbox.Mailbox, kind string, pass []byte) (*pendingRequest, error) {
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	path, err := p.pendingPath(server, address.String())
	if err != nil {
		return nil, err
	}
	r := &pendingRequest{Server: server, Email: address.String(), path: path}
	data, err := readSmall(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return r, r.begin(store, address, kind, pass)
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, broken(fmt.Errorf("unfinished request %s: %w", path, err), "remove the file to start anew")
	}
	switch err := r.findKey(store, address, pass); {
	case errors.Is(err, identity.ErrNotFound):
		return r, r.begin(store, address, kind, pass) // its key is gone, so the order is of no use
	case err != nil:
		return nil, err
	}
	return r, nil
}

// begin makes the key, which is in the store before anybody is asked for anything.
func (r *pendingRequest) begin(store *identity.Store, address mailbox.Mailbox, kind string, pass []byte) error {
	key, err := newKey(kind)
	if err != nil {
		return err
	}
	if r.Key, err = keyDigest(key.Public()); err != nil {
		return err
	}
	if err := store.PutPending(address, key, pass); err != nil {
		return err
	}
	r.Order, r.Token = "", ""
	if err := r.save(); err != nil {
		return err
	}
	return r.findKey(store, address, pass)
}

// newKey makes a key pair of the kind that --key names.
func newKey(kind string) (crypto.Signer, error) {
	switch normalKind(kind) {
	case "rsa3072":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "rsa2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, usage(fmt.Errorf("no kind of key %q", kind), "one of %s", keyKinds)
}

// keyKind is the name by which --key asks for a key like this one.
func keyKind(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa%d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("p%d", k.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ed25519"
	}
	return "unknown"
}

func keyDigest(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// findKey opens the key that waits in the store. An address can have several, of
// requests to several servers.
func (r *pendingRequest) findKey(store *identity.Store, address mailbox.Mailbox, pass []byte) error {
	entries, err := store.Find(address)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Pending {
			continue
		}
		id, err := e.Open(func() ([]byte, error) { return slices.Clone(pass), nil })
		if errors.Is(err, identity.ErrPassphrase) {
			return broken(fmt.Errorf("unfinished request for %s: %w", r.Email, err),
				"the passphrase is the one of the first attempt; to start anew with another, remove %s", r.path)
		}
		if err != nil {
			return err
		}
		digest, err := keyDigest(identity.Public(id.Key))
		if err != nil {
			return err
		}
		if signer, ok := id.Key.(crypto.Signer); ok && digest == r.Key {
			r.entry, r.key = e, signer
			return nil
		}
	}
	return identity.ErrNotFound
}

// save writes the file in one step.
func (r *pendingRequest) save() error {
	if err := makePrivate(filepath.Dir(r.path)); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(r.path, append(data, '\n'), modeSecret)
}

// finish ends the request: the certificate is in the store, and the key beside it.
func (r *pendingRequest) finish(store *identity.Store) error {
	return errors.Join(store.Remove(r.entry), os.Remove(r.path))
}

// writeFile replaces path by data in one step.
func writeFile(path string, data []byte, mode os.FileMode) error {
	temp, err := createTemp(path, mode)
	if err != nil {
		return err
	}
	name := temp.Name()
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(name, path)
	}
	if err != nil {
		_ = os.Remove(name)
	}
	return err
}
