// Package jobs lets the operator look at jobs that were given up (internal/outbox),
// have them tried again, or discard them; each such act is entered in the log.
package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Shown is how many jobs a list has; [Service.Dead] says whether there are more.
const Shown = 200

// ErrNotDead: there is no job of that id that was given up. It may have been
// revived or discarded meanwhile.
var ErrNotDead = errors.New("jobs: no job of that id was given up")

// Dead is a job that was given up.
type Dead struct {
	ID       string
	Kind     string
	Attempts int
	Why      string // of the last attempt
	Created  time.Time
	GivenUp  time.Time
}

// Options are what a [Service] needs.
type Options struct {
	Store *store.DB
	Clock func() time.Time
}

// Service is the operator's hand on jobs.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service { return &Service{o} }

// may tells whether the actor runs the authority.
func may(a auth.Actor) bool {
	account := a.Kind == auth.KindAccount || a.Kind == auth.KindToken
	return account && a.Has(auth.Operator, "") || a.Kind == auth.KindServer && a.ID == auth.Console().ID
}

// Dead lists the jobs that were given up, the latest first; more: there are
// further ones.
func (s *Service) Dead(ctx context.Context, actor auth.Actor) (list []Dead, more bool, err error) {
	if !may(actor) && !actor.Has(auth.Auditor, "") {
		return nil, false, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		rows, err := tx.JobsOf("dead", Shown+1)
		if more = len(rows) > Shown; more {
			rows = rows[:Shown]
		}
		list = nil
		for _, j := range rows {
			list = append(list, Dead{j.ID, j.Kind, j.Attempts, j.LastError, j.Created, j.Finished})
		}
		return err
	})
	return list, more, err
}

// Revive has a job tried again from the beginning.
func (s *Service) Revive(ctx context.Context, actor auth.Actor, id string) error {
	return s.act(ctx, actor, id, store.ActJobRevived, func(tx *store.Tx) error { return tx.ReviveJob(id, s.o.Clock()) })
}

// Discard removes a job: what it was to do is not done.
func (s *Service) Discard(ctx context.Context, actor auth.Actor, id string) error {
	return s.act(ctx, actor, id, store.ActJobDiscarded, func(tx *store.Tx) error { return tx.DropJob(id) })
}

func (s *Service) act(ctx context.Context, actor auth.Actor, id, act string, do func(*store.Tx) error) error {
	if !may(actor) {
		return auth.ErrForbidden
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		j, err := tx.DeadJob(id)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNotDead
		}
		if err != nil {
			return err
		}
		if err := do(tx); errors.Is(err, store.ErrConflict) {
			return ErrNotDead
		} else if err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: s.o.Clock(), Actor: actor.String(), Act: act, Object: id, Details: map[string]string{"kind": j.Kind}})
	})
}
