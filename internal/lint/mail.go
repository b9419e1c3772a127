package lint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// mailRules hold for every subscriber's certificate for mail, of whatever kind.
var mailRules = []rule{
	{"san-present", "S/MIME BR §7.1.2.3 (h)", Error, checkAltNamePresent},
	{"san-mailbox", "S/MIME BR §7.1.4.2.1", Error, checkAltNameMailbox},
	{"san-mailbox-form", "RFC 9598 §3", Error, checkMailboxForm},
	{"san-repeats-subject", "S/MIME BR §7.1.4.2.1", Error, checkAltNameRepeats},
	{"san-not-critical", "S/MIME BR §7.1.2.3 (h)", Warning, checkAltNameNotCritical},
	{"san-critical-without-subject", "RFC 5280 §4.2.1.6", Error, checkAltNameCritical},
	{"email-single", "S/MIME BR §7.1.4.2.2 (h)", Error, checkSingleEmail},
	{"eku-email", "S/MIME BR §7.1.2.3 (f)", Error, checkEmailPurpose},
	{"eku-forbidden", "S/MIME BR §7.1.2.3 (f)", Error, checkForbiddenPurposes},
	{"eku-2027", "S/MIME BR §7.1.2.3 (f), ballot SMC018", Error, checkPurposes2027},
	{"key-usage-present", "S/MIME BR §7.1.2.3 (e)", Error, checkKeyUsagePresent},
	{"policy-present", "S/MIME BR §7.1.2.3 (a)", Error, checkPolicyPresent},
	{"policy-not-critical", "S/MIME BR §7.1.2.3 (a)", Warning, checkPolicyCritical},
	{"crl-present", "S/MIME BR §7.1.2.3 (b)", Error, checkCRLPresent},
	{"crl-not-critical", "S/MIME BR §7.1.2.3 (b)", Warning, checkCRLCritical},
	{"aia-present", "S/MIME BR §7.1.2.3 (c)", Warning, checkAIAPresent},
	{"aia-not-critical", "S/MIME BR §7.1.2.3 (c)", Error, checkAIACritical},
	{"aia-ca-issuers", "S/MIME BR §7.1.2.3 (c)", Warning, checkAIAIssuers},
	{"authority-key-identifier", "S/MIME BR §7.1.2.3 (g)", Error, checkAuthorityKeyID},
	{"subject-key-identifier", "S/MIME BR §7.1.2.3 (n)", Warning, checkSubjectKeyID},
	{"not-an-authority", "S/MIME BR §7.1.2.3 (d)", Error, checkNoAuthority},
	{"capabilities", "S/MIME BR §7.1.2.3 (i), RFC 4262 §2", Error, checkCapabilities},
	{"qc-statements-not-critical", "S/MIME BR §7.1.2.3 (k)", Error, checkQCStatements},
	{"extension-unknown", "S/MIME BR §7.1.2.4", Warning, checkUnknownExtension},
}

// forMail tells whether the rules for subscribers apply: the certificate says
// that it is for mail, or for everything, or for nothing in particular.
func (s *Subject) forMail() bool {
	if s.Kind != (Kind{}) || !s.HasExtKeyUsage {
		return true
	}
	return slices.Contains(s.ExtKeyUsage, oid.EmailProtection) || slices.Contains(s.ExtKeyUsage, oid.AnyExtendedKeyUsage)
}

func checkAltNamePresent(s *Subject) string {
	if _, present := s.Extension(oid.ExtSubjectAltName); !present {
		return "no subjectAltName"
	}
	return ""
}

func checkAltNameMailbox(s *Subject) string {
	if len(s.AltNames) > 0 && len(s.AltNames.Emails()) == 0 {
		return "subjectAltName names no mailbox"
	}
	return ""
}

// checkMailboxForm: an address that mail software reads in one way; ASCII
// before the at sign as rfc822Name, other characters as SmtpUTF8Mailbox, the
// domain without U-labels in the one and without A-labels in the other's rule
// of old (RFC 9598 §3 now wants A-labels in both).
func checkMailboxForm(s *Subject) string {
	for _, n := range s.AltNames {
		if n.Kind != cert.RFC822Name && !n.IsSmtpUTF8Mailbox() {
			continue
		}
		m, err := mailbox.Parse(n.Text)
		switch {
		case err != nil:
			return fmt.Sprintf("subjectAltName: %q: %v", n.Text, err)
		case n.Kind == cert.RFC822Name && !ascii(n.Text):
			return fmt.Sprintf("subjectAltName: %q is no rfc822Name, which is ASCII", n.Text)
		case n.IsSmtpUTF8Mailbox() && m.ASCII():
			return fmt.Sprintf("subjectAltName: %q is an SmtpUTF8Mailbox that an rfc822Name can hold", n.Text)
		case n.IsSmtpUTF8Mailbox() && !ascii(n.Text[strings.LastIndexByte(n.Text, '@'):]):
			return fmt.Sprintf("subjectAltName: the domain of %q is not written in A-labels", n.Text)
		}
	}
	return ""
}

func ascii(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > 126 || r < 32 })
}

// checkAltNameRepeats: every mailbox of the subject and of directory names
// stands in subjectAltName, too.
func checkAltNameRepeats(s *Subject) string {
	names := []cert.Name{s.Subject}
	for _, n := range s.AltNames {
		if n.Kind == cert.DirectoryName {
			names = append(names, n.Directory)
		}
	}
	for _, name := range names {
		for _, a := range flat(name) {
			address := a.Type == oid.EmailAddress || a.Type == oid.CommonName && strings.Contains(a.Value, "@")
			if address && !s.namesMailbox(a.Value) {
				return fmt.Sprintf("%s %q is not in subjectAltName", a.Type.Name(), a.Value)
			}
		}
	}
	return ""
}

// namesMailbox tells whether subjectAltName has the mailbox.
func (s *Subject) namesMailbox(text string) bool {
	m, err := mailbox.Parse(text)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(s.AltNames.Emails(), func(other string) bool {
		o, err := mailbox.Parse(other)
		return err == nil && o.Equal(m)
	})
}

func checkAltNameNotCritical(s *Subject) string {
	if !s.Subject.Empty() {
		return s.critical(oid.ExtSubjectAltName)
	}
	return ""
}

func checkAltNameCritical(s *Subject) string {
	if e, present := s.Extension(oid.ExtSubjectAltName); present && s.Subject.Empty() && !e.Critical {
		return "the subject is empty and subjectAltName is not critical"
	}
	return ""
}

func checkSingleEmail(s *Subject) string {
	list := s.Subject.Get(oid.EmailAddress)
	if len(list) > 1 {
		return fmt.Sprintf("subject: %d values of emailAddress", len(list))
	}
	for _, text := range list {
		if _, err := mailbox.Parse(text); err != nil {
			return fmt.Sprintf("subject: emailAddress %q: %v", text, err)
		}
	}
	return ""
}

func checkEmailPurpose(s *Subject) string {
	if !slices.Contains(s.ExtKeyUsage, oid.EmailProtection) {
		return "extKeyUsage lacks emailProtection"
	}
	return ""
}

// forbiddenPurposes never go with mail.
var forbiddenPurposes = []oid.OID{oid.ServerAuth, oid.CodeSigning, oid.TimeStamping, oid.AnyExtendedKeyUsage}

func checkForbiddenPurposes(s *Subject) string {
	for _, purpose := range s.ExtKeyUsage {
		if slices.Contains(forbiddenPurposes, purpose) {
			return "extKeyUsage has " + purpose.Name()
		}
	}
	return ""
}

// clientAuthOnly is when nothing but clientAuth may stand beside
// emailProtection any longer.
var clientAuthOnly = time.Date(2027, time.July, 1, 0, 0, 0, 0, time.UTC)

func checkPurposes2027(s *Subject) string {
	if s.NotBefore.Before(clientAuthOnly) {
		return ""
	}
	for _, purpose := range s.ExtKeyUsage {
		if purpose != oid.EmailProtection && purpose != oid.ClientAuth {
			return "extKeyUsage has " + purpose.Name() + ", and since 2027-07-01 only clientAuth may stand beside emailProtection"
		}
	}
	return ""
}

func checkKeyUsagePresent(s *Subject) string {
	if !s.HasKeyUsage {
		return "no keyUsage"
	}
	return ""
}

// checkPolicyPresent: exactly one of the reserved identifiers, that of the
// kind. A private authority has its own in that place.
func checkPolicyPresent(s *Subject) string {
	reserved := 0
	for _, p := range s.Policies {
		switch {
		case !IsReserved(p.ID):
			continue
		case s.Private:
			return fmt.Sprintf("certificatePolicies has %s, which belongs to the CA/Browser Forum", p.ID)
		case s.Kind != (Kind{}) && p.ID != s.Kind.ReservedPolicy():
			return fmt.Sprintf("certificatePolicies has %s, where %s is %s", p.ID, s.Kind, s.Kind.ReservedPolicy())
		}
		reserved++
	}
	switch {
	case len(s.Policies) == 0:
		return "no certificatePolicies"
	case !s.Private && reserved != 1:
		return fmt.Sprintf("certificatePolicies has %d of the CA/Browser Forum's identifiers, not one", reserved)
	}
	return ""
}

func checkPolicyCritical(s *Subject) string { return s.critical(oid.ExtCertificatePolicies) }

func checkCRLPresent(s *Subject) string {
	if len(s.CRLDistributionPoints) == 0 {
		return "cRLDistributionPoints names no address of a CRL"
	}
	return ""
}

func checkCRLCritical(s *Subject) string { return s.critical(oid.ExtCRLDistributionPoints) }

func checkAIAPresent(s *Subject) string {
	if _, present := s.Extension(oid.ExtAuthorityInfoAccess); !present {
		return "no authorityInfoAccess"
	}
	return ""
}

func checkAIACritical(s *Subject) string { return s.critical(oid.ExtAuthorityInfoAccess) }

func checkAIAIssuers(s *Subject) string {
	if _, present := s.Extension(oid.ExtAuthorityInfoAccess); present && len(s.IssuingCertificateURL) == 0 {
		return "authorityInfoAccess does not say where the authority's certificate is"
	}
	return ""
}

func checkAuthorityKeyID(s *Subject) string {
	if len(s.AuthorityKeyID) == 0 {
		return "no keyIdentifier in authorityKeyIdentifier"
	}
	return ""
}

func checkSubjectKeyID(s *Subject) string {
	if len(s.SubjectKeyID) == 0 {
		return "no subjectKeyIdentifier"
	}
	return ""
}

// checkNoAuthority: that cA is false is why we are here.
func checkNoAuthority(s *Subject) string {
	if s.BasicConstraints.PathLen >= 0 {
		return "basicConstraints has a pathLenConstraint"
	}
	if s.KeyUsage&(cert.KeyUsageCertSign|cert.KeyUsageCRLSign) != 0 {
		return "keyUsage has bits of an authority: " + s.KeyUsage.String()
	}
	return ""
}

func checkCapabilities(s *Subject) string {
	e, present := s.Extension(oid.ExtSMIMECapabilities)
	if !present {
		return ""
	}
	if _, err := cert.ParseCapabilities(e.Value); err != nil {
		return err.Error()
	}
	return s.critical(oid.ExtSMIMECapabilities)
}

// Extensions that only these rules know.
const (
	extQCStatements   oid.OID = "1.3.6.1.5.5.7.1.3"      // RFC 3739 §3.2.6
	extAdobeTimestamp oid.OID = "1.2.840.113583.1.1.9.1" // S/MIME BR §7.1.2.3 (m)
	extAdobeRevInfo   oid.OID = "1.2.840.113583.1.1.9.2"
	extLEI            oid.OID = "1.3.6.1.4.1.52266.1" // S/MIME BR §7.1.2.3 (l)
	extLEIRole        oid.OID = "1.3.6.1.4.1.52266.2"
)

func checkQCStatements(s *Subject) string { return s.critical(extQCStatements) }

// knownExtensions are those of S/MIME BR §7.1.2.3.
var knownExtensions = []oid.OID{
	oid.ExtCertificatePolicies, oid.ExtCRLDistributionPoints, oid.ExtAuthorityInfoAccess, oid.ExtBasicConstraints,
	oid.ExtKeyUsage, oid.ExtExtKeyUsage, oid.ExtAuthorityKeyID, oid.ExtSubjectAltName, oid.ExtSMIMECapabilities,
	oid.ExtSubjectDirectoryAttributes, extQCStatements, extLEI, extLEIRole, extAdobeTimestamp, extAdobeRevInfo,
	oid.ExtSubjectKeyID,
}

func checkUnknownExtension(s *Subject) string {
	for _, e := range s.Extensions {
		if !slices.Contains(knownExtensions, e.ID) {
			return "extension " + e.ID.Name() + " is none that the requirements name"
		}
	}
	return ""
}
