//go:build !race

package cert_test

const underRace = false
