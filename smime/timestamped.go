package smime

import (
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/certpath"
	"github.com/mailseal/mailseal/cms"
)

// timestamped returns the earliest time at which a trusted authority has seen the signature (RFC 3161), as late as the authority's
// accuracy allows; zero when none has. The authority's certificate must be good at the time of the judgement: who has its key later
// can put any time into a timestamp.
func (j *judge) timestamped(r cms.SignerResult, s *cms.SignedReader) (earliest time.Time) {
	for _, stamp := range r.Timestamps {
		if stamp.Err != nil || stamp.Weak {
			continue
		}
		at := stamp.Time.Add(stamp.Accuracy)
		if at.After(j.o.At.Add(maxSkew)) || !earliest.IsZero() && !at.Before(earliest) {
			continue
		}
		intermediates := append(append([]*cert.Certificate{}, j.o.Intermediates...), stamp.Certificates...)
		chain, err := certpath.Verify(stamp.Signer.Certificate, &certpath.Options{
			Anchors: j.o.Anchors, Intermediates: append(intermediates, s.Certificates()...), At: j.o.At,
			Purpose: certpath.TimeStamping, Budget: j.budget(),
		})
		if err == nil && j.authorityStands(chain, s, at) {
			earliest = at
		}
	}
	return earliest
}
