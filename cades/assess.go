package cades

import (
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/revocation"
)

// Assessment is which level a signature has.
type Assessment struct {
	*Proof
	Level Level
	// Missing says what lacks to the next level, in words; empty at B-LTA.
	Missing []string
	// Chain leads from the signer's certificate to an anchor, as it was at the
	// proven time; nil when no way does.
	Chain []*cert.Certificate
}

// Assess says which level the signature of r has (EN 319 122-1 §6.3, Table 1).
// Levels from B-T on mean that it was verified: the signer's certificate leads to
// an anchor and was good at the proven time.
func Assess(r *cms.SignerResult, s *cms.SignedReader, o *Options) *Assessment {
	a := &Assessment{Proof: Prove(r, s, o)}
	for _, step := range []struct {
		level Level
		check func() []string
	}{{BB, a.lacksBB}, {BT, a.lacksBT}, {BLT, a.lacksBLT}, {BLTA, a.lacksBLTA}} {
		if a.Missing = step.check(); len(a.Missing) > 0 {
			return a
		}
		a.Level = step.level
	}
	return a
}

// ListAfter is a revocation list in the message of the signer's issuer that was
// made when the signature existed already and does not name the signer; nil when
// there is none.
func (a *Assessment) ListAfter() *cert.CRL {
	if len(a.Chain) < 2 {
		return nil
	}
	c := a.Chain[0]
	for _, l := range a.embedded(a.Chain).CRLs {
		_, named := l.Lookup(c.Issuer, c.Serial)
		if l.Issuer.Equal(c.Issuer) && !named && l.BaseNumber == nil && !l.ThisUpdate.Before(a.Time) {
			return l
		}
	}
	return nil
}

// lacksBB holds the signed attributes and the certificates to Table 1.
func (a *Assessment) lacksBB() (missing []string) {
	r := a.signer
	if r.Err != nil {
		return []string{r.Err.Error()}
	}
	has := func(t cms.OID) bool { return len(r.SignedAttrs.Values(t)) > 0 }
	// Digest and content type were held to the content when the signature was
	// verified; requirement f wants the type of data.
	if a.message.ContentType() != oid.Data || !has(oid.AttrContentType) || !has(oid.AttrMessageDigest) {
		missing = append(missing, "content-type id-data and message-digest (§5.1)")
	}
	if !has(oid.AttrSigningCertificateV2) && !has(oid.AttrSigningCertificate) {
		missing = append(missing, "signing-certificate-v2 (§5.2.2), which only the signer could add")
	}
	if !has(oid.AttrSigningTime) {
		missing = append(missing, "signing-time (§5.2.1), which only the signer could add")
	}
	if !slices.ContainsFunc(a.message.Certificates(), r.Certificate.Equal) { // requirement a
		missing = append(missing, "the signer's certificate in the message")
	}
	return missing
}

// lacksBT wants a timestamp (§5.3) that came while the signer's certificate was
// good (requirement m).
func (a *Assessment) lacksBT() []string {
	trusted := slices.ContainsFunc(a.Timestamps, (*Stamp).Trusted)
	if !trusted {
		if len(a.Timestamps) == 0 {
			return []string{"a timestamp of the signature"}
		}
		return []string{"a timestamp that can be believed: " + a.Timestamps[0].Why.Error()}
	}
	var err error
	if a.Chain, err = a.options.path(a.signer.Certificate, a.options.Purpose, a.Time, a.message.Certificates(), a.options.Budget); err != nil {
		return []string{err.Error()}
	}
	if status, err := a.Revocation(a.Chain); status == revocation.Revoked {
		return []string{err.Error()}
	}
	return nil
}

// lacksBLT wants every certificate (requirement d) and every piece of revocation
// data (requirement o) in the signature itself, where it is to be kept.
func (a *Assessment) lacksBLT() (missing []string) {
	for _, t := range []cms.OID{oid.AttrCertificateValues, oid.AttrRevocationValues} {
		if len(a.signer.UnsignedAttrs.Values(t)) > 0 {
			missing = append(missing, "without the unsigned attribute "+t.Name())
		}
	}
	return append(missing, a.lacksMaterial(nil)...)
}

// lacksBLTA wants an archive timestamp that can be believed, over the timestamps
// and all that B-LT asks for (requirement s).
func (a *Assessment) lacksBLTA() []string {
	if len(a.Archive) == 0 {
		return []string{"an archive timestamp"}
	}
	var missing []string
	for _, s := range a.Archive {
		switch {
		case !s.Trusted():
			missing = append(missing, "an archive timestamp that can be believed: "+s.Why.Error())
		case !slices.ContainsFunc(a.Timestamps, func(t *Stamp) bool { return t.Trusted() && s.Covers(t) }) || len(a.lacksMaterial(s)) > 0:
			missing = append(missing, "an archive timestamp over everything that it takes to verify the signature")
		default:
			return nil
		}
	}
	return unique(missing)
}

// lacksMaterial says what is missing to verify the signature, and one timestamp
// at least, from what is in the message; within an archive timestamp, when one is
// given.
func (a *Assessment) lacksMaterial(within *Stamp) (missing []string) {
	offline := *a.Proof.options
	offline.Fetcher = nil
	proof := *a.Proof
	proof.options = &offline
	m := material{&proof, within}
	missing = m.lacks(a.Chain, nil, func(i int) (revocation.Status, error) {
		if i == 0 {
			return m.standing(a.Chain, revocation.Evidence{}, m.evidence(a.Chain), a.Time)
		}
		// An authority's lists come seldom: one that was fresh will do.
		return m.standing(a.Chain[i:], m.evidence(a.Chain[i:]), revocation.Evidence{}, a.Time)
	})
	best := []string{}
	for _, s := range a.Timestamps {
		if !s.Trusted() || within != nil && !within.Covers(s) {
			continue
		}
		lacks := m.lacks(s.Chain, s.Certificates, func(i int) (revocation.Status, error) {
			return m.standing(s.Chain[i:], m.evidence(s.Chain[i:]), revocation.Evidence{}, s.Existed())
		})
		if len(lacks) == 0 {
			return unique(missing)
		}
		best = append(best, lacks...)
	}
	return unique(append(missing, best...))
}

// material is what a message has to verify a signature with.
type material struct {
	*Proof
	within *Stamp
}

func (m material) certificates() (out []*cert.Certificate) {
	for _, c := range m.message.Certificates() {
		if m.within == nil || m.within.archive.CoversCertificate(c) {
			out = append(out, c)
		}
	}
	return out
}

func (m material) evidence(chain []*cert.Certificate) revocation.Evidence {
	e := m.embedded(chain)
	if m.within == nil {
		return e
	}
	archive := m.within.archive
	e.CRLs = slices.DeleteFunc(e.CRLs, func(l *cert.CRL) bool { return !archive.CoversCRL(l.Raw) })
	e.Responses = slices.DeleteFunc(e.Responses, func(r *cert.OCSPResponse) bool { return !archive.CoversOCSPResponse(r.Raw) })
	e.Certificates = m.certificates()
	return e
}

// lacks names the certificates of a chain that are not there, and those, the
// anchor apart, about which nothing there tells whether they were revoked. The
// certificates of a timestamp's authority may be in its token (§5.5.3, note 5).
func (m material) lacks(chain, token []*cert.Certificate, standing func(i int) (revocation.Status, error)) (missing []string) {
	present := append(m.certificates(), token...)
	for i, c := range chain {
		if !slices.ContainsFunc(present, c.Equal) {
			missing = append(missing, fmt.Sprintf("the certificate of %s", c.Subject))
		}
		if i == len(chain)-1 {
			break
		}
		switch status, err := standing(i); {
		case status == revocation.Good:
		case err != nil:
			missing = append(missing, err.Error())
		default:
			missing = append(missing, fmt.Sprintf("revocation information about %s", c.Subject))
		}
	}
	return missing
}

func unique(in []string) (out []string) {
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
