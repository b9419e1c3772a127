package identity

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// put writes one file so that after a crash at any point either the old or the
// new one is there, whole.
func (s *Store) put(address mailbox.Mailbox, id, ext string, data []byte) error {
	name, err := fileName(address, id, ext)
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	temp, err := os.CreateTemp(s.dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(s.dir, name))
	}
	if err != nil {
		return fmt.Errorf("key store: %w", errors.Join(err, os.Remove(temp.Name())))
	}
	return syncDir(s.dir)
}

// syncDir makes a rename or a removal last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return nil
}

func readFileLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("%w: more than %d bytes", ErrLimit, MaxSize)
	}
	return data, err
}
