package sha256

import (
	"crypto/fips140"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd asm && go run . -out ../block_amd64.s -stubs ../block_amd64.go -pkg sha256"

// schedule is fastest on this processor; nil where crypto/sha256 is the better or the
// required one.
var schedule = choose()

func choose() func(*[64][8]uint32, *[group]byte) {
	if hasSHA() || fips140.Enabled() {
		return nil
	}
	for _, s := range schedules {
		if s.possible {
			return s.compute
		}
	}
	return nil
}

// schedules are those that there are, the fastest first.
var schedules = []struct {
	possible bool
	compute  func(*[64][8]uint32, *[group]byte)
}{
	{cpu.X86.HasAVX512VL && cpu.X86.HasBMI2, scheduleAVX512},
	{cpu.X86.HasAVX2 && cpu.X86.HasBMI2, scheduleAVX2},
}
