package cades

import (
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/revocation"
)

// check asks about the revocation of a chain, at a time that is proven when it
// lies before the judgement. What the message brought and was made at a proven time
// or later was kept for this. What is older was chosen by whoever made the message,
// though it was fresh then: the sources are asked all the same, as they are about the
// present.
func (o *Options) check(chain []*cert.Certificate, e, brought revocation.Evidence, at time.Time, used *revocation.Evidence) (revocation.Status, error) {
	e.Certificates = append(slices.Clip(e.Certificates), o.Intermediates...)
	if at.Before(o.At) {
		var kept revocation.Evidence
		kept, brought = split(brought, at)
		e = join(e, kept)
	}
	return revocation.Check(chain, &revocation.Options{
		Evidence: e, Brought: brought, Fetcher: o.Fetcher, At: at, Proven: at.Before(o.At), Now: o.now(), Used: used,
	})
}

// split parts what was made at a time or later from what is older.
func split(e revocation.Evidence, at time.Time) (later, older revocation.Evidence) {
	later.Certificates = e.Certificates
	for _, l := range e.CRLs {
		if l.ThisUpdate.Before(at) {
			older.CRLs = append(older.CRLs, l)
		} else {
			later.CRLs = append(later.CRLs, l)
		}
	}
	for _, r := range e.Responses {
		if r.Basic != nil && slices.ContainsFunc(r.Basic.Answers, func(a cert.OCSPAnswer) bool { return a.ThisUpdate.Before(at) }) {
			older.Responses = append(older.Responses, r)
		} else {
			later.Responses = append(later.Responses, r)
		}
	}
	return later, older
}

// now is when the judgement is made: nothing later is believed.
func (o *Options) now() time.Time {
	if o.Now.After(o.At) {
		return o.Now
	}
	return o.At
}

// join puts what there is to ask together.
func join(a, b revocation.Evidence) revocation.Evidence {
	return revocation.Evidence{
		CRLs:         slices.Concat(a.CRLs, b.CRLs),
		Responses:    slices.Concat(a.Responses, b.Responses),
		Certificates: slices.Concat(a.Certificates, b.Certificates),
	}
}

// since leaves out what tells of the first certificate of a chain and was made
// before a time.
func since(e revocation.Evidence, chain []*cert.Certificate, at time.Time) revocation.Evidence {
	before := func(r *cert.OCSPResponse) bool {
		return r.Basic != nil && slices.ContainsFunc(r.Basic.Answers, func(a cert.OCSPAnswer) bool {
			return a.ThisUpdate.Before(at) && len(chain) > 1 && a.CertID.Matches(chain[0], chain[1])
		})
	}
	return revocation.Evidence{
		CRLs: slices.DeleteFunc(slices.Clone(e.CRLs), func(l *cert.CRL) bool {
			return l.ThisUpdate.Before(at) && tellsOf(l, chain[0])
		}),
		Responses:    slices.DeleteFunc(slices.Clone(e.Responses), before),
		Certificates: e.Certificates,
	}
}

// tellsOf tells whether a list may be about c: one of its issuer's, or an
// indirect one.
func tellsOf(l *cert.CRL, c *cert.Certificate) bool {
	return l.Issuer.Equal(c.Issuer) || l.IssuingDistributionPoint != nil && l.IssuingDistributionPoint.IndirectCRL
}

// embedded is what the message brings about a chain and can be believed: a
// trusted archive timestamp is over it, or the authorities of the chain are still
// in force, so that nobody else has their keys yet. What cannot be read is
// nothing.
func (p *Proof) embedded(chain []*cert.Certificate) revocation.Evidence {
	inForce := !slices.ContainsFunc(chain[min(1, len(chain)):], func(c *cert.Certificate) bool { return c.NotAfter.Before(p.options.At) })
	e := revocation.Evidence{Certificates: p.message.Certificates()}
	for _, der := range p.message.CRLs() {
		if l, err := cert.ParseCRL(der); err == nil && (inForce || p.archived(func(s *Stamp) bool { return s.archive.CoversCRL(der) })) {
			e.CRLs = append(e.CRLs, l)
		}
	}
	for _, der := range p.message.OCSPResponses() {
		r, err := cert.ParseOCSPResponse(der)
		if err == nil && (inForce || p.archived(func(s *Stamp) bool { return s.archive.CoversOCSPResponse(der) })) {
			e.Responses = append(e.Responses, r)
		}
	}
	return e
}

// archived tells whether a trusted archive timestamp covers something.
func (p *Proof) archived(covers func(*Stamp) bool) bool {
	return slices.ContainsFunc(p.Archive, func(s *Stamp) bool { return s.Trusted() && covers(s) })
}

// Revocation tells what is known about the revocation of the certificates of
// chain, the signer's, at the proven time, of which there must be one. What the
// caller has counts, and what the message brings, if it was made when the
// signature existed already: whoever made the message could have chosen an old
// list. One that says "revoked" is believed whatever its age.
func (p *Proof) Revocation(chain []*cert.Certificate) (revocation.Status, error) {
	return p.standing(chain, p.options.Evidence, p.embedded(chain), p.Time)
}

// standing asks everything whether it knows of a revocation, and then what may
// say "good".
func (p *Proof) standing(chain []*cert.Certificate, given, embedded revocation.Evidence, at time.Time) (revocation.Status, error) {
	offline := *p.options
	offline.Fetcher = nil
	if status, err := offline.check(chain, given, embedded, at, nil); status == revocation.Revoked {
		return status, err
	}
	return p.options.check(chain, given, since(embedded, chain, at), at, nil)
}
