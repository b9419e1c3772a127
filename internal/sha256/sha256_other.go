//go:build !amd64

package sha256

// schedule is nil: crypto/sha256 uses what other processors have.
var schedule func(*[64][8]uint32, *[group]byte)

var schedules []struct {
	possible bool
	compute  func(*[64][8]uint32, *[group]byte)
}

func rounds(*[8]uint32, *[64][8]uint32, int) {}
