package webauthn

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestCBOR(t *testing.T) {
	for text, ok := range map[string]bool{
		"a0":                     true,
		"a10102":                 true,
		"a1616101":               true,
		"a1190100f5":             true,
		"a120f6":                 true,
		"a101a101a101a0":         true,
		"":                       false,
		"80":                     false, // no map
		"bf0102ff":               false, // of indefinite length
		"a101":                   false, // cut
		"a1410101":               false, // octets as a key
		"a201020102":             false, // a key twice
		"a101c001":               false, // a tag
		"a101f93c00":             false, // floating point
		"a1015bffffffffffffff":   false, // a string longer than all
		"a1011bffffffffffffffff": false,
		"bb0000000100000000":     false, // more items than allowed
		"a16161621fff":           false,
		"a161ff01":               false, // not UTF-8
	} {
		data, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := decodeMap(data); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := decodeMap(append(bytes.Repeat([]byte{0xa1, 0x01}, maxDepth+1), 0xa0)); err == nil {
		t.Error("nested deeper than allowed")
	}
}

func FuzzCBOR(f *testing.F) {
	f.Add([]byte{0xa1, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, rest, err := decodeMap(data); err == nil && len(rest) >= len(data) {
			t.Error("read nothing")
		}
	})
}
