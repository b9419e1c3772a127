package authority

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// How often Maintain looks. What another node revoked shows here within a
// second.
const (
	followEvery  = 250 * time.Millisecond
	presignEvery = 2 * time.Second
	renewEvery   = 10 * time.Minute
	reloadEvery  = 3 * time.Second
	followAtOnce = 1000 // changes
)

// Maintain keeps what is published fresh until ctx ends, also when nobody asks
// for it: it follows what was revoked, and which
// keys were made and retired, here and on other nodes, signs OCSP
// responses ahead and every list before it is due, and finishes what a node that
// is gone had begun. The server runs it in a
// goroutine of its own.
func (a *Authority) Maintain(ctx context.Context) {
	if err := a.beginFollowing(ctx); err != nil && ctx.Err() == nil {
		a.o.Log.Error("changes of standing not read", "error", err)
	}
	var all sync.WaitGroup
	all.Go(func() { every(ctx, followEvery, a.follow) })
	all.Go(func() { a.coverAll(ctx) })
	all.Go(func() { every(ctx, presignEvery, a.presignAll) })
	all.Go(func() { every(ctx, renewEvery, a.renewLists) })
	all.Go(func() { every(ctx, reloadEvery, a.reload) })
	all.Go(func() { every(ctx, settled, a.recoverSettled) })
	all.Wait()
}

// every calls act now and again until ctx ends.
func every(ctx context.Context, pause time.Duration, act func(context.Context)) {
	for {
		act(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// renewLists signs every list that is due or that does not cover the last
// change.
func (a *Authority) renewLists(ctx context.Context) {
	for _, m := range a.all() {
		for n := range m.partitions {
			list, err := a.CRL(ctx, m.name, n)
			switch {
			case err != nil && ctx.Err() == nil:
				a.o.Log.Error("CRL not renewed", "authority", m.name, "partition", n, "error", err)
			case err == nil && m.Offline():
				a.remind(m, list)
			}
		}
	}
}

// beginFollowing starts with the changes from now on.
func (a *Authority) beginFollowing(ctx context.Context) error {
	return a.o.Store.View(ctx, func(tx *store.Tx) error {
		seq, err := tx.LastStatusChange()
		if err == nil {
			a.answers.restart(seq)
		}
		return err
	})
}

// follow drops the responses that no longer tell the truth, and leaves the lists
// to coverAll: a long one is signed for longer than a response may be wrong.
func (a *Authority) follow(ctx context.Context) {
	var changes []store.StatusChange
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		changes, err = tx.StatusChanges(a.answers.last(), followAtOnce)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			a.o.Log.Error("changes of standing not read", "error", err)
		}
		return
	}
	for _, c := range changes {
		a.answers.follow(c.AuthorityID, c.Serial, c.Seq)
	}
	a.uncovered.add(changes)
}

// uncovered is the last change of each list that the list may not have yet.
type uncovered struct {
	mutex sync.Mutex
	lists map[listName]store.StatusChange
	wake  chan struct{} // has one when there may be some
}

type listName struct {
	authority string
	partition int
}

func newUncovered() *uncovered {
	return &uncovered{lists: map[listName]store.StatusChange{}, wake: make(chan struct{}, 1)}
}

func (u *uncovered) add(changes []store.StatusChange) {
	if len(changes) == 0 {
		return
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	for _, c := range changes {
		u.lists[listName{c.AuthorityID, c.Partition}] = c // the last counts
	}
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take takes all of them.
func (u *uncovered) take() map[listName]store.StatusChange {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	lists := u.lists
	u.lists = map[listName]store.StatusChange{}
	return lists
}

// coverAll signs the lists of what was revoked, here and on other nodes. One
// that another node was faster with leaves nothing to do.
func (a *Authority) coverAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.uncovered.wake:
		}
		for l, c := range a.uncovered.take() {
			if m, err := a.MemberOf(l.authority); err == nil && !m.Offline() {
				a.covering(ctx, m, c)
			}
		}
	}
}

// presignAll signs all OCSP responses that are due.
func (a *Authority) presignAll(ctx context.Context) {
	for _, m := range a.all() {
		if m.Root() || m.Offline() {
			continue
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = a.presign(ctx, m); err != nil && !errors.Is(err, context.Canceled) {
				a.o.Log.Error("OCSP responses not signed ahead", "authority", m.name, "error", err)
			}
		}
	}
}
