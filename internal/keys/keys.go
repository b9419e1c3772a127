// Package keys turns the URI of an authority's private key into a
// crypto.Signer, so that nobody above it knows where a key lives.
//
// Kinds of URIs:
//
//   - "file:keys/NAME.pem", a file inside the data folder, named relative to it so
//     that the folder can move: encrypted under a passphrase (see envelope.go), or
//     with [Keys.Plaintext], which is for --dev, a bare PKCS #8 file (RFC 5958,
//     RFC 7468 §10). It must be a plain file that is closed to everybody else
//     (mode 0600).
//   - "pkcs11:...", a key in a token (RFC 7512), through [token].
//   - "signer:SOCKET#NAME", a key in a process of its own, through [signer]; it may
//     be a program of others that speaks for a key management service.
//
// Start at [Keys.Create] and [Keys.Signer]; [Secrets] has what unlocks them.
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
	"runtime"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/internal/signer"
	"github.com/mailseal/mailseal/internal/token"
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
	Dir       string   // the data folder
	Plaintext bool     // keep unencrypted files in Dir (--dev)
	Secrets   *Secrets // nil: only what needs none can be opened
	Tokens    Tokens

	mutex   sync.Mutex
	clients []*token.Client
}

// Create stores key under a new name in the data folder and returns its URI:
// encrypted, unless Plaintext is set. The file is on the disk when Create returns.
func (k *Keys) Create(name string, key crypto.Signer) (uri string, err error) {
	if !k.Plaintext && k.Secrets == nil {
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
	file := path.Join(folder, name+".pem")
	block, err := k.encode(file, der)
	if err != nil {
		return "", fmt.Errorf("keys: encrypt %s: %w", file, err)
	}
	defer clear(block)
	if err := k.write(file, block); err != nil {
		return "", fmt.Errorf("keys: write %s: %w", file, err)
	}
	return fileScheme + file, nil
}

// encode returns the content of a key's file.
func (k *Keys) encode(file string, der []byte) ([]byte, error) {
	if k.Plaintext {
		return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
	}
	passphrase, err := k.Secrets.Passphrase(file, true)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	sealed, err := seal(rand.Reader, writtenCost, passphrase, der)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: envelopeType, Bytes: sealed}), nil
}

// write makes a new file. A name that exists already is refused.
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
	return errors.Join(replace(root, name, data), syncFolder(root, "."))
}

// replace makes the file appear whole or not at all: temporary file, fsync,
// rename, fsync of the folder.
func replace(root *os.Root, name string, data []byte) error {
	var random [8]byte
	rand.Read(random[:])
	temp := name + "." + hex.EncodeToString(random[:])
	if err := writeSynced(root, temp, data); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return syncFolder(root, folder)
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
	switch {
	case isToken(uri):
		return k.fromToken(uri)
	case strings.HasPrefix(uri, signer.Scheme):
		socket, name, err := signer.SplitURI(uri)
		if err != nil {
			return nil, err
		}
		return signer.Open(socket, name)
	}
	name, ok := strings.CutPrefix(uri, fileScheme)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrScheme, scheme(uri))
	}
	data, err := k.read(name)
	if err != nil {
		return nil, fmt.Errorf("keys: read %s: %w", name, err)
	}
	defer clear(data)
	key, err := k.decode(name, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
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
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("longer than %d bytes", maxFile)
	}
	return io.ReadAll(f)
}

// private refuses what others can read. Windows has no such modes.
func private(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a plain file")
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return fmt.Errorf("mode %v lets others read it: chmod 600", info.Mode().Perm())
	}
	return nil
}

// decode reads the content of a key's file; name is for the person who is asked.
func (k *Keys) decode(name string, data []byte) (crypto.Signer, error) {
	block, rest := pem.Decode(data)
	if block == nil || len(block.Headers) > 0 || len(strings.TrimSpace(string(rest))) != 0 {
		return nil, fmt.Errorf("not one PEM block %q or %q", envelopeType, pemType)
	}
	defer clear(block.Bytes)
	switch {
	case block.Type == envelopeType:
		return k.decrypt(name, block.Bytes)
	case block.Type != pemType:
		return nil, fmt.Errorf("PEM block %q is neither %q nor %q", block.Type, envelopeType, pemType)
	case !k.Plaintext:
		return nil, ErrPlaintext
	}
	return parse(block.Bytes)
}

func (k *Keys) decrypt(name string, data []byte) (crypto.Signer, error) {
	e, err := parseEnvelope(data)
	if err != nil {
		return nil, err
	}
	if k.Secrets == nil {
		return nil, ErrNoSecret
	}
	passphrase, err := k.Secrets.Passphrase(name, false)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	der, err := e.open(passphrase)
	if err != nil {
		k.Secrets.Forget()
		return nil, err
	}
	defer clear(der)
	return parse(der)
}

func parse(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
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
