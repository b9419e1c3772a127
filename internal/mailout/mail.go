package mailout

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailseal/mailseal/internal/mailbox"
)

// Mail is one plain-text mail to one person.
type Mail struct {
	To       mailbox.Mailbox
	Subject  string // any UTF-8 on one line
	Text     string // UTF-8, lines ended by LF or CRLF
	Language string // BCP 47 tag of Subject and Text, "" when not known
	Signed   bool   // by [Relay].Sign, where there is one
}

// Sender is who the mails come from, in the envelope and in the From field.
type Sender struct {
	Name    string // display name, any UTF-8 on one line, "" for none
	Mailbox mailbox.Mailbox
}

const (
	// maxSubject and maxText bound what is sent, in bytes. The product's own
	// mails are a few kilobytes; more is a mistake upstream.
	maxSubject = 1000
	maxText    = 1 << 20

	// maxLine is RFC 5322 §2.1.1's recommended line length without CRLF.
	maxLine = 78

	messageIDBytes = 16
)

// Compose writes m as a complete RFC 5322 message with CRLF line ends. The
// time becomes the Date field; random gives the Message-ID its unique half.
// It fails when a header value holds a control character.
func (m Mail) Compose(from Sender, at time.Time, random io.Reader) ([]byte, error) {
	if err := m.check(from); err != nil {
		return nil, err
	}
	var unique [messageIDBytes]byte
	if _, err := io.ReadFull(random, unique[:]); err != nil {
		return nil, fmt.Errorf("make Message-ID: %w", err)
	}
	var b bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	field("Date", at.Format(time.RFC1123Z))
	field("From", from.field())
	field("To", m.To.String())
	field("Subject", unstructured(m.Subject))
	field("Message-ID", fmt.Sprintf("<%s@%s>", hex.EncodeToString(unique[:]), from.Mailbox.Domain()))
	// RFC 3834 §5: keeps vacation robots from answering.
	field("Auto-Submitted", "auto-generated")
	if m.Language != "" {
		field("Content-Language", m.Language) // RFC 3282
	}
	field("MIME-Version", "1.0")
	if err := m.writeText(&b, field); err != nil {
		return nil, fmt.Errorf("write text: %w", err)
	}
	return b.Bytes(), nil
}

func (m Mail) check(from Sender) error {
	if m.To.IsZero() || from.Mailbox.IsZero() {
		return fmt.Errorf("recipient or sender is missing")
	}
	for name, value := range map[string]string{"subject": m.Subject, "sender name": from.Name, "language": m.Language} {
		if err := checkHeaderValue(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if len(m.Subject) > maxSubject {
		return fmt.Errorf("subject: %d bytes, at most %d allowed", len(m.Subject), maxSubject)
	}
	if len(m.Text) > maxText {
		return fmt.Errorf("text: %d bytes, at most %d allowed", len(m.Text), maxText)
	}
	if !utf8.ValidString(m.Text) {
		return fmt.Errorf("text: not valid UTF-8")
	}
	return nil
}

// checkHeaderValue refuses what could end the field and start another one:
// CR, LF, and with them every other control character.
func checkHeaderValue(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("not valid UTF-8")
	}
	for i, r := range s {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("control character %U at byte %d", r, i)
		}
	}
	return nil
}

// writeText ends the header and writes the body. Plain ASCII in short lines
// goes as it is; anything else as quoted-printable, which leaves a code on a
// line of its own readable in the raw message.
func (m Mail) writeText(b *bytes.Buffer, field func(name, value string)) error {
	text := strings.ReplaceAll(m.Text, "\r\n", "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if plain(text) {
		field("Content-Type", "text/plain; charset=us-ascii")
		field("Content-Transfer-Encoding", "7bit")
		b.WriteString("\r\n" + strings.ReplaceAll(text, "\n", "\r\n"))
		return nil
	}
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(b)
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

func plain(text string) bool {
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > maxLine || strings.ContainsFunc(line, notPrintableASCII) {
			return false
		}
	}
	return true
}

func notPrintableASCII(r rune) bool { return r < ' ' || r > '~' }

// field is the From field's value: `"Name" <mailbox>` or the bare mailbox.
func (s Sender) field() string {
	switch {
	case s.Name == "":
		return s.Mailbox.String()
	case strings.ContainsFunc(s.Name, notPrintableASCII):
		return unstructured(s.Name) + "\r\n <" + s.Mailbox.String() + ">"
	default:
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Name)
		return `"` + quoted + `" <` + s.Mailbox.String() + ">"
	}
}

// encodedWordBytes is how much UTF-8 goes into one encoded word: 39 bytes make
// 64 characters, and 64 behind "Subject: " stay within the 76 that RFC 2047 §2
// allows for a line.
const encodedWordBytes = 39

// unstructured is s as the body of an unstructured field: s itself where it is
// short ASCII, encoded words on folded lines otherwise. A text that looks like
// an encoded word is encoded too, so that it is shown as it was written.
func unstructured(s string) string {
	if len(s) <= maxLine-len("Subject: ") && !strings.ContainsFunc(s, notPrintableASCII) && !strings.Contains(s, "=?") {
		return s
	}
	var words []string
	for s != "" {
		n := wordEnd(s)
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, "\r\n ")
}

// wordEnd is the length of the first encoded word of s: RFC 2047 §5 forbids
// splitting a character between two words.
func wordEnd(s string) int {
	if len(s) <= encodedWordBytes {
		return len(s)
	}
	n := encodedWordBytes
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}
