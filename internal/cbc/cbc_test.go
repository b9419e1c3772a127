package cbc

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestVectors are the examples of SP 800-38A, F.2.1, F.2.3 and F.2.5.
func TestVectors(t *testing.T) {
	const (
		iv    = "000102030405060708090a0b0c0d0e0f"
		plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
			"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	)
	for _, tt := range []struct{ key, want string }{
		{"2b7e151628aed2a6abf7158809cf4f3c",
			"7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2" +
				"73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
		{"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
			"4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a" +
				"571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd"},
		{"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
			"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d" +
				"39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
	} {
		got := decode(t, plain)
		ours(t, decode(t, tt.key), decode(t, iv)).CryptBlocks(got, got)
		if hex.EncodeToString(got) != tt.want {
			t.Errorf("key %s: %x, not %s", tt.key, got, tt.want)
		}
	}
}

// TestStandard holds the encrypter to crypto/cipher's at every length up to 64 blocks, and
// around those at which it can be preempted: at once and in pieces, in place and not.
func TestStandard(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	octets := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		return p
	}
	lengths := []int{1023, 1024, 1025, 2047, 2048, 2049, 5000}
	for n := range 65 {
		lengths = append(lengths, n)
	}
	for _, size := range []int{16, 24, 32} {
		for _, blocks := range lengths {
			key, iv, plain := octets(size), octets(aes.BlockSize), octets(blocks*aes.BlockSize)
			want := make([]byte, len(plain))
			standard(t, key, iv).CryptBlocks(want, plain)

			// In the middle of a buffer, whose ends must stay, and at any alignment.
			const before, after = 5, 33
			buf := octets(before + len(plain) + after)
			kept := bytes.Clone(buf)
			got := buf[before:][:len(plain)]
			check := func(how string) {
				t.Helper()
				copy(kept[before:], want)
				if !bytes.Equal(buf, kept) {
					at := 0
					for buf[at] == kept[at] {
						at++
					}
					t.Fatalf("%d octets of key, %d blocks %s: octet %d is wrong", size, blocks, how, at-before)
				}
			}

			in := bytes.Clone(plain)
			ours(t, key, iv).CryptBlocks(buf[before:], in) // dst may be longer
			check("at once")
			if !bytes.Equal(in, plain) {
				t.Fatalf("%d blocks: the input was written to", blocks)
			}

			copy(got, plain)
			ours(t, key, iv).CryptBlocks(got, got)
			check("in place")

			e := ours(t, key, iv)
			for at := 0; at < blocks; {
				n := random.IntN(blocks - at + 1)
				piece := plain[at*aes.BlockSize:][:n*aes.BlockSize]
				e.CryptBlocks(got[at*aes.BlockSize:], piece)
				at += n
			}
			check("in pieces")
		}
	}
}

// TestKeys holds the key schedule to crypto/aes's.
func TestKeys(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for range 10000 {
		for _, size := range []int{16, 24, 32} {
			key, got, want := make([]byte, size), make([]byte, aes.BlockSize), make([]byte, aes.BlockSize)
			random.Read(key)
			ours(t, key, want).CryptBlocks(got, got)
			standard(t, key, want).CryptBlocks(want, want)
			if !bytes.Equal(got, want) {
				t.Fatalf("key %x: %x, not %x", key, got, want)
			}
		}
	}
}

// TestMisuse: errors and panics are the standard library's.
func TestMisuse(t *testing.T) {
	for size := range 66 {
		_, want := aes.NewCipher(make([]byte, size))
		if _, err := NewEncrypter(make([]byte, size), make([]byte, aes.BlockSize)); err != want {
			t.Errorf("%d octets of key: %v, not %v", size, err, want)
		}
	}
	buf := make([]byte, 200)
	key, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	for name, slices := range map[string]struct{ dst, src []byte }{
		"no full blocks":        {buf[:40], buf[:40]},
		"one octet":             {buf[:1], buf[:1]},
		"short output":          {buf[:31], buf[:32]},
		"no output":             {nil, buf[:16]},
		"output an octet on":    {buf[1:65], buf[:64]},
		"output an octet back":  {buf[:64], buf[1:65]},
		"output a block on":     {buf[16:80], buf[:64]},
		"output a block back":   {buf[:64], buf[16:80]},
		"first octet of output": {buf[63:127], buf[:64]},
		"last octet of output":  {buf[:64], buf[63:127]},
		"output just behind":    {buf[64:128], buf[:64]},
		"output just before":    {buf[:64], buf[64:128]},
		"longer output":         {buf[:200], buf[100:164]},
		"in place":              {buf[:200], buf[:64]},
		"nothing":               {nil, nil},
		"nothing of a buffer":   {buf[1:1], buf[:0]},
	} {
		want := panics(func() { standard(t, key, iv).CryptBlocks(slices.dst, slices.src) })
		if got := panics(func() { ours(t, key, iv).CryptBlocks(slices.dst, slices.src) }); got != want {
			t.Errorf("%s: panic %q, not %q", name, got, want)
		}
	}
	for n := range 33 {
		want := panics(func() { standard(t, key, make([]byte, n)) })
		if got := panics(func() { ours(t, key, make([]byte, n)) }); got != want {
			t.Errorf("initialization vector of %d octets: panic %q, not %q", n, got, want)
		}
	}
}

func FuzzEncrypt(f *testing.F) {
	f.Add(make([]byte, 16), make([]byte, 16), []byte{}, uint16(0))
	f.Add(make([]byte, 24), make([]byte, 16), make([]byte, 64), uint16(1))
	f.Add(make([]byte, 32), make([]byte, 16), make([]byte, 160), uint16(9))
	f.Fuzz(func(t *testing.T, key, iv, plain []byte, first uint16) {
		if len(iv) != aes.BlockSize {
			return
		}
		e, err := NewEncrypter(key, iv)
		if _, want := aes.NewCipher(key); err != want {
			t.Fatalf("%v, not %v", err, want)
		}
		if err != nil {
			return
		}
		plain = plain[:len(plain)/aes.BlockSize*aes.BlockSize]
		want := make([]byte, len(plain))
		standard(t, key, iv).CryptBlocks(want, plain)
		n := min(len(plain), int(first)*aes.BlockSize)
		e.CryptBlocks(plain[:n], plain[:n])
		e.CryptBlocks(plain[n:], plain[n:])
		if !bytes.Equal(plain, want) {
			t.Fatalf("%x, not %x", plain, want)
		}
	})
}

func BenchmarkEncrypt(b *testing.B) {
	for _, size := range []int{4 << 10, 128 << 10} {
		p := make([]byte, size)
		for _, keySize := range []int{16, 24, 32} {
			key, iv := make([]byte, keySize), make([]byte, aes.BlockSize)
			for name, e := range map[string]cipher.BlockMode{"NewEncrypter": ours(b, key, iv), "standard": standard(b, key, iv)} {
				b.Run(fmt.Sprintf("%s AES-%d %d KiB", name, 8*keySize, size>>10), func(b *testing.B) {
					b.SetBytes(int64(size))
					for b.Loop() {
						e.CryptBlocks(p, p)
					}
				})
			}
		}
	}
}

func BenchmarkNewEncrypter(b *testing.B) {
	key, iv := make([]byte, 32), make([]byte, aes.BlockSize)
	b.Run("NewEncrypter", func(b *testing.B) {
		for b.Loop() {
			ours(b, key, iv)
		}
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			standard(b, key, iv)
		}
	})
}

func ours(t testing.TB, key, iv []byte) cipher.BlockMode {
	e, err := NewEncrypter(key, iv)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func standard(t testing.TB, key, iv []byte) cipher.BlockMode {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	return cipher.NewCBCEncrypter(block, iv)
}

func decode(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// panics is what f panics with, behind the name of the package that says so.
func panics(f func()) (message string) {
	defer func() {
		if p := recover(); p != nil {
			_, message, _ = strings.Cut(fmt.Sprint(p), ": ")
		}
	}()
	f()
	return ""
}
