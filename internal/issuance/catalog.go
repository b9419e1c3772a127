package issuance

import (
	"github.com/mailseal/mailseal/internal/lint"
	"github.com/mailseal/mailseal/internal/oid"
)

// standardValidityDays is two years.
const standardValidityDays = 730

// products are the names under which the types are known.
var products = map[Type]string{
	MailboxValidated: "basic", IndividualValidated: "iv", OrganizationValidated: "ov", SponsorValidated: "iv-ov",
}

// StandardProfiles returns the profiles of an operator with a policy arc of
// their own: the four types, multipurpose and strict, with one key or with one
// of a pair. They are named basic, basic-signing, basic-strict-encryption, ov
// and so on. Capabilities name CBC only: a GCM mail is a blank page in today's
// Thunderbird ESR.
func StandardProfiles(arc oid.OID) (list []ProfileConfig) {
	for _, t := range lint.Types {
		for _, g := range []Generation{Multipurpose, Strict} {
			for _, use := range []KeyUse{"", Signing, Encryption} {
				c := ProfileConfig{
					Name: products[t], Type: t, Generation: g, KeyUse: use, Policy: OperatorPolicy(arc, t, g),
					ValidityDays: standardValidityDays, Capabilities: []oid.OID{oid.AES256CBC, oid.AES128CBC},
				}
				if g == Strict {
					c.Name += "-strict"
				}
				if use != "" {
					c.Name += "-" + string(use)
				}
				list = append(list, c)
			}
		}
	}
	return list
}

// StandardProfile returns the one of that name; false: there is none.
func StandardProfile(arc oid.OID, name string) (ProfileConfig, bool) {
	for _, c := range StandardProfiles(arc) {
		if c.Name == name {
			return c, true
		}
	}
	return ProfileConfig{}, false
}
