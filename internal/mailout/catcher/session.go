package catcher

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/emersion/go-smtp"
)

// session is one SMTP connection; go-smtp calls its methods one at a time.
type session struct {
	catcher *Catcher
	conn    *smtp.Conn
	from    string
	to      []string
}

func (s *session) Reset() { s.from, s.to = "", nil }

func (s *session) Logout() error { return nil }

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if err := checkPath(from); err != nil {
		return err
	}
	s.from = quoteLocal(from)
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := checkPath(to); err != nil {
		return err
	}
	s.to = append(s.to, quoteLocal(to))
	return nil
}

// checkPath refuses control characters, which RFC 5321 §4.1.2 has in no path
// and go-smtp lets through: they would break the lines that keep the envelope.
func checkPath(path string) error {
	if strings.ContainsFunc(path, unicode.IsControl) {
		return &smtp.SMTPError{Code: 501, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "control character in the address"}
	}
	return nil
}

// dotString is RFC 5321 §4.1.2's Dot-string, with RFC 6531's characters.
var dotString = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10FFFF}-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\x{80}-\\x{10FFFF}-]+)*$")
})

// quoteLocal puts back the quotes of a Quoted-string, which go-smtp removes:
// without them `"a..b"@example.com` would be kept as another address.
func quoteLocal(path string) string {
	at := strings.LastIndexByte(path, '@')
	if at < 0 || dotString().MatchString(path[:at]) {
		return path
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path[:at]) + `"` + path[at:]
}

// Data keeps the message. The reply to the client comes after the file is on
// disk (RFC 5321 §4.2.5: 250 takes responsibility).
func (s *session) Data(r io.Reader) error {
	message, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if at := bareLineEnd(message); at >= 0 {
		return &smtp.SMTPError{
			Code:         554,
			EnhancedCode: smtp.EnhancedCode{5, 6, 0},
			Message:      fmt.Sprintf("bare CR or LF at byte %d, lines must end in CRLF", at),
		}
	}
	id, err := s.catcher.keep(s.deliveryFields, message)
	if err != nil {
		s.catcher.options.Log.Error("keep caught mail", "error", err)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "cannot keep the mail, see the log of mailseal"}
	}
	s.catcher.options.Log.Info("mail caught", "mail", id, "bytes", len(message))
	return nil
}

// deliveryFields are what the final delivery adds on top (RFC 5321 §4.4). The
// recipients each get a Delivered-To, so that the envelope survives.
func (s *session) deliveryFields(id string, at time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\r\n", s.from)
	for _, to := range s.to {
		fmt.Fprintf(&b, "Delivered-To: %s\r\n", to)
	}
	fmt.Fprintf(&b, "Received: by localhost (mailseal catcher) with ESMTP id %s;\r\n %s\r\n", id, at.Format(time.RFC1123Z))
	return b.Bytes()
}

// bareLineEnd is the offset of the first CR without LF or LF without CR, or -1.
func bareLineEnd(message []byte) int {
	for i, c := range message {
		if c == '\r' && (i+1 == len(message) || message[i+1] != '\n') {
			return i
		}
		if c == '\n' && (i == 0 || message[i-1] != '\r') {
			return i
		}
	}
	return -1
}
