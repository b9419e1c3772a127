package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// The ways in which a role is not given or taken back.
var (
	// ErrForbidden: the actor may not do it, or there is nothing to do it to;
	// the two look alike.
	ErrForbidden = errors.New("auth: not allowed, or not there")
	// ErrApart: nobody has these two roles (see [Role.Apart]).
	ErrApart = errors.New("auth: these roles are kept apart")
	// ErrLast: without this account nobody would have the role any more.
	ErrLast = errors.New("auth: the last one with this role")
	// ErrRole: no such role, or not of that scope.
	ErrRole = errors.New("auth: no such role")
)

// check refuses a role that is not, or not of such a scope.
func (g Grant) check() error {
	for _, r := range Roles {
		if r == g.Role && r.OfOrganization() == (g.Organization != "") {
			return nil
		}
	}
	return fmt.Errorf("%w: %q of %q", ErrRole, g.Role, g.Organization)
}

// fits refuses a role that an account cannot have, and tells whether it has it.
func fits(tx *store.Tx, account string, g Grant) (has bool, err error) {
	if err := g.check(); err != nil {
		return false, err
	}
	all, err := grants(tx, account)
	for _, other := range all {
		switch {
		case other == g:
			return true, nil
		case other.Role.Apart(g.Role):
			return false, fmt.Errorf("%w: %s and %s", ErrApart, other.Role, g.Role)
		}
	}
	return false, err
}

// GiveRole gives an account a role in a transaction of the caller's, who has
// made sure that by may.
func GiveRole(ctx context.Context, tx *store.Tx, by Actor, account string, g Grant, at time.Time) error {
	has, err := fits(tx, account, g)
	if err != nil || has {
		return err
	}
	err = tx.GrantRole(store.RoleGrant{
		AdministratorID: account, Role: string(g.Role), OrganizationID: g.Organization, GrantedBy: by.String(), Granted: at,
	})
	if errors.Is(err, store.ErrConflict) { // no such account
		return ErrForbidden
	}
	if err != nil {
		return err
	}
	return recordRole(ctx, tx, by, store.ActRoleGranted, account, g, at)
}

// TakeRole takes a role back in a transaction of the caller's, who has made sure
// that by may. The last operator stays one.
func TakeRole(ctx context.Context, tx *store.Tx, by Actor, account string, g Grant, at time.Time) error {
	if g.Role == Operator {
		if err := notLast(tx); err != nil {
			return err
		}
	}
	err := tx.TakeRole(account, string(g.Role), g.Organization)
	if errors.Is(err, store.ErrConflict) {
		return ErrForbidden
	}
	if err != nil {
		return err
	}
	return recordRole(ctx, tx, by, store.ActRoleTaken, account, g, at)
}

func recordRole(ctx context.Context, tx *store.Tx, by Actor, act, account string, g Grant, at time.Time) error {
	details := map[string]string{"role": string(g.Role)}
	if g.Organization != "" {
		details["organization"] = g.Organization
	}
	return audit.Append(ctx, tx, audit.Entry{At: at, Actor: by.String(), Act: act, Object: account, Details: details})
}

// grants reads what an account may do.
func grants(tx *store.Tx, account string) ([]Grant, error) {
	rows, err := tx.RolesOf(account)
	if err != nil {
		return nil, err
	}
	list := make([]Grant, len(rows))
	for i, r := range rows {
		list[i] = Grant{Role: Role(r.Role), Organization: r.OrganizationID}
	}
	return list, nil
}
