package rc2

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The test vectors of RFC 2268, Section 5.
func TestVectors(t *testing.T) {
	tests := []struct {
		key           string
		effectiveBits int
		plain, cipher string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	}
	for _, tt := range tests {
		key, _ := hex.DecodeString(tt.key)
		plain, _ := hex.DecodeString(tt.plain)
		want, _ := hex.DecodeString(tt.cipher)
		c, err := New(key, tt.effectiveBits)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, BlockSize)
		c.Encrypt(got, plain)
		if !bytes.Equal(got, want) {
			t.Errorf("key %s, %d bits: encrypted to %x, want %x", tt.key, tt.effectiveBits, got, want)
		}
		c.Decrypt(got, got)
		if !bytes.Equal(got, plain) {
			t.Errorf("key %s, %d bits: decrypted to %x, want %x", tt.key, tt.effectiveBits, got, plain)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, tt := range []struct{ size, bits int }{{0, 40}, {129, 40}, {5, 0}, {5, 1025}} {
		if _, err := New(make([]byte, tt.size), tt.bits); err == nil {
			t.Errorf("New accepted a key of %d bytes with %d effective bits", tt.size, tt.bits)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5}, 40, []byte("8 bytes!"))
	f.Fuzz(func(t *testing.T, key []byte, effectiveBits int, plain []byte) {
		c, err := New(key, effectiveBits)
		if err != nil || len(plain) < BlockSize {
			return
		}
		buf := bytes.Clone(plain[:BlockSize])
		c.Encrypt(buf, buf)
		c.Decrypt(buf, buf)
		if !bytes.Equal(buf, plain[:BlockSize]) {
			t.Fatalf("%x came back as %x", plain[:BlockSize], buf)
		}
	})
}
