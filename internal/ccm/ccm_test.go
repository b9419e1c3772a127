package ccm

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// SP 800-38C Appendix C, examples 1 to 4.
func TestExamples(t *testing.T) {
	key := unhex(t, "404142434445464748494a4b4c4d4e4f")
	long := make([]byte, 65536)
	for i := range long {
		long[i] = byte(i)
	}
	for i, v := range []struct {
		nonce, aad, plain, want string
		tag                     int
	}{
		{"10111213141516", "0001020304050607", "20212223", "7162015b4dac255d", 4},
		{"1011121314151617", "000102030405060708090a0b0c0d0e0f", "202122232425262728292a2b2c2d2e2f", "d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd", 6},
		{"101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213", "202122232425262728292a2b2c2d2e2f3031323334353637", "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951", 8},
		{"101112131415161718191a1b1c", hex.EncodeToString(long), "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f", "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72b4ac6bec93e8598e7f0dadbcea5b", 14},
	} {
		nonce, aad, plain, want := unhex(t, v.nonce), unhex(t, v.aad), unhex(t, v.plain), unhex(t, v.want)
		if got := seal(t, key, nonce, aad, plain, v.tag, 5); !bytes.Equal(got, want) {
			t.Errorf("example %d: %x", i+1, got)
		}
		if !opens(t, key, nonce, aad, want, v.tag, plain) {
			t.Errorf("example %d does not open", i+1)
		}
		for j := range want {
			want[j] ^= 1
			if opens(t, key, nonce, aad, want, v.tag, plain) {
				t.Errorf("example %d: octet %d altered, accepted", i+1, j)
			}
			want[j] ^= 1
		}
	}
}

func seal(t testing.TB, key, nonce, aad, plain []byte, tagSize, part int) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(block, nonce, tagSize, uint64(len(plain)), aad)
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(plain)
	for p := out; len(p) > 0; {
		n := min(part, len(p))
		if err := s.Encrypt(p[:n], p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	tag, err := s.Tag()
	if err != nil {
		t.Fatal(err)
	}
	return append(out, tag...)
}

func opens(t testing.TB, key, nonce, aad, sealed []byte, tagSize int, want []byte) bool {
	t.Helper()
	block, _ := aes.NewCipher(key)
	n := len(sealed) - tagSize
	s, err := New(block, nonce, tagSize, uint64(n), aad)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, n)
	if err := s.Decrypt(out, sealed[:n]); err != nil {
		t.Fatal(err)
	}
	return s.Check(sealed[n:]) && bytes.Equal(out, want)
}

func TestParts(t *testing.T) {
	key, nonce, plain := make([]byte, 32), make([]byte, 12), bytes.Repeat([]byte("abcdefg"), 500)
	want := seal(t, key, nonce, nil, plain, 16, len(plain))
	for _, part := range []int{1, 15, 16, 17, 33, 1000} {
		if !bytes.Equal(seal(t, key, nonce, nil, plain, 16, part), want) {
			t.Errorf("parts of %d differ", part)
		}
	}
}

func TestRefuses(t *testing.T) {
	block, _ := aes.NewCipher(make([]byte, 16))
	for name, f := range map[string]func() error{
		"short nonce": func() error { _, err := New(block, make([]byte, 6), 16, 1, nil); return err },
		"long nonce":  func() error { _, err := New(block, make([]byte, 14), 16, 1, nil); return err },
		"odd tag":     func() error { _, err := New(block, make([]byte, 12), 13, 1, nil); return err },
		"short tag":   func() error { _, err := New(block, make([]byte, 12), 2, 1, nil); return err },
		"too long":    func() error { _, err := New(block, make([]byte, 13), 16, 1<<16, nil); return err },
		"more than announced": func() error {
			s, _ := New(block, make([]byte, 12), 16, 1, nil)
			return s.Encrypt(make([]byte, 2), make([]byte, 2))
		},
		"less than announced": func() error {
			s, _ := New(block, make([]byte, 12), 16, 1, nil)
			_, err := s.Tag()
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
