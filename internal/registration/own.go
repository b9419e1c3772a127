package registration

import (
	"context"
	"slices"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// OwnOrders lists the open orders that organizations asked for, for the person
// who is signed in.
func (s *Service) OwnOrders(ctx context.Context, actor auth.Actor) (list []Order, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		organizations, err := tx.MembershipsOf(actor.ID)
		if err != nil {
			return err
		}
		list = nil
		for _, organization := range organizations {
			open, err := s.openOrders(tx, organization, actor.ID)
			if err != nil {
				return err
			}
			list = append(list, open...)
		}
		return nil
	})
	return list, err
}

// RenewOwn orders a certificate in place of one of the person who is signed in: the
// organization's settings say what it is like, and whether somebody has to approve
// it. Orders that are open for it already are what it answers with. It is
// [ErrNoOrganization] where nobody but the person asked for the first one.
func (s *Service) RenewOwn(ctx context.Context, actor auth.Actor, certificate string) ([]Order, error) {
	held, err := s.OwnCertificates(ctx, actor)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(held, func(h Held) bool { return h.ID == certificate })
	switch {
	case i < 0:
		return nil, ErrForbidden
	case held[i].Organization == "":
		return nil, ErrNoOrganization
	}
	open, err := s.OwnOrders(ctx, actor)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(o Order) bool { return o.Replaces != certificate })
	if len(open) > 0 {
		return open, nil
	}
	outcomes, err := s.OrdersFor(ctx, auth.Server(PartEnrollment), held[i].Organization, []string{actor.ID}, OrderRequest{
		Replaces: certificate, RequestedBy: actor.String(),
	})
	if err != nil {
		return nil, err
	}
	for _, o := range outcomes {
		if o.Err != nil {
			return nil, o.Err
		}
		open = append(open, o.Order)
	}
	return open, nil
}
