package charset

import (
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
)

const japaneseText = "昼食のご案内です。カタカナも①も。\r\n"

func encode(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	s, err := e.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReader(t *testing.T) {
	for _, tc := range []struct{ label, raw string }{
		{"iso-2022-jp", encode(t, japanese.ISO2022JP, japaneseText)},
		{"ISO-2022-JP-MS", encode(t, japanese.ISO2022JP, japaneseText)},
		{"Shift_JIS", encode(t, japanese.ShiftJIS, japaneseText)},
		{"cp932", encode(t, japanese.ShiftJIS, japaneseText)},
		{"EUC-JP", encode(t, japanese.EUCJP, japaneseText)},
		{"utf-8", japaneseText},
		{" UTF-8 ", japaneseText},
		// Without a label, or with a wrong one.
		{"", encode(t, japanese.ISO2022JP, japaneseText)},
		{"us-ascii", encode(t, japanese.ShiftJIS, japaneseText)},
		{"", encode(t, japanese.EUCJP, japaneseText)},
		{"unknown-8bit", japaneseText},
	} {
		r, err := Reader(tc.label, strings.NewReader(tc.raw))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != japaneseText || err != nil {
			t.Errorf("%s: %q, %v", tc.label, got, err)
		}
	}
	for _, tc := range []struct{ label, raw, want string }{
		{"iso-8859-1", "caf\xe9", "café"}, {"windows-1252", "\x80", "€"}, {"", "caf\xe9", "café"}, {"koi8-r", "\xe4\xc1", "Да"}, {"gb18030", "\xc4\xe3", "你"},
		{"big5", "\xa7\x41", "你"}, {"euc-kr", "\xb0\xa1", "가"}, {"", "plain", "plain"}, {"utf-16be", "\x00a", "a"}, {"iso-2022-jp", "\x1b(I1\x1b(B", "ｱ"},
	} {
		r, err := Reader(tc.label, strings.NewReader(tc.raw))
		if err != nil {
			t.Fatal(tc.label, err)
		}
		if got, err := io.ReadAll(r); string(got) != tc.want || err != nil {
			t.Errorf("%s: %q, %v", tc.label, got, err)
		}
	}
	for _, label := range []string{"x-nonsense", "utf-7", "iso-2022-kr"} {
		if _, err := Reader(label, strings.NewReader("")); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", label, err)
		}
	}
}

// TestLongUnlabelled: what is behind the first block is decoded like it.
func TestLongUnlabelled(t *testing.T) {
	text := strings.Repeat("日本語", maxGuess)
	for _, e := range []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP, encoding.Nop} {
		r, err := Reader("", strings.NewReader("x"+encode(t, e, text)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "x"+text {
			t.Errorf("%v: %d bytes, %v", e, len(got), err)
		}
	}
}

func TestDecodeHeader(t *testing.T) {
	jis, sjis := encode(t, japanese.ISO2022JP, "昼食のご案内"), encode(t, japanese.ShiftJIS, "昼食のご案内")
	b64 := base64.StdEncoding.EncodeToString
	for _, tc := range []struct{ in, want string }{
		{"", ""}, {"Lunch", "Lunch"}, {"昼食", "昼食"},
		{"=?utf-8?B?5pi86aOf?=", "昼食"}, {"=?UTF-8?q?a=E3=81=82_b?=", "aあ b"}, {"Re: =?utf-8?B?5pi86aOf?= at noon", "Re: 昼食 at noon"},
		{"=?ISO-2022-JP?B?" + b64([]byte(jis)) + "?=", "昼食のご案内"}, {"=?Shift_JIS?B?" + b64([]byte(sjis)) + "?=", "昼食のご案内"},
		{"=?iso-2022-jp*ja?B?" + b64([]byte(jis)) + "?=", "昼食のご案内"},
		{"=?utf-8?B?5pi8?=\t =?utf-8?B?6aOf?=", "昼食"}, {"=?utf-8?B?5pi8?= =?Shift_JIS?B?" + b64([]byte(sjis[2:4])) + "?=", "昼食"},
		// One character in two words, in either encoding.
		{"=?utf-8?B?5pg=?= =?utf-8?Q?=BC?=", "昼"}, {"=?shift_jis?B?" + b64([]byte(sjis[:3])) + "?= =?shift_jis?B?" + b64([]byte(sjis[3:])) + "?=", "昼食のご案内"},
		// As it stood in mail before RFC 2047.
		{jis, "昼食のご案内"}, {"Re: " + sjis, "Re: 昼食のご案内"},
		// Not words, or not to be decoded.
		{"=?utf-8?B?!?=", "=?utf-8?B?!?="}, {"=?utf-8?Q?=?=", "=?utf-8?Q?=?="}, {"=?nonsense?Q?a?= b", "=?nonsense?Q?a?= b"}, {"=?utf-8?X?a?=", "=?utf-8?X?a?="},
		{"a =?utf-8?Q?b?=c", "a bc"}, {"=?utf-8?B?5pi86aOf?= x =?utf-8?B?5pi86aOf?=", "昼食 x 昼食"}, {"=?iso-8859-1?Q?caf=E9?=", "café"},
		{"=?utf-8?B?YQ==?=", "a"}, {"=?utf-8?B?YQ?=", "a"},
	} {
		if got := DecodeHeader(tc.in); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.in, got, tc.want)
		}
	}
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add("=?utf-8?B?5pi86aOf?= =?iso-2022-jp?B?GyRC?= \x1b$B")
	f.Add("\x82\xa0 =?x?q?=3?=")
	f.Fuzz(func(t *testing.T, in string) {
		if out := DecodeHeader(in); utf8.ValidString(in) && !utf8.ValidString(out) {
			t.Errorf("%q: %q", in, out)
		}
	})
}
