// Package keys turns the URI of an authority's private key into a
// crypto.Signer, so that nobody above it knows where a key lives.
//
// Known today: "file:keys/NAME.pem", a PKCS #8 file (RFC 5958, RFC 7468 §10)
// inside the data folder, named relative to it so that the folder can move.
// Such a file is not encrypted: it is only made and read when [Keys.Plaintext]
// says so, which is for --dev. It must lie inside the folder, be a plain file
// and be closed to everybody else (mode 0600).
//
// Start at [Keys.Create] and [Keys.Signer].
package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Refusals that a caller may want to tell apart.
var (
	// ErrPlaintext: unencrypted key files are for --dev only.
	ErrPlaintext = errors.New("keys: unencrypted private keys are only allowed with --dev")
	// ErrScheme: the URI names a kind of storage that this build does not know.
	ErrScheme = errors.New("keys: unknown kind of key URI")
)

const (
	fileScheme = "file:"
	folder     = "keys"
	pemType    = "PRIVATE KEY"
	maxFile    = 64 << 10 // bytes; an RSA-16384 key has 13 KiB
)

// Keys opens and makes private keys.
type Keys struct {
	Dir       string // the data folder
	Plaintext bool   // allow unencrypted files in Dir (--dev)
}

// Create stores key under a new name in the data folder and returns its URI.
// The file is on the disk when Create returns.
func (k *Keys) Create(name string, key crypto.Signer) (uri string, err error) {
	if !k.Plaintext {
		return "", ErrPlaintext
	}
	if !plainName(name) {
		return "", fmt.Errorf("keys: %q is not a key name: use a-z, 0-9 and hyphens", name)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("keys: encode %s: %w", name, err)
	}
	defer clear(der)
	block := pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})
	defer clear(block)
	file := path.Join(folder, name+".pem")
	if err := k.write(file, block); err != nil {
		return "", fmt.Errorf("keys: write %s: %w", file, err)
	}
	return fileScheme + file, nil
}

// write makes the file appear whole or not at all: temporary file, fsync,
// rename, fsync of the folder. A name that exists already is refused.
func (k *Keys) write(name string, data []byte) (err error) {
	root, err := os.OpenRoot(k.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := root.Lstat(name); err == nil {
		return fs.ErrExist
	}
	var random [8]byte
	rand.Read(random[:])
	temp := name + "." + hex.EncodeToString(random[:])
	if err := writeSynced(root, temp, data); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return errors.Join(syncFolder(root, folder), syncFolder(root, "."))
}

func writeSynced(root *os.Root, name string, data []byte) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Signer opens the private key that uri names.
func (k *Keys) Signer(uri string) (crypto.Signer, error) {
	name, ok := strings.CutPrefix(uri, fileScheme)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrScheme, scheme(uri))
	}
	if !k.Plaintext {
		return nil, ErrPlaintext
	}
	data, err := k.read(name)
	if err != nil {
		return nil, fmt.Errorf("keys: read %s: %w", name, err)
	}
	defer clear(data)
	signer, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("keys: %s: %w", name, err)
	}
	return signer, nil
}

// read opens name below the data folder; os.Root follows no link out of it.
func (k *Keys) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(k.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a plain file")
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("mode %v lets others read it: chmod 600", info.Mode().Perm())
	case info.Size() > maxFile:
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return io.ReadAll(f)
}

func parse(data []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, fmt.Errorf("not one PEM block %q", pemType)
	}
	defer clear(block.Bytes)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a %T cannot sign", key)
	}
	return signer, nil
}

// plainName keeps names usable in URIs and on every file system.
func plainName(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// scheme is all of a URI that belongs in an error: the rest may hold a PIN.
func scheme(uri string) string {
	before, _, _ := strings.Cut(uri, ":")
	return before
}
