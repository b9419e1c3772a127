package revocation

import (
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/signature"
)

// question is one certificate and what has been learned about it.
type question struct {
	*checker
	certificate *cert.Certificate
	above       []*cert.Certificate // its issuer first, the anchor last

	revoked   *cert.Entry      // final
	hold      *cert.Entry      // may have been lifted since heldAt
	heldAt    time.Time        // when hold was said
	covered   cert.ReasonFlags // reasons for which something fresh says that there is no revocation
	coveredAt time.Time        // when that was said last of certificateHold
	concerned bool             // something bears on the certificate
	circular  bool             // something was left out because it is being asked about itself
	asked     bool             // a source was asked in vain
	detail    string           // why the last thing looked at was of no use
}

// allReasons are the reasons that a list can be limited to (RFC 5280
// §4.2.1.13): bits 1 to 8. holdReason is certificateHold among them.
const (
	allReasons cert.ReasonFlags = 0x1fe
	holdReason cert.ReasonFlags = 1 << 6
)

// question looks through the evidence and then through what was brought.
func (k *checker) question(path []*cert.Certificate, brought Evidence) *question {
	q := &question{checker: k, certificate: path[0], above: path[1:]}
	q.askResponses(slices.Concat(k.evidence.Responses, brought.Responses))
	q.askLists(slices.Concat(k.evidence.CRLs, brought.CRLs))
	return q
}

// answered tells whether the evidence settles the question.
func (q *question) answered() bool { s := q.answer().status; return s == Good || s == Revoked }

// answer sums up.
func (q *question) answer() *answer {
	a := &answer{concerned: q.concerned}
	held := q.hold != nil && !q.heldAt.Before(q.coveredAt)
	switch {
	case q.revoked != nil:
		return q.isRevoked(q.revoked)
	case held:
		return q.isRevoked(q.hold)
	case q.covered == allReasons:
		a.status = Good
	case noRevAvail(q.certificate):
		a.status, a.concerned = Good, true
	case !q.concerned && !q.o.Every && q.o.nothing():
		a.status = NotChecked
	default:
		a.status = Unknown
		a.err = &Error{Status: Unknown, Certificate: q.certificate, Detail: q.why(), Asked: q.asked}
	}
	return a
}

func (q *question) isRevoked(e *cert.Entry) *answer {
	return &answer{status: Revoked, concerned: true, err: &Error{
		Status: Revoked, Certificate: q.certificate, At: e.RevokedAt, InvalidityDate: e.InvalidityDate, Reason: e.Reason,
	}}
}

func (q *question) why() string {
	switch {
	case q.detail != "":
		return q.detail
	case q.concerned:
		return "the lists do not cover all reasons"
	}
	return "no list of its issuer " + q.certificate.Issuer.String()
}

// fetched notes that the sources were asked.
func (q *question) fetched(err error) {
	q.concerned, q.asked = true, true
	if err != nil && !q.answered() {
		q.detail = err.Error()
	}
}

// useless notes why something that bears on the certificate does not help.
func (q *question) useless(why string) {
	q.concerned = true
	q.detail = why
}

// found takes a statement that the certificate is revoked, made at said. It is
// believed however old it is; but a hold may be lifted by something newer.
func (q *question) found(e cert.Entry, said time.Time) {
	q.concerned = true
	if e.Reason != cert.CertificateHold {
		if q.revoked == nil || e.RevokedAt.Before(q.revoked.RevokedAt) {
			q.revoked = &e
		}
		return
	}
	if q.hold == nil || said.After(q.heldAt) {
		q.hold, q.heldAt = &e, said
	}
}

// counts tells whether a revocation bears on the time asked about. A
// certificate that was revoked only after a proven time was good then, unless
// its key was out of its holder's hands already (RFC 5280 §5.3.2). Without
// proof every revocation counts that was known when the question is asked for.
func (q *question) counts(e *cert.Entry, said time.Time) bool {
	if !e.RevokedAt.After(q.o.At) || !e.InvalidityDate.IsZero() && !e.InvalidityDate.After(q.o.At) {
		return true
	}
	return !q.o.Proven && !said.After(q.o.At)
}

// covers takes a statement, made at said, that there is no revocation for these
// reasons.
func (q *question) covers(reasons cert.ReasonFlags, said time.Time) {
	q.concerned = true
	q.covered |= reasons & allReasons
	if reasons&holdReason != 0 && said.After(q.coveredAt) {
		q.coveredAt = said
	}
}

// fresh tells why something with these dates does not answer for the time asked
// about, or is empty. keeps is since when ended certificates are kept in it;
// zero when they may be dropped.
func (q *question) fresh(what string, thisUpdate, nextUpdate, keeps time.Time) (why string) {
	switch {
	case thisUpdate.After(q.now.Add(Skew)):
		return what + " is from " + thisUpdate.Format(time.RFC3339) + ", later than the time asked about"
	case nextUpdate.Before(q.o.At):
		return what + " is out of date since " + nextUpdate.Format(time.RFC3339)
	case thisUpdate.After(q.certificate.NotAfter) && (keeps.IsZero() || keeps.After(q.certificate.NotAfter)):
		// RFC 5280 §3.3, RFC 6960 §4.4.4: what is known of a certificate may go
		// once it has ended.
		return what + " was made after the certificate had ended"
	}
	return ""
}

// unknownCritical names a critical extension that is not among known, or is
// empty.
func unknownCritical(list []cert.Extension, known ...oid.OID) string {
	for _, e := range list {
		if e.Critical && !slices.Contains(known, e.ID) {
			return e.ID.Name()
		}
	}
	return ""
}

func weak(alg oid.AlgorithmIdentifier) bool {
	scheme, err := signature.Read(alg, oid.AlgorithmIdentifier{})
	return err == nil && scheme.Weak()
}
