package testkit

import (
	"errors"

	"golang.org/x/sys/unix"
)

// limit bounds a process that runs already. What takes longer gets SIGXCPU, and what wants more memory gets none: both end with a
// status that nobody expects. The process may be over by now.
func limit(pid int) error {
	for what, most := range map[int]uint64{unix.RLIMIT_CPU: maxCPU, unix.RLIMIT_DATA: maxMemory} {
		if err := unix.Prlimit(pid, what, &unix.Rlimit{Cur: most, Max: most + 1}, nil); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
