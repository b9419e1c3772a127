package auth

import "slices"

// Role is what somebody may do.
type Role string

// The roles. Those of the authority are of the whole installation, the others
// of one organization.
const (
	Operator        Role = "operator"         // of the authority: organizations, authorities, problem reports
	Validator       Role = "validator"        // decides about evidence of organizations and people
	Auditor         Role = "auditor"          // reads everything, the audit log too, and changes nothing
	Administrator   Role = "administrator"    // of one organization: its domains, people, orders, bulk runs
	Approver        Role = "approver"         // of one organization: decides orders and releases that another asked for
	RecoveryOfficer Role = "recovery-officer" // of one organization: holds a share
)

// Reader looks at what the account of a token may look at, and changes nothing:
// no account has this role, only a token.
const Reader Role = "reader"

// Roles lists all that an account may have.
var Roles = []Role{Operator, Validator, Auditor, Administrator, Approver, RecoveryOfficer}

// OfOrganization tells whether the role is of one organization, and not of the
// whole installation.
func (r Role) OfOrganization() bool {
	return r == Administrator || r == Approver || r == RecoveryOfficer
}

// strong tells whether a session has the role only when more than a password
// opened it: whoever lets people in, decides, or holds a share.
func (r Role) strong() bool {
	return r == Operator || r == Validator || r == Administrator || r == Approver || r == RecoveryOfficer
}

// Apart tells whether nobody has both roles: who audits does nothing that is
// audited, and who runs the authority holds no share of an organization's keys.
// The store holds the same pairs and refuses to join them.
func (r Role) Apart(other Role) bool {
	if r == other {
		return false
	}
	return r == Auditor || other == Auditor ||
		r == Operator && other == RecoveryOfficer || r == RecoveryOfficer && other == Operator
}

// Grant is a role that somebody has.
type Grant struct {
	Role         Role
	Organization string // empty: the whole installation
}

// ActorKind is the kind of an [Actor].
type ActorKind string

// The kinds.
const (
	KindAccount ActorKind = "account" // of an administrator of any role
	KindPerson  ActorKind = "person"  // who holds certificates
	KindToken   ActorKind = "token"   // a program, for an account
	KindServer  ActorKind = "server"  // the server itself, or who has its data in hand
)

// Actor is who asks for something. The zero Actor is nobody and may do nothing.
type Actor struct {
	Kind    ActorKind
	ID      string  // of the account, person, token, or what part of the server
	Account string  // for a token: whose it is
	Grants  []Grant // a token has those of its account that its scopes leave
	Strong  bool    // signed in with a second factor, passkey or certificate
	Fresh   bool    // and showed it a moment ago: see Again
}

// Has tells whether the actor has a role in an organization; empty: in the whole
// installation. An operator may do what a validator may, and nothing else that
// was not granted: in particular no administrator's acts. The server itself has
// no role: what it may do for itself, the function that it calls says.
func (a Actor) Has(role Role, organization string) bool {
	return slices.ContainsFunc(a.Grants, func(g Grant) bool {
		return (g.Role == role || g.Role == Operator && role == Validator) &&
			(g.Organization == organization || g.Organization == "" && !role.OfOrganization())
	})
}

// Self tells whether the actor is a person: everybody sees what is their own.
func (a Actor) Self(person string) bool {
	return a.Kind == KindPerson && a.ID == person && person != ""
}

// MayRead tells whether the actor may look at an organization and what belongs
// to it, keys excepted.
func (a Actor) MayRead(organization string) bool {
	return a.Has(Operator, "") || a.Has(Auditor, "") || a.Has(Administrator, organization) || a.Has(Approver, organization) ||
		a.Has(Reader, organization)
}

// Organizations lists those in which the actor has a role.
func (a Actor) Organizations() []string {
	var ids []string
	for _, g := range a.Grants {
		if g.Organization != "" && !slices.Contains(ids, g.Organization) {
			ids = append(ids, g.Organization)
		}
	}
	return ids
}

// String is how the audit log names the actor, such as "account:ID".
func (a Actor) String() string { return string(a.Kind) + ":" + a.ID }

// Server is a part of the server that acts by itself, such as "renewal".
func Server(part string) Actor { return Actor{Kind: KindServer, ID: part} }

// Console is who runs a command on the server's own data: whoever may read the
// keys is an operator.
func Console() Actor {
	return Actor{Kind: KindServer, ID: "console", Grants: []Grant{{Role: Operator}}, Strong: true}
}
