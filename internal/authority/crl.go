package authority

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/cert"
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

// CRL returns the newest list of the authority of that name, and signs it anew
// when it is due. When that fails, the last one is good as long as it is valid.
func (a *Authority) CRL(ctx context.Context, name string) (CRL, error) {
	m, err := a.Member(name)
	if err != nil {
		return CRL{}, err
	}
	var last store.CRL
	err = a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		last, err = tx.LastCRL(m.id)
		return err
	})
	none := errors.Is(err, store.ErrNotFound)
	if err != nil && !none {
		return CRL{}, fmt.Errorf("CRL of %s: %w", name, err)
	}
	if m.Offline() {
		if none || !a.now().Before(last.NextUpdate) {
			return CRL{}, fmt.Errorf("CRL of %s: %w, and the list that came from there is missing or too old", name, ErrOffline)
		}
		return CRL{last.DER, last.Number, last.ThisUpdate, last.NextUpdate}, nil
	}
	if none || m.due(last, a.now()) {
		next, err := a.renew(ctx, m)
		switch {
		case err == nil:
			last = next
		case none || !a.now().Before(last.NextUpdate):
			return CRL{}, fmt.Errorf("CRL of %s: %w", name, err)
		default:
			a.o.Log.Error("CRL not renewed", "authority", name, "error", err)
		}
	}
	return CRL{last.DER, last.Number, last.ThisUpdate, last.NextUpdate}, nil
}

// renew signs the next list unless somebody else just did.
func (a *Authority) renew(ctx context.Context, m *Member) (row store.CRL, err error) {
	err = a.o.Store.Update(ctx, func(tx *store.Tx) error {
		if row, err = tx.LastCRL(m.id); err == nil && !m.due(row, a.now()) {
			return nil
		}
		row, err = a.publish(tx, m)
		return err
	})
	return row, err
}

func (m *Member) due(last store.CRL, now time.Time) bool {
	return !now.Before(last.ThisUpdate.Add(m.fresh))
}

// publish signs the next list. Its number rises in the transaction that stores
// it: a number is never used twice, and never without a list.
func (a *Authority) publish(tx *store.Tx, m *Member) (store.CRL, error) {
	now := a.now()
	last, err := tx.LastCRL(m.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.CRL{}, err
	}
	// A clock that was set back must not make the list look older.
	if now.Before(last.ThisUpdate) {
		now = last.ThisUpdate
	}
	number, err := tx.NextCRLNumber(m.id)
	if err != nil {
		return store.CRL{}, err
	}
	revocations, err := tx.Revocations(m.id, last.ThisUpdate)
	if err != nil {
		return store.CRL{}, err
	}
	list := issuance.RevocationList{Number: number, ThisUpdate: now, NextUpdate: now.Add(m.life)}
	for _, r := range revocations {
		list.Revoked = append(list.Revoked, issuance.Revoked{
			Serial: new(big.Int).SetBytes(r.Serial), At: r.At, Reason: cert.Reason(r.Reason),
		})
	}
	der, err := m.issuer.CRL(list)
	if err != nil {
		return store.CRL{}, err
	}
	row := store.CRL{AuthorityID: m.id, Number: number, ThisUpdate: now, NextUpdate: list.NextUpdate, DER: der}
	return row, tx.InsertCRL(row)
}

// Revoke revokes a subscriber's certificate and publishes the list that says
// so, in one transaction. [ErrUnknown]: not issued here, or revoked already.
func (a *Authority) Revoke(ctx context.Context, serial *big.Int, reason cert.Reason) error {
	if !issuance.ReasonAllowed(reason) || reason == cert.CACompromise {
		return fmt.Errorf("revoke: %d is not a reason for a subscriber's certificate", reason)
	}
	err := a.o.Store.Update(ctx, func(tx *store.Tx) error {
		m, err := a.revoke(tx, serial, reason)
		if err != nil {
			return err
		}
		_, err = a.publish(tx, m)
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("revoke %x: %w", serial, err)
	}
	a.o.Log.Info("certificate revoked", "serial", serial.Text(16), "reason", int(reason))
	return nil
}

// revoke marks the certificate, whichever key of an issuing authority signed it:
// serial numbers are drawn at random, so that no two of these have the same.
func (a *Authority) revoke(tx *store.Tx, serial *big.Int, reason cert.Reason) (*Member, error) {
	for _, m := range a.members {
		if m.Root() || m.Offline() {
			continue
		}
		err := tx.RevokeCertificate(m.id, serial.Bytes(), a.now(), int(reason))
		if !errors.Is(err, store.ErrConflict) {
			return m, err
		}
	}
	return nil, store.ErrConflict
}

// Maintain keeps the lists fresh until ctx ends, also when nobody asks for
// them. The server runs it in a goroutine of its own.
func (a *Authority) Maintain(ctx context.Context) {
	for {
		for _, m := range a.members {
			if _, err := a.CRL(ctx, m.name); err != nil && ctx.Err() == nil {
				a.o.Log.Error("CRL not renewed", "authority", m.name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(maintainEvery):
		}
	}
}

const maintainEvery = 10 * time.Minute
