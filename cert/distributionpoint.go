package cert

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ReasonFlags is a set of revocation reasons (RFC 5280 §4.2.1.13), bit n for
// reason n. Zero stands for an absent field, which means all reasons.
type ReasonFlags uint16

// DistributionPoint is RFC 5280 §4.2.1.13: where revocation lists for a
// certificate are.
type DistributionPoint struct {
	FullName     GeneralNames
	RelativeName RDN // nameRelativeToCRLIssuer
	Reasons      ReasonFlags
	CRLIssuer    GeneralNames // set for indirect lists only
}

func parseDistributionPoints(der []byte) ([]DistributionPoint, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	var list []DistributionPoint
	for !seq.Empty() {
		var s cryptobyte.String
		if len(list) == MaxGeneralNames || !seq.ReadASN1(&s, asn1.SEQUENCE) {
			return nil, malformed("distribution point")
		}
		p, err := readDistributionPoint(s)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, errors.New("empty list of distribution points")
	}
	return list, nil
}

func readDistributionPoint(s cryptobyte.String) (p DistributionPoint, err error) {
	var name, reasons, issuer cryptobyte.String
	var hasName, hasReasons, hasIssuer bool
	if !s.ReadOptionalASN1(&name, &hasName, constructedTag(0)) ||
		!s.ReadOptionalASN1(&reasons, &hasReasons, contextTag(1)) ||
		!s.ReadOptionalASN1(&issuer, &hasIssuer, constructedTag(2)) || !s.Empty() {
		return p, malformed("distribution point")
	}
	if hasName {
		if p.FullName, p.RelativeName, err = readDistributionPointName(name); err != nil {
			return p, err
		}
	}
	if hasReasons {
		if p.Reasons, err = reasonFlags(reasons); err != nil {
			return p, err
		}
	}
	if hasIssuer {
		p.CRLIssuer, err = readGeneralNames(issuer)
	}
	return p, err
}

// readDistributionPointName reads the CHOICE inside its explicit tag.
func readDistributionPointName(s cryptobyte.String) (full GeneralNames, relative RDN, err error) {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
		return nil, nil, malformed("distribution point name")
	}
	switch tag {
	case constructedTag(0):
		full, err = readGeneralNames(content)
		return full, nil, err
	case constructedTag(1):
		for !content.Empty() {
			var a Attribute
			if len(relative) == MaxNameAttributes || !readAttribute(&content, &a) {
				return nil, nil, malformed("relative name")
			}
			relative = append(relative, a)
		}
		return nil, relative, nil
	}
	return nil, nil, malformed("distribution point name")
}

// reasonFlags decodes the content octets of an IMPLICIT BIT STRING. A set that
// is present and empty covers no reason, and is refused.
func reasonFlags(content []byte) (ReasonFlags, error) {
	if len(content) < 2 || content[0] > 7 {
		return 0, malformed("reasons")
	}
	r := ReasonFlags(flags(content[1:]))
	if r == 0 {
		return 0, errors.New("empty set of reasons")
	}
	return r, nil
}
