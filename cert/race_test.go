//go:build race

package cert_test

// underRace: the race detector makes allocations of its own.
const underRace = true
