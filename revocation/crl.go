package revocation

import (
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// list is one revocation list that may tell of the certificate, with the
// certificate of its signer.
type list struct {
	*cert.CRL
	signer *cert.Certificate
}

// askLists asks every list that may tell of the certificate (RFC 5280 §6.3.3).
func (q *question) askLists(lists []*cert.CRL) {
	var complete, deltas []list
	looked := 0
	for _, l := range lists {
		if l == nil || !q.inCharge(l) {
			continue
		}
		q.concerned = true
		if looked++; looked > MaxLists {
			q.useless(fmt.Sprintf("more than %d lists", MaxLists))
			break
		}
		signer, why := q.signerOf(l)
		switch {
		case why != "":
			q.useless(why)
		case l.BaseNumber != nil:
			deltas = append(deltas, list{l, signer})
		default:
			complete = append(complete, list{l, signer})
		}
	}
	// A delta alone can say "revoked". Of its silence only its base knows what
	// it means.
	for _, d := range deltas {
		if q.defect(d.CRL) == "" {
			q.detail = "the list is a delta, and the complete list that it builds on is not here"
		}
		q.lookup(d.CRL)
	}
	for _, l := range complete {
		q.askList(l, deltas)
	}
}

// inCharge tells whether the certificate's issuer leaves it to that list to
// tell of it: its own lists, and indirect ones whose issuer the certificate
// names (RFC 5280 §6.3.3 (b) (1)).
func (q *question) inCharge(l *cert.CRL) bool {
	return l.Issuer.Equal(q.certificate.Issuer) || indirect(l) && delegatesTo(q.certificate, l.Issuer)
}

func indirect(l *cert.CRL) bool {
	return l.IssuingDistributionPoint != nil && l.IssuingDistributionPoint.IndirectCRL
}

// delegatesTo tells whether a distribution point of c names issuer as
// cRLIssuer.
func delegatesTo(c *cert.Certificate, issuer cert.Name) bool {
	for _, p := range c.DistributionPoints {
		if hasDirectory(p.CRLIssuer, issuer) {
			return true
		}
	}
	return false
}

// askList asks a complete list, with the newest delta that fits it.
func (q *question) askList(l list, deltas []list) {
	reasons := q.scope(l.CRL)
	delta := q.deltaFor(l, deltas)
	asOf := l.ThisUpdate
	if delta != nil {
		asOf = delta.ThisUpdate
	}
	switch counted := q.lookupWith(l.CRL, delta); {
	case counted == outOfTime:
		q.useless("the list names it with a later date")
		return
	case counted == named:
		return
	}
	why := q.defect(l.CRL)
	switch {
	case why != "":
	case delta != nil:
		// RFC 5280 §5.2.4: both together are as fresh as the delta.
		why = q.freshList(delta)
	default:
		why = q.freshList(l.CRL)
	}
	if why == "" && reasons == 0 {
		why = "the list is about other certificates"
	}
	if why != "" {
		q.useless(why)
		return
	}
	q.covers(reasons, asOf)
	q.use(Evidence{CRLs: []*cert.CRL{l.CRL}})
	if delta != nil {
		q.use(Evidence{CRLs: []*cert.CRL{delta}})
	}
	if reasons != allReasons {
		q.detail = "" // of use, but not enough
	}
}

// listed is what a list says of the certificate.
type listed int

const (
	silent    listed = iota
	named            // revoked at the time asked about
	outOfTime        // revoked, but not yet at the time asked about, which nobody proves
)

// lookup looks for the certificate in one list.
func (q *question) lookup(l *cert.CRL) listed { return q.lookupWith(l, nil) }

// lookupWith looks for the certificate in the delta first and then in the
// complete list (RFC 5280 §6.3.3 (i) to (k)).
func (q *question) lookupWith(l, delta *cert.CRL) listed {
	if idp := l.IssuingDistributionPoint; idp != nil && idp.OnlyContainsAttributeCerts {
		return silent // its serial numbers are those of attribute certificates
	}
	e, is := l.Lookup(q.certificate.Issuer, q.certificate.Serial)
	said := l.ThisUpdate
	if delta != nil {
		changed, changes := delta.Lookup(q.certificate.Issuer, q.certificate.Serial)
		switch {
		case changes && changed.Reason != cert.RemoveFromCRL:
			e, is, said = changed, true, delta.ThisUpdate
		case is && e.Reason != cert.CertificateHold:
			// RFC 5280 §5.3.1: nothing but a hold can be lifted.
		case changes:
			return silent
		case is:
			said = delta.ThisUpdate // the hold goes on
		}
	}
	switch {
	case !is:
		return silent
	case e.Reason == cert.RemoveFromCRL:
		if l.BaseNumber == nil {
			return outOfTime // it has no meaning in a complete list
		}
		return silent
	case q.counts(&e, said):
		q.found(e, said)
		q.use(Evidence{CRLs: []*cert.CRL{l}})
		return named
	case q.o.Proven:
		return silent
	}
	return outOfTime
}

// deltaFor returns the newest delta list that may be combined with the complete
// list (RFC 5280 §5.2.4, §6.3.3 (c)).
func (q *question) deltaFor(l list, deltas []list) (newest *cert.CRL) {
	for _, d := range deltas {
		if !combine(l, d) || q.defect(d.CRL) != "" || q.freshList(d.CRL) != "" {
			continue
		}
		if newest == nil || d.Number.Cmp(newest.Number) > 0 {
			newest = d.CRL
		}
	}
	return newest
}

// combine tells whether a delta list tells of the changes to this complete one:
// of the same issuer, by the same key, of the same scope, and beginning with a
// list that is not newer.
func combine(l, d list) bool {
	return l.Number != nil && d.Number != nil && l.Issuer.Equal(d.Issuer) && l.signer.Equal(d.signer) && sameScope(l.CRL, d.CRL) &&
		d.BaseNumber.Cmp(l.Number) <= 0 && d.Number.Cmp(l.Number) > 0
}

func sameScope(a, b *cert.CRL) bool {
	value := func(l *cert.CRL) string {
		for _, e := range l.Extensions {
			if e.ID == oid.ExtIssuingDistributionPoint {
				return "+" + string(e.Value)
			}
		}
		return ""
	}
	return value(a) == value(b)
}

// defect tells why a list proves nothing by its silence, whatever the time, or
// is empty.
func (q *question) defect(l *cert.CRL) (why string) {
	critical := unknownCritical(l.Extensions, oid.ExtAuthorityKeyID, oid.ExtCRLNumber, oid.ExtDeltaCRLIndicator,
		oid.ExtIssuingDistributionPoint, oid.ExtIssuerAltName, oid.ExtFreshestCRL)
	switch {
	case len(l.Defects) > 0:
		return "the list is malformed: " + l.Defects[0].Error()
	case critical != "":
		return "the list has the unknown critical extension " + critical
	case l.UnknownCriticalEntry:
		return "the list has an entry with an unknown critical extension"
	case weak(l.SignatureAlgorithm):
		return "the list is signed with a weak digest"
	case l.NextUpdate.IsZero():
		return "the list does not say when the next one comes"
	}
	return ""
}

func (q *question) freshList(l *cert.CRL) (why string) {
	return q.fresh("the list", l.ThisUpdate, l.NextUpdate, l.ExpiredCertsSince)
}
