package fetch

import (
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/revocation"
)

// askPoints fetches the lists that the certificate names. Each point may be
// about a part of the reasons, so that it may take several; the names within a
// point are different ways to the same list (RFC 5280 §4.2.1.13).
func (t *task) askPoints() bool {
	for i, p := range t.c.DistributionPoints {
		if i == MaxSources {
			t.failures = append(t.failures, fmt.Sprintf("more than %d distribution points", MaxSources))
			break
		}
		if l := t.list(p); l != nil && t.takeList(l) {
			return true
		}
	}
	return false
}

// takeList takes a complete list, with a delta for it where one is named.
// Without the delta the list has its own date and does.
func (t *task) takeList(l *cert.CRL) bool {
	e := revocation.Evidence{CRLs: []*cert.CRL{l}}
	for _, p := range append(append([]cert.DistributionPoint{}, t.c.FreshestCRL...), l.FreshestCRL...) {
		if d := t.list(p); d != nil {
			e.CRLs = append(e.CRLs, d)
			break
		}
	}
	t.got.CRLs = append(t.got.CRLs, e.CRLs...)
	if t.answers(e) {
		return true
	}
	if uris := t.c.CRLDistributionPoints; len(uris) > 0 {
		t.fail(uris[0], fmt.Errorf("its list settles nothing"))
	}
	return false
}

// list fetches the list of one point by the first of its names that works.
func (t *task) list(p cert.DistributionPoint) *cert.CRL {
	uris := p.FullName.URIs()
	for _, source := range uris[:min(len(uris), MaxSources)] {
		data, err := t.get(source, "", "", MaxCRLSize)
		if err != nil {
			t.fail(source, err)
			continue
		}
		l, err := cert.ParseCRL(data)
		if err != nil {
			t.fail(source, err)
			continue
		}
		t.kept = append(t.kept, kept{listKey(source), data, l.NextUpdate})
		return l
	}
	return nil
}
