package keys

import (
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// ChangePassphrase encrypts every key file of the folder under another passphrase.
// All are opened before the first is written: a wrong passphrase changes nothing.
// What was interrupted is finished by doing it again. It returns how many files it
// wrote.
func (k *Keys) ChangePassphrase(to *Secrets) (written int, err error) {
	if k.Secrets == nil || to == nil {
		return 0, ErrNoSecret
	}
	names, err := k.files()
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	if len(names) == 0 {
		return 0, errors.New("keys: there is no key file in the folder")
	}
	plain := map[string][]byte{}
	defer func() {
		for _, der := range plain {
			clear(der)
		}
	}()
	for _, name := range names {
		der, done, err := k.reopen(name, to)
		if err != nil {
			return 0, fmt.Errorf("keys: %s: %w", name, err)
		}
		if !done {
			plain[name] = der
		}
	}
	passphrase, err := to.Passphrase("all keys", true)
	if err != nil {
		return 0, err
	}
	defer clear(passphrase)
	for name, der := range plain {
		if err := k.rewrite(name, passphrase, der); err != nil {
			return written, fmt.Errorf("keys: write %s: %w", name, err)
		}
		written++
	}
	return written, nil
}

// files lists the key files of the folder, relative to it.
func (k *Keys) files() (names []string, err error) {
	root, err := os.OpenRoot(k.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	d, err := root.Open(folder)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pem") {
			names = append(names, path.Join(folder, e.Name()))
		}
	}
	return names, nil
}

// reopen decrypts a file with the old passphrase. done: it has the new one already.
func (k *Keys) reopen(name string, to *Secrets) (der []byte, done bool, err error) {
	data, err := k.read(name)
	if err != nil {
		return nil, false, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != envelopeType {
		return nil, false, ErrEnvelope
	}
	e, err := parseEnvelope(block.Bytes)
	if err != nil {
		return nil, false, err
	}
	old, err := k.Secrets.Passphrase(name, false)
	if err != nil {
		return nil, false, err
	}
	defer clear(old)
	der, err = e.open(old)
	if !errors.Is(err, ErrPassphrase) {
		return der, false, err
	}
	fresh, err := to.Passphrase("all keys", true)
	if err != nil {
		return nil, false, err
	}
	defer clear(fresh)
	der, err = e.open(fresh)
	clear(der)
	return nil, err == nil, err
}

// rewrite replaces a file by one rename.
func (k *Keys) rewrite(name string, passphrase, der []byte) error {
	sealed, err := seal(rand.Reader, writtenCost, passphrase, der)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(k.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return replace(root, name, pem.EncodeToMemory(&pem.Block{Type: envelopeType, Bytes: sealed}))
}
