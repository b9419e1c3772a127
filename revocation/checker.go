package revocation

import (
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// checker is the work for one chain.
type checker struct {
	o        *Options
	now      time.Time
	chain    []*cert.Certificate
	evidence Evidence // that of the options and what was fetched

	asking     []*cert.Certificate // those that are being asked about, the innermost last
	answers    map[*cert.Certificate]*answer
	fetched    map[*cert.Certificate]bool
	paths      map[pathQuestion][]*cert.Certificate
	signatures map[signedBy]error
	budget     int // signature checks that are left
}

// answer is what came out about one certificate.
type answer struct {
	status    Status
	err       *Error // nil for Good and NotChecked
	concerned bool   // something bears on it: evidence, or a source that was asked
}

func newChecker(chain []*cert.Certificate, o *Options) *checker {
	k := &checker{
		o: o, now: o.Now, chain: chain,
		answers: map[*cert.Certificate]*answer{}, fetched: map[*cert.Certificate]bool{},
		paths: map[pathQuestion][]*cert.Certificate{}, signatures: map[signedBy]error{}, budget: maxSignatures,
	}
	if k.now.Before(o.At) {
		k.now = o.At
	}
	k.evidence.add(o.Evidence)
	k.evidence.Certificates = append(k.evidence.Certificates, o.Brought.Certificates...)
	return k
}

// ask asks about path[0], which is issued by path[1]; the path ends at the
// anchor.
func (k *checker) ask(path []*cert.Certificate) *answer {
	c := path[0]
	if known := k.answers[c]; known != nil {
		return known
	}
	k.asking = append(k.asking, c)
	a, circular := k.find(path)
	k.asking = k.asking[:len(k.asking)-1]
	if !circular || len(k.asking) == 0 {
		k.answers[c] = a
	}
	return a
}

// find looks into the evidence, and where that has no answer asks the sources
// that the certificate names. What was brought counts as far as it says
// "revoked", or as there is nobody to ask. circular says that the answer would
// be another one if something else were being asked about.
func (k *checker) find(path []*cert.Certificate) (a *answer, circular bool) {
	all := k.question(path, k.o.Brought)
	if all.answer().status == Revoked || k.o.Fetcher == nil || !namesSource(path[0]) {
		return all.answer(), all.circular
	}
	q := k.question(path, Evidence{})
	if c := path[0]; !q.answered() && !k.fetched[c] {
		k.fetched[c] = true
		_, err := k.o.Fetcher.Fetch(c, path[1], func(e Evidence) bool {
			k.evidence.add(e)
			q = k.question(path, Evidence{})
			return q.answered()
		})
		q.fetched(err)
	}
	return q.answer(), q.circular
}

// namesSource tells whether a certificate says where to ask.
func namesSource(c *cert.Certificate) bool {
	return len(c.OCSPServer) > 0 || len(c.DistributionPoints) > 0
}

// noRevAvail tells whether the issuer says that there will never be anything to
// ask (RFC 9608 §2). An authority must not say so, nor one that names a source
// all the same; from those it is not heard.
func noRevAvail(c *cert.Certificate) bool {
	_, present := c.Extension(oid.ExtNoRevAvail)
	return present && !c.BasicConstraints.CA && !namesSource(c) && c.FreshestCRL == nil
}

// isAsking tells whether a question about c is open.
func (k *checker) isAsking(c *cert.Certificate) bool { return slices.Contains(k.asking, c) }

// use records what an answer rests on.
func (k *checker) use(e Evidence) {
	u := k.o.Used
	if u == nil {
		return
	}
	for _, l := range e.CRLs {
		if !slices.Contains(u.CRLs, l) {
			u.CRLs = append(u.CRLs, l)
		}
	}
	for _, r := range e.Responses {
		if !slices.Contains(u.Responses, r) {
			u.Responses = append(u.Responses, r)
		}
	}
	for _, c := range e.Certificates {
		if !slices.ContainsFunc(u.Certificates, c.Equal) {
			u.Certificates = append(u.Certificates, c)
		}
	}
}
