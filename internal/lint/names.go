package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// attributeForm is how an attribute of a name is written (RFC 5280 §A.1, X.520):
// its upper bound in characters and the string types that it may have.
type attributeForm struct {
	bound int
	types []asn1.Tag
}

var (
	printable = []asn1.Tag{asn1.PrintableString}
	directory = []asn1.Tag{asn1.PrintableString, asn1.UTF8String} // RFC 5280 §4.1.2.4: for new certificates
	ia5       = []asn1.Tag{asn1.IA5String}
)

var attributeForms = map[oid.OID]attributeForm{
	oid.CommonName: {64, directory}, oid.Organization: {64, directory}, oid.OrganizationalUnit: {64, directory},
	oid.Title: {64, directory}, oid.SerialNumber: {64, printable}, oid.Country: {2, printable},
	oid.Locality: {128, directory}, oid.StateOrProvince: {128, directory}, oid.StreetAddress: {128, directory},
	oid.Pseudonym: {128, directory}, oid.PostalCode: {40, directory}, oid.GivenName: {32768, directory},
	oid.Surname: {32768, directory}, oid.EmailAddress: {255, ia5}, oid.OrganizationIdentifier: {256, directory},
}

// attributes returns those of the subject, in order.
func (s *Subject) attributes() []cert.Attribute { return flat(s.Subject) }

func flat(n cert.Name) (list []cert.Attribute) {
	for _, rdn := range n.RDNs {
		list = append(list, rdn...)
	}
	return list
}

func checkStringTypes(s *Subject) string {
	for _, a := range s.attributes() {
		form, known := attributeForms[a.Type]
		if known && (len(a.Raw) == 0 || !slices.Contains(form.types, asn1.Tag(a.Raw[0]))) {
			return fmt.Sprintf("subject: %s is written as a string of the wrong type", a.Type.Name())
		}
	}
	return ""
}

func checkNameLengths(s *Subject) string {
	for _, a := range s.attributes() {
		if form, known := attributeForms[a.Type]; known && utf8.RuneCountInString(a.Value) > form.bound {
			return fmt.Sprintf("subject: %s has more than %d characters", a.Type.Name(), form.bound)
		}
	}
	return ""
}

// checkMetadata: a value that says that there is none.
func checkMetadata(s *Subject) string {
	for _, a := range s.attributes() {
		if a.Text && strings.Trim(a.Value, ".- ") == "" {
			return fmt.Sprintf("subject: %s says nothing: %q", a.Type.Name(), a.Value)
		}
	}
	return ""
}

func checkCountry(s *Subject) string {
	for _, c := range s.Subject.Get(oid.Country) {
		if !IsCountry(c) {
			return fmt.Sprintf("subject: country %q is no code of ISO 3166-1, nor XX", c)
		}
	}
	return ""
}

// countries are the codes of ISO 3166-1 alpha-2 that are assigned.
const countries = ` AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
 CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG
 GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ
 LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR
 NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ
 TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW `

// IsCountry tells whether the code may stand in a subject: one of ISO 3166-1,
// or XX where there is none (S/MIME BR §7.1.4.2.2 (n)).
func IsCountry(code string) bool {
	return len(code) == 2 && (code == "XX" || strings.Contains(countries, " "+code+" ") || strings.Contains(countries, " "+code+"\n"))
}
