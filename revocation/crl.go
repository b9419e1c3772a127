package revocation

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// question is one certificate and what has been learned about it.
type question struct {
	certificate *cert.Certificate
	issuers     []*cert.Certificate
	at          time.Time

	concerned bool             // a list bears the issuer's name
	covered   cert.ReasonFlags // reasons that usable lists have answered for
	hold      *cert.Entry      // a hold, which a usable list may have lifted
	detail    string           // why the last list was of no use
}

// allReasons are the reasons that a list can be limited to (RFC 5280
// §4.2.1.13): bits 1 to 8.
const allReasons cert.ReasonFlags = 0x1fe

// ask returns nil for good.
func (q *question) ask(lists []*cert.CRL) *Error {
	asked := 0
	for _, l := range lists {
		if l == nil || !l.Issuer.Equal(q.certificate.Issuer) {
			continue
		}
		q.concerned = true
		if asked++; asked > MaxLists {
			q.detail = fmt.Sprintf("more than %d lists", MaxLists)
			break
		}
		if revoked := q.askList(l); revoked != nil {
			return revoked
		}
	}
	switch {
	case q.covered == allReasons:
		return nil
	case q.hold != nil:
		return q.revoked(*q.hold)
	case !q.concerned:
		return q.unknown("no list of its issuer " + q.certificate.Issuer.String())
	case q.detail == "":
		return q.unknown("the lists do not cover all reasons")
	}
	return q.unknown(q.detail)
}

// askList asks one list that bears the issuer's name.
func (q *question) askList(l *cert.CRL) *Error {
	if why := q.authentic(l); why != "" {
		q.detail = why
		return nil
	}
	usable := q.usable(l)
	entry, listed := l.Lookup(q.certificate.Issuer, q.certificate.Serial)
	if listed && entry.Reason != cert.RemoveFromCRL && (!entry.RevokedAt.After(q.at) || !l.ThisUpdate.After(q.at)) {
		if entry.Reason != cert.CertificateHold || usable == "" {
			return q.revoked(entry)
		}
		q.hold = &entry // a fresh list may know that it was lifted
	}
	switch {
	case usable != "":
		q.detail = usable
	case !listed:
		q.covered |= q.scope(l)
		if q.covered&allReasons != allReasons {
			q.detail = "the lists do not cover all reasons"
		}
	default:
		q.detail = "the list names it with a later date"
	}
	return nil
}

func (q *question) revoked(e cert.Entry) *Error {
	return &Error{Status: Revoked, Certificate: q.certificate, At: e.RevokedAt, InvalidityDate: e.InvalidityDate, Reason: e.Reason}
}

func (q *question) unknown(detail string) *Error {
	return &Error{Status: Unknown, Certificate: q.certificate, Detail: detail}
}

// authentic checks who signed the list (RFC 5280 §6.3.3 (f), (g)), and says
// why it is not to be believed at all.
func (q *question) authentic(l *cert.CRL) (why string) {
	why = "the list's issuer is not in the path"
	for _, issuer := range q.issuers {
		if !issuer.Subject.Equal(l.Issuer) {
			continue
		}
		if !issuer.Allows(cert.KeyUsageCRLSign) {
			why = "its issuer's keyUsage has no cRLSign"
			continue
		}
		err := l.CheckSignatureFrom(issuer)
		if err == nil {
			return ""
		}
		why = "the list: " + err.Error()
	}
	return why
}

// usable tells why absence from the list proves nothing, or is empty.
func (q *question) usable(l *cert.CRL) (why string) {
	idp := l.IssuingDistributionPoint
	switch {
	case len(l.Defects) > 0:
		return "the list is malformed: " + l.Defects[0].Error()
	case unknownCritical(l) != "":
		return "the list has the unknown critical extension " + unknownCritical(l)
	case l.BaseNumber != nil:
		return "the list is a delta"
	case weak(l):
		return "the list is signed with a weak digest"
	case l.NextUpdate.IsZero():
		return "the list does not say when the next one comes"
	case l.ThisUpdate.After(q.at):
		return "the list is from " + l.ThisUpdate.Format(time.RFC3339) + ", later than the time asked about"
	case l.NextUpdate.Before(q.at):
		return "the list is out of date since " + l.NextUpdate.Format(time.RFC3339)
	case l.ThisUpdate.After(q.certificate.NotAfter):
		// RFC 5280 §3.3: an entry may go once the certificate has ended.
		return "the list was made after the certificate had ended"
	case idp != nil && q.outOfScope(idp):
		return "the list is about other certificates"
	}
	return ""
}

func unknownCritical(l *cert.CRL) string {
	for _, e := range l.Extensions {
		switch e.ID {
		case oid.ExtAuthorityKeyID, oid.ExtCRLNumber, oid.ExtDeltaCRLIndicator, oid.ExtIssuingDistributionPoint, oid.ExtIssuerAltName:
		default:
			if e.Critical {
				return e.ID.Name()
			}
		}
	}
	return ""
}

func weak(l *cert.CRL) bool {
	scheme, err := signature.Read(l.SignatureAlgorithm, oid.AlgorithmIdentifier{})
	return err == nil && scheme.Weak()
}

// outOfScope: RFC 5280 §6.3.3 (b) (2).
func (q *question) outOfScope(idp *cert.IssuingDistributionPoint) bool {
	ca := q.certificate.BasicConstraints.CA
	if idp.OnlyContainsAttributeCerts || idp.OnlyContainsUserCerts && ca || idp.OnlyContainsCACerts && !ca {
		return true
	}
	if idp.FullName == nil && idp.RelativeName == nil {
		return false
	}
	return !slices.ContainsFunc(q.certificate.DistributionPoints, func(p cert.DistributionPoint) bool {
		return names(idp, p)
	})
}

// names tells whether the list's distribution point is one of the
// certificate's. Names relative to the issuer are not compared: such a list is
// out of scope and its silence proves nothing.
func names(idp *cert.IssuingDistributionPoint, p cert.DistributionPoint) bool {
	for _, a := range idp.FullName {
		for _, b := range append(slices.Clip(p.FullName), directoryOnly(p)...) {
			if a.Kind == b.Kind && (a.Kind == cert.URI && a.Text == b.Text ||
				a.Kind == cert.DirectoryName && a.Directory.Equal(b.Directory)) {
				return true
			}
		}
	}
	return false
}

// directoryOnly: a distribution point without a name is found by its
// cRLIssuer.
func directoryOnly(p cert.DistributionPoint) cert.GeneralNames {
	if p.FullName == nil && p.RelativeName == nil {
		return p.CRLIssuer
	}
	return nil
}

// scope returns the reasons that the list answers for: those it is limited to,
// where the certificate's distribution point for it is not limited further
// (RFC 5280 §6.3.3 (d)).
func (q *question) scope(l *cert.CRL) cert.ReasonFlags {
	reasons := allReasons
	idp := l.IssuingDistributionPoint
	if idp == nil {
		return reasons
	}
	if idp.OnlySomeReasons != 0 {
		reasons &= idp.OnlySomeReasons
	}
	if idp.FullName == nil {
		return reasons
	}
	var points cert.ReasonFlags
	for _, p := range q.certificate.DistributionPoints {
		if names(idp, p) {
			if p.Reasons == 0 {
				return reasons
			}
			points |= p.Reasons
		}
	}
	return reasons & points
}
