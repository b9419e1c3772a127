package issuance

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/oid"
)

// Names are all that a certificate says of its subject. Nothing comes in that
// was not validated: mailboxes have proofs (internal/authority takes these),
// organizations and people are made of [Evidence].
type Names struct {
	Mailboxes    []mailbox.Mailbox // proven ones; the first may stand in the subject too
	Organization *Organization     // for organization- and sponsor-validated certificates
	Individual   *Individual       // for sponsor- and individual-validated ones
	Service      *Subject          // the authority's own responder or timestamp signer
}

// Evidence is the record that a name was validated.
type Evidence struct {
	Method    string    // the section of the S/MIME BR: 3.2.3... for organizations, 3.2.4... for people
	Reference string    // where the documents are
	Validated time.Time // when it was concluded
}

// EvidenceLife is how long a validated identity may be used (S/MIME BR §4.2.1).
const EvidenceLife = 825 * 24 * time.Hour

// clockSlack is how far behind the present notBefore may lie.
const clockSlack = 24 * time.Hour

func (e Evidence) check(section string) error {
	switch {
	case e.Method != section && !strings.HasPrefix(e.Method, section+"."):
		return fmt.Errorf("evidence of method %q, not of one of S/MIME BR §%s", e.Method, section)
	case e.Reference == "":
		return errors.New("evidence without a reference to the documents")
	case e.Validated.IsZero():
		return errors.New("evidence without the time of the validation")
	}
	return nil
}

// current tells whether the evidence can still be used for a certificate that
// begins then.
func (e Evidence) current(notBefore time.Time) error {
	switch {
	case notBefore.Sub(e.Validated) > EvidenceLife:
		return fmt.Errorf("validated on %s, more than 825 days ago (S/MIME BR §4.2.1): validate again", e.Validated.UTC().Format(time.DateOnly))
	case e.Validated.Sub(notBefore) > clockSlack:
		return fmt.Errorf("validated on %s, which is not yet", e.Validated.UTC().Format(time.DateOnly))
	}
	return nil
}

// Address is where somebody is. A strict certificate has neither street nor
// postal code.
type Address struct {
	Country         string // ISO 3166-1, XX where none fits
	StateOrProvince string
	Locality        string
	Street          string
	PostalCode      string
}

func (a Address) check() error {
	switch {
	case a.Country != "" && !lint.IsCountry(a.Country):
		return fmt.Errorf("country %q is no code of ISO 3166-1, nor XX", a.Country)
	case a.Country == "" && a != (Address{}):
		return errors.New("locality, state, street and postal code need a country (S/MIME BR §7.1.4.2.2)")
	case a.Street != "" && a.Locality == "" && a.StateOrProvince == "":
		return errors.New("a street needs a locality or a state (S/MIME BR §7.1.4.2.2 (j))")
	}
	return errors.Join(
		checkText("state or province", a.StateOrProvince, 128), checkText("locality", a.Locality, 128),
		checkText("street", a.Street, 128), checkText("postal code", a.PostalCode, 40),
	)
}

// OrganizationConfig is an organization as it was validated.
type OrganizationConfig struct {
	Name       string // the full legal name, or the assumed one and the legal one in parentheses
	Identifier string // organizationIdentifier: NTRJP-0100-01-000001
	Affiliate  string // the legal name of a verified affiliate, for organizationalUnitName; may be empty
	Address    Address
	Evidence   Evidence // S/MIME BR §3.2.3
}

// Organization is an OrganizationConfig that was checked.
type Organization struct{ config OrganizationConfig }

// NewOrganization checks an organization. Everything that is wrong is told at
// once.
func NewOrganization(c OrganizationConfig) (*Organization, error) {
	wrong := []error{
		required("name", c.Name), checkText("name", c.Name, 64), checkText("affiliate", c.Affiliate, 64),
		lint.CheckOrganizationIdentifier(c.Identifier), checkText("identifier", c.Identifier, 256),
		c.Address.check(), c.Evidence.check("3.2.3"),
	}
	if c.Address.Country != "" {
		wrong = append(wrong, lint.MatchIdentifierCountry(c.Identifier, c.Address.Country))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("organization %q: %w", c.Name, err)
	}
	return &Organization{c}, nil
}

// IndividualConfig is a person as validated: a name, or a pseudonym.
type IndividualConfig struct {
	GivenName string
	Surname   string // who has one name only has it here (S/MIME BR §7.1.4.2.2 (e))
	Pseudonym string

	// Display is the name as the person writes it, in any script: "田中 太郎",
	// "Taro TANAKA". Empty: the pseudonym, or given name and surname.
	Display string

	Title        string // a role, or a regulated profession
	SerialNumber string // tells people of the same name apart
	Address      Address
	Evidence     Evidence // S/MIME BR §3.2.4
}

// Individual is an IndividualConfig that was checked.
type Individual struct{ config IndividualConfig }

// NewIndividual checks a person. Everything that is wrong is told at once.
func NewIndividual(c IndividualConfig) (*Individual, error) {
	wrong := []error{
		checkText("given name", c.GivenName, 64), checkText("surname", c.Surname, 64),
		checkText("pseudonym", c.Pseudonym, 64), checkText("display name", c.display(), 64),
		checkText("title", c.Title, 64), checkPrintable("serial number", c.SerialNumber, 64),
		c.Address.check(), c.Evidence.check("3.2.4"),
	}
	refuse := func(text string) { wrong = append(wrong, errors.New(text)) }
	switch {
	case c.Pseudonym != "" && (c.GivenName != "" || c.Surname != ""):
		refuse("a pseudonym beside a name (S/MIME BR §7.1.4.2.2 (f))")
	case c.Pseudonym != "" && !strings.Contains(c.display(), c.Pseudonym):
		refuse("the display name does not contain the pseudonym (S/MIME BR §7.1.4.2.2 (a))")
	case c.Pseudonym == "" && c.Surname == "":
		refuse("neither a pseudonym nor a surname; who has one name only has it as surname (S/MIME BR §7.1.4.2.2 (e))")
	}
	if strings.Contains(c.display(), "@") {
		refuse("the display name looks like a mailbox")
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("individual %q: %w", c.display(), err)
	}
	return &Individual{c}, nil
}

func (c IndividualConfig) display() string {
	switch {
	case c.Display != "":
		return c.Display
	case c.Pseudonym != "":
		return c.Pseudonym
	}
	return strings.TrimSpace(c.GivenName + " " + c.Surname)
}

func required(what, text string) error {
	if text == "" {
		return fmt.Errorf("no %s", what)
	}
	return nil
}

// checkText: what a person reads is what stands there. Characters that do not
// show or turn the line around are out, the form is composed (NFC), the bound
// that of RFC 5280 §A.1, and a value that says nothing is none (S/MIME BR
// §7.1.4.2).
func checkText(what, text string, bound int) error {
	if text == "" {
		return nil
	}
	switch {
	case !utf8.ValidString(text) || !norm.NFC.IsNormalString(text):
		return fmt.Errorf("%s %q is not UTF-8 in composed form (NFC)", what, text)
	case utf8.RuneCountInString(text) > bound:
		return fmt.Errorf("%s %q has more than %d characters", what, text, bound)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("%s %q begins or ends with space", what, text)
	case strings.Trim(text, ".- ") == "":
		return fmt.Errorf("%s %q says nothing", what, text)
	}
	for _, r := range text {
		if !unicode.IsPrint(r) && r != '\u3000' || unicode.In(r, unicode.Bidi_Control) {
			return fmt.Errorf("%s %q has a character that does not show", what, text)
		}
	}
	return nil
}

// checkPrintable: characters of PrintableString alone (X.680 §41.4).
func checkPrintable(what, text string, bound int) error {
	for _, r := range text {
		if r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" '()+,-./:=?", r)) {
			return fmt.Errorf("%s %q has other characters than letters, digits and '()+,-./:=?", what, text)
		}
	}
	return checkText(what, text, bound)
}

// check holds the names against what the type of the profile asks for, no more
// and no less, and their evidence against the time.
func (p *Profile) checkNames(n Names, notBefore time.Time) error {
	k := p.config.kind()
	service, organization := p.config.service(), k.Type == OrganizationValidated || k.Type == SponsorValidated
	person := k.Type == SponsorValidated || k.Type == IndividualValidated
	switch {
	case service != (n.Service != nil):
		return fmt.Errorf("a %s certificate and the name of a service do not go together", p.config.Type)
	case service != (len(n.Mailboxes) == 0) || len(n.Mailboxes) > MaxMailboxes:
		return fmt.Errorf("%d mailboxes; 1 to %d for a subscriber, none for a service", len(n.Mailboxes), MaxMailboxes)
	case organization != (n.Organization != nil):
		return fmt.Errorf("a %s certificate: organization given is %v", p.config.Type, n.Organization != nil)
	case person != (n.Individual != nil):
		return fmt.Errorf("a %s certificate: individual given is %v", p.config.Type, n.Individual != nil)
	}
	var wrong []error
	if organization {
		wrong = append(wrong, n.Organization.config.Evidence.current(notBefore))
	}
	if person {
		wrong = append(wrong, n.Individual.config.Evidence.current(notBefore))
	}
	return errors.Join(wrong...)
}

// subject writes the Name, the broadest attribute first. An empty one is no
// error: the mailboxes are in subjectAltName.
func (p *Profile) subject(n Names) (der []byte, empty bool, err error) {
	if p.config.service() {
		der, err = n.Service.name()
		return der, false, err
	}
	var list []attribute
	add := func(id oid.OID, value string) {
		if value != "" {
			list = append(list, attribute{id, value})
		}
	}
	if o := n.Organization; o != nil {
		p.addAddress(add, o.config.Address)
		add(oid.Organization, o.config.Name)
		add(oid.OrganizationalUnit, o.config.Affiliate)
		add(oid.OrganizationIdentifier, o.config.Identifier)
	}
	if i := n.Individual; i != nil {
		if n.Organization == nil {
			p.addAddress(add, i.config.Address)
		}
		add(oid.Surname, i.config.Surname)
		add(oid.GivenName, i.config.GivenName)
		add(oid.Pseudonym, i.config.Pseudonym)
		add(oid.Title, i.config.Title)
		add(oid.SerialNumber, i.config.SerialNumber)
	}
	add(oid.CommonName, p.commonName(n))
	der, err = name(list...)
	return der, len(list) == 0, err
}

// addAddress leaves out what a strict certificate must not have (S/MIME BR
// §7.1.4.2.4 to §7.1.4.2.6).
func (p *Profile) addAddress(add func(oid.OID, string), a Address) {
	add(oid.Country, a.Country)
	add(oid.StateOrProvince, a.StateOrProvince)
	add(oid.Locality, a.Locality)
	if p.config.Generation != Strict {
		add(oid.PostalCode, a.PostalCode)
		add(oid.StreetAddress, a.Street)
	}
}

// maxCommonName is ub-common-name of RFC 5280 §A.1, in characters.
const maxCommonName = 64

// commonName is a mailbox only where it fits.
func (p *Profile) commonName(n Names) string {
	which := p.config.CommonName
	if which == "" {
		which = commonNames[p.config.Type][0]
	}
	switch which {
	case NameOrganization:
		return n.Organization.config.Name
	case NamePerson:
		return n.Individual.config.display()
	}
	if text := n.Mailboxes[0].String(); utf8.RuneCountInString(text) <= maxCommonName {
		return text
	}
	return ""
}
