//go:build !linux

package testkit

import "time"

var began = time.Now()

// spent is the time that has passed, which is the next best thing.
func spent() (time.Duration, error) { return time.Since(began), nil }

// limit is for Linux; elsewhere the cases run without.
func limit(int) error { return nil }
