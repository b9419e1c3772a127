package gcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// seal runs the stream over message in parts of changing sizes.
func seal(t testing.TB, r *rand.Rand, key, nonce, message, aad []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(block, nonce)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(message)
	for p := out; len(p) > 0; {
		n := min(len(p), 1+r.IntN(3*chunk/2))
		if r.IntN(2) == 0 {
			n = min(n, 40)
		}
		if err := s.Encrypt(p[:n], p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	tag := s.Tag(aad)
	return append(out, tag[:]...)
}

func TestAgainstStandardLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 15, 16, 17, 4095, chunk - 1, chunk, chunk + 1, 3*chunk + 5, 5 * chunk} {
		for _, nonceSize := range []int{12, 1, 8, 16, 33} {
			for _, aadSize := range []int{0, 1, 16, 100} {
				key := random(r, []int{16, 24, 32}[r.IntN(3)])
				nonce, message, aad := random(r, nonceSize), random(r, size), random(r, aadSize)
				block, _ := aes.NewCipher(key)
				std, _ := cipher.NewGCMWithNonceSize(block, nonceSize)
				want := std.Seal(nil, nonce, message, aad)
				got := seal(t, r, key, nonce, message, aad)
				if !bytes.Equal(got, want) {
					t.Fatalf("size %d, nonce %d, additional data %d: differs from crypto/cipher", size, nonceSize, aadSize)
				}
				s, _ := New(block, nonce)
				plain := make([]byte, size)
				for n := 0; n < size; n += 1000 {
					end := min(n+1000, size)
					s.Decrypt(plain[n:end], want[n:end])
				}
				if !bytes.Equal(plain, message) || !s.Check(aad, want[size:]) {
					t.Fatal("does not open what it sealed")
				}
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	key, nonce, message, aad := random(r, 32), random(r, 12), random(r, 100), random(r, 20)
	sealed := seal(t, r, key, nonce, message, aad)
	block, _ := aes.NewCipher(key)
	check := func(c, aad, tag []byte) bool {
		s, _ := New(block, nonce)
		s.Decrypt(make([]byte, len(c)), c)
		return s.Check(aad, tag)
	}
	c, tag := sealed[:100], sealed[100:]
	if !check(c, aad, tag) || !check(c, aad, tag[:12]) {
		t.Fatal("good tag refused")
	}
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if check(altered[:100], aad, altered[100:]) {
			t.Errorf("octet %d altered, accepted", i)
		}
	}
	if check(c, aad[:19], tag) || check(c, nil, tag) || check(c, aad, nil) || check(c, aad, append(tag, 0)) || check(c[:99], aad, tag) {
		t.Error("accepted what it must not")
	}
}

// The counter of GCM has 32 bits and must not carry beyond them; a nonce that
// is not 96 bits long can start it anywhere.
func TestCounterWraps(t *testing.T) {
	block, _ := aes.NewCipher(make([]byte, 16))
	s, _ := New(block, make([]byte, 12))
	for i := range s.counter {
		s.counter[i] = 0xff
	}
	s.restart(0xfffffffe)
	got := make([]byte, 4*blockSize)
	s.xor(got[:20], got[:20])
	s.xor(got[20:], got[20:])
	for i, low := range []uint32{0xfffffffe, 0xffffffff, 0, 1} {
		in := bytes.Repeat([]byte{0xff}, blockSize)
		binary.BigEndian.PutUint32(in[12:], low)
		block.Encrypt(in, in)
		if !bytes.Equal(in, got[i*blockSize:(i+1)*blockSize]) {
			t.Errorf("block %d after the wrap differs", i)
		}
	}
}

func TestLimit(t *testing.T) {
	block, _ := aes.NewCipher(make([]byte, 16))
	s, _ := New(block, make([]byte, 12))
	s.length = MaxLength - 5
	if err := s.Encrypt(make([]byte, 6), make([]byte, 6)); err != ErrTooLong {
		t.Error("encrypted beyond the limit:", err)
	}
	if err := s.Decrypt(make([]byte, 6), make([]byte, 6)); err != ErrTooLong {
		t.Error("decrypted beyond the limit:", err)
	}
	if err := s.Encrypt(make([]byte, 5), make([]byte, 5)); err != nil {
		t.Error("refused the last octets:", err)
	}
}

func FuzzSeal(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), []byte("nonce"), []byte("message"), []byte("aad"), uint64(1))
	f.Fuzz(func(t *testing.T, key, nonce, message, aad []byte, seed uint64) {
		block, err := aes.NewCipher(key)
		if err != nil || len(nonce) == 0 || len(nonce) > MaxNonce {
			return
		}
		std, err := cipher.NewGCMWithNonceSize(block, len(nonce))
		if err != nil {
			return
		}
		message = bytes.Repeat(message, int(seed%300)+1)
		if want := std.Seal(nil, nonce, message, aad); !bytes.Equal(seal(t, rand.New(rand.NewPCG(seed, 0)), key, nonce, message, aad), want) {
			t.Fatal("differs from crypto/cipher")
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 32))
	s, _ := New(block, make([]byte, 12))
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		s.length = 0
		s.Encrypt(buf, buf)
	}
}

func BenchmarkStandardLibrary(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 32))
	std, _ := cipher.NewGCM(block)
	buf := make([]byte, 1<<20, 1<<20+16)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		std.Seal(buf[:0], make([]byte, 12), buf, nil)
	}
}
