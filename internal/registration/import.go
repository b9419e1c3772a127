package registration

import (
	"context"
	"errors"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// Administers tells whether the actor runs an organization.
func Administers(a auth.Actor, organization string) bool { return administers(a, organization) }

// Reads tells whether the actor may look at an organization.
func Reads(a auth.Actor, organization string) bool { return reads(a, organization) }

// Behind names the one who stands behind an actor, as orders keep who asked: two
// tokens of one account are one pair of eyes.
func Behind(a auth.Actor) string { return whose(a) }

// Enlistment is one of many people who are to get certificates.
type Enlistment struct {
	Person   string          // one of the organization's people; empty: who has the address, or somebody new
	Input    PersonInput     // of who is new
	Use      issuance.KeyUse // empty: as the settings say
	Replaces string          // of a renewal
}

// Enlisted is what became of one of them.
type Enlisted struct {
	Person string
	Orders []string // in the order of [Settings.Uses]
	Err    error    // an ErrInput or ErrForbidden, about this one alone
}

// Enlist makes many people known to an organization, where they are not yet, and
// opens their orders: all of them in the transaction in which also, at its end,
// writes down what came of it. Requester is who asked, as the audit log names
// them.
func (s *Service) Enlist(ctx context.Context, actor auth.Actor, organization, requester string, people []Enlistment, also func(*store.Tx, []Enlisted) error) error {
	if !ours(actor) || organization == "" {
		return ErrForbidden
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		enlisted := make([]Enlisted, len(people))
		d, err := s.desk(tx, organization)
		if errors.Is(err, ErrInput) { // suspended, closed
			for i := range enlisted {
				enlisted[i].Err = err
			}
			return also(tx, enlisted)
		}
		if err != nil {
			return err
		}
		d.by = requester
		for i, p := range people {
			e := &enlisted[i]
			e.Person, e.Orders, e.Err = s.enlist(ctx, tx, d, actor, requester, p)
			if e.Err != nil && !errors.Is(e.Err, ErrInput) && !errors.Is(e.Err, ErrForbidden) {
				return e.Err
			}
		}
		return also(tx, enlisted)
	})
}

func (s *Service) enlist(ctx context.Context, tx *store.Tx, d *desk, actor auth.Actor, requester string, p Enlistment) (person string, orders []string, err error) {
	if person = p.Person; person == "" {
		if person, err = d.known(p.Input); err == nil && person == "" {
			var added Person
			added, err = d.add(ctx, actor, p.Input)
			person = added.ID
		}
	}
	if err != nil {
		return "", nil, err
	}
	b, err := s.orderBook(tx, actor, d.row.ID, OrderRequest{Use: p.Use, Replaces: p.Replaces, RequestedBy: requester})
	if err != nil {
		return person, nil, err
	}
	for _, use := range b.uses {
		o, err := b.order(ctx, person, use)
		if err != nil {
			// Half a pair is none.
			for _, id := range orders {
				if err := s.refuse(ctx, tx, actor, id, "the other certificate of the pair cannot be ordered"); err != nil {
					return person, nil, err
				}
			}
			return person, nil, err
		}
		orders = append(orders, o.ID)
	}
	return person, orders, nil
}

// known finds who of the organization's people has the address.
func (d *desk) known(p PersonInput) (person string, err error) {
	for _, address := range p.Addresses {
		m, err := mailbox.Parse(address)
		if err != nil {
			continue // add says what is wrong with it
		}
		person, err = d.tx.MemberByMailbox(d.row.ID, m.Key())
		if !errors.Is(err, store.ErrNotFound) {
			return person, err
		}
	}
	return "", nil
}
