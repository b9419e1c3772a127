package sha256

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math/rand/v2"
	"testing"
)

// TestStandard holds the hash to crypto/sha256 at every length up to a few groups,
// written in pieces, and asked for in between.
func TestStandard(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	message := make([]byte, 5*group)
	for i := range message {
		message[i] = byte(random.Uint32())
	}
	for name, newHash := range each() {
		h := newHash()
		for length := range len(message) + 1 {
			h.Reset()
			for at := 0; at < length; {
				n := min(length-at, 1+random.IntN(3*group))
				h.Write(message[at : at+n])
				at += n
				if want := sha256.Sum256(message[:at]); !bytes.Equal(h.Sum([]byte{1}), append([]byte{1}, want[:]...)) {
					t.Fatalf("%s, %d of %d octets: %x, not %x", name, at, length, h.Sum(nil), want)
				}
			}
		}
	}
}

// TestMillion is the long message of the examples for FIPS 180: a million times "a".
func TestMillion(t *testing.T) {
	const want = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
	for name, newHash := range each() {
		h := newHash()
		for range 1000 {
			h.Write(bytes.Repeat([]byte("a"), 1000))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
	}
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte("abc"), uint16(1), uint16(2))
	f.Add(make([]byte, 3*group), uint16(group-9), uint16(group))
	f.Add(make([]byte, 4*group), uint16(0), uint16(3*group+64))
	f.Fuzz(func(t *testing.T, message []byte, first, second uint16) {
		want := sha256.Sum256(message)
		for name, newHash := range each() {
			h := newHash()
			rest := message
			for _, n := range []uint16{first, second} {
				piece := rest[:min(len(rest), int(n))]
				h.Write(piece)
				rest = rest[len(piece):]
			}
			h.Write(rest)
			if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
				t.Fatalf("%s: %x, not %x", name, got, want)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10} {
		p := make([]byte, size)
		hashes := each()
		hashes["standard"] = sha256.New
		for name, newHash := range hashes {
			b.Run(fmt.Sprintf("%s %d KiB", name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					h := newHash()
					h.Write(p)
					h.Sum(nil)
				}
			})
		}
	}
}

// each returns the hashes to be tested: those that the processor can compute, and what
// New prefers.
func each() map[string]func() hash.Hash {
	all := map[string]func() hash.Hash{"New": New}
	for name, i := range map[string]instructions{"AVX2": avx2, "AVX-512": avx512} {
		if i.possible() {
			all[name] = func() hash.Hash { return newDigest(i) }
		}
	}
	return all
}
