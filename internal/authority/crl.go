package authority

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// Lives of CRLs. S/MIME BR §4.9.7: for subscribers at least every 7 days, at
// most 10 days valid; for authorities at most 12 months. Signed anew long
// before, so that a day of trouble leaves nobody with a stale list.
const (
	crlLife      = 7 * 24 * time.Hour
	crlFresh     = 24 * time.Hour
	rootCRLLife  = 180 * 24 * time.Hour
	rootCRLFresh = 30 * 24 * time.Hour
)

// CRL is a signed revocation list as it is served.
type CRL struct {
	DER        []byte
	Number     int64
	ThisUpdate time.Time
	NextUpdate time.Time
}

// partition is one partition of an authority's CRL in this process.
type partition struct {
	turn sync.Mutex // of who signs the next list

	mutex sync.Mutex
	last  CRL // the octets that were read or signed last
}

// CRL returns the newest list of one partition of the CRL of the authority of
// that name, and signs it anew when it is due. When that fails, the last one is
// good as long as it is valid.
func (a *Authority) CRL(ctx context.Context, name string, n int) (CRL, error) {
	m, err := a.Member(name)
	if err == nil && (n < 0 || n >= len(m.partitions)) {
		err = ErrUnknown
	}
	if err != nil {
		return CRL{}, err
	}
	last, changed, err := a.lastCRL(ctx, m, n)
	none := errors.Is(err, store.ErrNotFound)
	if err != nil && !none {
		return CRL{}, fmt.Errorf("CRL of %s: %w", name, err)
	}
	if m.Offline() {
		if none || !a.now().Before(last.NextUpdate) {
			return CRL{}, fmt.Errorf("CRL of %s: %w, and the list that came from there is missing or too old", name, ErrOffline)
		}
		return a.octets(ctx, m, n, last)
	}
	if none || m.due(last, a.now()) || last.Covers < changed && m.partitions[n].idle() {
		next, err := a.publish(ctx, m, n, func(c store.CRL) bool { return !m.due(c, a.now()) && c.Covers >= changed })
		switch {
		case err == nil:
			last = next
		case none || !a.now().Before(last.NextUpdate):
			return CRL{}, fmt.Errorf("CRL of %s: %w", name, err)
		default:
			a.o.Log.Error("CRL not renewed", "authority", name, "partition", n, "error", err)
		}
	}
	return a.octets(ctx, m, n, last)
}

// Partitions tells in how many partitions the CRL of the authority of that name
// is published.
func (a *Authority) Partitions(name string) (int, error) {
	m, err := a.Member(name)
	if err != nil {
		return 0, err
	}
	return len(m.partitions), nil
}

// idle tells whether nobody signs the next list at the moment: then whoever asks
// first after a revocation waits for the list, and the others get the last one.
func (p *partition) idle() bool {
	free := p.turn.TryLock()
	if free {
		p.turn.Unlock()
	}
	return free
}

// keep has a list at hand that was just stored.
func (p *partition) keep(row store.CRL) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.last = CRL{row.DER, row.Number, row.ThisUpdate, row.NextUpdate}
}

// lastCRL reads the row of the newest list and the last change that concerns it.
func (a *Authority) lastCRL(ctx context.Context, m *Member, n int) (row store.CRL, changed int64, err error) {
	err = a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if changed, err = tx.LastStatusChangeIn(m.id, n); err != nil {
			return err
		}
		row, err = tx.LastCRL(m.id, n)
		return err
	})
	return row, changed, err
}

// octets joins the row with the list itself, which is mostly at hand.
func (a *Authority) octets(ctx context.Context, m *Member, n int, row store.CRL) (CRL, error) {
	p := m.partitions[n]
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.last.DER == nil || p.last.Number != row.Number {
		err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			row.DER, err = tx.CRLOctets(m.id, row.Number)
			return err
		})
		if err != nil {
			return CRL{}, fmt.Errorf("CRL of %s: %w", m.name, err)
		}
		p.last = CRL{row.DER, row.Number, row.ThisUpdate, row.NextUpdate}
	}
	return p.last, nil
}

func (m *Member) due(last store.CRL, now time.Time) bool {
	return !now.Before(last.ThisUpdate.Add(m.fresh))
}

// publish signs the next list of a partition unless the newest one is enough,
// because somebody else just signed it. One at a time does so in this process;
// a list that another node was faster with is signed once more, and in the end
// while all others wait, so that it comes to an end.
func (a *Authority) publish(ctx context.Context, m *Member, n int, enough func(store.CRL) bool) (store.CRL, error) {
	m.partitions[n].turn.Lock()
	defer m.partitions[n].turn.Unlock()
	for range 2 {
		last, _, err := a.lastCRL(ctx, m, n)
		if err == nil && enough(last) || err != nil && !errors.Is(err, store.ErrNotFound) {
			return last, err
		}
		var row store.CRL
		if err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			row, err = a.signCRL(tx, m, n)
			return err
		}); err != nil {
			return store.CRL{}, err
		}
		err = a.o.Store.Update(ctx, func(tx *store.Tx) error { return a.storeCRL(ctx, tx, row) })
		if err == nil {
			m.partitions[n].keep(row)
		}
		if err == nil || !errors.Is(err, store.ErrConflict) {
			return row, err
		}
	}
	var row store.CRL
	err := a.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if row, err = a.signCRL(tx, m, n); err != nil {
			return err
		}
		return a.storeCRL(ctx, tx, row)
	})
	if err == nil {
		m.partitions[n].keep(row)
	}
	return row, err
}

// storeCRL stores a list. Its number is taken in the same transaction: none is
// used twice, and none without a list.
func (a *Authority) storeCRL(ctx context.Context, tx *store.Tx, row store.CRL) error {
	if err := tx.TakeCRLNumber(row.AuthorityID, row.Number); err != nil {
		return err
	}
	if err := tx.InsertCRL(row); err != nil {
		return err
	}
	return a.record(ctx, tx, audit.Entry{Act: store.ActCRL, Object: row.AuthorityID, Details: crlDetails(row)})
}

func crlDetails(row store.CRL) map[string]string {
	return map[string]string{"number": strconv.FormatInt(row.Number, 10), "partition": strconv.Itoa(row.Partition)}
}

// signCRL signs the next list from what the transaction sees. What has changed
// is read before the entries: the list covers it for sure.
func (a *Authority) signCRL(tx *store.Tx, m *Member, n int) (row store.CRL, err error) {
	last, err := tx.LastCRL(m.id, n)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, err
	}
	// A clock that was set back must not make the list look older.
	now := a.now()
	if now.Before(last.ThisUpdate) {
		now = last.ThisUpdate
	}
	row = store.CRL{AuthorityID: m.id, Partition: n, ThisUpdate: now, NextUpdate: now.Add(m.life)}
	if row.Number, err = tx.CRLNumber(m.id); err != nil {
		return row, err
	}
	row.Number++
	if row.Covers, err = tx.LastStatusChangeIn(m.id, n); err != nil {
		return row, err
	}
	size, err := tx.CRLSize(m.id, last.Number)
	if err != nil {
		return row, err
	}
	row.DER, err = m.issuer.SignCRL(issuance.RevocationList{
		Number: row.Number, Partition: n, ThisUpdate: row.ThisUpdate, NextUpdate: row.NextUpdate, Size: size,
		Revoked: func(yield func(issuance.Revoked, error) bool) {
			stopped := errors.New("enough")
			err := tx.EachRevocation(m.id, n, last.ThisUpdate, func(r store.Revocation) error {
				if !yield(issuance.Revoked{Serial: r.Serial, At: r.At, Reason: cert.Reason(r.Reason)}, nil) {
					return stopped
				}
				return nil
			})
			if err != nil && !errors.Is(err, stopped) {
				yield(issuance.Revoked{}, err)
			}
		},
	})
	return row, err
}
