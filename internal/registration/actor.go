package registration

import (
	"context"
	"errors"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// console tells whether somebody at the server's own data acts: they could write
// what they want, and are entered as who they are.
func console(a auth.Actor) bool { return a.Kind == auth.KindServer && a.ID == auth.Console().ID }

// signedIn tells whether an account acts, itself or through a token, or the
// console.
func signedIn(a auth.Actor) bool {
	switch a.Kind {
	case auth.KindAccount:
		return a.ID != ""
	case auth.KindToken:
		return a.ID != "" && a.Account != ""
	}
	return console(a)
}

// administers tells whether the actor runs an organization.
func administers(a auth.Actor, organization string) bool {
	return organization != "" && (signedIn(a) && a.Has(auth.Administrator, organization) || console(a))
}

// approves tells whether the actor may decide what another asked for.
func approves(a auth.Actor, organization string) bool {
	return administers(a, organization) || organization != "" && signedIn(a) && a.Has(auth.Approver, organization)
}

// reads tells whether the actor may look at an organization.
func reads(a auth.Actor, organization string) bool {
	return organization != "" && (signedIn(a) && a.MayRead(organization) || console(a) || ours(a))
}

// operates tells whether the actor runs the authority.
func operates(a auth.Actor) bool { return signedIn(a) && a.Has(auth.Operator, "") }

// validates tells whether the actor decides about evidence.
func validates(a auth.Actor) bool { return signedIn(a) && a.Has(auth.Validator, "") }

// The parts of the server that order and enroll by themselves.
const (
	PartEnrollment = "enrollment" // bulk runs that an administrator started
	PartRenewal    = "renewal"
)

// ours tells whether one of these parts acts.
func ours(a auth.Actor) bool {
	return a.Kind == auth.KindServer && (a.ID == PartEnrollment || a.ID == PartRenewal)
}

// whose names the one who stands behind an actor: two tokens of one account are
// one pair of eyes.
func whose(a auth.Actor) string {
	if a.Kind == auth.KindToken {
		return auth.Actor{Kind: auth.KindAccount, ID: a.Account}.String()
	}
	return a.String()
}

// act enters an act of an actor.
func (s *Service) act(ctx context.Context, tx *store.Tx, a auth.Actor, act, object string, details map[string]string) error {
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: a.String(), Act: act, Object: object, Details: details})
}

// hidden makes what is not there look like what is not allowed.
func hidden(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrForbidden
	}
	return err
}

// conflicting makes a row that has changed meanwhile the caller's business.
func conflicting(err, as error) error {
	if errors.Is(err, store.ErrConflict) {
		return as
	}
	return err
}
