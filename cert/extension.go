package cert

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/internal/oid"
)

// Extension is one extension as it stands in a certificate, request or CRL.
type Extension struct {
	ID       oid.OID
	Critical bool
	Value    []byte // content of the OCTET STRING: DER of the extension's own type
}

// readExtensions reads SEQUENCE OF Extension that fills all of s.
func readExtensions(s cryptobyte.String) ([]Extension, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return nil, malformed("list")
	}
	var list []Extension
	for !seq.Empty() {
		if len(list) == MaxExtensions {
			return nil, errors.New("too many")
		}
		var e Extension
		if !readExtension(&seq, &e) {
			return nil, malformed("entry")
		}
		list = append(list, e)
	}
	return list, nil
}

func readExtension(s *cryptobyte.String, e *Extension) bool {
	var ext, value cryptobyte.String
	if !s.ReadASN1(&ext, asn1.SEQUENCE) || !oid.Read(&ext, &e.ID) {
		return false
	}
	if ext.PeekASN1Tag(asn1.BOOLEAN) && !readBoolean(&ext, asn1.BOOLEAN, &e.Critical) {
		return false
	}
	if !ext.ReadASN1(&value, asn1.OCTET_STRING) || !ext.Empty() {
		return false
	}
	e.Value = value
	return true
}

func findExtension(list []Extension, id oid.OID) (Extension, bool) {
	for _, e := range list {
		if e.ID == id {
			return e, true
		}
	}
	return Extension{}, false
}

// parseExtensions fills the fields from the extensions. One that cannot be
// read leaves its field at the value that allows least and becomes a defect;
// of a repeated one the first counts, and the repetition is a defect (RFC 5280
// §4.2).
func (c *Certificate) parseExtensions() {
	seen := make(map[oid.OID]bool, len(c.Extensions))
	for _, e := range c.Extensions {
		if seen[e.ID] {
			c.defect("extension "+e.ID.Name(), errors.New("repeated"))
			continue
		}
		seen[e.ID] = true
		if err := c.parseExtension(e); err != nil {
			c.defect("extension "+e.ID.Name(), err)
		}
	}
}

func (c *Certificate) parseExtension(e Extension) (err error) {
	switch e.ID {
	case oid.ExtKeyUsage:
		c.HasKeyUsage = true
		c.KeyUsage, err = parseKeyUsage(e.Value)
	case oid.ExtExtKeyUsage:
		c.HasExtKeyUsage = true
		c.ExtKeyUsage, err = parseOIDs(e.Value)
	case oid.ExtBasicConstraints:
		c.BasicConstraints, err = parseBasicConstraints(e.Value)
	case oid.ExtSubjectKeyID:
		c.SubjectKeyID, err = parseOctets(e.Value)
	case oid.ExtAuthorityKeyID:
		c.AuthorityKeyID, err = parseAuthorityKeyID(e.Value)
	case oid.ExtSubjectAltName:
		c.AltNames, err = parseGeneralNames(e.Value)
	case oid.ExtNameConstraints:
		c.NameConstraints, err = parseNameConstraints(e.Value)
	case oid.ExtCertificatePolicies:
		c.Policies, err = parsePolicies(e.Value)
	case oid.ExtPolicyMappings:
		c.PolicyMappings, err = parsePolicyMappings(e.Value)
	case oid.ExtPolicyConstraints:
		c.PolicyConstraints, err = parsePolicyConstraints(e.Value)
	case oid.ExtInhibitAnyPolicy:
		c.InhibitAnyPolicy, err = parseInhibitAnyPolicy(e.Value)
	case oid.ExtCRLDistributionPoints:
		c.DistributionPoints, err = parseDistributionPoints(e.Value)
		for _, p := range c.DistributionPoints {
			c.CRLDistributionPoints = append(c.CRLDistributionPoints, p.FullName.URIs()...)
		}
	case oid.ExtFreshestCRL:
		c.FreshestCRL, err = parseDistributionPoints(e.Value)
	case oid.ExtAuthorityInfoAccess:
		c.OCSPServer, c.IssuingCertificateURL, err = parseAuthorityInfoAccess(e.Value)
	}
	return err
}

func parseKeyUsage(der []byte) (KeyUsage, error) {
	s := cryptobyte.String(der)
	bits, _, ok := readBits(&s, asn1.BIT_STRING)
	if !ok || !s.Empty() {
		return 0, malformed("value")
	}
	return KeyUsage(flags(bits)), nil
}

func parseOIDs(der []byte) ([]oid.OID, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	var list []oid.OID
	for !seq.Empty() {
		var id oid.OID
		if !oid.Read(&seq, &id) {
			return nil, malformed("value")
		}
		list = append(list, id)
	}
	if len(list) == 0 {
		return nil, errors.New("empty list")
	}
	return list, nil
}

func parseBasicConstraints(der []byte) (BasicConstraints, error) {
	none := BasicConstraints{Present: true, PathLen: -1}
	seq, err := readSequence(der, "value")
	if err != nil {
		return none, err
	}
	b := none
	if seq.PeekASN1Tag(asn1.BOOLEAN) && !readBoolean(&seq, asn1.BOOLEAN, &b.CA) {
		return none, malformed("cA")
	}
	if seq.Empty() {
		return b, nil
	}
	var content cryptobyte.String
	if !seq.ReadASN1(&content, asn1.INTEGER) || !seq.Empty() {
		return none, malformed("pathLenConstraint")
	}
	n, ok := skipCerts(content)
	if !ok {
		return none, malformed("pathLenConstraint")
	}
	b.PathLen = n
	return b, nil
}

func parseOctets(der []byte) ([]byte, error) {
	s := cryptobyte.String(der)
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, asn1.OCTET_STRING) || !s.Empty() {
		return nil, malformed("value")
	}
	return octets, nil
}

// parseAuthorityKeyID returns keyIdentifier alone: issuer and serial number
// are one way to name an issuer's certificate, and cross-signed issuers have
// several (RFC 5280 §4.2.1.1).
func parseAuthorityKeyID(der []byte) ([]byte, error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, err
	}
	var id cryptobyte.String
	var present bool
	if !seq.ReadOptionalASN1(&id, &present, contextTag(0)) {
		return nil, malformed("keyIdentifier")
	}
	if !seq.SkipOptionalASN1(constructedTag(1)) || !seq.SkipOptionalASN1(contextTag(2)) || !seq.Empty() {
		return nil, malformed("value")
	}
	if !present {
		return nil, nil
	}
	return id, nil
}

func parseAuthorityInfoAccess(der []byte) (ocsp, issuers []string, err error) {
	seq, err := readSequence(der, "value")
	if err != nil {
		return nil, nil, err
	}
	for !seq.Empty() {
		var access cryptobyte.String
		var method oid.OID
		var location GeneralName
		if !seq.ReadASN1(&access, asn1.SEQUENCE) || !oid.Read(&access, &method) ||
			!readGeneralName(&access, &location) || !access.Empty() {
			return nil, nil, malformed("accessDescription")
		}
		if location.Kind != URI {
			continue
		}
		switch method {
		case oid.AccessOCSP:
			ocsp = append(ocsp, location.Text)
		case oid.AccessCAIssuers:
			issuers = append(issuers, location.Text)
		}
	}
	return ocsp, issuers, nil
}
