//go:build linux || darwin || freebsd

package server

import (
	"fmt"
	"syscall"
)

// DiskFree tells whether a folder's file system has that many bytes left for
// those who are not root.
func DiskFree(dir string, least uint64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	if free := uint64(fs.Bavail) * uint64(fs.Bsize); free < least {
		return fmt.Errorf("%d MiB left where %s is, at least %d are needed: make room", free>>20, dir, least>>20)
	}
	return nil
}
