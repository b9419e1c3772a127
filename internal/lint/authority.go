package lint

import (
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// authorityRules hold for roots and for authorities below one.
var authorityRules = []rule{
	{"ca-basic-constraints-critical", "S/MIME BR §7.1.2.1 (a), §7.1.2.2 (d)", Error, checkConstraintsCritical},
	{"ca-key-usage", "S/MIME BR §7.1.2.1 (b), §7.1.2.2 (e)", Error, checkAuthorityUsage},
	{"ca-subject-key-identifier", "S/MIME BR §7.1.2.1, §7.1.2.2 (i)", Error, checkAuthoritySubjectKeyID},
	{"ca-name", "S/MIME BR §7.1.4.3.1", Error, checkAuthorityName},
	{"ca-rsa-size", "S/MIME BR §6.1.5, ballot SMC017", Error, checkAuthorityRSA},
}

// rootRules hold for authorities that certify themselves.
var rootRules = []rule{
	{"root-eku", "S/MIME BR §7.1.2.1", Error, checkRootPurposes},
	{"root-policies", "S/MIME BR §7.1.2.1", Warning, checkRootPolicies},
	{"root-path-length", "S/MIME BR §7.1.2.1 (a)", Warning, checkRootPathLength},
}

// subordinateRules hold for authorities below another one.
var subordinateRules = []rule{
	{"ca-policies", "S/MIME BR §7.1.2.2 (a)", Error, checkSubordinatePolicies},
	{"ca-crl", "S/MIME BR §7.1.2.2 (b)", Error, checkSubordinateCRL},
	{"ca-aia-not-critical", "S/MIME BR §7.1.2.2 (c)", Error, checkAIACritical},
	{"ca-aia-present", "S/MIME BR §7.1.2.2 (c)", Warning, checkAIAPresent},
	{"ca-eku", "S/MIME BR §7.1.2.2 (g)", Error, checkSubordinatePurposes},
	{"ca-eku-2027", "S/MIME BR §7.1.2.2 (g), ballot SMC018", Error, checkSubordinatePurposes2027},
	{"ca-authority-key-identifier", "S/MIME BR §7.1.2.2 (h)", Error, checkAuthorityKeyID},
	{"ca-name-constraints", "S/MIME BR §7.1.5", Error, checkNameConstraints},
}

func checkConstraintsCritical(s *Subject) string {
	if e, _ := s.Extension(oid.ExtBasicConstraints); !e.Critical {
		return "basicConstraints is not critical"
	}
	return ""
}

func checkAuthorityUsage(s *Subject) string {
	const needed = cert.KeyUsageCertSign | cert.KeyUsageCRLSign
	e, present := s.Extension(oid.ExtKeyUsage)
	switch {
	case !present || !e.Critical:
		return "no critical keyUsage"
	case s.KeyUsage&needed != needed || s.KeyUsage&^(needed|cert.KeyUsageDigitalSignature) != 0:
		return fmt.Sprintf("keyUsage %q is not keyCertSign and cRLSign, with digitalSignature at the most", s.KeyUsage)
	}
	return ""
}

func checkAuthoritySubjectKeyID(s *Subject) string {
	if len(s.SubjectKeyID) == 0 {
		return "no subjectKeyIdentifier"
	}
	return ""
}

func checkAuthorityName(s *Subject) string {
	for _, id := range []oid.OID{oid.CommonName, oid.Organization, oid.Country} {
		if !s.has(id) {
			return fmt.Sprintf("subject: no %s", id.Name())
		}
	}
	return ""
}

// largeAuthorityKeys is since when an authority's new RSA key has 4096 bits.
var largeAuthorityKeys = time.Date(2026, time.September, 15, 0, 0, 0, 0, time.UTC)

func checkAuthorityRSA(s *Subject) string {
	key, ok := s.PublicKey.(*rsa.PublicKey)
	if ok && key.N.BitLen() < 4096 && !s.NotBefore.Before(largeAuthorityKeys) {
		return fmt.Sprintf("RSA modulus of %d bits; authorities' keys made since 2026-09-15 have 4096", key.N.BitLen())
	}
	return ""
}

func checkRootPurposes(s *Subject) string {
	if s.HasExtKeyUsage {
		return "extKeyUsage in a root"
	}
	return ""
}

func checkRootPolicies(s *Subject) string {
	if len(s.Policies) > 0 {
		return "certificatePolicies in a root"
	}
	return ""
}

func checkRootPathLength(s *Subject) string {
	if s.BasicConstraints.PathLen >= 0 {
		return "pathLenConstraint in a root"
	}
	return ""
}

func checkSubordinatePolicies(s *Subject) string {
	if len(s.Policies) == 0 {
		return "no certificatePolicies"
	}
	return ""
}

func checkSubordinateCRL(s *Subject) string {
	if !slices.ContainsFunc(s.CRLDistributionPoints, isHTTP) {
		return "cRLDistributionPoints names no http address of a CRL"
	}
	return s.critical(oid.ExtCRLDistributionPoints)
}

// checkSubordinatePurposes asks of authorities for mail what they need; others
// (for timestamps) are no business of the requirements, but none may be for
// everything.
func checkSubordinatePurposes(s *Subject) string {
	switch {
	case !s.HasExtKeyUsage:
		return "no extKeyUsage"
	case slices.Contains(s.ExtKeyUsage, oid.AnyExtendedKeyUsage):
		return "extKeyUsage has anyExtendedKeyUsage"
	case !slices.Contains(s.ExtKeyUsage, oid.EmailProtection):
		return ""
	}
	return checkForbiddenPurposes(s)
}

func checkSubordinatePurposes2027(s *Subject) string {
	if !slices.Contains(s.ExtKeyUsage, oid.EmailProtection) {
		return ""
	}
	return checkPurposes2027(s)
}

// checkNameConstraints: hosts, or domains with a leading dot, no single
// mailboxes.
func checkNameConstraints(s *Subject) string {
	if s.NameConstraints == nil {
		return ""
	}
	for _, n := range slices.Concat(s.NameConstraints.Permitted, s.NameConstraints.Excluded) {
		if n.Kind == cert.RFC822Name && strings.Contains(n.Text, "@") {
			return fmt.Sprintf("nameConstraints: %q is a mailbox, not a host or a domain", n.Text)
		}
	}
	return ""
}
