package catcher

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
)

// Mail is a caught mail as a person or a program reads it. Its JSON form is
// what GET /dev/mail lists.
type Mail struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`    // envelope sender
	To      []string  `json:"to"`      // envelope recipients
	Subject string    `json:"subject"` // decoded
	Date    time.Time `json:"date"`    // of arrival
	Text    string    `json:"text"`    // first text/plain part, decoded, LF line ends
	Raw     string    `json:"raw"`     // the file: delivery fields, then the message
}

// maxDepth bounds multipart nesting while looking for the text.
const maxDepth = 8

// parse shows as much as it understands; Raw is always there.
func parse(raw []byte) Mail {
	m := Mail{To: []string{}, Raw: string(raw)}
	delivery, rest := splitDelivery(raw)
	m.From = strings.Trim(delivery.Get("Return-Path"), "<>")
	m.To = append(m.To, delivery["Delivered-To"]...)
	m.Date = arrival(delivery.Get("Received"))
	message, err := mail.ReadMessage(bytes.NewReader(rest))
	if err != nil {
		return m
	}
	m.Subject = message.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	text, _ := plainText(message.Header, message.Body, 0)
	m.Text = strings.ReplaceAll(text, "\r\n", "\n")
	return m
}

// splitDelivery parts the fields that deliveryFields wrote, of which Received
// is the last and has two lines, from the message, whose own fields of the same
// names must not be taken for the envelope.
func splitDelivery(raw []byte) (mail.Header, []byte) {
	end := bytes.Index(raw, []byte("\r\nReceived: "))
	if end < 0 {
		return nil, raw
	}
	end += len("\r\n")
	for range 2 {
		n := bytes.Index(raw[end:], []byte("\r\n"))
		if n < 0 {
			return nil, raw
		}
		end += n + len("\r\n")
	}
	top, err := mail.ReadMessage(bytes.NewReader(append(bytes.Clone(raw[:end]), "\r\n"...)))
	if err != nil {
		return nil, raw
	}
	return top.Header, raw[end:]
}

func arrival(received string) time.Time {
	_, date, _ := strings.Cut(received, ";")
	at, err := mail.ParseDate(strings.TrimSpace(date))
	if err != nil {
		return time.Time{}
	}
	return at
}

// header is what mail.Header and textproto.MIMEHeader share.
type header interface{ Get(key string) string }

// plainText finds the first text/plain part and undoes its transfer encoding.
func plainText(h header, body io.Reader, depth int) (text string, found bool) {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		mediaType = "text/plain" // RFC 2045 §5.2: the default
	}
	switch {
	case mediaType == "text/plain":
		decoded, _ := io.ReadAll(decode(h.Get("Content-Transfer-Encoding"), body))
		return strings.ToValidUTF8(string(decoded), "\uFFFD"), true
	case strings.HasPrefix(mediaType, "multipart/") && depth < maxDepth:
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil {
				return "", false
			}
			if text, found := plainText(part.Header, part, depth+1); found {
				return text, true
			}
		}
	}
	return "", false
}

func decode(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	default:
		return body
	}
}
