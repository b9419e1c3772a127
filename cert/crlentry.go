package cert

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// Reason is why a certificate was revoked (RFC 5280 §5.3.1).
type Reason int

// The reasons; 7 is not used.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

// String returns the standard's name.
func (r Reason) String() string {
	names := [...]string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise"}
	if r < 0 || int(r) >= len(names) || names[r] == "" {
		return "unspecified"
	}
	return names[r]
}

// Entry is one revoked certificate of a list.
type Entry struct {
	Serial         *big.Int
	Issuer         Name // of the certificate: the list's issuer, or as an indirect list says
	RevokedAt      time.Time
	Reason         Reason
	InvalidityDate time.Time // zero when absent
	// UnknownCritical is set when the entry has a critical extension that is
	// not known: then the list must not be used to say "good" (RFC 5280 §5.3),
	// and the certificate counts as revoked.
	UnknownCritical bool
}

// rawEntry is an entry taken apart and not yet decoded.
type rawEntry struct {
	serial     cryptobyte.String // content octets of the INTEGER
	rest       cryptobyte.String // revocationDate and what follows
	extensions cryptobyte.String // element, empty when absent
}

// read consumes one entry and looks at no more than its shape.
func (r *rawEntry) read(s *cryptobyte.String) bool {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&r.serial, asn1.INTEGER) || len(r.serial) == 0 {
		return false
	}
	r.rest = seq
	var skipped cryptobyte.String
	var tag asn1.Tag
	if !seq.ReadAnyASN1(&skipped, &tag) || tag != asn1.UTCTime && tag != asn1.GeneralizedTime {
		return false
	}
	r.extensions = nil
	if seq.Empty() {
		return true
	}
	return seq.ReadASN1Element(&r.extensions, asn1.SEQUENCE) && seq.Empty()
}

// hasSerial compares numbers, not encodings, and makes a number only of
// encodings that could be equal.
func (r *rawEntry) hasSerial(serial *big.Int) bool {
	content := r.serial
	for len(content) > 1 && (content[0] == 0 && content[1]&0x80 == 0 || content[0] == 0xff && content[1]&0x80 != 0) {
		content = content[1:]
	}
	if len(content) > serial.BitLen()/8+1 {
		return false
	}
	last := byte(0)
	if words := serial.Bits(); len(words) > 0 {
		last = byte(words[0])
	}
	if serial.Sign() < 0 {
		last = -last
	}
	return content[len(content)-1] == last && integer(content).Cmp(serial) == 0
}

// entry decodes r. issuer is the one of the entry before, which holds on
// until another is named (RFC 5280 §5.3.3). Beside an error, the entry has what
// could be read: whatever is wrong with it, its certificate is listed.
func (r *rawEntry) entry(issuer Name) (Entry, error) {
	e := Entry{Serial: integer(r.serial), Issuer: issuer}
	rest := r.rest
	if !readTime(&rest, &e.RevokedAt) {
		return e, malformed("revocationDate")
	}
	if len(r.extensions) == 0 {
		return e, nil
	}
	list, err := readExtensions(r.extensions)
	if err != nil {
		return e, within("entry extensions", err)
	}
	for i, x := range list {
		if _, repeated := findExtension(list[:i], x.ID); repeated {
			return e, fmt.Errorf("entry extension %s: repeated", x.ID.Name())
		}
		if err := e.parseExtension(x); err != nil {
			return e, within("entry extension "+x.ID.Name(), err)
		}
	}
	return e, nil
}

func (e *Entry) parseExtension(x Extension) error {
	s := cryptobyte.String(x.Value)
	switch x.ID {
	case oid.ExtReasonCode:
		var code int
		if !s.ReadASN1Enum(&code) || !s.Empty() {
			return malformed("value")
		}
		e.Reason = Reason(code)
	case oid.ExtInvalidityDate:
		if !readTime(&s, &e.InvalidityDate) || !s.Empty() {
			return malformed("value")
		}
	case oid.ExtCertificateIssuer:
		names, err := parseGeneralNames(x.Value)
		if err != nil {
			return err
		}
		for _, n := range names {
			if n.Kind == DirectoryName {
				e.Issuer = n.Directory
				return nil
			}
		}
		return errors.New("no directory name")
	default:
		e.UnknownCritical = e.UnknownCritical || x.Critical
	}
	return nil
}

// checkEntries reads all entries once, so that a broken one is found when the
// list is parsed and not when somebody asks for the entry behind it.
func (l *CRL) checkEntries() error {
	for s := l.entries; !s.Empty(); l.count++ {
		var raw rawEntry
		if !raw.read(&s) {
			return malformed("revokedCertificates entry")
		}
		if raw.extensionsPlain() && raw.datePlausible() {
			continue
		}
		e, err := raw.entry(l.Issuer)
		if err == nil && !l.indirect() && !e.Issuer.Equal(l.Issuer) {
			err = errors.New("certificateIssuer in a list that is not indirect") // RFC 5280 §5.3.3
		}
		l.UnknownCriticalEntry = l.UnknownCriticalEntry || e.UnknownCritical
		if err != nil && !l.badEntry {
			l.badEntry = true
			l.defect("revokedCertificates", err)
		}
	}
	return nil
}

// extensionsPlain passes entries with no extension but a reasonCode in DER.
func (r *rawEntry) extensionsPlain() bool {
	const reasonCode = "\x30\x0c\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"
	return len(r.extensions) == 0 || len(r.extensions) == len(reasonCode)+1 && string(r.extensions[:len(reasonCode)]) == reasonCode
}

// datePlausible passes DER's forms without decoding them: nearly all the time
// of reading a long list would go there.
func (r *rawEntry) datePlausible() bool {
	rest := r.rest
	var content cryptobyte.String
	var tag asn1.Tag
	if !rest.ReadAnyASN1(&content, &tag) {
		return false
	}
	digits := 12
	if tag == asn1.GeneralizedTime {
		digits = 14
	}
	if len(content) != digits+1 || content[digits] != 'Z' {
		return false
	}
	for _, c := range content[:digits] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
