package keys

import "golang.org/x/sys/unix"

// Harden keeps the keys of this process out of core files, and its memory away
// from other processes of the same user (prctl(2), PR_SET_DUMPABLE).
func Harden() error {
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	if core != (unix.Rlimit{}) { // a unit of systemd has set it, and may forbid to
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
