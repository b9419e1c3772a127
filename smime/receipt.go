package smime

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits of receipts and requests. RFC 2634 §2.11 has 16 for who gets a receipt.
const (
	// MaxReceipt is how large a receipt may be, without its signature.
	MaxReceipt = 64 << 10
	// MaxReceiptsTo is how many addresses a receipt may be asked to be sent to.
	MaxReceiptsTo = 16
	// MaxReceiptsFrom is how many recipients may be named who shall send one.
	MaxReceiptsFrom = 1000
)

// ReceiptRequest asks those who read a signed message for a signed receipt (RFC 2634 §2.7).
type ReceiptRequest struct {
	// ContentID names the message to its sender.
	ContentID []byte
	// From are the addresses of those who shall send a receipt; empty asks everybody, or with FirstTier everybody to whom the message
	// did not come through a mailing list.
	From      []string
	FirstTier bool
	// To are the addresses that receipts go to.
	To []string
}

// NewReceiptRequest asks everybody for a receipt that goes to the addresses. The content identifier is a time and a number that nobody
// can guess, as RFC 2634 §2.7 advises. random may be nil for crypto/rand.
func NewReceiptRequest(random io.Reader, at time.Time, to ...string) (*ReceiptRequest, error) {
	if len(to) == 0 || len(to) > MaxReceiptsTo {
		return nil, fmt.Errorf("smime: receipts go to one address or up to %d, not %d", MaxReceiptsTo, len(to))
	}
	for _, address := range to {
		if _, err := mailbox.Parse(address); err != nil {
			return nil, fmt.Errorf("smime: receipts: %w", err)
		}
	}
	if random == nil {
		random = rand.Reader
	}
	id := at.UTC().AppendFormat(nil, "20060102150405Z")
	number := make([]byte, 16)
	if _, err := io.ReadFull(random, number); err != nil {
		return nil, err
	}
	return &ReceiptRequest{ContentID: append(id, number...), To: to}, nil
}

// attribute is the request as a signed attribute.
func (r *ReceiptRequest) attribute() (cms.Attributes, error) {
	if r == nil {
		return nil, nil
	}
	der, err := r.encode()
	if err != nil {
		return nil, fmt.Errorf("smime: receipt request: %w", err)
	}
	return cms.Attributes{{Type: oid.AttrReceiptRequest, Values: [][]byte{der}}}, nil
}

func (r *ReceiptRequest) encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(r.ContentID)
		switch {
		case len(r.From) > 0:
			b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { addAddresses(b, r.From) })
		default:
			b.AddASN1(asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddUint8(map[bool]uint8{false: 0, true: 1}[r.FirstTier])
			})
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addAddresses(b, r.To) })
	})
	return b.Bytes()
}

// addAddresses writes each address as GeneralNames of its own: RFC 2634 §2.7 has one for each entity.
func addAddresses(b *cryptobyte.Builder, addresses []string) {
	for _, a := range addresses {
		m, err := mailbox.Parse(a)
		if err != nil {
			b.SetError(err)
			return
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if m.ASCII() {
				b.AddASN1(asn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.String())) })
				return
			}
			b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { // RFC 9598 §3
				oid.Add(b, oid.SmtpUTF8Mailbox)
				b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(m.String())) })
				})
			})
		})
	}
}

var errReceiptRequest = errors.New("malformed receipt request")

// parseReceiptRequest reads the value of the attribute. Names that are no addresses are passed over.
func parseReceiptRequest(der []byte) (*ReceiptRequest, error) {
	in := cryptobyte.String(der)
	var s, id, to cryptobyte.String
	r := &ReceiptRequest{}
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1(&id, asn1.OCTET_STRING) {
		return nil, errReceiptRequest
	}
	r.ContentID = append([]byte{}, id...)
	var from cryptobyte.String
	var listed bool
	if !s.ReadOptionalASN1(&from, &listed, asn1.Tag(1).ContextSpecific().Constructed()) {
		return nil, errReceiptRequest
	}
	var err error
	if listed {
		if r.From, err = readAddresses(from, MaxReceiptsFrom); err == nil && len(r.From) == 0 {
			err = errReceiptRequest // an empty list must not turn into everybody
		}
	} else {
		var tier cryptobyte.String
		if !s.ReadASN1(&tier, asn1.Tag(0).ContextSpecific()) || len(tier) != 1 || tier[0] > 1 {
			return nil, errReceiptRequest
		}
		r.FirstTier = tier[0] == 1
	}
	if err != nil || !s.ReadASN1(&to, asn1.SEQUENCE) || !s.Empty() {
		return nil, errReceiptRequest
	}
	if r.To, err = readAddresses(to, MaxReceiptsTo); err != nil {
		return nil, err
	}
	return r, nil
}

// readAddresses reads SEQUENCE OF GeneralNames, of each the addresses.
func readAddresses(s cryptobyte.String, limit int) (all []string, err error) {
	for n := 0; !s.Empty(); n++ {
		var names cryptobyte.String
		if n == limit || !s.ReadASN1Element(&names, asn1.SEQUENCE) {
			return nil, errReceiptRequest
		}
		list, err := cert.ParseGeneralNames(names)
		if err != nil {
			return nil, errReceiptRequest
		}
		for _, text := range list.Emails() {
			if m, err := mailbox.Parse(text); err == nil {
				all = append(all, m.String())
			}
		}
		if len(all) > limit {
			return nil, errReceiptRequest
		}
	}
	return all, nil
}

// asks tells whether the holder of a certificate is to send a receipt.
func (r *ReceiptRequest) asks(named []mailbox.Mailbox) bool {
	if len(r.From) == 0 {
		return true
	}
	for _, text := range r.From {
		for _, m := range named {
			if asked, err := mailbox.Parse(text); err == nil && asked.Equal(m) {
				return true
			}
		}
	}
	return false
}

// receipt is RFC 2634 §2.8.
type receipt struct {
	contentType oid.OID
	contentID   []byte
	signature   []byte // of the message that the receipt is for
}

func (r *receipt) encode() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		oid.Add(b, r.contentType)
		b.AddASN1OctetString(r.contentID)
		b.AddASN1OctetString(r.signature)
	})
	return b.Bytes()
}

func parseReceipt(der []byte) (*receipt, error) {
	in := cryptobyte.String(der)
	var s, id, signature cryptobyte.String
	var version int64
	r := &receipt{}
	if !in.ReadASN1(&s, asn1.SEQUENCE) || !in.Empty() || !s.ReadASN1Integer(&version) || version != 1 || !oid.Read(&s, &r.contentType) ||
		!s.ReadASN1(&id, asn1.OCTET_STRING) || !s.ReadASN1(&signature, asn1.OCTET_STRING) || !s.Empty() {
		return nil, errors.New("malformed receipt")
	}
	r.contentID, r.signature = id, signature
	return r, nil
}
