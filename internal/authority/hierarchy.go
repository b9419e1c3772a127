package authority

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailseal/mailseal/internal/store"
)

// hierarchy is all authorities as they are at a moment. It does not change: when
// another process makes or retires one, another takes its place.
type hierarchy struct {
	rows      rows
	members   []*Member // in the order of store.Tx.Authorities
	crosses   []cross
	answering map[string]*Member // by issuer, for OCSP
}

// rows is what a hierarchy is made of.
type rows struct {
	authorities []store.Authority
	certified   []store.AuthorityCertificate
}

func readRows(tx *store.Tx) (r rows, err error) {
	if r.authorities, err = tx.Authorities(); err != nil {
		return r, err
	}
	r.certified, err = tx.AuthorityCertificates()
	return r, err
}

// same tells whether nothing was made or retired.
func (r rows) same(other rows) bool {
	return slices.EqualFunc(r.authorities, other.authorities, func(a, b store.Authority) bool {
		return a.ID == b.ID && a.State == b.State
	}) && slices.EqualFunc(r.certified, other.certified, func(a, b store.AuthorityCertificate) bool { return a.ID == b.ID })
}

func (a *Authority) state() *hierarchy { return a.hierarchy.Load() }

func (a *Authority) all() []*Member { return a.state().members }

// load puts another state in place, or none. Members that stay keep what they
// have in memory.
func (a *Authority) load(r rows) error {
	before := a.state()
	if before == nil {
		before = &hierarchy{}
	}
	next := &hierarchy{rows: r, answering: map[string]*Member{}}
	for _, row := range r.authorities {
		if err := next.add(a, row, before); err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
	}
	for _, row := range r.certified {
		if err := next.addCross(row); err != nil {
			return fmt.Errorf("cross certificate: %w", err)
		}
	}
	a.hierarchy.Store(next)
	return nil
}

// reload takes notice of what was made or retired by another process. A key that
// is not here, because somebody has to copy it first, is looked for again: until
// then everything stays as it was.
func (a *Authority) reload(ctx context.Context) {
	var r rows
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		r, err = readRows(tx)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			a.o.Log.Error("authorities not read", "error", err)
		}
		return
	}
	if r.same(a.state().rows) {
		a.missing.Store(nil)
		return
	}
	if err := a.load(r); err != nil {
		err = fmt.Errorf("the authorities have changed and this node cannot follow: %w", err)
		if told := a.missing.Swap(&err); told == nil || (*told).Error() != err.Error() {
			a.o.Log.Error("authorities not taken over", "error", err)
		}
		return
	}
	a.missing.Store(nil)
	a.o.Log.Info("authorities taken over as another process changed them", "keys", len(r.authorities))
}

// Behind tells why this node does not use the authorities as they are now; nil: it
// does, as far as it knows.
func (a *Authority) Behind() error {
	if err := a.missing.Load(); err != nil {
		return *err
	}
	return nil
}
