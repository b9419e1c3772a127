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
