// Package problemreport takes certificate problem reports: from anybody, about
// any certificate of ours, with the time limits of S/MIME BR §4.9.1.1 and §4.9.5.
//
// A report is stored and mailed to the operator before whoever reports gets an
// answer. Within 24 hours the operator answers; within 24 hours or 5 days, by
// what the problem is, the certificate is revoked or the report is closed
// without. Who proves to have the private key waits for nobody: all certificates
// of the key are revoked at once, see [Service.Statement].
//
// Start at [New] and [Service.File].
package problemreport

import (
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
)

// Problem is what a report says is wrong.
type Problem string

// The problems of S/MIME BR §4.9.1.1, as people can tell them apart.
const (
	KeyCompromise Problem = "key-compromise" // somebody else has the private key, or may have it
	OwnRequest    Problem = "own-request"    // the holder wants it revoked
	NotRequested  Problem = "not-requested"  // it was issued for an address whose holder asked for nothing
	Contents      Problem = "contents"       // what it says is not true, or no longer
	Misuse        Problem = "misuse"         // it is used for fraud, or for what it is not for
	Other         Problem = "other"
)

// Problems lists them.
func Problems() []Problem {
	return []Problem{KeyCompromise, OwnRequest, NotRequested, Contents, Misuse, Other}
}

// Known tells whether p is one of them.
func (p Problem) Known() bool { return slices.Contains(Problems(), p) }

// Time limits, from when a report came.
const (
	answerWithin = 24 * time.Hour     // S/MIME BR §4.9.5: a preliminary report on the findings
	urgentWithin = 24 * time.Hour     // §4.9.1.1, first list
	decideWithin = 5 * 24 * time.Hour // §4.9.1.1, second list
)

// decide is how long there is to revoke, if it comes to that.
func (p Problem) decide() time.Duration {
	if p == KeyCompromise || p == OwnRequest || p == NotRequested {
		return urgentWithin
	}
	return decideWithin
}

// Reason is what a CRL would most likely say (RFC 5280 §5.3.1).
func (p Problem) Reason() cert.Reason {
	switch p {
	case KeyCompromise:
		return cert.KeyCompromise
	case NotRequested, Misuse:
		return cert.PrivilegeWithdrawn
	case Contents:
		return cert.AffiliationChanged
	}
	return cert.Unspecified
}
