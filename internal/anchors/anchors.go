// Package anchors has the authorities that are trusted for mail when nobody
// names others: Mozilla's list, as far as it is for mail. email.pem is the list
// as people read and review it; email.der is the same in the form that is
// embedded and costs nothing until it is asked. scripts/anchors writes both.
package anchors

import (
	"bytes"
	_ "embed"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
)

//go:embed email.der
var embedded []byte

// Email returns the embedded list, without labels and origin.
var Email = sync.OnceValues(func() (*List, error) { return Decode(embedded) })

// List is a list of trust anchors with its origin. It is a
// certpath.AnchorStore.
type List struct {
	Source  string    // the program and its version
	Date    time.Time // when it was taken from there
	Entries []Entry
}

// Entry is one anchor.
type Entry struct {
	Label string
	DER   []byte // the certificate
	// DistrustAfter is set where the authority lost trust: mail certificates
	// that begin later are not believed, older ones still are
	// (CKA_NSS_EMAIL_DISTRUST_AFTER in Mozilla's certdata.txt).
	DistrustAfter time.Time
}

// Named returns the certificates with that subject. Only those are parsed that
// have the octets of the name in them: public authorities write their names in
// one way, and all of the list would cost more than the rest of a verdict.
func (l *List) Named(subject cert.Name) (found []*cert.Certificate) {
	for _, e := range l.Entries {
		if subject.Empty() || !bytes.Contains(e.DER, subject.Raw) {
			continue
		}
		if c, err := cert.Parse(e.DER); err == nil && c.Subject.Equal(subject) {
			found = append(found, c)
		}
	}
	return found
}

// DistrustAfter returns the date for an anchor, zero when it has none or is not
// in the list.
func (l *List) DistrustAfter(c *cert.Certificate) time.Time {
	for _, e := range l.Entries {
		if !e.DistrustAfter.IsZero() && bytes.Equal(e.DER, c.Raw) {
			return e.DistrustAfter
		}
	}
	return time.Time{}
}

// Encode writes the list in the embedded form: each certificate, and behind one
// that has a date of distrust the date as GeneralizedTime.
func (l *List) Encode() ([]byte, error) {
	var b cryptobyte.Builder
	for _, e := range l.Entries {
		b.AddBytes(e.DER)
		if !e.DistrustAfter.IsZero() {
			b.AddASN1GeneralizedTime(e.DistrustAfter.UTC())
		}
	}
	return b.Bytes()
}

// Decode reads the embedded form.
func Decode(der []byte) (*List, error) {
	l := &List{}
	for s := cryptobyte.String(der); !s.Empty(); {
		var element cryptobyte.String
		if !s.ReadASN1Element(&element, asn1.SEQUENCE) {
			return nil, errors.New("trust anchors: malformed list")
		}
		e := Entry{DER: element}
		if s.PeekASN1Tag(asn1.GeneralizedTime) && !s.ReadASN1GeneralizedTime(&e.DistrustAfter) {
			return nil, errors.New("trust anchors: malformed date")
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}
