package mailout

import (
	"bytes"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func address(t testing.TB, s string) mailbox.Mailbox {
	t.Helper()
	m, err := mailbox.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// zeros stands for randomness where only the shape matters.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func compose(t testing.TB, m Mail, senderName string) ([]byte, error) {
	t.Helper()
	return m.Compose(Sender{Name: senderName, Mailbox: address(t, "no-reply@ca.example.com")}, noon, zeros{})
}

func read(t testing.TB, raw []byte) (*mail.Message, string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("net/mail refuses the message: %v\n%s", err, raw)
	}
	var body io.Reader = m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return m, strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestComposeGolden(t *testing.T) {
	raw, err := compose(t, Mail{
		To:       address(t, "alice@example.com"),
		Subject:  "Your code",
		Text:     "Hello\n\nABCD-EFGH\n",
		Language: "en",
	}, "mailseal")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`Date: Mon, 23 Nov 2026 12:00:00 +0000
From: "mailseal" <no-reply@ca.example.com>
To: alice@example.com
Subject: Your code
Message-ID: <00000000000000000000000000000000@ca.example.com>
Auto-Submitted: auto-generated
Content-Language: en
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii
Content-Transfer-Encoding: 7bit

Hello

ABCD-EFGH
`, "\n", "\r\n")
	if string(raw) != want {
		t.Errorf("got\n%s\nwant\n%s", raw, want)
	}
}

func TestComposeJapanese(t *testing.T) {
	m := Mail{
		To:      address(t, "alice@example.com"),
		Subject: strings.Repeat("確認コードのお知らせ", 8),
		Text:    "こんにちは\n\nQ7KD-MMX2-9TRW-4HJN-PPA3-ZC8E\n",
	}
	raw, err := compose(t, m, "認証局")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 76 {
			t.Errorf("line of %d characters, RFC 2047 §2 allows 76: %q", len(line), line)
		}
	}
	if !strings.Contains(string(raw), "\r\nQ7KD-MMX2-9TRW-4HJN-PPA3-ZC8E\r\n") {
		t.Error("the code is not on a line of its own in the raw message")
	}
	got, text := read(t, raw)
	if subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject")); subject != m.Subject {
		t.Errorf("subject %q, want %q", subject, m.Subject)
	}
	if from, err := got.Header.AddressList("From"); err != nil || from[0].Name != "認証局" {
		t.Errorf("From %v, %v", from, err)
	}
	if text != m.Text {
		t.Errorf("text %q, want %q", text, m.Text)
	}
}

func TestComposeRefuses(t *testing.T) {
	alice := alice(t)
	for name, tc := range map[string]struct {
		mail   Mail
		sender string
	}{
		"header in subject":        {mail: Mail{To: alice, Subject: "x\r\nBcc: bob@example.org"}},
		"bare LF in subject":       {mail: Mail{To: alice, Subject: "x\nBcc: bob@example.org"}},
		"NUL in subject":           {mail: Mail{To: alice, Subject: "x\x00"}},
		"line separator":           {mail: Mail{To: alice, Subject: "x\u2028y"}},
		"subject not UTF-8":        {mail: Mail{To: alice, Subject: "\xff"}},
		"subject too long":         {mail: Mail{To: alice, Subject: strings.Repeat("x", maxSubject+1)}},
		"header in sender":         {mail: Mail{To: alice}, sender: "x\r\nBcc: bob@example.org"},
		"header in language":       {mail: Mail{To: alice, Language: "en\r\nBcc: bob@example.org"}},
		"text not UTF-8":           {mail: Mail{To: alice, Text: "\xff"}},
		"text too long":            {mail: Mail{To: alice, Text: strings.Repeat("x", maxText+1)}},
		"no recipient":             {mail: Mail{}},
		"DEL among the characters": {mail: Mail{To: alice, Subject: "x\x7f"}},
	} {
		t.Run(name, func(t *testing.T) {
			if raw, err := compose(t, tc.mail, tc.sender); err == nil {
				t.Errorf("composed:\n%s", raw)
			}
		})
	}
}

// FuzzCompose holds that whatever is composed has exactly the header fields
// that Compose writes, and gives subject and text back.
func FuzzCompose(f *testing.F) {
	f.Add("Your code", "mailseal", "text\n")
	f.Add("=?utf-8?B?eA==?=", "a\"b\\c", ".\n..\n")
	f.Add("確認コード", "認証局", "長い行"+strings.Repeat("長", 50))
	f.Add("a\rb", "c\nd", "e\rf")
	f.Fuzz(func(t *testing.T, subject, sender, text string) {
		m := Mail{To: address(t, "alice@example.com"), Subject: subject, Text: text}
		raw, err := compose(t, m, sender)
		if err != nil {
			return
		}
		got, body := read(t, raw)
		if len(got.Header) != 9 {
			t.Errorf("%d header fields, want 9:\n%s", len(got.Header), raw)
		}
		decoded, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if err != nil || decoded != strings.Trim(subject, " ") && decoded != subject {
			t.Errorf("subject %q came back as %q (%v)", subject, decoded, err)
		}
		want := strings.ReplaceAll(text, "\r\n", "\n")
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if body != want && !strings.ContainsRune(text, '\r') {
			t.Errorf("text %q came back as %q", want, body)
		}
	})
}
