package bounce

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
)

// Limits of a report.
const (
	maxParts      = 20
	maxStatus     = 64 << 10
	maxRecipients = 20
)

// Failure reads a delivery status notification (RFC 3464, a multipart/report of
// RFC 6522) and tells whether it is about a mail that was given up, and why. Of
// what is not such a notification, or cannot be read, it says no.
func Failure(report []byte) (reason string, failed bool) {
	message, err := mail.ReadMessage(bytes.NewReader(report))
	if err != nil {
		return "", false
	}
	media, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || media != "multipart/report" || !strings.EqualFold(parameters["report-type"], "delivery-status") {
		return "", false
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for range maxParts {
		part, err := parts.NextPart()
		if err != nil {
			return "", false
		}
		media, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		// RFC 6533 §3: the same for mailboxes with other letters than ASCII.
		if media == "message/delivery-status" || media == "message/global-delivery-status" {
			return failure(io.LimitReader(part, maxStatus))
		}
	}
	return "", false
}

// failure reads the fields of the message, an empty line, and the fields of each
// recipient (RFC 3464 §2.1).
func failure(status io.Reader) (reason string, failed bool) {
	fields := textproto.NewReader(bufio.NewReader(status))
	for range maxRecipients {
		header, err := fields.ReadMIMEHeader()
		if strings.EqualFold(strings.TrimSpace(header.Get("Action")), "failed") { // §2.3.3
			return why(header), true
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(header) == 0) {
			return "", false
		}
	}
	return "", false
}

// why joins the status code (§2.3.4) and what the last server said (§2.3.6),
// without the type in front.
func why(header textproto.MIMEHeader) string {
	said := header.Get("Diagnostic-Code")
	if _, text, found := strings.Cut(said, ";"); found {
		said = text
	}
	return strings.TrimSpace(header.Get("Status") + " " + strings.TrimSpace(said))
}
