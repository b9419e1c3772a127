package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/oid"
)

// reservedArc holds the CA/Browser Forum's own policy identifiers for S/MIME
// (S/MIME BR §7.1.6.1): reservedArc, the type's number, the generation's.
const reservedArc = "2.23.140.1.5."

// Type is what was validated (S/MIME BR §1.2.1).
type Type string

// The four types. Products call them Basic, OV, IV+OV and IV.
const (
	MailboxValidated      Type = "mailbox-validated"
	OrganizationValidated Type = "organization-validated"
	SponsorValidated      Type = "sponsor-validated"
	IndividualValidated   Type = "individual-validated"
)

// Types lists them in the order of their numbers.
var Types = []Type{MailboxValidated, OrganizationValidated, SponsorValidated, IndividualValidated}

// Known tells whether t is one of the four types.
func (t Type) Known() bool { return slices.Contains(Types, t) }

// Generation is how strict the S/MIME BR are with the certificate.
type Generation string

// The generations. Multipurpose certificates may also authenticate a TLS
// client; legacy ones have not been allowed since 2025-07-15.
const (
	Legacy       Generation = "legacy"
	Multipurpose Generation = "multipurpose"
	Strict       Generation = "strict"
)

// generations lists them in the order of their numbers.
var generations = []Generation{Legacy, Multipurpose, Strict}

// Kind is what the rules for a subscriber's certificate depend on.
type Kind struct {
	Type       Type
	Generation Generation
}

// ReservedPolicy returns the CA/Browser Forum's identifier of the kind.
func (k Kind) ReservedPolicy() oid.OID { return oid.OID(reservedArc + k.Number()) }

// Number returns the two arcs that tell the kinds apart: "1.2".
func (k Kind) Number() string {
	for t, name := range Types {
		for g, generation := range generations {
			if (k == Kind{name, generation}) {
				return fmt.Sprintf("%d.%d", t+1, g+1)
			}
		}
	}
	return "0.0"
}

// String is the name that [ParseKind] reads: "sponsor-strict".
func (k Kind) String() string {
	return strings.TrimSuffix(string(k.Type), "-validated") + "-" + string(k.Generation)
}

// organization and person tell whose identity was validated beside the
// mailbox.
func (k Kind) organization() bool {
	return k.Type == OrganizationValidated || k.Type == SponsorValidated
}
func (k Kind) person() bool { return k.Type == SponsorValidated || k.Type == IndividualValidated }

// Kinds lists all of them.
func Kinds() (list []Kind) {
	for _, t := range Types {
		for _, g := range generations {
			list = append(list, Kind{t, g})
		}
	}
	return list
}

// ParseKind reads TYPE-GENERATION: mailbox, organization, sponsor or
// individual, and strict, multipurpose or legacy.
func ParseKind(text string) (Kind, error) {
	for _, k := range Kinds() {
		if text == k.String() {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("%q is not mailbox, organization, sponsor or individual, a hyphen, and strict, multipurpose or legacy", text)
}

// IsReserved tells whether the identifier belongs to the CA/Browser Forum.
func IsReserved(policy oid.OID) bool { return strings.HasPrefix(string(policy), reservedArc) }

// KindOf reads the kind from the certificate's policies; false when they name
// none or several.
func KindOf(c *cert.Certificate) (kind Kind, ok bool) {
	for _, p := range c.Policies {
		for _, k := range Kinds() {
			if p.ID != k.ReservedPolicy() {
				continue
			}
			if ok {
				return Kind{}, false
			}
			kind, ok = k, true
		}
	}
	return kind, ok
}
