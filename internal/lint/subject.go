package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// allowedAttributes lists what a subject may have (the tables of S/MIME BR
// §7.1.4.2.3 to §7.1.4.2.6).
func (k Kind) allowedAttributes() []oid.OID {
	list := []oid.OID{oid.CommonName, oid.SerialNumber, oid.EmailAddress}
	if k.organization() {
		list = append(list, oid.Organization, oid.OrganizationalUnit, oid.OrganizationIdentifier)
	}
	if k.person() {
		list = append(list, oid.GivenName, oid.Surname, oid.Pseudonym, oid.Title)
	}
	if k.Type != MailboxValidated {
		list = append(list, oid.Locality, oid.StateOrProvince, oid.Country)
		if k.Generation != Strict {
			list = append(list, oid.StreetAddress, oid.PostalCode)
		}
	}
	return list
}

// forbiddenAttribute returns an attribute that has no place in the name. In
// legacy certificates the tables leave others open, mailbox-validated ones
// excepted.
func (s *Subject) forbiddenAttribute(n cert.Name) (oid.OID, bool) {
	allowed := s.Kind.allowedAttributes()
	for _, a := range flat(n) {
		if _, common := attributeForms[a.Type]; !common && s.Kind.Generation == Legacy && s.Kind.Type != MailboxValidated {
			continue
		}
		if !slices.Contains(allowed, a.Type) {
			return a.Type, true
		}
	}
	return "", false
}

func checkSubjectAttributes(s *Subject) string {
	if a, found := s.forbiddenAttribute(s.Subject); found {
		return fmt.Sprintf("subject: %s in a %s certificate", a.Name(), s.Kind)
	}
	return ""
}

func (s *Subject) has(id oid.OID) bool { return len(s.Subject.Get(id)) > 0 }

// checkCommonName: a mailbox for all types, the organization's name for it,
// a person's name or pseudonym for people. Which of the two it is can be told
// by what else the subject says.
func checkCommonName(s *Subject) string {
	for _, name := range s.Subject.Get(oid.CommonName) {
		switch {
		case s.namesMailbox(name):
		case s.Kind.Type == MailboxValidated:
			return fmt.Sprintf("subject: commonName %q is not one of the mailboxes", name)
		case s.Kind.Type == OrganizationValidated:
			if !slices.Contains(s.Subject.Get(oid.Organization), name) {
				return fmt.Sprintf("subject: commonName %q is neither the organization's name nor one of the mailboxes", name)
			}
		case strings.Contains(name, "@"):
			return fmt.Sprintf("subject: commonName %q is not one of the mailboxes", name)
		case s.has(oid.Pseudonym) && !slices.ContainsFunc(s.Subject.Get(oid.Pseudonym), func(p string) bool { return strings.Contains(name, p) }):
			return fmt.Sprintf("subject: commonName %q does not contain the pseudonym", name)
		}
	}
	return ""
}

func checkOrganizationRequired(s *Subject) string {
	if s.Kind.organization() && !s.has(oid.Organization) {
		return "subject: no organizationName"
	}
	return ""
}

func checkIdentifierRequired(s *Subject) string {
	if s.Kind.organization() && !s.has(oid.OrganizationIdentifier) {
		return "subject: no organizationIdentifier"
	}
	return ""
}

// registration is the form of an organizationIdentifier: scheme, country,
// subdivision, reference. The schemes are those of S/MIME BR §A.1 and of note 2
// of §7.1.4.2.2 (d).
var registration = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(NTR|VAT|PSD|LEI|GOV|INT)([A-Z]{2})(\+[A-Z0-9]{1,3})?(-(.+))?$`)
})

// lei is the form of ISO 17442, with its check digits.
var lei = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Z0-9]{18}[0-9]{2}$`) })

// CheckOrganizationIdentifier holds an organizationIdentifier against the
// syntax of S/MIME BR §7.1.4.2.2 (d).
func CheckOrganizationIdentifier(id string) error {
	m := registration().FindStringSubmatch(id)
	if m == nil {
		return fmt.Errorf("%q is not a scheme (NTR, VAT, PSD, LEI, GOV, INT), a country and, after a hyphen, a reference", id)
	}
	scheme, country, subdivision, reference := m[1], m[2], m[3], m[5]
	switch {
	case scheme == "LEI" || scheme == "INT":
		if country != "XG" || subdivision != "" {
			return fmt.Errorf("%q: the country of %s is XG", id, scheme)
		}
		if scheme == "LEI" && !validLEI(reference) {
			return fmt.Errorf("%q has no valid LEI of 20 characters", id)
		}
	case scheme == "VAT" && country == "EL": // Greece, by Council Directive 2006/112/EC
	case !IsCountry(country) || country == "XX":
		return fmt.Errorf("%q: %q is no country", id, country)
	}
	if reference == "" && scheme != "GOV" && scheme != "INT" {
		return fmt.Errorf("%q has no reference after the hyphen", id)
	}
	return nil
}

// validLEI checks the digits of ISO 7064 MOD 97-10: the whole as a number,
// letters as 10 to 35, leaves 1.
func validLEI(text string) bool {
	if !lei().MatchString(text) {
		return false
	}
	rest := 0
	for _, c := range text {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest == 1
}

func checkIdentifierSyntax(s *Subject) string {
	for _, id := range s.Subject.Get(oid.OrganizationIdentifier) {
		if err := CheckOrganizationIdentifier(id); err != nil {
			return "subject: organizationIdentifier " + err.Error()
		}
	}
	return ""
}

// checkIdentifierCountry: the register's country is the subject's.
func checkIdentifierCountry(s *Subject) string {
	for _, id := range s.Subject.Get(oid.OrganizationIdentifier) {
		for _, country := range s.Subject.Get(oid.Country) {
			if err := MatchIdentifierCountry(id, country); err != nil {
				return "subject: organizationIdentifier " + err.Error()
			}
		}
	}
	return ""
}

// MatchIdentifierCountry holds the country of an organizationIdentifier
// against that of the subject (S/MIME BR §7.1.4.2.2 (d), note 1).
func MatchIdentifierCountry(id, country string) error {
	m := registration().FindStringSubmatch(id)
	if m == nil || m[1] == "LEI" || m[1] == "INT" || m[2] == country {
		return nil
	}
	if m[1] == "VAT" && m[2] == "EL" && country == "GR" {
		return nil
	}
	return fmt.Errorf("%q is registered in %s, and the country is %s", id, m[2], country)
}

func checkPersonRequired(s *Subject) string {
	named := s.has(oid.GivenName) || s.has(oid.Surname) || s.has(oid.Pseudonym)
	if s.Kind.person() && s.Kind.Generation != Legacy && !named {
		return "subject: neither givenName, surname nor pseudonym"
	}
	return ""
}

func checkPseudonymAlone(s *Subject) string {
	if s.has(oid.Pseudonym) && (s.has(oid.GivenName) || s.has(oid.Surname)) {
		return "subject: a pseudonym beside givenName or surname"
	}
	return ""
}

func checkCountryRequired(s *Subject) string {
	for _, id := range []oid.OID{oid.Locality, oid.StateOrProvince, oid.PostalCode} {
		if s.has(id) && !s.has(oid.Country) {
			return fmt.Sprintf("subject: %s without a country", id.Name())
		}
	}
	return ""
}

func checkStreet(s *Subject) string {
	if s.has(oid.StreetAddress) && !s.has(oid.Locality) && !s.has(oid.StateOrProvince) {
		return "subject: streetAddress without locality or state"
	}
	return ""
}
