package cades

import (
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/revocation"
)

// Proof is what timestamps prove about one signature.
type Proof struct {
	// Time is when the signature existed at the latest, by the earliest
	// timestamp that can be believed; zero when there is none.
	Time time.Time
	// Timestamps are the signature's (§5.3), Archive those of §5.5.3, both in
	// the order of the message.
	Timestamps, Archive []*Stamp

	options *Options
	signer  *cms.SignerResult
	message *cms.SignedReader
}

// Stamp is a timestamp and what it is worth.
type Stamp struct {
	*cms.Timestamp
	// Token is the time-stamp token in DER.
	Token []byte
	// Judged is the time for which the authority is judged: that of the
	// judgement, or the earlier one at which another timestamp proves that this
	// one was there.
	Judged time.Time
	// Chain leads from the authority's certificate to the anchor; nil when the
	// timestamp is not believed, and then Why says why.
	Chain []*cert.Certificate
	Why   error

	archive *cms.ArchiveTimestamp // nil for a signature's timestamp
}

// Trusted tells whether the timestamp is believed.
func (s *Stamp) Trusted() bool { return s.Chain != nil }

// Existed is the time since which, at the latest, what was stamped existed: the
// authority's clock, as late as its error allows.
func (s *Stamp) Existed() time.Time { return s.Time.Add(s.Accuracy) }

// Archives returns what a stamp covers beside the signature; nil for one that
// is no archive timestamp.
func (s *Stamp) Archives() *cms.ArchiveTimestamp { return s.archive }

func (s *Stamp) attribute() cms.OID {
	if s.archive != nil {
		return oid.AttrArchiveTimestampV3
	}
	return oid.AttrTimeStampToken
}

// Prove judges the timestamps of r, a signer of s, which was read to its end.
//
// A timestamp is believed when its authority is good at the time of the
// judgement; or was good at an earlier time at which it existed already, which
// an archive timestamp around it proves, being believed itself. So a chain of
// archive timestamps, each renewed while the one before was good, carries the
// proof on for as long as the last one is good.
func Prove(r *cms.SignerResult, s *cms.SignedReader, o *Options) *Proof {
	p := &Proof{options: o, signer: r, message: s}
	for i, token := range r.UnsignedAttrs.Values(oid.AttrTimeStampToken) {
		if i < len(r.Timestamps) {
			p.Timestamps = append(p.Timestamps, &Stamp{Timestamp: r.Timestamps[i], Token: token})
		}
	}
	for i, token := range r.UnsignedAttrs.Values(oid.AttrArchiveTimestampV3) {
		if i < len(r.ArchiveTimestamps) {
			a := r.ArchiveTimestamps[i]
			p.Archive = append(p.Archive, &Stamp{Timestamp: a.Timestamp, Token: token, archive: a})
		}
	}
	budget := o.Budget
	if budget == 0 {
		budget = certpath.DefaultBudget
	}
	for n, stamp := range p.outermostFirst() {
		p.judge(stamp, max(budget>>n, minBudget))
		if stamp.Trusted() && (p.Time.IsZero() || stamp.Existed().Before(p.Time)) {
			p.Time = stamp.Existed()
		}
	}
	return p
}

// outermostFirst orders the stamps so that those that cover one come before it.
func (p *Proof) outermostFirst() (out []*Stamp) {
	left := append(append([]*Stamp{}, p.Archive...), p.Timestamps...)
	covers := map[[2]int]bool{}
	for i, a := range left {
		for j, b := range left {
			covers[[2]int{i, j}] = i != j && a.Covers(b)
		}
	}
	done := make([]bool, len(left))
	free := func(j int) bool {
		for i := range left {
			if !done[i] && covers[[2]int{i, j}] {
				return false
			}
		}
		return true
	}
	for len(out) < len(left) {
		before := len(out)
		for j, b := range left {
			if !done[j] && free(j) {
				done[j] = true
				out = append(out, b)
			}
		}
		if len(out) == before { // each covers the other: no digest allows it
			return out
		}
	}
	return out
}

// Covers tells whether an archive timestamp is over another timestamp of the same
// signature.
func (s *Stamp) Covers(other *Stamp) bool {
	return s.archive != nil && s.archive.CoversUnsigned(other.attribute(), other.Token)
}

// JudgeTimestamp judges a timestamp that belongs to a message and is not in it: its
// authority must be good at Options.At, or at an earlier time at which the timestamp
// is proven to have existed. What s brings of certificates and lists counts as it
// does for the message's own timestamps.
func JudgeTimestamp(t *cms.Timestamp, token []byte, at time.Time, s *cms.SignedReader, o *Options) *Stamp {
	stamp := &Stamp{Timestamp: t, Token: token, Judged: at}
	budget := o.Budget
	if budget == 0 {
		budget = certpath.DefaultBudget
	}
	p := &Proof{options: o, message: s}
	p.judgeAuthority(stamp, budget)
	return stamp
}

// judge decides about a stamp, those that cover it having been judged.
func (p *Proof) judge(s *Stamp, budget int) {
	s.Judged = p.options.At
	for _, a := range p.Archive {
		if a != s && a.Trusted() && a.Covers(s) && a.Existed().Before(s.Judged) {
			s.Judged = a.Existed()
		}
	}
	p.judgeAuthority(s, budget)
}

// judgeAuthority decides about a stamp whose authority must be good at Judged.
func (p *Proof) judgeAuthority(s *Stamp, budget int) {
	switch {
	case s.Err != nil:
		s.Why = s.Err
	case s.Weak:
		s.Why = errors.New("a timestamp with a weak digest can be forged")
	case s.Existed().After(s.Judged.Add(maxSkew)):
		s.Why = fmt.Errorf("the timestamp is of %s, later than %s", s.Existed().Format(time.RFC3339), s.Judged.Format(time.RFC3339))
	default:
		hints := append(append([]*cert.Certificate{}, s.Certificates...), p.message.Certificates()...)
		chain, err := p.options.path(s.Signer.Certificate, certpath.TimeStamping, s.Judged, hints, budget)
		if err == nil {
			err = p.revokedAuthority(s, chain)
		}
		if s.Why = err; err == nil {
			s.Chain = chain
		}
	}
}

// revokedAuthority tells why a revocation makes a timestamp worthless. One that
// came after the proven time for which the authority is judged does not; nor does
// one that came after the timestamp, for a reason that leaves the key safe
// (RFC 3161 §4, items 1 and 2; where no reason is given, the timestamp is lost).
// A source that was asked in vain leaves open whether the key is safe.
func (p *Proof) revokedAuthority(s *Stamp, chain []*cert.Certificate) error {
	status, err := p.options.check(chain, p.options.Evidence, p.embedded(chain), s.Judged, nil)
	var e *revocation.Error
	if !errors.As(err, &e) {
		return nil
	}
	if status != revocation.Revoked {
		if e.Asked {
			return e
		}
		return nil
	}
	harmless := e.Reason == cert.AffiliationChanged || e.Reason == cert.Superseded || e.Reason == cert.CessationOfOperation
	if harmless && e.Certificate.Equal(chain[0]) && e.At.After(s.Existed()) && e.InvalidityDate.IsZero() {
		return nil
	}
	return e
}

// Signer is the signature that the proof is about.
func (p *Proof) Signer() *cms.SignerResult { return p.signer }
