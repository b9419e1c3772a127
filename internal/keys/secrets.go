package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"
)

// Names of the credentials that systemd hands over (LoadCredential=,
// LoadCredentialEncrypted=).
const (
	PassphraseCredential = "mailseal-passphrase"
	PINCredential        = "mailseal-pin"
)

const (
	maxSecret = 4 << 10 // bytes of a file with a passphrase or PIN

	// MinPassphrase is the shortest passphrase, in characters, that a key is
	// encrypted under.
	MinPassphrase = 12
)

// ErrNoSecret: a passphrase or PIN is needed, and nobody gave one.
var ErrNoSecret = errors.New("keys: a passphrase or PIN is needed and none was given")

// Secrets finds the passphrase of a folder's encrypted keys and the PIN of its
// token: in a file, in systemd's credentials, or by asking, in this order. Never
// in an argument or the environment: others can see these.
type Secrets struct {
	PassphraseFile string
	PINFile        string
	Credentials    string // $CREDENTIALS_DIRECTORY; empty: not started by systemd

	// Ask asks a person; fresh says that the secret is a new one, which is typed
	// twice. nil: nobody is there.
	Ask func(what string, fresh bool) ([]byte, error)

	mutex sync.Mutex
	asked []byte // the passphrase, so that it is asked for once for all keys of the folder
}

// Passphrase returns the passphrase of the folder's keys; what names one of them.
func (s *Secrets) Passphrase(what string, fresh bool) ([]byte, error) {
	secret, err := s.given(s.PassphraseFile, PassphraseCredential)
	if secret == nil && err == nil {
		secret, err = s.ask(what, fresh)
	}
	if err != nil {
		return nil, err
	}
	if fresh && utf8.RuneCount(secret) < MinPassphrase {
		return nil, fmt.Errorf("keys: the passphrase of an authority's key has at least %d characters", MinPassphrase)
	}
	return secret, nil
}

func (s *Secrets) ask(what string, fresh bool) ([]byte, error) {
	if s.Ask == nil {
		return nil, ErrNoSecret
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.asked == nil {
		secret, err := s.Ask("passphrase of "+what, fresh)
		if err != nil {
			return nil, err
		}
		s.asked = secret
	}
	return slices.Clone(s.asked), nil
}

// Forget drops what was typed. What was asked for is asked for again.
func (s *Secrets) Forget() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	clear(s.asked)
	s.asked = nil
}

// PIN returns the PIN of a token. It is asked for each time: a token counts wrong
// ones.
func (s *Secrets) PIN(what string) ([]byte, error) {
	secret, err := s.given(s.PINFile, PINCredential)
	if secret != nil || err != nil {
		return secret, err
	}
	if s.Ask == nil {
		return nil, ErrNoSecret
	}
	return s.Ask("PIN of "+what, false)
}

// given reads the file, or the credential where there is no file. nil: neither.
func (s *Secrets) given(file, credential string) ([]byte, error) {
	if file != "" {
		return s.readSecret(file)
	}
	if s.Credentials == "" {
		return nil, nil
	}
	secret, err := s.readSecret(filepath.Join(s.Credentials, credential))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return secret, err
}

// readSecret reads the first line of a file that nobody else can read. systemd
// keeps credentials in a folder that is closed, and opens the files in it with
// access lists, whose mask looks like rights of the group.
func (s *Secrets) readSecret(path string) ([]byte, error) {
	// Looked at before it is opened: to open a pipe waits for who writes into it.
	// What is read is what was looked at.
	before, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("keys: %s: not a plain file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	credential := s.Credentials != "" && filepath.Dir(path) == filepath.Clean(s.Credentials)
	if err := private(info); err != nil && !(credential && info.Mode().IsRegular()) {
		return nil, fmt.Errorf("keys: %s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("keys: %w", err)
	case len(data) > maxSecret:
		return nil, fmt.Errorf("keys: %s: longer than %d bytes", path, maxSecret)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("keys: %s: its first line is empty", path)
	}
	return line, nil
}
