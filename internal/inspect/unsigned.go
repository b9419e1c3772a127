package inspect

import (
	"github.com/mailseal/mailseal/cms"
)

// unsigned explains what stands in a signature's unsigned attributes: signatures
// over it (RFC 5652 §11.4) and timestamps of it (RFC 3161). What they are over is the
// signature, which is here even when the content is not.
func unsigned(s *cms.SignerResult) (parts []*Report) {
	for _, t := range s.Timestamps {
		parts = append(parts, timestamp(t))
	}
	for i := range s.Countersignatures {
		r := signer(&s.Countersignatures[i], false)
		r.Kind = "countersignature"
		parts = append(parts, r)
	}
	return parts
}

func timestamp(t *cms.Timestamp) *Report {
	r := &Report{Kind: "timestamp"}
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
