package ber

import (
	"strings"
	"testing"
)

// TestShort: what is passed over in one step is what the slow way finds: a
// primitive element in DER form, whole.
func TestShort(t *testing.T) {
	passed := 0
	for tag := range 256 {
		for length := range 256 {
			for _, room := range []int{0, 1, 2, length, length + 1, length + 2, length + 3} {
				b := make([]byte, max(room, 2))
				b[0], b[1] = byte(tag), byte(length)
				b = b[:room]
				n := short(b)
				if n == 0 {
					continue
				}
				passed++
				end, same, err := scan(b, 0, 0)
				if err != nil || !same || end != n {
					t.Fatalf("% x in %d octets: %d; the slow way %d, %v, %v", b[:2], room, n, end, same, err)
				}
				if h, _ := headerAt(b, 0); h.Constructed {
					t.Fatalf("% x is constructed", b[:2])
				}
			}
		}
	}
	if passed < 10000 {
		t.Errorf("%d elements", passed)
	}
}

// TestShortIsNotTooDeep: nothing may lie deeper for being short.
func TestShortIsNotTooDeep(t *testing.T) {
	for _, leaf := range []string{"\x04\x00", "\x04\x81\x00"} {
		for depth := MaxDepth - 1; depth <= MaxDepth+1; depth++ {
			b := strings.Repeat("\x30\x80", depth) + leaf + strings.Repeat("\x00\x00", depth)
			if _, err := DER([]byte(b)); (err == nil) != (depth <= MaxDepth) {
				t.Errorf("% x in %d containers: %v", leaf, depth, err)
			}
		}
	}
}

// TestPlain: nested elements as DER has them are passed over in one go, and only
// those, as deep as the slow way goes.
func TestPlain(t *testing.T) {
	nested := func(depth int, b []byte) []byte {
		for range depth {
			b = append(AppendHeader(nil, ContextSpecific, true, 0, int64(len(b))), b...)
		}
		return b
	}
	octets := func(n int) []byte {
		return append(AppendHeader(nil, Universal, false, TagOctetString, int64(n)), make([]byte, n)...)
	}
	for _, c := range []struct {
		b     []byte
		plain bool
	}{
		{octets(0x7f), true}, {octets(0x80), true}, {octets(0xff), true}, {octets(0x100), true}, {octets(0xffff), true}, {octets(0x10000), false},
		{nested(MaxDepth, octets(3)), true}, {nested(MaxDepth+1, octets(3)), false},
		{nested(2, octets(300)), true}, {append([]byte{0x30, 0x81, 0x7f}, octets(0x7d)...), false}, {append([]byte{0x30, 0x82, 0x00, 0xff}, octets(0xfc)...), false},
		{[]byte{0x30, 0x03, 0x04, 0x02, 0x01}, false}, {[]byte{0x24, 0x03, 0x04, 0x01, 0x01}, false}, {[]byte{0x30, 0x80, 0x00, 0x00}, false},
		{[]byte{0x30, 0x00}, true}, {[]byte{0x30, 0x04, 0x05, 0x00, 0x30, 0x00}, true}, {[]byte{0x30}, false}, {[]byte{0x30, 0x81}, false}, {[]byte{0x30, 0x82, 0x01}, false},
		{[]byte{0x30, 0x02, 0x00, 0x00}, false}, {[]byte{0x30, 0x00, 0x05, 0x00}, false}, {[]byte{0x3f, 0x20, 0x00, 0x00}, false}, {[]byte{0x30, 0x02, 0x05}, false},
	} {
		got := plain(c.b, 0)
		if (got == len(c.b)) != c.plain {
			t.Errorf("% x: %d", c.b[:min(len(c.b), 8)], got)
		}
		if end, same, err := scan(c.b, 0, 0); got > 0 && (err != nil || !same || end != got) {
			t.Errorf("% x: %d; the slow way %d, %v, %v", c.b[:min(len(c.b), 8)], got, end, same, err)
		}
	}
}
