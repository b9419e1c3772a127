package revocation

import (
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
)

// scope returns the reasons for which the list answers of the certificate, zero
// when it is about others (RFC 5280 §6.3.3 (b), (d)).
func (q *question) scope(l *cert.CRL) cert.ReasonFlags {
	reasons := allReasons
	idp := l.IssuingDistributionPoint
	if idp != nil {
		ca := q.certificate.BasicConstraints.CA
		if idp.OnlyContainsAttributeCerts || idp.OnlyContainsUserCerts && ca || idp.OnlyContainsCACerts && !ca {
			return 0
		}
		if idp.OnlySomeReasons != 0 {
			reasons &= idp.OnlySomeReasons
		}
	}
	var points cert.ReasonFlags
	for _, p := range q.points(l) {
		switch {
		case !matches(l, p, q.certificate):
		case p.Reasons == 0:
			return reasons
		default:
			points |= p.Reasons
		}
	}
	return reasons & points
}

// points returns the distribution points of the certificate for which lists of
// that issuer are meant. For the issuer's own lists there is one more, which
// the certificate need not have: the issuer's name, for all reasons (RFC 5280
// §6.3.3, at the end).
func (q *question) points(l *cert.CRL) []cert.DistributionPoint {
	own := l.Issuer.Equal(q.certificate.Issuer)
	var list []cert.DistributionPoint
	for _, p := range q.certificate.DistributionPoints {
		if p.CRLIssuer == nil && own || hasDirectory(p.CRLIssuer, l.Issuer) && indirect(l) {
			list = append(list, p)
		}
	}
	if own {
		list = append(list, cert.DistributionPoint{FullName: cert.GeneralNames{{Kind: cert.DirectoryName, Directory: q.certificate.Issuer}}})
	}
	return list
}

// matches: RFC 5280 §6.3.3 (b) (2) (i).
func matches(l *cert.CRL, p cert.DistributionPoint, c *cert.Certificate) bool {
	idp := l.IssuingDistributionPoint
	if idp == nil || idp.FullName == nil && idp.RelativeName == nil {
		return true
	}
	theirs := fullNames(idp.FullName, idp.RelativeName, l.Issuer)
	base := c.Issuer
	if d := directory(p.CRLIssuer); d != nil {
		base = *d
	}
	ours := fullNames(p.FullName, p.RelativeName, base)
	if ours == nil {
		ours = p.CRLIssuer
	}
	return slices.ContainsFunc(theirs, func(a cert.GeneralName) bool {
		return slices.ContainsFunc(ours, func(b cert.GeneralName) bool { return sameName(a, b) })
	})
}

// fullNames writes a name that is relative to an issuer out.
func fullNames(full cert.GeneralNames, relative cert.RDN, issuer cert.Name) cert.GeneralNames {
	if relative == nil {
		return full
	}
	return cert.GeneralNames{{Kind: cert.DirectoryName, Directory: issuer.Child(relative)}}
}

func directory(names cert.GeneralNames) *cert.Name {
	for i := range names {
		if names[i].Kind == cert.DirectoryName {
			return &names[i].Directory
		}
	}
	return nil
}

func hasDirectory(names cert.GeneralNames, n cert.Name) bool {
	return slices.ContainsFunc(names, func(g cert.GeneralName) bool {
		return g.Kind == cert.DirectoryName && g.Directory.Equal(n)
	})
}

func sameName(a, b cert.GeneralName) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case cert.DirectoryName:
		return a.Directory.Equal(b.Directory)
	case cert.URI:
		return foldURI(a.Text) == foldURI(b.Text)
	case cert.DNSName, cert.RFC822Name:
		return a.Text == b.Text
	}
	return a.Type == b.Type && string(a.Bytes) == string(b.Bytes)
}

// foldURI writes scheme and host in lower case (RFC 5280 §7.4).
func foldURI(uri string) string {
	scheme, rest, found := strings.Cut(uri, "://")
	if !found {
		return uri
	}
	host, path, _ := strings.Cut(rest, "/")
	return strings.ToLower(scheme) + "://" + strings.ToLower(host) + "/" + path
}
