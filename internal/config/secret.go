package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	credentialScheme = "credential:"
	maxSecret        = 64 << 10
)

// Secret says where a secret is: an absolute path, or credential:NAME.
type Secret struct{ at string }

// Given tells whether the file names one.
func (s Secret) Given() bool { return s.at != "" }

// String says where it is, never what it is.
func (s Secret) String() string { return s.at }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error {
	at := string(text)
	name, credential := strings.CutPrefix(at, credentialScheme)
	switch {
	case credential && (name == "" || name != filepath.Base(name) || name == "." || name == ".."):
		return fmt.Errorf("%q: after credential: comes the name that LoadCredential= gives, without slashes", at)
	case !credential && !filepath.IsAbs(at):
		return errors.New("a secret does not stand in this file: give the absolute path of a file that holds it, or credential:NAME")
	}
	s.at = at
	return nil
}

// Path is the file that holds the secret; credentials is the folder of
// $CREDENTIALS_DIRECTORY.
func (s Secret) Path(credentials string) (string, error) {
	name, credential := strings.CutPrefix(s.at, credentialScheme)
	switch {
	case !credential:
		return s.at, nil
	case credentials == "":
		return "", fmt.Errorf("%s: no credentials were handed over: start it as a systemd unit with LoadCredential=%s:FILE, or give the path of a file", s.at, name)
	}
	return filepath.Join(credentials, name), nil
}

// Read returns the secret, without the line end that editors add.
func (s Secret) Read(credentials string) ([]byte, error) {
	path, err := s.Path(credentials)
	if err != nil {
		return nil, err
	}
	// Before it is opened: to open a pipe waits for who writes into it.
	if before, err := os.Stat(path); err == nil && !before.Mode().IsRegular() {
		return nil, fmt.Errorf("secret %s: not a plain file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if err := closed(path, info, strings.HasPrefix(s.at, credentialScheme)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("secret: %w", err)
	case len(data) > maxSecret:
		return nil, fmt.Errorf("secret %s: longer than %d bytes", path, maxSecret)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return nil, fmt.Errorf("secret %s: the file is empty", path)
	}
	return data, nil
}

// closed refuses a file that others may read. systemd keeps credentials in a
// folder that is closed, whatever the mode of the file says.
func closed(path string, info os.FileInfo, credential bool) error {
	const others, group = 0o007, 0o020
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("secret %s: not a plain file", path)
	case !credential && mode.Perm()&(others|group) != 0:
		return fmt.Errorf("secret %s: mode %04o lets others at it: chmod 600 %s", path, mode.Perm(), path)
	}
	return nil
}
