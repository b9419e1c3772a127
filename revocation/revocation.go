// Package revocation tells whether the certificates of a path have been
// revoked (RFC 5280 §6.3), from revocation lists that the caller has.
//
// Start with [Check], with the chain that certpath.Verify returned. Whoever
// gives the lists need not be trusted: a list counts only with the signature of
// the certificate's issuer. Two asymmetries keep it on the safe side. A
// signed list that names the certificate is believed when it says "revoked",
// also when it is old; the absence of a certificate means "good" only in a
// list that is fresh, complete, in scope and understood to the last critical
// extension. And where the lists have no clear answer, the answer is
// [Unknown], never [Good].
//
// Lists for part of the certificates or of the reasons (issuing distribution
// points) are read, indirect lists as far as they are signed by the
// certificate's own issuer. Delta lists can say "revoked" and nothing else.
// Nothing is fetched here and OCSP is not read.
package revocation

import (
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
)

// Status is what is known about the revocation of a certificate or a chain.
type Status int

// The states. The zero value says that nobody asked.
const (
	NotChecked Status = iota // there was no list to ask
	Good                     // a fresh list covers it and does not name it
	Unknown                  // there are lists, and none gives an answer
	Revoked
)

// String returns the state in a word or two.
func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Unknown:
		return "unknown"
	case Revoked:
		return "revoked"
	}
	return "not checked"
}

// MaxLists limits the lists whose signatures are checked for one certificate.
const MaxLists = 100

// Error says why a status is [Revoked] or [Unknown]. Its text is one line
// without control characters.
type Error struct {
	Status         Status            // Revoked or Unknown
	Certificate    *cert.Certificate // the one concerned
	At             time.Time         // Revoked: when
	InvalidityDate time.Time         // Revoked: since when the key was not to be trusted; zero when the list does not say
	Reason         cert.Reason       // Revoked: why
	Detail         string            // Unknown: why
}

// Error gives subject, time and reason.
func (e *Error) Error() string {
	name := e.Certificate.Subject.String()
	if name == "" {
		name = "serial " + e.Certificate.SerialHex()
	}
	if e.Status == Revoked {
		return fmt.Sprintf("certificate %s was revoked at %s (%s)", name, e.At.Format(time.RFC3339), e.Reason)
	}
	return fmt.Sprintf("revocation of certificate %s is not known: %s", name, e.Detail)
}

// Check asks the lists about every certificate of chain, which is leaf first
// and anchor last, as certpath.Verify returns it; the anchor itself is not
// asked about, because nobody stands above it who could revoke it. at is the
// time of the question: lists must be fresh then.
//
// One revoked certificate makes the chain [Revoked]. The chain is [Good] when
// the leaf is good and no authority above it is revoked or [Unknown]; an
// authority for which no list was given at all stands in nobody's way, since
// lists of an upper level are often not at hand. With no lists the chain is
// [NotChecked]. For Revoked and Unknown, and only then, err is an [*Error]; for
// an empty chain it is another one.
func Check(chain []*cert.Certificate, lists []*cert.CRL, at time.Time) (Status, error) {
	if len(chain) == 0 {
		return Unknown, errors.New("no chain to check the revocation of")
	}
	if len(lists) == 0 {
		return NotChecked, nil
	}
	status, why := Good, (*Error)(nil)
	for i, c := range chain[:len(chain)-1] {
		q := &question{certificate: c, issuers: issuers(chain, i), at: at}
		found := q.ask(lists)
		if found == nil || i > 0 && !q.concerned {
			continue
		}
		if found.Status > status {
			status, why = found.Status, found
		}
	}
	if why == nil {
		return status, nil
	}
	return status, why
}

// issuers returns the certificates of the chain that may sign lists about
// chain[i]: its issuer, and others of the same name, whose key was changed
// (RFC 5280 §6.3.3 (f), within the same path).
func issuers(chain []*cert.Certificate, i int) []*cert.Certificate {
	list := []*cert.Certificate{chain[i+1]}
	for j, c := range chain {
		if j != i && j != i+1 && c.Subject.Equal(chain[i].Issuer) {
			list = append(list, c)
		}
	}
	return list
}
