// Package cades judges and raises signatures that are to last: CMS advanced
// electronic signatures, CAdES (ETSI EN 319 122-1 V1.3.1, which grew out of
// RFC 5126).
//
// # The levels
//
// A signature of level B-B names its maker's certificate and its time among the
// signed attributes. B-T adds a timestamp that proves when it existed. B-LT adds
// every certificate and every revocation list or response that it takes to
// verify it without a network, and B-LTA puts an archive timestamp over all of
// that, to be renewed before the algorithms or certificates of the last one give
// out. docs/evidence.md goes through the standard clause by clause.
//
// # Where to start
//
// [Prove] says since when a signature has existed, going from the outermost
// archive timestamp, which must be good now, inwards to those that it protects,
// which only had to be good then. [Assess] says which level a signature has and
// what lacks to the next. [Raise] adds what lacks.
//
// # What it does not do
//
// Nothing is fetched, and no clock is read: certificates, revocation lists, the
// time and the way to a timestamp authority are arguments. The older archive
// timestamps of ETSI TS 101 733 (version 2 and before) are not read, and make no
// signature better or worse.
package cades

import (
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/revocation"
)

// Level is a baseline level (EN 319 122-1 §6.1).
type Level int

// The levels. Each has all that those before it have.
const (
	None Level = iota // not even B-B: a signature, but none of CAdES
	BB
	BT
	BLT
	BLTA
)

// String returns the standard's name of the level.
func (l Level) String() string {
	switch l {
	case BB:
		return "CAdES-B-B"
	case BT:
		return "CAdES-B-T"
	case BLT:
		return "CAdES-B-LT"
	case BLTA:
		return "CAdES-B-LTA"
	}
	return "none"
}

// Options say what to trust.
type Options struct {
	Anchors, Intermediates []*cert.Certificate
	// TimestampAnchors are further ones for timestamps, not for signers, and Store
	// has further ones for signers, not for timestamps.
	TimestampAnchors []*cert.Certificate
	Store            certpath.AnchorStore
	// Issuers, if not nil, is asked for certificates of authorities that are
	// missing; see [certpath.Options].
	Issuers func(leaf *cert.Certificate, known []*cert.Certificate) []*cert.Certificate
	// Evidence is revocation information that the caller has, beside what the
	// message brings; Fetcher, if not nil, gets more.
	Evidence revocation.Evidence
	Fetcher  revocation.Fetcher
	// At is the time of the judgement. It must be set. Now is when it is made;
	// the zero value stands for At.
	At, Now time.Time
	// Purpose is what signers' certificates must be for; timestamps' are for
	// timestamping.
	Purpose certpath.Purpose
	// Budget bounds the work for one path; 0 stands for certpath's default.
	Budget int
}

// maxSkew is how far ahead of At a timestamp may be: two clocks differ.
const maxSkew = 55 * time.Minute

// minBudget is enough for a path without any detour.
const minBudget = 20

// path finds the way from c to an anchor at a time.
func (o *Options) path(c *cert.Certificate, purpose certpath.Purpose, at time.Time, hints []*cert.Certificate, budget int) ([]*cert.Certificate, error) {
	po := &certpath.Options{
		Anchors: o.Anchors, Intermediates: append(append([]*cert.Certificate{}, o.Intermediates...), hints...),
		At: at, Purpose: purpose, Budget: budget, Issuers: o.Issuers,
	}
	if purpose == certpath.TimeStamping {
		po.Anchors = append(append([]*cert.Certificate{}, o.Anchors...), o.TimestampAnchors...)
	} else {
		po.Store = o.Store
		po.KeyUsage = cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment
	}
	return certpath.Verify(c, po)
}
