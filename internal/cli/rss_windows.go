package cli

import "runtime"

// peakRSS is the most memory that the Go runtime has taken, in MiB.
func peakRSS() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys >> 20)
}
