package smime

import (
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/cades"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/revocation"
)

// prove tells since when a signature has existed, by the timestamps of authorities that are trusted (RFC 3161, EN 319 122-1). An
// authority's certificate must be good at the time of the judgement, or at an earlier time at which an archive timestamp proves that
// the timestamp was there: who has its key later can put any time into one.
func (j *judge) prove(r *cms.SignerResult, s *cms.SignedReader) *cades.Proof {
	if len(r.Timestamps)+len(r.ArchiveTimestamps) == 0 {
		return &cades.Proof{}
	}
	p := cades.Prove(r, s, &cades.Options{
		Anchors: j.o.Anchors, TimestampAnchors: j.o.TimestampAnchors, Intermediates: j.o.Intermediates, At: j.o.At, Now: j.o.Now, Issuers: j.o.Issuers,
		Evidence: revocation.Evidence{CRLs: j.o.CRLs}, Fetcher: j.o.Revocation, Budget: j.budget(),
	})
	for _, stamp := range append(append([]*cades.Stamp{}, p.Archive...), p.Timestamps...) {
		var e *revocation.Error
		if errors.As(stamp.Why, &e) {
			j.notes = append(j.notes, fmt.Sprintf("the timestamp does not count: %v", e))
		}
	}
	return p
}
