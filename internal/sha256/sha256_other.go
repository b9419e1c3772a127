//go:build !amd64 || !gc || purego

package sha256

// preferred is crypto/sha256's, which has what other processors have.
const preferred = standard

func (instructions) possible() bool { return false }

func (instructions) schedule(*[64][8]uint32, *[group]byte) { panic("sha256: no instructions") }

func rounds(*[8]uint32, *[64][8]uint32, int) { panic("sha256: no instructions") }
