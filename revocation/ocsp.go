package revocation

import (
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/internal/oid"
)

// askResponses asks every OCSP response that has an answer about the
// certificate (RFC 6960 §3.2). Those about others are passed over.
func (q *question) askResponses(responses []*cert.OCSPResponse) {
	looked := 0
	for _, r := range responses {
		if r == nil || r.Basic == nil {
			continue
		}
		about := slices.ContainsFunc(r.Basic.Answers, func(a cert.OCSPAnswer) bool { return a.CertID.Matches(q.certificate, q.above[0]) })
		if !about {
			continue
		}
		if looked++; looked > MaxResponses {
			q.useless(fmt.Sprintf("more than %d OCSP responses", MaxResponses))
			return
		}
		if why := q.responder(r.Basic); why != "" {
			q.useless(why)
			continue
		}
		for i := range r.Basic.Answers {
			if a := &r.Basic.Answers[i]; a.CertID.Matches(q.certificate, q.above[0]) {
				q.askAnswer(r, a)
			}
		}
	}
}

// askAnswer takes one answer of a response whose signature is right.
func (q *question) askAnswer(r *cert.OCSPResponse, a *cert.OCSPAnswer) {
	if a.Status == cert.OCSPRevoked {
		e := cert.Entry{Serial: q.certificate.Serial, Issuer: q.certificate.Issuer, RevokedAt: a.RevokedAt, Reason: a.Reason, InvalidityDate: a.InvalidityDate}
		if q.counts(&e, a.ThisUpdate) {
			q.found(e, a.ThisUpdate)
			q.use(Evidence{Responses: []*cert.OCSPResponse{r}})
			return
		}
		if !q.o.Proven {
			q.useless("the responder names it with a later date")
			return
		}
		// Revoked since, and good at the proven time.
	}
	why := q.freshAnswer(r.Basic, a)
	if why == "" && a.Status == cert.OCSPUnknown {
		why = "the responder does not know it"
	}
	if why != "" {
		q.useless(why)
		return
	}
	q.covers(allReasons, a.ThisUpdate)
	q.use(Evidence{Responses: []*cert.OCSPResponse{r}})
}

// freshAnswer tells why an answer does not prove that a certificate is good, or
// is empty (RFC 6960 §3.2 (5), (6), §4.4).
func (q *question) freshAnswer(b *cert.BasicOCSPResponse, a *cert.OCSPAnswer) (why string) {
	critical := unknownCritical(b.Extensions, oid.OCSPNonce, oid.OCSPExtendedRevoke)
	if critical == "" {
		critical = unknownCritical(a.Extensions, oid.OCSPArchiveCutoff, oid.ExtInvalidityDate, oid.ExtReasonCode)
	}
	next := a.NextUpdate
	if next.IsZero() {
		next = a.ThisUpdate.Add(maxUndated)
	}
	switch {
	case len(b.Defects) > 0:
		return "the OCSP response is malformed: " + b.Defects[0].Error()
	case critical != "":
		return "the OCSP response has the unknown critical extension " + critical
	case weak(b.SignatureAlgorithm):
		return "the OCSP response is signed with a weak digest"
	}
	return q.fresh("the OCSP response", a.ThisUpdate, next, a.ArchiveCutoff)
}

// responder tells why the signer of a response may not speak for the
// certificate, or is empty: it must be the issuer, or somebody whom the issuer
// itself has delegated (RFC 6960 §4.2.2.2).
func (q *question) responder(b *cert.BasicOCSPResponse) (why string) {
	issuer := q.above[0]
	why = "the OCSP response is signed neither by the issuer nor by anyone whose certificate is here"
	if b.NamesResponder(issuer) {
		err := q.checkSignature(b, issuer)
		if err == nil {
			return ""
		}
		why = "the OCSP response: " + err.Error()
	}
	tried := 0
	for _, c := range append(slices.Clip(b.Certificates), q.evidence.Certificates...) {
		if c == nil || c.Equal(issuer) || !b.NamesResponder(c) {
			continue
		}
		if tried++; tried > maxSigners {
			break
		}
		if err := q.checkSignature(b, c); err != nil {
			why = "the OCSP response: " + err.Error()
			continue
		}
		if why = q.delegated(b, c); why == "" {
			return ""
		}
	}
	return why
}

// delegated tells why c is no responder of the issuer, or is empty.
func (q *question) delegated(b *cert.BasicOCSPResponse, c *cert.Certificate) (why string) {
	// anyExtendedKeyUsage does not do (RFC 6960 §4.2.2.2), and whether the
	// issuer itself may do this or that is not asked: this is its own business.
	if !slices.Contains(c.ExtKeyUsage, oid.OCSPSigning) {
		return "the OCSP responder's extKeyUsage does not name OCSPSigning"
	}
	at := q.o.At
	if b.ProducedAt.After(at) {
		at = b.ProducedAt
	}
	// Issued by the issuer directly: one signature, by a key of whatever size.
	budget := max(2, cert.Effort(q.above[0].PublicKey))
	if q.budget -= budget; q.budget < 0 {
		return errBudget.Error()
	}
	_, err := certpath.Verify(c, &certpath.Options{
		Anchors: q.above[:1], At: at, Purpose: certpath.AnyPurpose, Budget: budget,
		KeyUsage: cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment,
	})
	if err != nil {
		return "the OCSP responder: " + err.Error()
	}
	if _, trusted := c.Extension(oid.ExtOCSPNoCheck); trusted {
		return ""
	}
	if slices.ContainsFunc(q.asking, c.Equal) {
		q.circular = true
		return "the OCSP responder speaks for itself"
	}
	return q.responderStanding(c)
}

// responderStanding asks whether the responder's own certificate is revoked.
// Where its issuer offers no means to know, it has to be believed (RFC 6960
// §4.2.2.2.1).
func (q *question) responderStanding(c *cert.Certificate) (why string) {
	if len(q.asking) > maxNesting {
		q.circular = true
		return "too many are in charge of each other"
	}
	a := q.ask(append([]*cert.Certificate{c}, q.above...))
	switch {
	case a.status == Revoked:
		return "the OCSP responder's certificate is revoked"
	case a.status == Good, !a.concerned && !namesSource(c):
		return ""
	case a.err != nil:
		return "the OCSP responder: " + a.err.Detail
	}
	return "the OCSP responder's own revocation was not asked for"
}
