package server

import (
	"context"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/recovery"
)

// escrow is recovery as what enrollment hands encryption keys to.
type escrow struct{ *recovery.Service }

// Ready implements enrollment.Escrow.
func (e escrow) Ready(ctx context.Context, organization string) error {
	q, err := e.Quorum(ctx, organization)
	if err == nil && q == nil {
		err = enrollment.ErrNoOfficers
	}
	return err
}

// openEnrollment comes after the rooms that it works with.
func (s *system) openEnrollment(ctx context.Context) (err error) {
	s.enrollment, err = enrollment.New(ctx, enrollment.Options{
		Store: s.store, Outbox: s.outbox, Mails: s.mails, Registration: s.orders, Keys: s.Keys, Escrow: escrow{s.recovery},
		Site: s.url, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
	})
	return err
}
