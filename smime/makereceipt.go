package smime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/entity"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// ErrNoReceipt: no receipt is made for a message, because its verdict is not valid, nobody asks for one, or another is asked.
var ErrNoReceipt = errors.New("smime: no receipt")

const typeReceipt = "signed-receipt" // RFC 2634 §2.4

// ReceiptRequest returns what the sender asks for, nil if nothing. Only a message whose verdict is valid asks for anything, and only if
// all of its signers who ask, ask for the same (RFC 2634 §2.3).
func (m *Message) ReceiptRequest() *ReceiptRequest {
	r, _, err := m.receiptRequest()
	if err != nil {
		return nil
	}
	return r
}

func (m *Message) receiptRequest() (*ReceiptRequest, *cms.SignerInfo, error) {
	if m.Verdict.Verdict != Valid {
		return nil, nil, fmt.Errorf("%w: the verdict about the message is %q", ErrNoReceipt, m.Verdict.Verdict)
	}
	var first []byte
	var by *cms.SignerInfo
	for _, s := range m.signed {
		values := s.SignedAttrs.Values(oid.AttrReceiptRequest)
		switch {
		case len(values) == 0:
		case len(values) > 1, first != nil && !bytes.Equal(first, values[0]):
			return nil, nil, fmt.Errorf("%w: the message asks for several", ErrNoReceipt)
		case first == nil:
			first, by = values[0], s.SignerInfo
		}
	}
	if first == nil {
		return nil, nil, fmt.Errorf("%w: the message asks for none", ErrNoReceipt)
	}
	r, err := parseReceiptRequest(first)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrNoReceipt, err)
	}
	return r, by, nil
}

// MakeReceipt writes a signed receipt for the message to dst, as DER (RFC 2634 §2.4). The first of the signers, who must be one whom
// the message asks, says with it that they have had exactly this message and have found its signature good. Of the options Signers,
// Profile, Capabilities, Time, Timestamp and Rand count. The error is [ErrNoReceipt] where none is due.
func MakeReceipt(dst io.Writer, m *Message, o *SignOptions) error {
	request, si, err := m.receiptRequest()
	if err != nil {
		return err
	}
	if o == nil || len(o.Signers) == 0 {
		return errNobodySigns
	}
	if named := certpath.Mailboxes(o.Signers[0].Certificate); !request.asks(named) {
		return fmt.Errorf("%w: the message asks others (%s)", ErrNoReceipt, strings.Join(request.From, ", "))
	}
	for _, s := range m.signed {
		if s.Certificate.Equal(o.Signers[0].Certificate) {
			return fmt.Errorf("%w: one's own message needs none", ErrNoReceipt)
		}
	}
	digest, err := si.SignedAttrsDigest()
	if err != nil {
		return fmt.Errorf("smime: receipt: %w", err)
	}
	content, err := (&receipt{oid.Data, request.ContentID, si.Signature}).encode()
	if err != nil {
		return fmt.Errorf("smime: receipt: %w", err)
	}
	signers, err := o.Profile.orDefault().signers(o.Signers)
	if err != nil {
		return err
	}
	var b cryptobyte.Builder
	b.AddASN1OctetString(digest)
	w, err := cms.Sign(dst, signers, &cms.SignOptions{
		ContentType: oid.Receipt, Time: o.Time, Capabilities: o.capabilities(), Timestamp: o.Timestamp, Rand: o.Rand,
		Attributes: cms.Attributes{{Type: oid.AttrMsgSigDigest, Values: [][]byte{b.BytesOrPanic()}}},
	})
	if err != nil {
		return fmt.Errorf("smime: receipt: %w", err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("smime: receipt: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("smime: receipt: %w", err)
	}
	return nil
}

// MailReceipt writes a signed receipt as a mail from one address to those that the message names.
func MailReceipt(dst io.Writer, m *Message, from string, o *SignOptions) error {
	request, _, err := m.receiptRequest()
	if err != nil {
		return err
	}
	if len(request.To) == 0 {
		return fmt.Errorf("%w: the message names no address to send it to", ErrNoReceipt)
	}
	sender, err := mailbox.Parse(from)
	if err != nil {
		return fmt.Errorf("smime: receipt: from: %w", err)
	}
	var der bytes.Buffer
	if err := MakeReceipt(&der, m, o); err != nil {
		return err
	}
	field := func(name, value string) entity.Field {
		return entity.Field{Name: name, Raw: []byte(name + ": " + value + "\r\n")}
	}
	d := &draft{outer: []entity.Field{
		field("From", sender.String()), field("To", strings.Join(request.To, ",\r\n ")), field("Subject", "Signed receipt"),
		field("Date", o.Time.Format(time.RFC1123Z)),
	}}
	if id, err := m.outer.Only("Message-ID"); err == nil && isMessageID(id) {
		d.outer = append(d.outer, field("In-Reply-To", id), field("References", id))
	}
	return d.write(dst, func(w io.Writer) error {
		return writePKCS7(w, typeReceipt, func(dst io.Writer) (io.WriteCloser, error) { return unlayered{dst}, nil },
			func(w io.Writer) error { _, err := w.Write(der.Bytes()); return err })
	})
}

// unlayered passes on what is a CMS object already.
type unlayered struct{ io.Writer }

func (unlayered) Close() error { return nil }

// isMessageID keeps what a stranger wrote from becoming further headers of ours.
func isMessageID(id string) bool {
	if len(id) < 3 || len(id) > 900 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
