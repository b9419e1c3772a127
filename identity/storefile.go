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

func (s *Store) put(address mailbox.Mailbox, id, ext string, data []byte) error {
	name, err := fileName(address, id, ext)
	if err == nil {
		err = writeWhole(s.dir, name, data)
	}
	if err != nil {
		return fmt.Errorf("key store: %w", err)
	}
	return nil
}

// writeWhole writes one file so that after a crash at any point either the old or
// the new one is there, whole.
func writeWhole(dir, name string, data []byte) error {
	temp, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	err = errors.Join(err, temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDir(dir)
}

// syncDir makes a rename or a removal last.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // folders cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFileLimited(path string) ([]byte, error) { return readFileUpTo(path, MaxSize) }

func readFileUpTo(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(data)) > max {
		err = fmt.Errorf("%w: more than %d bytes", ErrLimit, max)
	}
	return data, err
}
