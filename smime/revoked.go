package smime

import (
	"errors"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/revocation"
)

// addRevocation says whether a certificate of the chain is revoked. Asked are the lists that the caller gave, the lists and OCSP
// responses in the message (RFC 5652 §10.2.1, RFC 5940), and what the certificates name as sources, if the caller has somebody who
// fetches. Whoever signed the message chose what is in it, and could not make it. It is no reason not to ask: a list from before a
// revocation may be fresh by its dates. And where it has no answer nobody has been asked in vain.
func (j *judge) addRevocation(f *finding, chain []*cert.Certificate, s *cms.SignedReader, p *cades.Proof) {
	status, err := j.revocation(chain, s, p)
	switch {
	case status == revocation.Revoked:
		f.add(StatusRevoked, "%v", err)
	case status == revocation.Unknown && (len(j.o.CRLs) > 0 || askedInVain(err)):
		f.add(StatusRevocationUnknown, "%v", err)
	case status != revocation.Good:
		j.unasked++
		return
	}
	j.asked++
}

// revocation asks for the time that a timestamp proves, or else, and with p nil, for the time of the judgement.
func (j *judge) revocation(chain []*cert.Certificate, s *cms.SignedReader, p *cades.Proof) (revocation.Status, error) {
	if p != nil && !p.Time.IsZero() && p.Time.Before(j.o.At) {
		return p.Revocation(chain)
	}
	return revocation.Check(chain, &revocation.Options{
		Evidence: revocation.Evidence{CRLs: j.o.CRLs, Certificates: j.o.Intermediates}, Brought: brought(s),
		Fetcher: j.o.Revocation, At: j.o.At, Now: j.o.Now,
	})
}

// brought is what the message has. What cannot be read in it is nothing.
func brought(s *cms.SignedReader) revocation.Evidence {
	e := revocation.Evidence{Certificates: s.Certificates()}
	for _, der := range s.CRLs() {
		if crl, err := cert.ParseCRL(der); err == nil {
			e.CRLs = append(e.CRLs, crl)
		}
	}
	for _, der := range s.OCSPResponses() {
		if r, err := cert.ParseOCSPResponse(der); err == nil {
			e.Responses = append(e.Responses, r)
		}
	}
	return e
}

func askedInVain(err error) bool {
	var e *revocation.Error
	return errors.As(err, &e) && e.Asked
}

const (
	noRevocation = "revocation was not checked: no revocation list was given"
	noSource     = "revocation was not checked: the certificate names no source that could be asked"
)

// unaskedWarning says that nothing is known of the revocation of a signer; "" when something is, or the caller's lists say nothing
// of one who is not trusted anyway.
func (j *judge) unaskedWarning(signers int) string {
	switch {
	case j.asked >= signers || len(j.o.CRLs) > 0:
		return ""
	case j.o.Revocation == nil:
		return noRevocation
	case j.unasked > 0:
		return noSource
	}
	return ""
}
