//go:build !linux && !darwin && !freebsd && !windows

package server

// DiskFree cannot ask here.
func DiskFree(string, uint64) error { return nil }
