package cert

import (
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

func TestReadTime(t *testing.T) {
	for _, tt := range []struct {
		tag  byte
		in   string
		want string // RFC 3339, empty for an error
	}{
		{0x17, "260501120000Z", "2026-05-01T12:00:00Z"},
		{0x17, "2605011200Z", "2026-05-01T12:00:00Z"}, // no seconds
		{0x17, "260501120000+0200", "2026-05-01T10:00:00Z"},
		{0x17, "2605011200-0100", "2026-05-01T13:00:00Z"},
		{0x17, "491231235959Z", "2049-12-31T23:59:59Z"},
		{0x17, "500101000000Z", "1950-01-01T00:00:00Z"},
		{0x17, "680101000000Z", "1968-01-01T00:00:00Z"},
		{0x17, "690101000000Z", "1969-01-01T00:00:00Z"},
		{0x17, "991231235959Z", "1999-12-31T23:59:59Z"},
		{0x18, "20260501120000Z", "2026-05-01T12:00:00Z"},
		{0x18, "202605011200Z", "2026-05-01T12:00:00Z"},
		{0x18, "20260501120000.5Z", "2026-05-01T12:00:00.5Z"},
		{0x18, "20260501120000+0130", "2026-05-01T10:30:00Z"},
		{0x18, "99991231235959Z", "9999-12-31T23:59:59Z"},
		{0x18, "19491231235959Z", "1949-12-31T23:59:59Z"},
		{0x17, "260501120000", ""}, // local time of nobody knows where
		{0x17, "260230120000Z", ""},
		{0x17, "261301120000Z", ""},
		{0x17, "260501240000Z", ""},
		{0x17, "26050112000Z", ""},
		{0x17, "20260501120000Z", ""},
		{0x17, "260501120000Z\x00", ""},
		{0x18, "", ""},
		{0x0c, "260501120000Z", ""},
	} {
		s := cryptobyte.String(append([]byte{tt.tag, byte(len(tt.in))}, tt.in...))
		var got time.Time
		ok := readTime(&s, &got)
		if ok != (tt.want != "") || ok && got.Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%q: %v, %v", tt.in, got, ok)
		}
	}
}

func TestInteger(t *testing.T) {
	for in, want := range map[string]int64{"\x00": 0, "\x01": 1, "\x7f": 127, "\x00\x80": 128, "\x80": -128, "\xff": -1, "\xff\xff": -1, "\x00\x00\x05": 5, "\xff\x7f": -129} {
		if got := integer([]byte(in)); got.Int64() != want {
			t.Errorf("%x: %v, want %d", in, got, want)
		}
		raw := rawEntry{serial: cryptobyte.String(in)}
		if !raw.hasSerial(big.NewInt(want)) || raw.hasSerial(big.NewInt(want+1)) || raw.hasSerial(big.NewInt(want+256)) || raw.hasSerial(big.NewInt(-want-300)) {
			t.Errorf("%x is not found as %d, or as another", in, want)
		}
	}
}

func TestSkipCerts(t *testing.T) {
	for in, want := range map[string]int{"\x00": 0, "\x05": 5, "\x7f": 127, "\x00\xff": 255, "\x7f\xff\xff\xff\xff\xff\xff\xff\xff": maxSkip, "\xff": -1, "": -1} {
		n, ok := skipCerts([]byte(in))
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%x: %d, %v", in, n, ok)
		}
	}
}
