package registration

import (
	"context"

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
