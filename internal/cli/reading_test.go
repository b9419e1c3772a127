package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/testca"
	"github.com/mailseal/mailseal/smime"
)

// TestWriteText: what a person is shown of a mail, hostile ones among them.
func TestWriteText(t *testing.T) {
	mixed := func(typ string, parts ...string) string {
		return "Content-Type: " + typ + "; boundary=b\r\n\r\n--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	plain, html := "Content-Type: text/plain\r\n\r\nplain", "Content-Type: text/html\r\n\r\n<p>html</p>"
	for name, tc := range map[string]struct{ in, want string }{
		"plain":             {"Content-Type: text/plain\r\n\r\na\r\n\r\nb\r\n", "\na\n\nb\n"},
		"no line end":       {"Content-Type: text/plain\r\n\r\na", "\na\n"},
		"empty":             {"Content-Type: text/plain\r\n\r\n", "\n"},
		"alternative":       {mixed("multipart/alternative", plain, html), "\nplain\n"},
		"alternative, html": {mixed("multipart/alternative", html), "\n<p>html</p>\n"},
		"mixed":             {mixed("multipart/mixed", plain, "Content-Type: application/pdf; name=\"=?utf-8?B?5pi8?=.pdf\"\r\n\r\nx", plain), "\nplain\n\n[application/pdf 昼.pdf]\n\nplain\n"},
		"attached text":     {mixed("multipart/mixed", "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx"), "\n[text/plain]\n"},
		"forwarded":         {mixed("multipart/mixed", "Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?B?5pi8?=\r\n\r\nx"), "\n[an attached message, \"昼\"]\n"},
		"encodings":         {mixed("multipart/mixed", "Content-Transfer-Encoding: base64\r\n\r\n5pi8", "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E6=98=BC"), "\n昼\n\n昼\n"},
		"escape sequences":  {"Content-Type: text/plain; charset=utf-8\r\n\r\n\x1b[2J\x9b1m\x07\u202egpj.exe \u200b\r\n", "\n\\u{1b}[2J�1m\\u{7}\\u{202e}gpj.exe \\u{200b}\n"},
		"in a file's name":  {"Content-Type: image/png; name=\"=?utf-8?Q?=1B[2J?=\"\r\n\r\nx", "\n[image/png \\u{1b}[2J]\n"},
		"unknown charset":   {"Content-Type: text/plain; charset=x-own\r\n\r\nx\r\n", "\n[a text in the character set \"x-own\", which is not known here]\n"},
		"broken base64":     {"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJj!\r\n", "\nabc\n[the rest of the text cannot be read: base64: byte 0x21 at 4 does not belong there]\n"},
		"broken parts":      {"Content-Type: multipart/mixed\r\n\r\nx\r\n", "\n[parts that cannot be read: entity: ambiguous: a multipart without a boundary]\n"},
		"two types":         {"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx\r\n", "\n[a part that cannot be read: entity: ambiguous: 2 Content-Type fields]\n"},
	} {
		if got := readAs(t, "From: a@example.com\r\nX-Own: 1\r\n"+tc.in); got != "From: a@example.com\n"+tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	header := "From: =?utf-8?Q?=1B]0;x=07?= <a@example.com>\r\nTo: b@example.com\r\nCc: c@example.com\r\nReply-To: d@example.com\r\nSubject: =?utf-8?Q?a=0D=0AFrom:_eve?=\r\n\r\n"
	if got := readAs(t, header); got != "From: \\u{1b}]0;x\\u{7} <a@example.com>\nTo: b@example.com\nCc: c@example.com\nSubject: a\\u{d}\\u{a}From: eve\n\n" {
		t.Errorf("%q", got)
	}
	many := mixed("multipart/mixed", strings.Split(strings.Repeat(plain+"|", 3*maxReadParts), "|")...)
	if n := strings.Count(readAs(t, many), "plain"); n != maxReadParts-1 {
		t.Errorf("%d parts", n)
	}
	deep := plain
	for i := range 2 * maxReadDepth {
		boundary := strings.Repeat("b", i+1) + "."
		deep = "Content-Type: multipart/mixed; boundary=" + boundary + "\r\n\r\n--" + boundary + "\r\n" + deep + "\r\n--" + boundary + "--\r\n"
	}
	if got := readAs(t, deep); strings.Contains(got, "plain") {
		t.Errorf("%q", got)
	}
}

func readAs(t *testing.T, message string) string {
	t.Helper()
	m, err := smime.Open(strings.NewReader(message), int64(len(message)), &smime.OpenOptions{At: testca.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var b bytes.Buffer
	if err := writeText(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func FuzzWriteText(f *testing.F) {
	f.Add("Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BCk?)\x1b(B\r\n")
	f.Add("Subject: =?shift_jis?B?kouQSA==?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--\r\n")
	f.Fuzz(func(t *testing.T, message string) {
		m, err := smime.Open(strings.NewReader(message), int64(len(message)), &smime.OpenOptions{At: testca.Now})
		if err != nil {
			return
		}
		defer m.Close()
		var b bytes.Buffer
		if writeText(&b, m) != nil {
			return
		}
		for _, r := range b.String() {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e {
				t.Fatalf("%U is written: %q", r, b.String())
			}
		}
	})
}
