//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeStdout returns standard output under another number and lets what modules
// print to it go to standard error: some do, and it must not get between frames.
func takeStdout() (*os.File, error) {
	fd, err := unix.Dup(unix.Stdout)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "stdout"), unix.Dup2(unix.Stderr, unix.Stdout)
}
