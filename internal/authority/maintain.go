package authority

import (
	"context"
	"time"
)

// How often Maintain looks.
const (
	maintainEvery = 10 * time.Minute
)

// Maintain keeps what is published fresh until ctx ends, also when nobody asks
// for it. The server runs it in a goroutine of its own.
func (a *Authority) Maintain(ctx context.Context) {
	for {
		a.renewLists(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(maintainEvery):
		}
	}
}

// renewLists signs every list that is due or that does not cover the last
// change.
func (a *Authority) renewLists(ctx context.Context) {
	for _, m := range a.members {
		for n := range m.partitions {
			if _, err := a.CRL(ctx, m.name, n); err != nil && ctx.Err() == nil {
				a.o.Log.Error("CRL not renewed", "authority", m.name, "partition", n, "error", err)
			}
		}
	}
}
