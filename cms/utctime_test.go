package cms

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// TestUTCTime holds the quick reader to the standard library's.
func TestUTCTime(t *testing.T) {
	read := 0
	for year := range 100 {
		for _, rest := range []string{
			"0101000000Z", "1231235959Z", "0228120000Z", "0229120000Z", "0230120000Z", "0431000000Z", "1301000000Z", "0001000000Z", "0100000000Z",
			"0101240000Z", "0101006000Z", "0101000060Z", "0101000000+", "010100000:Z", "/101000000Z", "01010000 0Z", "0101000000", "0101000000Z0",
		} {
			text := fmt.Sprintf("%02d%s", year, rest)
			want, err := time.Parse("060102150405Z", text)
			if want.Year() >= 2050 {
				want = want.AddDate(-100, 0, 0)
			}
			got, ok := utcTime([]byte(text))
			if ok != (err == nil) || ok && !got.Equal(want) {
				t.Errorf("%s: %v, %t; the slow way %v, %v", text, got, ok, want, err)
			}
			if ok {
				read++
			}
		}
	}
	if read < 300 {
		t.Errorf("%d times were read", read)
	}
}

// TestTimeDER holds what is written to cryptobyte, which takes longer.
func TestTimeDER(t *testing.T) {
	for _, year := range []int{0, 1949, 1950, 1999, 2000, 2049, 2050, 9999} {
		at := time.Date(year, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600))
		var b cryptobyte.Builder
		if year >= 1950 && year < 2050 {
			b.AddASN1UTCTime(at.UTC())
		} else {
			b.AddASN1GeneralizedTime(at.UTC())
		}
		got, err := timeDER(at)
		if err != nil || !bytes.Equal(got, b.BytesOrPanic()) {
			t.Errorf("%v: %x, %v", at, got, err)
		}
	}
	for _, year := range []int{-1, 10000} {
		if got, err := timeDER(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)); err == nil {
			t.Errorf("%d: %x", year, got)
		}
	}
}
