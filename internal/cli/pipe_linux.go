package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what any user may ask for, until their pipes have 64 MiB together
// (pipe(7)): it is for long content alone. A pipe has 64 KiB otherwise, and the programs
// at its ends wait for one another more than they work.
const pipeSize = 1 << 20

// widen makes a pipe hold more. Anything else, and a pipe that may not grow, stays
// as it is.
func widen(stream any) {
	f, ok := stream.(*os.File)
	if !ok {
		return
	}
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = c.Control(func(fd uintptr) {
		if size, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err == nil && size < pipeSize {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
		}
	})
}
