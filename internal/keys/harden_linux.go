package keys

import "golang.org/x/sys/unix"

// Harden keeps the keys of this process out of core files, and its memory away
// from other processes of the same user (prctl(2), PR_SET_DUMPABLE).
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
