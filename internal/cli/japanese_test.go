package cli_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"

	"github.com/mailseal/mailseal/smime"
)

// TestJapaneseMail: subjects, names and texts in the character sets of Japanese mail are shown right, and signed as they are.
func TestJapaneseMail(t *testing.T) {
	const (
		subject = "昼食のご案内：カタカナ①も"
		text    = "山田様\n\n正午に噴水で。　①㈱も。\n"
	)
	dir := fixtureFolder(t)
	for _, tc := range []struct {
		charset  string
		encoding encoding.Encoding
		header   func(label, raw string) string
	}{
		{"ISO-2022-JP", japanese.ISO2022JP, encodedWord},
		{"iso-2022-jp", japanese.ISO2022JP, bare},
		{"Shift_JIS", japanese.ShiftJIS, encodedWord},
		{"Shift_JIS", japanese.ShiftJIS, divided},
		{"CP932", japanese.ShiftJIS, bare},
		{"EUC-JP", japanese.EUCJP, encodedWord},
		{"EUC-JP", japanese.EUCJP, divided},
		{"UTF-8", encoding.Nop, encodedWord},
		{"utf-8", encoding.Nop, bare},
	} {
		t.Run(tc.charset, func(t *testing.T) {
			encode := func(s string) string {
				raw, err := tc.encoding.NewEncoder().String(s)
				if err != nil {
					t.Fatal(err)
				}
				return raw
			}
			letter := "From: alice@example.com\r\nTo: " + tc.header(tc.charset, encode("山田 太郎")) + " <a..b@docomo.ne.jp>\r\nSubject: " + tc.header(tc.charset, encode(subject)) +
				"\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\nContent-Type: text/plain; charset=" + tc.charset + "\r\n\r\n" + strings.ReplaceAll(encode(text), "\n", "\r\n")
			if err := os.WriteFile(filepath.Join(dir, "ja.eml"), []byte(letter), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{
				"seal --as alice.p12 --to carol.pem -o sealed.eml ja.eml",
				"seal --as alice.p12 --to carol.pem --protect-headers=modern -o sealed.eml ja.eml",
			} {
				if _, stderr, exit := mailseal(t, dir, strings.Fields(line)...); exit != 0 {
					t.Fatalf("%s: %s", line, stderr)
				}
				stdout, stderr, exit := mailseal(t, dir, strings.Fields("open --as carol.p12 --trust root.pem --text sealed.eml")...)
				want := "From: alice@example.com\nTo: 山田 太郎 <a..b@docomo.ne.jp>\nDate: Mon, 01 Jun 2026 12:00:00 +0000\nSubject: " + subject + "\n\n" + text
				if stdout != want || exit != 0 || !strings.Contains(stderr, "Subject      "+subject) {
					t.Errorf("%s: %q, want\n%q\n%s", line, stdout, want, stderr)
				}
				var v smime.Verdict
				stdout, _, _ = mailseal(t, dir, strings.Fields("open --as carol.p12 --trust root.pem --json sealed.eml")...)
				if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Subject != subject || len(v.DifferingHeaders) != 0 {
					t.Errorf("%v %s", err, stdout)
				}
			}
			stdout, _, _ := mailseal(t, dir, "inspect", "ja.eml")
			if !strings.Contains(stdout, subject) || !strings.Contains(stdout, "山田 太郎") {
				t.Error(stdout)
			}
		})
	}
}

func bare(_, raw string) string { return raw }

func encodedWord(label, raw string) string {
	return fmt.Sprintf("=?%s?B?%s?=", label, base64.StdEncoding.EncodeToString([]byte(raw)))
}

// divided puts the halves of a character into two words, as many programs do.
func divided(label, raw string) string {
	return encodedWord(label, raw[:3]) + "\r\n " + encodedWord(label, raw[3:])
}
