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
// written in pieces, asked for in between, and cloned.
func TestStandard(t *testing.T) {
	message := make([]byte, 5*group)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range message {
		message[i] = byte(random.Uint32())
	}
	each(t, func(t *testing.T, newHash func() hash.Hash) {
		random := rand.New(rand.NewPCG(3, 4))
		h := newHash()
		for length := range len(message) + 1 {
			h.Reset()
			for at := 0; at < length; {
				n := min(length-at, 1+random.IntN(3*group))
				before, err := h.(hash.Cloner).Clone()
				if err != nil {
					t.Fatal(err)
				}
				h.Write(message[at : at+n])
				for end, h := range map[int]hash.Hash{at: before, at + n: h} {
					if want := sha256.Sum256(message[:end]); !bytes.Equal(h.Sum([]byte{1}), append([]byte{1}, want[:]...)) {
						t.Fatalf("%d of %d octets: %x, not %x", end, length, h.Sum(nil), want)
					}
				}
				at += n
			}
		}
	})
}

// TestMillion is the long message of the examples for FIPS 180: a million times "a".
func TestMillion(t *testing.T) {
	const want = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
	each(t, func(t *testing.T, newHash func() hash.Hash) {
		h := newHash()
		for range 1000 {
			h.Write(bytes.Repeat([]byte("a"), 1000))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	})
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte("abc"), uint16(1), uint16(2))
	f.Add(make([]byte, 3*group), uint16(group-9), uint16(group))
	f.Add(make([]byte, 4*group), uint16(0), uint16(3*group+64))
	f.Fuzz(func(t *testing.T, message []byte, first, second uint16) {
		want := sha256.Sum256(message)
		for name, newHash := range hashes() {
			if newHash == nil {
				continue
			}
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
		all := hashes()
		all["standard"] = sha256.New
		for name, newHash := range all {
			if newHash == nil {
				continue
			}
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

// hashes are those to be tested: what New prefers, and each that there is; nil where the
// processor cannot compute it.
func hashes() map[string]func() hash.Hash {
	all := map[string]func() hash.Hash{"New": New, "AVX2": nil, "AVX-512": nil}
	for name, i := range map[string]instructions{"AVX2": avx2, "AVX-512": avx512} {
		if i.possible() {
			all[name] = func() hash.Hash { return newDigest(i) }
		}
	}
	return all
}

func each(t *testing.T, check func(*testing.T, func() hash.Hash)) {
	for name, newHash := range hashes() {
		t.Run(name, func(t *testing.T) {
			if newHash == nil {
				t.Skip("this processor has no such instructions")
			}
			check(t, newHash)
		})
	}
}
