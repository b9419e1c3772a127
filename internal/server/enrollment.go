package server

import (
	"context"
	"crypto"

	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/store"
)

// escrow lets recovery keep the encryption keys that enrollment makes.
type escrow struct{ s *system }

func (e escrow) officers(ctx context.Context, organization string) (*recovery.Quorum, error) {
	q, err := e.s.recovery.Quorum(ctx, organization)
	if err == nil && q == nil {
		err = enrollment.ErrNoOfficers
	}
	return q, err
}

// Ready implements enrollment.Escrow.
func (e escrow) Ready(ctx context.Context, organization string) error {
	_, err := e.officers(ctx, organization)
	return err
}

// Prepare implements enrollment.Escrow.
func (e escrow) Prepare(ctx context.Context, organization, person string, key crypto.PrivateKey) (func(tx *store.Tx) error, error) {
	q, err := e.officers(ctx, organization)
	if err != nil {
		return nil, err
	}
	sealed, err := q.Seal(e.s.Rand, key)
	if err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error { return e.s.recovery.Escrow(ctx, tx, organization, person, sealed) }, nil
}

// openEnrollment comes after the rooms that it works with.
func (s *system) openEnrollment(ctx context.Context) (err error) {
	s.enrollment, err = enrollment.New(ctx, enrollment.Options{
		Store: s.store, Outbox: s.outbox, Mails: s.mails, Registration: s.orders, Keys: s.Keys, Escrow: escrow{s},
		Site: s.url, Clock: s.Clock, Rand: s.Rand, Log: s.Log,
	})
	return err
}
