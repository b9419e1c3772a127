package cert

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// MaxPolicies limits policies and mappings in one certificate.
const MaxPolicies = 256

// Policy is one entry of certificatePolicies (RFC 5280 §4.2.1.4).
type Policy struct {
	ID         oid.OID
	Qualifiers []byte // DER of the SEQUENCE of qualifiers, nil when absent
}

// PolicyMapping is RFC 5280 §4.2.1.5: in the issuer's eyes, the subject's
// policy is as good as the issuer's own.
type PolicyMapping struct {
	Issuer, Subject oid.OID
}

// PolicyConstraints is RFC 5280 §4.2.1.11; each number counts certificates, and
// is -1 when absent.
type PolicyConstraints struct {
	RequireExplicitPolicy int
	InhibitPolicyMapping  int
}

func parsePolicies(der []byte) ([]Policy, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	var list []Policy
	seen := map[oid.OID]bool{}
	for !seq.Empty() {
		var info cryptobyte.String
		var p Policy
		if !seq.ReadASN1(&info, asn1.SEQUENCE) || !oid.Read(&info, &p.ID) {
			return nil, malformed("policy")
		}
		if !info.Empty() {
			var qualifiers cryptobyte.String
			if !info.ReadASN1Element(&qualifiers, asn1.SEQUENCE) || !info.Empty() {
				return nil, malformed("policy qualifiers")
			}
			p.Qualifiers = qualifiers
		}
		if seen[p.ID] {
			return nil, errors.New("repeated policy " + p.ID.Name())
		}
		seen[p.ID] = true
		if list = append(list, p); len(list) > MaxPolicies {
			return nil, errors.New("too many policies")
		}
	}
	if len(list) == 0 {
		return nil, errors.New("empty list of policies")
	}
	return list, nil
}

func parsePolicyMappings(der []byte) ([]PolicyMapping, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	var list []PolicyMapping
	for !seq.Empty() {
		var pair cryptobyte.String
		var m PolicyMapping
		if !seq.ReadASN1(&pair, asn1.SEQUENCE) || !oid.Read(&pair, &m.Issuer) || !oid.Read(&pair, &m.Subject) || !pair.Empty() {
			return nil, malformed("policy mapping")
		}
		if list = append(list, m); len(list) > MaxPolicies {
			return nil, errors.New("too many policy mappings")
		}
	}
	if len(list) == 0 {
		return nil, errors.New("empty list of policy mappings")
	}
	return list, nil
}

func parsePolicyConstraints(der []byte) (PolicyConstraints, error) {
	strictest := PolicyConstraints{RequireExplicitPolicy: 0, InhibitPolicyMapping: 0}
	seq, err := readSequence(der, "value")
	if err != nil {
		return strictest, err
	}
	if seq.Empty() {
		return strictest, errors.New("empty")
	}
	p := PolicyConstraints{-1, -1}
	for i, n := range []*int{&p.RequireExplicitPolicy, &p.InhibitPolicyMapping} {
		var content cryptobyte.String
		var present, ok bool
		if !seq.ReadOptionalASN1(&content, &present, contextTag(uint8(i))) {
			return strictest, malformed("value")
		}
		if !present {
			continue
		}
		if *n, ok = skipCerts(content); !ok {
			return strictest, malformed("number of certificates")
		}
	}
	if !seq.Empty() {
		return strictest, malformed("value")
	}
	return p, nil
}

func parseInhibitAnyPolicy(der []byte) (int, error) {
	s := cryptobyte.String(der)
	var content cryptobyte.String
	if !s.ReadASN1(&content, asn1.INTEGER) || !s.Empty() {
		return 0, malformed("value")
	}
	n, ok := skipCerts(content)
	if !ok {
		return 0, malformed("number of certificates")
	}
	return n, nil
}
