package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errInUse: another process holds the lock.
var errInUse = errors.New("in use")

// openFolder makes the data folder where there is none and locks it for this
// process: a second one would take half-issued certificates for what a crash
// left behind, and void the first administrator's code. The lock ends with the
// process, however that ends.
func openFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := checkAccess(dir); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", dir, err)
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if errors.Is(err, errInUse) {
		return nil, fmt.Errorf("data folder %s: another mailseal is using it: stop that one, or choose another folder with --data", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data folder %s: %w", dir, err)
	}
	return lock, nil
}
