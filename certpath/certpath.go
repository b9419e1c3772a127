// Package certpath decides whether a certificate may be believed: it finds a
// path to a trust anchor and validates it as RFC 5280 §6.1 with the policy
// graph of RFC 9618 and the rules of S/MIME (RFC 8550), and it tells whether a
// certificate names a mail address (RFC 8550 §3, RFC 9598).
//
// Start with [Verify] and [Names]. Both are pure: certificates, trust anchors
// and the time come from the caller; nothing is fetched, cached or logged.
// Revocation is not looked at, package revocation does that for the chain that
// Verify returns.
//
// # What a trust anchor is
//
// A certificate in Options.Anchors is trusted as a name and a key, and its own
// signature is not looked at. The limits that it carries are kept all the
// same (RFC 5937): validity, basicConstraints, pathLenConstraint, keyUsage,
// extended key usage and name constraints. Whoever installs an anchor reads
// those limits in it, and an authority constrained to one domain must not gain
// the whole world by being installed. Its policies are not looked at: the
// anchor is no part of the path (RFC 5280 §6.1).
//
// An anchor may issue only when it says that it is an authority, unless it is
// a self-issued version 1 certificate, which cannot say so: a friend's
// certificate in a file of anchors does not become an authority. A
// leaf that is itself in Options.Anchors, byte for byte, is trusted for itself
// if it passes every check that a leaf has to pass.
package certpath

import (
	"errors"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// Limits on the work for one certificate. Whoever sends a message chooses the
// certificates in it, and must not choose how long they take (CVE-2026-32280,
// CVE-2025-58187).
const (
	// DefaultBudget is the number of signatures that are checked, where a
	// large RSA key counts for several.
	DefaultBudget = 1000
	// MaxDepth is the number of certificates in a path, leaf and anchor
	// included.
	MaxDepth = 32
	// maxSteps limits the issuers that are tried, signatures known or not.
	maxSteps = 20000
	// maxRefusals limits the paths that Options.Accept is asked about.
	maxRefusals = 16
	// maxIssuers is how often Options.Issuers is asked about one leaf.
	maxIssuers = 4
	// maxComparisons limits names times name constraints, all levels together.
	maxComparisons = 1 << 20
)

// MinRSABits is the size below which an RSA key is weak (RFC 8551 §4.1).
const MinRSABits = 2048

// Purpose is what the leaf is to be used for. Every authority above that names
// extended key usages must name it too.
type Purpose int

// The purposes. Email is the zero value.
const (
	Email        Purpose = iota // emailProtection, RFC 8550 §4.4.4
	ClientAuth                  // TLS client authentication
	TimeStamping                // RFC 3161 §2.3: critical and nothing else
	OCSPSigning                 // RFC 6960 §4.2.2.2: must be named
	AnyPurpose                  // extended key usage is not looked at
)

// Options say what to trust and what to ask for. Anchors or a Store are
// needed, and At; without them nothing verifies.
type Options struct {
	Anchors       []*cert.Certificate
	Intermediates []*cert.Certificate // hints, in any order; they lend no trust
	At            time.Time           // every certificate must be valid at this time
	Purpose       Purpose
	// KeyUsage asks the leaf for any of these bits; 0 asks for none.
	KeyUsage cert.KeyUsage
	// Store, if not nil, has further anchors.
	Store AnchorStore
	// Budget replaces DefaultBudget when it is not 0.
	Budget int
	// Known, if set, remembers signatures on certificates from call to call.
	Known *Known
	// Accept, if set, is asked about each path that is valid so far, leaf first.
	// Where it returns an error another path is looked for: one of two
	// certificates of an authority may be revoked, and the other not.
	Accept func(chain []*cert.Certificate) error

	// Issuers, if set, is asked when no path leads to an anchor: what it returns
	// for the leaf are further intermediates, which lend no trust either, one level
	// of authorities at a time. Whoever made the leaf may choose where it looks.
	Issuers func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate

	// The inputs of RFC 5280 §6.1.1 (c), (e), (f), (g). Policies is the set
	// that the user accepts, any when empty; it decides only where an explicit
	// policy is required, here or by an authority in the path.
	Policies             []oid.OID
	ExplicitPolicy       bool
	InhibitPolicyMapping bool
	InhibitAnyPolicy     bool
}

// AnchorStore has anchors that are looked up by name, so that a long list need
// not be parsed for one question.
type AnchorStore interface {
	// Named returns the anchors with that subject.
	Named(subject cert.Name) []*cert.Certificate
	// DistrustAfter tells of an anchor that has lost trust: below it, a leaf that
	// begins later is not believed. The zero time is for all others.
	DistrustAfter(anchor *cert.Certificate) time.Time
}

// Verify finds a valid path from leaf to one of the anchors and returns it,
// leaf first, anchor last. Otherwise err is an [*Error] with the reason that
// tells most: when there is a path with a single fault, that fault. Where every
// valid path was refused by Options.Accept, err is what it said of the first.
func Verify(leaf *cert.Certificate, o *Options) (chain []*cert.Certificate, err error) {
	if chain = o.recall(leaf); chain != nil {
		return chain, nil
	}
	s := newSearch(o)
	if chain, err = s.run(leaf); err == nil {
		s.remember(leaf, chain)
	}
	if o.Issuers == nil {
		return chain, err
	}
	with := *o
	for range maxIssuers {
		var missing *Error
		if !errors.As(err, &missing) || missing.Reason != NoPath {
			break
		}
		more := o.Issuers(leaf, slices.Concat(with.Intermediates, o.Anchors))
		if len(more) == 0 {
			break
		}
		with.Intermediates = slices.Concat(with.Intermediates, more)
		chain, err = newSearch(&with).run(leaf)
	}
	return chain, err
}

func newSearch(o *Options) *search {
	s := &search{
		o: o, budget: o.Budget, intermediates: distinct(o.Intermediates), namesakes: map[string]*namesake{},
		signatures: map[edge]*Error{}, candidates: map[*cert.Certificate][]candidate{},
	}
	if s.budget == 0 {
		s.budget = DefaultBudget
	}
	return s
}
