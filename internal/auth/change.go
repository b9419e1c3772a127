package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Where an organization has its orders decided by two, one member alone does not
// switch that off, nor by way of a second pair of eyes of their own making.

// ChangeKind is what a [Change] does.
type ChangeKind string

// The kinds.
const (
	EndApproval  ChangeKind = "approval-off" // orders need nobody but who asked for them
	InviteMember ChangeKind = "invite"       // a mail invites to a role that decides, or holds shares
	GiveMember   ChangeKind = "give"         // an account gets such a role
	TakeMember   ChangeKind = "take"         // somebody else loses one that decides
	NameOfficers ChangeKind = "officers"     // recovery officers are proposed
)

// Limits of changes.
const (
	ChangeLife = 7 * 24 * time.Hour // how long one waits
	MaxChanges = 50                 // that wait in one organization
)

// Change is what one member of an organization asked for and another has yet to
// confirm.
type Change struct {
	ID           string
	Organization string
	Kind         ChangeKind
	Role         Role    // that is given or taken back; empty: none
	Account      Account // whose role it is; with an address alone: who is invited
	Asker        Account
	Threshold    int       // of the officers, who open a key together
	Officers     []Account // who are to hold shares
	Asked        time.Time
	Expires      time.Time
	For          []Account // the members who may confirm it
}

// Confirms tells whether an actor may confirm the change: another member, in
// person, and where a role is taken back an operator, because the member who
// would be left alone may be who is lost. Where none is left an operator is the
// second one.
func (c Change) Confirms(by Actor) bool {
	switch by.Kind {
	case KindServer:
		return by.Has(Operator, "")
	case KindAccount:
		member := by.Has(Administrator, c.Organization) || by.Has(Approver, c.Organization)
		return by.ID != c.Asker.ID && (member || (c.Kind == TakeMember || len(c.For) == 0) && by.Has(Operator, ""))
	}
	return false
}

// refuses tells whether an actor may refuse the change, or withdraw it.
func (c Change) refuses(by Actor) bool {
	return by.Has(Administrator, c.Organization) || by.Has(Approver, c.Organization) || by.Has(Operator, "")
}

// WaitsError says that what was asked for waits for a second member, and that all
// else of it was done.
type WaitsError struct{ Change Change }

func (e *WaitsError) Error() string {
	return "auth: it waits until a second member of the organization confirms it"
}

// Rules is what the room above knows of organizations.
type Rules interface {
	// TwoDecide tells whether an organization has its orders decided by two.
	TwoDecide(tx *store.Tx, organization string) (bool, error)

	// EndApproval has them decided by one from now on.
	EndApproval(ctx context.Context, tx *store.Tx, by Actor, organization string) error
}

// Govern names the room that knows the rules of organizations.
func (s *Service) Govern(r Rules) { s.rules = r }

// Officers are the recovery officers that somebody wants to propose.
type Officers struct {
	Threshold int       `json:"threshold"`
	Officers  []Officer `json:"officers"`
}

// Officer is one of them.
type Officer struct {
	Account     string `json:"account"`
	Certificate []byte `json:"certificate"` // DER
}

// Custody is the room that has officers hold the shares of keys.
type Custody interface {
	// ProposeOfficers does what a second member has confirmed.
	ProposeOfficers(ctx context.Context, tx *store.Tx, by Actor, organization string, o Officers) error
}

// Entrust names the room that knows the recovery officers.
func (s *Service) Entrust(c Custody) { s.custody = c }

// decides tells whether a role decides about orders.
func (r Role) decides() bool { return r == Administrator || r == Approver }

// guarded tells whether nobody alone gives a role: who holds shares opens, with as
// many puppets as it takes, every key that is kept.
func (r Role) guarded() bool { return r.decides() || r == RecoveryOfficer }

// Members are the accounts that could decide about an organization's orders.
func Members(tx *store.Tx, organization string) (ids []string, err error) {
	list, err := tx.RolesIn(organization)
	for _, g := range list {
		if Role(g.Role).decides() && !slices.Contains(ids, g.AdministratorID) {
			ids = append(ids, g.AdministratorID)
		}
	}
	return ids, err
}

// Watched tells whether a second member is to confirm what an actor does that is
// grave for an organization; twoDecide is its rule. It is so, too, for a while after
// one of two was lost. Whoever has the server's data in hand needs nobody.
func Watched(tx *store.Tx, by Actor, organization string, twoDecide func(*store.Tx, string) (bool, error), now time.Time) (bool, error) {
	if by.Kind == KindServer {
		return false, nil
	}
	members, err := Members(tx, organization)
	if err != nil || len(members) == 0 { // an operator appoints the next
		return false, err
	}
	if len(members) == 1 {
		if until, err := tx.EyesHeld(organization, now); err != nil || until.IsZero() {
			return false, err
		}
	}
	return twoDecide(tx, organization)
}

// watched is Watched for who gives a role that is guarded.
func (s *Service) watched(tx *store.Tx, by Actor, g Grant) (bool, error) {
	if !g.Role.guarded() {
		return false, nil
	}
	return Watched(tx, by, g.Organization, func(tx *store.Tx, organization string) (bool, error) {
		if s.rules == nil {
			return false, errors.New("auth: nobody knows the rules of the organization")
		}
		return s.rules.TwoDecide(tx, organization)
	}, s.clock())
}

// ask writes a change that somebody asked for in a transaction.
func (s *Service) ask(ctx context.Context, tx *store.Tx, by Actor, c store.PendingChange) (*WaitsError, error) {
	id, err := s.newID()
	if err != nil {
		return nil, err
	}
	c.ID = id
	return Ask(ctx, tx, s.queue, by, c, s.clock())
}

// Ask writes a change that somebody asked for, in a transaction of the caller's,
// who has made sure that by may, and has those told who may confirm it; the same one
// that waits already stays as it is. Queue is nil where no mails leave.
func Ask(ctx context.Context, tx *store.Tx, queue Queue, by Actor, c store.PendingChange, at time.Time) (*WaitsError, error) {
	c.AskedBy, c.Asked = by.person(), at.UTC().Truncate(time.Second)
	c.Expires = c.Asked.Add(ChangeLife)
	waiting, err := tx.PendingChanges(c.OrganizationID, at)
	if err != nil {
		return nil, err
	}
	for _, w := range waiting {
		if w.Kind == c.Kind && w.Role == c.Role && w.AccountID == c.AccountID && w.Email == c.Email && w.Officers == c.Officers && w.AskedBy == c.AskedBy {
			change, err := changeOf(tx, w)
			return &WaitsError{change}, err
		}
	}
	if len(waiting) >= MaxChanges {
		return nil, fmt.Errorf("%w: too many changes wait", ErrTooMany)
	}
	if err := tx.InsertPendingChange(c); err != nil {
		return nil, err
	}
	if err := recordChange(ctx, tx, by, store.ActChangeAsked, c, at); err != nil {
		return nil, err
	}
	change, err := changeOf(tx, c)
	if err != nil {
		return nil, err
	}
	return &WaitsError{change}, tellOfChange(tx, queue, change)
}

// recordChange enters what happened to a change; whom it invites is not for the
// log.
func recordChange(ctx context.Context, tx *store.Tx, by Actor, act string, c store.PendingChange, at time.Time) error {
	details := map[string]string{"organization": c.OrganizationID, "kind": c.Kind}
	for key, value := range map[string]string{"role": c.Role, "account": c.AccountID} {
		if value != "" {
			details[key] = value
		}
	}
	if act != store.ActChangeAsked {
		details["asked_by"] = Actor{Kind: KindAccount, ID: c.AskedBy}.String()
	}
	return audit.Append(ctx, tx, audit.Entry{At: at, Actor: by.String(), Act: act, Object: c.ID, Details: details})
}

// person is the account behind an actor: two tokens of one are one person.
func (a Actor) person() string {
	if a.Kind == KindToken {
		return a.Account
	}
	return a.ID
}

func changeOf(tx *store.Tx, row store.PendingChange) (c Change, err error) {
	c = Change{
		ID: row.ID, Organization: row.OrganizationID, Kind: ChangeKind(row.Kind), Role: Role(row.Role),
		Account: Account{Email: row.Email}, Asked: row.Asked, Expires: row.Expires,
	}
	if c.Asker, err = accountByID(tx, row.AskedBy); err != nil {
		return c, err
	}
	if row.AccountID != "" {
		if c.Account, err = accountByID(tx, row.AccountID); err != nil {
			return c, err
		}
	}
	if row.Officers != "" {
		var named Officers
		if err := json.Unmarshal([]byte(row.Officers), &named); err != nil {
			return c, fmt.Errorf("auth: the officers of change %s: %w", row.ID, err)
		}
		c.Threshold = named.Threshold
		for _, o := range named.Officers {
			a, err := accountByID(tx, o.Account)
			if err != nil {
				return c, err
			}
			c.Officers = append(c.Officers, a)
		}
	}
	members, err := Members(tx, row.OrganizationID)
	if err != nil {
		return c, err
	}
	for _, id := range members {
		if id == row.AskedBy {
			continue
		}
		a, err := accountByID(tx, id)
		if err != nil {
			return c, err
		}
		c.For = append(c.For, a)
	}
	return c, nil
}

func accountByID(tx *store.Tx, id string) (Account, error) {
	a, err := tx.Administrator(id)
	return account(a), err
}

// Changes lists what waits for a second member of an organization.
func (s *Service) Changes(ctx context.Context, by Actor, organization string) (list []Change, err error) {
	if organization == "" || !by.MayRead(organization) {
		return nil, ErrForbidden
	}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.PendingChanges(organization, s.clock())
		if err != nil {
			return err
		}
		for _, row := range rows {
			c, err := changeOf(tx, row)
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	return list, err
}

// WaitingRole is a role that an account gets when a second member of the
// organization has confirmed it.
type WaitingRole struct {
	Role         Role
	Organization string
	Asked        time.Time
	Expires      time.Time
}

// WaitingRoles lists those that wait for an account, for whoever is signed in with
// it.
func (s *Service) WaitingRoles(ctx context.Context, by Actor) (list []WaitingRole, err error) {
	if by.Kind != KindAccount || by.ID == "" {
		return nil, ErrForbidden
	}
	err = s.db.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.PendingChangesAbout(by.ID, string(GiveMember), s.clock())
		for _, row := range rows {
			list = append(list, WaitingRole{Role(row.Role), row.OrganizationID, row.Asked, row.Expires})
		}
		return err
	})
	return list, err
}

// ConfirmChange does what another member asked for.
func (s *Service) ConfirmChange(ctx context.Context, by Actor, organization, id string) error {
	return s.decideChange(ctx, organization, id, func(tx *store.Tx, row store.PendingChange, c Change) error {
		if !c.Confirms(by) {
			return ErrForbidden
		}
		if err := by.Again(); err != nil {
			return err
		}
		if err := tx.TakePendingChange(id, store.ActChangeConfirmed); err != nil {
			return stateOf(err)
		}
		if err := recordChange(ctx, tx, by, store.ActChangeConfirmed, row, s.clock()); err != nil {
			return err
		}
		return s.confirmed(ctx, tx, row)
	})
}

// RefuseChange ends a change without doing it; who asked withdraws it so.
func (s *Service) RefuseChange(ctx context.Context, by Actor, organization, id string) error {
	return s.decideChange(ctx, organization, id, func(tx *store.Tx, row store.PendingChange, c Change) error {
		if !c.refuses(by) {
			return ErrForbidden
		}
		if err := tx.TakePendingChange(id, store.ActChangeRefused); err != nil {
			return stateOf(err)
		}
		return recordChange(ctx, tx, by, store.ActChangeRefused, row, s.clock())
	})
}

func (s *Service) decideChange(ctx context.Context, organization, id string, decide func(*store.Tx, store.PendingChange, Change) error) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		row, err := tx.PendingChange(id, s.clock())
		if errors.Is(err, store.ErrNotFound) || err == nil && row.OrganizationID != organization {
			return ErrForbidden
		}
		if err != nil {
			return err
		}
		c, err := changeOf(tx, row)
		if err != nil {
			return err
		}
		return decide(tx, row, c)
	})
}

// confirmed does what was asked for, in the name of who asked, with the roles
// that they have today.
func (s *Service) confirmed(ctx context.Context, tx *store.Tx, row store.PendingChange) error {
	asker, err := accountActor(tx, row.AskedBy)
	if err != nil {
		return err
	}
	if row.Kind == string(EndApproval) {
		if !asker.Has(Administrator, row.OrganizationID) {
			return ErrState
		}
		return s.rules.EndApproval(ctx, tx, asker, row.OrganizationID)
	}
	if row.Kind == string(NameOfficers) {
		return s.nameOfficers(ctx, tx, asker, row)
	}
	g := Grant{Role(row.Role), row.OrganizationID}
	if err := mayGrant(tx, asker, g); errors.Is(err, ErrForbidden) {
		return ErrState
	} else if err != nil {
		return err
	}
	switch ChangeKind(row.Kind) {
	case InviteMember:
		m, err := mailbox.Parse(row.Email)
		if err != nil {
			return err
		}
		_, err = s.sendInvitation(ctx, tx, asker, m, row.Language, g, true)
		return err
	case GiveMember:
		return s.give(ctx, tx, asker, row.AccountID, g)
	case TakeMember:
		return s.take(ctx, tx, asker, row.AccountID, g)
	}
	return ErrState
}

func (s *Service) nameOfficers(ctx context.Context, tx *store.Tx, asker Actor, row store.PendingChange) error {
	if s.custody == nil {
		return errors.New("auth: nobody keeps the keys of the organization")
	}
	if !asker.Has(Administrator, row.OrganizationID) {
		return ErrState
	}
	var o Officers
	if err := json.Unmarshal([]byte(row.Officers), &o); err != nil {
		return fmt.Errorf("auth: the officers of change %s: %w", row.ID, err)
	}
	return s.custody.ProposeOfficers(ctx, tx, asker, row.OrganizationID, o)
}
