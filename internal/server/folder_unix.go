//go:build unix

package server

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// worldWritable is the mode bit that lets everybody replace files in a folder.
const worldWritable = 0o002

func checkAccess(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&worldWritable != 0 {
		return fmt.Errorf("mode %v lets everybody replace the database and the keys: chmod 700", info.Mode().Perm())
	}
	return nil
}

func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
