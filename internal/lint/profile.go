package lint

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// kindRules depend on the type and the generation.
var kindRules = []rule{
	{"legacy-generation", "S/MIME BR §7.1.6.1, ballot SMC08", Error, checkLegacy},
	{"validity", "S/MIME BR §6.3.2", Error, checkValidity},
	{"key-usage-bits", "S/MIME BR §7.1.2.3 (e)", Error, checkKeyUsageBits},
	{"eku-strict", "S/MIME BR §7.1.2.3 (f)", Error, checkStrictPurposes},
	{"crl-http", "S/MIME BR §7.1.2.3 (b)", Error, checkCRLHTTP},
	{"aia-http", "S/MIME BR §7.1.2.3 (c)", Error, checkAIAHTTP},
	{"san-type", "S/MIME BR §7.1.4.2.1", Error, checkAltNameTypes},
	{"san-directory-name", "S/MIME BR §7.1.4.2.1", Error, checkDirectoryNames},
	{"subject-directory-attributes", "S/MIME BR §7.1.2.3 (j)", Error, checkDirectoryAttributes},
	{"adobe-extensions", "S/MIME BR §7.1.2.3 (m)", Error, checkAdobe},
	{"lei-extension", "S/MIME BR §7.1.2.3 (l)", Error, checkLEI},
	{"subject-attribute", "S/MIME BR §7.1.4.2.3 to §7.1.4.2.6", Error, checkSubjectAttributes},
	{"common-name", "S/MIME BR §7.1.4.2.2 (a)", Error, checkCommonName},
	{"organization-required", "S/MIME BR §7.1.4.2.4, §7.1.4.2.5", Error, checkOrganizationRequired},
	{"organization-identifier-required", "S/MIME BR §7.1.4.2.4, §7.1.4.2.5", Error, checkIdentifierRequired},
	{"organization-identifier-syntax", "S/MIME BR §7.1.4.2.2 (d)", Error, checkIdentifierSyntax},
	{"organization-identifier-country", "S/MIME BR §7.1.4.2.2 (d), note 1", Error, checkIdentifierCountry},
	{"personal-name-required", "S/MIME BR §7.1.4.2.5, §7.1.4.2.6", Error, checkPersonRequired},
	{"pseudonym-alone", "S/MIME BR §7.1.4.2.2 (f)", Error, checkPseudonymAlone},
	{"country-required", "S/MIME BR §7.1.4.2.2 (k) to (m)", Error, checkCountryRequired},
	{"street-needs-place", "S/MIME BR §7.1.4.2.2 (j)", Error, checkStreet},
}

// legacyEnd is when the last legacy certificate could be issued.
var legacyEnd = time.Date(2025, time.July, 15, 0, 0, 0, 0, time.UTC)

func checkLegacy(s *Subject) string {
	if s.Kind.Generation == Legacy && !s.NotBefore.Before(legacyEnd) {
		return "legacy certificates are not issued since 2025-07-15"
	}
	return ""
}

// MaxValidityDays is the longest life of a certificate that is not legacy.
const MaxValidityDays = 825

// checkValidity counts both ends; a second more than a number of days is
// another day.
func checkValidity(s *Subject) string {
	limit := MaxValidityDays
	if s.Kind.Generation == Legacy {
		limit = 1185
	}
	const day = 24 * time.Hour
	if length := s.NotAfter.Sub(s.NotBefore) + time.Second; length > time.Duration(limit)*day {
		return fmt.Sprintf("valid for %d days; %d are the most", (length+day-time.Second)/day, limit)
	}
	return ""
}

// Bits that go together.
const (
	forSigning   = cert.KeyUsageDigitalSignature | cert.KeyUsageContentCommitment
	forAgreement = cert.KeyUsageKeyAgreement | cert.KeyUsageEncipherOnly | cert.KeyUsageDecipherOnly
)

// checkKeyUsageBits: for signing, for encryption, or for both, in the way of
// each algorithm.
func checkKeyUsageBits(s *Subject) string {
	if !s.HasKeyUsage {
		return ""
	}
	var sign, encrypt, withEncrypt cert.KeyUsage
	switch s.SPKIAlgorithm.Algorithm {
	case oid.RSAEncryption:
		sign, encrypt, withEncrypt = cert.KeyUsageDigitalSignature, cert.KeyUsageKeyEncipherment, cert.KeyUsageKeyEncipherment
		if s.Kind.Generation != Strict {
			withEncrypt |= cert.KeyUsageDataEncipherment
		}
	case oid.ECPublicKey:
		sign, encrypt, withEncrypt = cert.KeyUsageDigitalSignature, cert.KeyUsageKeyAgreement, forAgreement
	case oid.MLKEM512, oid.MLKEM768, oid.MLKEM1024:
		encrypt, withEncrypt = cert.KeyUsageKeyEncipherment, cert.KeyUsageKeyEncipherment
	default: // EdDSA, ML-DSA
		sign = cert.KeyUsageDigitalSignature
	}
	var allowed cert.KeyUsage
	if s.KeyUsage&sign != 0 {
		allowed |= forSigning
	}
	if s.KeyUsage&encrypt != 0 {
		allowed |= withEncrypt
	}
	if s.KeyUsage&(sign|encrypt) == 0 || s.KeyUsage&^allowed != 0 {
		return fmt.Sprintf("keyUsage of %q does not suit a key of %s in a %s certificate",
			s.KeyUsage, s.SPKIAlgorithm.Algorithm.Name(), s.Kind.Generation)
	}
	return ""
}

func checkStrictPurposes(s *Subject) string {
	if s.Kind.Generation != Strict {
		return ""
	}
	for _, purpose := range s.ExtKeyUsage {
		if purpose != oid.EmailProtection {
			return "extKeyUsage has " + purpose.Name() + " in a strict certificate"
		}
	}
	return ""
}

func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && u.Host != ""
}

// checkScheme: every address is plain http; one of them is enough in a legacy
// certificate.
func (s *Subject) checkScheme(where string, addresses []string) string {
	bad := slices.IndexFunc(addresses, func(a string) bool { return !isHTTP(a) })
	if bad < 0 || s.Kind.Generation == Legacy && slices.ContainsFunc(addresses, isHTTP) {
		return ""
	}
	return fmt.Sprintf("%s: %q is not a plain http address", where, addresses[bad])
}

func checkCRLHTTP(s *Subject) string {
	return s.checkScheme("cRLDistributionPoints", s.CRLDistributionPoints)
}

func checkAIAHTTP(s *Subject) string {
	if text := s.checkScheme("authorityInfoAccess", s.OCSPServer); text != "" {
		return text
	}
	return s.checkScheme("authorityInfoAccess", s.IssuingCertificateURL)
}

func checkAltNameTypes(s *Subject) string {
	for _, n := range s.AltNames {
		other := n.Kind == cert.OtherName && (n.IsSmtpUTF8Mailbox() || s.Kind.Generation != Strict)
		if n.Kind != cert.RFC822Name && n.Kind != cert.DirectoryName && !other {
			return "subjectAltName has a name that is neither a mailbox nor a directoryName"
		}
	}
	return ""
}

// checkDirectoryNames: what they say is bound as the subject is.
func checkDirectoryNames(s *Subject) string {
	for _, n := range s.AltNames {
		if n.Kind != cert.DirectoryName {
			continue
		}
		if a, found := s.forbiddenAttribute(n.Directory); found {
			return fmt.Sprintf("subjectAltName: %s in the directoryName of a %s certificate", a.Name(), s.Kind)
		}
	}
	return ""
}

func checkDirectoryAttributes(s *Subject) string {
	if s.Kind.Generation == Legacy {
		return s.critical(oid.ExtSubjectDirectoryAttributes)
	}
	return s.present(oid.ExtSubjectDirectoryAttributes)
}

// present names the first of these extensions that the certificate has.
func (s *Subject) present(never ...oid.OID) string {
	for _, id := range never {
		if _, found := s.Extension(id); found {
			return fmt.Sprintf("extension %s in a %s certificate", id.Name(), s.Kind)
		}
	}
	return ""
}

func checkAdobe(s *Subject) string {
	if s.Kind.Generation == Strict {
		return s.present(extAdobeTimestamp, extAdobeRevInfo)
	}
	return s.critical(extAdobeTimestamp, extAdobeRevInfo)
}

func checkLEI(s *Subject) string {
	var text string
	switch s.Kind.Type {
	case SponsorValidated:
	case OrganizationValidated:
		text = s.present(extLEIRole)
	default:
		text = s.present(extLEI, extLEIRole)
	}
	if text == "" {
		text = s.critical(extLEI, extLEIRole)
	}
	return text
}
