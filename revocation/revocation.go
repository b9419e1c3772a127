// Package revocation tells whether the certificates of a path have been
// revoked: by revocation lists (RFC 5280 §6.3) and by OCSP responses (RFC
// 6960).
//
// Start with [Check], with the chain that certpath.Verify returned. Whoever
// gives the lists and responses need not be trusted: each counts only with the
// signature of one whom the issuer of the certificate has put in charge.
//
// Two asymmetries keep the answer on the safe side. A signed list or response
// that names the certificate is believed when it says "revoked", also when it
// is old; the absence of a certificate, or "good", counts only when it is
// fresh, complete, in scope and understood to the last critical extension. And
// where there is no clear answer, the answer is [Unknown], never [Good].
//
// # What is read
//
// Complete lists, lists for part of the certificates or of the reasons
// (issuing distribution points), indirect lists, delta lists together with
// their base, and lists that another key of the authority has signed; OCSP
// responses signed by the issuer or by one whom it has delegated.
//
// # What it does not do
//
// Nothing is fetched here: [Options.Fetcher] brings what a certificate names as
// its sources, and is asked only about certificates whose path ends at the
// anchor of the chain. Package revocation/fetch has one that dials.
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
	NotChecked Status = iota // there was nothing to ask
	Good                     // something fresh covers it and does not name it
	Unknown                  // there are sources, and none gives an answer
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

// Limits on the work for one chain. Whoever sends a message chooses the lists
// and responses in it, and must not choose how long they take.
const (
	// MaxLists limits the lists that are looked at for one certificate.
	MaxLists = 100
	// MaxResponses likewise limits the OCSP responses about it.
	MaxResponses = 100
	// maxSignatures limits the signatures that are checked for one chain.
	maxSignatures = 500
	// maxSigners limits the certificates that are tried as signer of one list
	// or response.
	maxSigners = 20
	// maxNesting limits questions about those who answer questions.
	maxNesting = 4
)

// Skew is how far the clock of a responder or an authority may be ahead.
const Skew = 5 * time.Minute

// maxUndated is how old an OCSP response may be that does not say when the next
// one comes (RFC 6960 §4.2.2.1: newer information is always to be had).
const maxUndated = time.Hour

// Evidence is what there is to ask.
type Evidence struct {
	CRLs      []*cert.CRL
	Responses []*cert.OCSPResponse
	// Certificates may have signed lists, where the issuer has put others in
	// charge. They are hints, in any order, and lend no trust.
	Certificates []*cert.Certificate
}

func (e *Evidence) add(more Evidence) {
	e.CRLs = append(e.CRLs, more.CRLs...)
	e.Responses = append(e.Responses, more.Responses...)
	e.Certificates = append(e.Certificates, more.Certificates...)
}

// Fetcher brings what a certificate names as sources of revocation
// information.
type Fetcher interface {
	// Fetch asks the sources that c names, which issuer has issued. It tries
	// them until one answers: answers tells whether what was brought settles
	// the question. The error says why nothing did.
	Fetch(c, issuer *cert.Certificate, answers func(Evidence) bool) (Evidence, error)
}

// Options say what to ask and for which time. At is needed.
type Options struct {
	Evidence
	// Brought is what came with the thing that is judged. Whoever made that
	// could not make the lists, and could choose old ones from before a
	// revocation: with a Fetcher they are no answer about a certificate that
	// names a source, unless it is that the certificate is revoked. Their
	// Certificates are hints like others.
	Brought Evidence
	// Fetcher, if not nil, is used for certificates about which Evidence has no
	// answer, whatever was brought, and which name a source.
	Fetcher Fetcher

	// At is the time for which the question is asked.
	At time.Time
	// Proven says that a timestamp proves that the signature existed At. What
	// was revoked later was good then. Without proof a signature may be as
	// young as the revocation.
	Proven bool
	// Now is when the question is asked: what is dated later is not believed.
	// The zero value stands for At.
	Now time.Time

	// Every asks for an answer about every certificate of the chain. Without
	// it, an authority of which no evidence tells and which names no source
	// that could be asked stands in nobody's way: lists of an upper level are
	// often not at hand.
	Every bool

	// Used, if not nil, receives what the answers rest on.
	Used *Evidence
}

// nothing tells whether there is nothing to ask, sources apart.
func (o *Options) nothing() bool {
	return len(o.CRLs)+len(o.Responses)+len(o.Brought.CRLs)+len(o.Brought.Responses) == 0
}

// Error says why a status is [Revoked] or [Unknown]. Its text is one line
// without control characters.
type Error struct {
	Status         Status            // Revoked or Unknown
	Certificate    *cert.Certificate // the one concerned
	At             time.Time         // Revoked: when
	InvalidityDate time.Time         // Revoked: since when the key was not to be trusted; zero when nobody says
	Reason         cert.Reason       // Revoked: why
	Detail         string            // Unknown: why
	Asked          bool              // Unknown: a source that the certificate names was asked, in vain
}

// Error gives subject, time and reason.
func (e *Error) Error() string {
	if e.Status == Revoked {
		return fmt.Sprintf("certificate %s was revoked at %s (%s)", label(e.Certificate), e.At.Format(time.RFC3339), e.Reason)
	}
	return fmt.Sprintf("revocation of certificate %s is not known: %s", label(e.Certificate), e.Detail)
}

// label names a certificate for people, in bounded length.
func label(c *cert.Certificate) string {
	name := c.Subject.String()
	if name == "" {
		return "serial " + c.SerialHex()
	}
	if runes := []rune(name); len(runes) > 120 {
		name = string(runes[:120]) + "..."
	}
	return name
}

// Check asks about every certificate of chain, which is leaf first and anchor
// last, as certpath.Verify returns it; the anchor itself is not asked about,
// because nobody stands above it who could revoke it.
//
// One revoked certificate makes the chain [Revoked]. The chain is [Good] when
// the leaf is good and no authority above it is revoked or [Unknown]; see
// [Options.Every] for those without evidence. With nothing to ask the chain is
// [NotChecked]. For Revoked and Unknown, and only then, err is an [*Error]; for
// an empty chain it is another one.
func Check(chain []*cert.Certificate, o *Options) (Status, error) {
	if len(chain) == 0 {
		return Unknown, errors.New("no chain to check the revocation of")
	}
	if o.nothing() && o.Fetcher == nil && !o.Every && len(chain) > 1 {
		// Nothing bears on any authority, and on the leaf what it says of itself.
		if noRevAvail(chain[0]) {
			return Good, nil
		}
		return NotChecked, nil
	}
	k := newChecker(chain, o)
	status, why := Good, (*Error)(nil)
	// From the anchor down: of whom a revoked authority has issued nobody needs
	// to be asked.
	for i := len(chain) - 2; i >= 0 && status != Revoked; i-- {
		a := k.ask(chain[i:])
		switch {
		case !k.counts(a, i):
		case a.status == NotChecked && status == Good:
			status = NotChecked
		case a.err != nil && a.status >= status:
			status, why = a.status, a.err
		}
	}
	if why == nil {
		return status, nil
	}
	return status, why
}

// counts tells whether an answer about chain[i] bears on the chain.
func (k *checker) counts(a *answer, i int) bool {
	return k.o.Every || i == 0 || a.concerned
}
