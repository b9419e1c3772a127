package inspect

import (
	"github.com/mailseal/mailseal/cms"
)

// unsigned explains what stands in a signature's unsigned attributes: signatures
// over it (RFC 5652 §11.4) and timestamps of it (RFC 3161), which are over the signature and
// can be held to it even when the content is not here, and archive timestamps
// (EN 319 122-1 §5.5.3), which need the content too.
func unsigned(s *cms.SignerResult) (parts []*Report) {
	for _, t := range s.Timestamps {
		parts = append(parts, timestamp("timestamp", t))
	}
	for _, a := range s.ArchiveTimestamps {
		parts = append(parts, timestamp("archive timestamp", a.Timestamp))
	}
	for i := range s.Countersignatures {
		r := signer(&s.Countersignatures[i], false)
		r.Kind = "countersignature"
		parts = append(parts, r)
	}
	return parts
}

func timestamp(kind string, t *cms.Timestamp) *Report {
	r := &Report{Kind: kind}
	r.add("fits", fits(t.Err))
	r.add("time", stamp(t.Time))
	if t.Accuracy > 0 {
		r.add("accuracy", t.Accuracy.String())
	}
	r.add("policy", string(t.Policy))
	if c := t.Signer.Certificate; c != nil {
		r.add("authority", c.Subject.String())
	}
	r.add("algorithm", t.Signer.Algorithm)
	r.add("weak", t.Weak)
	return r
}
