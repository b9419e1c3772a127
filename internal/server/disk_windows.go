package server

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// DiskFree tells whether a folder's volume has that many bytes left for us.
func DiskFree(dir string, least uint64) error {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	if free < least {
		return fmt.Errorf("%d MiB left where %s is, at least %d are needed: make room", free>>20, dir, least>>20)
	}
	return nil
}
