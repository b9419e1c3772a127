package certpath

import (
	"fmt"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// checkLeafProfile refuses a leaf that contradicts itself: it has marks of an
// authority and is none, or names nobody in a way that must be understood.
func checkLeafProfile(c *cert.Certificate) *Error {
	if san, _ := c.Extension(oid.ExtSubjectAltName); c.Subject.Empty() && !san.Critical {
		return fault(Malformed, c, "no subject, and no critical subjectAltName in its place") // RFC 5280 §4.1.2.6
	}
	if c.BasicConstraints.CA {
		return nil
	}
	switch {
	case c.BasicConstraints.PathLen >= 0: // RFC 5280 §4.2.1.9
		return fault(Malformed, c, "pathLenConstraint in a certificate that is no authority's")
	case c.HasKeyUsage && c.KeyUsage&cert.KeyUsageCertSign != 0: // RFC 5280 §4.2.1.3
		return fault(Malformed, c, "keyCertSign in a certificate that is no authority's")
	case c.NameConstraints != nil: // RFC 5280 §4.2.1.10
		return fault(Malformed, c, "nameConstraints in a certificate that is no authority's")
	}
	return nil
}

// maxSerialOctets is RFC 5280 §4.1.2.2.
const maxSerialOctets = 20

// Remarks lists where the certificates of a valid chain depart from what RFC
// 5280 asks of their makers without becoming doubtful: what path validation
// decides is the same with and without, so it refuses none of them. Each is one
// line without control characters.
func Remarks(chain []*cert.Certificate) []string {
	var list []string
	for i, c := range chain {
		for _, remark := range remarks(c, i == len(chain)-1) {
			list = append(list, fmt.Sprintf("certificate %s: %s", label(c), remark))
		}
	}
	return list
}

func remarks(c *cert.Certificate, anchor bool) (list []string) {
	switch {
	case c.Serial.Sign() <= 0:
		list = append(list, "serial number is not positive (RFC 5280 §4.1.2.2)")
	case c.Serial.BitLen()/8+1 > maxSerialOctets:
		list = append(list, fmt.Sprintf("serial number is longer than %d octets (RFC 5280 §4.1.2.2)", maxSerialOctets))
	}
	if len(c.AuthorityKeyID) == 0 && !(anchor && c.SelfIssued()) {
		list = append(list, "no authorityKeyIdentifier (RFC 5280 §4.2.1.1)")
	}
	if !c.BasicConstraints.CA {
		return list
	}
	if len(c.SubjectKeyID) == 0 {
		list = append(list, "no subjectKeyIdentifier (RFC 5280 §4.2.1.2)")
	}
	for _, id := range []oid.OID{oid.ExtBasicConstraints, oid.ExtNameConstraints, oid.ExtPolicyConstraints, oid.ExtInhibitAnyPolicy} {
		if e, present := c.Extension(id); present && !e.Critical {
			list = append(list, id.Name()+" is not critical (RFC 5280 §4.2.1)")
		}
	}
	return list
}
