//go:build unix

package cli

import (
	"runtime"
	"syscall"
)

// peakRSS is the most memory that this process has had, in MiB.
func peakRSS() int64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(use.Maxrss) >> 20
	}
	return int64(use.Maxrss) >> 10
}
