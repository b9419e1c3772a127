//go:build gc && !purego

package sha256

import (
	"crypto/fips140"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd asm && go run . -out ../block_amd64.s -stubs ../block_amd64.go -pkg sha256"

// preferred is fastest on this processor, but for the standard's where that is required.
var preferred = choose()

func choose() instructions {
	switch {
	case hasSHA() || fips140.Enabled():
		return standard
	case avx512.possible():
		return avx512
	case avx2.possible():
		return avx2
	}
	return standard
}

func (i instructions) possible() bool {
	return cpu.X86.HasAVX2 && cpu.X86.HasBMI2 && (i != avx512 || cpu.X86.HasAVX512VL)
}

func (i instructions) schedule(sums *[64][8]uint32, p *[group]byte) {
	if i == avx512 {
		scheduleAVX512(sums, p)
		return
	}
	scheduleAVX2(sums, p)
}
