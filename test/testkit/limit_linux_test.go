package testkit

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// spent is how much processor time the calling thread has used: what else runs on the machine adds nothing to it.
func spent() (time.Duration, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now)
	return time.Duration(now.Nano()), err
}

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
