package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/store"
)

// Reserved is a job that waits for nobody but who asked for it.
type Reserved struct {
	k   *kind
	row store.Job
}

// Reserve writes a job as [Outbox.Enqueue] does, and takes it at once, so that
// no queue and no lane stands before it; nil, where there is one of that kind and
// key. When the transaction is committed, the caller has it done by
// [Reserved.Do]. If that never comes, the job is done like others after the time
// of a lease.
func (b *Outbox) Reserve(tx *store.Tx, r Request) (*Reserved, error) {
	k := b.kinds[r.Kind]
	if k == nil {
		return nil, fmt.Errorf("outbox: nobody here does jobs of the kind %q", r.Kind)
	}
	row, err := b.row(r, k)
	if err != nil {
		return nil, err
	}
	row.Holder, row.Attempts, row.Due = b.holder, 1, b.o.Clock().Add(b.o.Lease)
	if err := tx.InsertJob(row); errors.Is(err, store.ErrConflict) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return &Reserved{k, row}, nil
}

// Do makes the first attempt and waits for its end, or that of ctx; then it goes
// on by itself. The job is given back if no place to do it is free until then.
func (r *Reserved) Do(ctx context.Context) {
	done := make(chan struct{})
	r.k.box.reserved.Go(func() {
		defer close(done)
		leases := r.k.box.leases
		leases.add(r.row)
		defer leases.remove(r.row)
		select {
		case r.k.slots <- struct{}{}:
			r.k.perform(r.row)
		case <-ctx.Done():
			r.k.settle(r.row, ctx.Err(), true)
			signal(r.k.wake)
		}
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}
