package registration

import (
	"context"

	"github.com/mailseal/mailseal/internal/store"
)

// Recent shows the newest orders first, at most limit of them. It asks for no
// session's secret: it is for administrators, and the caller has made sure.
func (s *Service) Recent(ctx context.Context, limit int) ([]Order, error) {
	var orders []Order
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.RecentOrders(limit)
		for _, row := range rows {
			orders = append(orders, s.public(row))
		}
		return err
	})
	return orders, err
}
