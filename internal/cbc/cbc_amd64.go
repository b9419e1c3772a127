//go:build gc && !purego

package cbc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"encoding/binary"
	"math/bits"
	"reflect"

	"golang.org/x/sys/cpu"
)

//go:generate sh -c "cd asm && go run . -out ../block_amd64.s -stubs ../block_amd64.go -pkg cbc"

// preferred says that the processor has the instructions, and that the standard's are
// not required.
var preferred = cpu.X86.HasAES && cpu.X86.HasAVX && !fips140.Enabled()

// atOnce is how much is encrypted at once, in bytes: garbage collection waits for
// assembly, which cannot be preempted.
const atOnce = 16 << 10

// encrypter is a message that may go on.
type encrypter struct {
	keySize int
	keys    schedule
	last    [aes.BlockSize]byte // C[j-1]; the initialization vector is C[0]
}

func newEncrypter(key, iv []byte) (cipher.BlockMode, error) {
	switch len(key) {
	case 16, 24, 32:
	default:
		return nil, aes.KeySizeError(len(key))
	}
	if len(iv) != aes.BlockSize {
		panic("cbc: IV length must equal block size")
	}
	return &encrypter{len(key), expand(key), [aes.BlockSize]byte(iv)}, nil
}

func (e *encrypter) BlockSize() int { return aes.BlockSize }

// CryptBlocks panics where crypto/cipher's does.
func (e *encrypter) CryptBlocks(dst, src []byte) {
	if len(src)%aes.BlockSize != 0 {
		panic("cbc: input not full blocks")
	}
	if len(dst) < len(src) {
		panic("cbc: output smaller than input")
	}
	if len(src) > 0 && inexactOverlap(dst[:len(src)], src) {
		panic("cbc: invalid buffer overlap")
	}
	for len(src) > 0 {
		n := min(len(src), atOnce)
		switch blocks := n / aes.BlockSize; e.keySize {
		case 16:
			encrypt128(&e.last, &dst[0], &src[0], blocks, &e.keys)
		case 24:
			encrypt192(&e.last, &dst[0], &src[0], blocks, &e.keys)
		case 32:
			encrypt256(&e.last, &dst[0], &src[0], blocks, &e.keys)
		}
		dst, src = dst[n:], src[n:]
	}
}

// inexactOverlap reports whether x and y share memory, but for their being the same.
func inexactOverlap(x, y []byte) bool {
	at := func(p *byte) uintptr { return reflect.ValueOf(p).Pointer() }
	return &x[0] != &y[0] && at(&x[0]) <= at(&y[len(y)-1]) && at(&y[0]) <= at(&x[len(x)-1])
}

// schedule is the words of the round keys. The first octet of a word is the lowest.
type schedule = [4 * (14 + 1)]uint32

// expand is KEYEXPANSION (FIPS 197 §5.2).
func expand(key []byte) schedule {
	var w schedule
	nk := len(key) / 4
	for i := range nk {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	rcon := uint32(1)
	for i := nk; i < 4*(nk+6+1); i++ {
		temp := w[i-1]
		if i%nk == 0 {
			temp = subWord(bits.RotateLeft32(temp, -8)) ^ rcon
			rcon = rcon<<1 ^ rcon>>7*0x11b // §4.2
		} else if nk > 6 && i%nk == 4 {
			temp = subWord(temp)
		}
		w[i] = w[i-nk] ^ temp
	}
	return w
}
