package authority

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// publishTimeout bounds how long a revocation waits for the list that names it.
const publishTimeout = time.Minute

// Revoke revokes a subscriber's certificate. When it returns, no OCSP response
// of this process says anything else, and the list that names the certificate
// is published; should that fail, [Authority.Maintain] does it, for revoked it
// is. [ErrUnknown]: not issued here, or revoked already.
func (a *Authority) Revoke(ctx context.Context, serial *big.Int, reason cert.Reason) error {
	if !SubscriberReason(reason) {
		return fmt.Errorf("revoke: %d is not a reason for a subscriber's certificate", reason)
	}
	var m *Member
	var change store.StatusChange
	err := a.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if m, err = a.revoke(tx, serial, reason); err != nil {
			return err
		}
		id, err := tx.CertificateID(m.id, serial.Bytes())
		if err != nil {
			return err
		}
		if err := a.record(ctx, tx, audit.Revoked(id, serial.Bytes(), int(reason))); err != nil {
			return err
		}
		change, err = tx.AddStatusChange(m.id, serial.Bytes(), a.now())
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("revoke %x: %w", serial, err)
	}
	a.o.Log.Info("certificate revoked", "serial", serial.Text(16), "reason", int(reason))
	a.announce(ctx, m, change)
	return nil
}

// Standing tells what is known of an issued certificate, whichever authority
// signed it. [ErrUnknown]: it was not issued here.
func (a *Authority) Standing(ctx context.Context, serial *big.Int) (standing store.Standing, err error) {
	err = a.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, m := range a.members {
			standing, err = tx.Standing(m.id, serial.Bytes())
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return ErrUnknown
	})
	return standing, err
}

// SubscriberReason tells whether a subscriber's certificate may be revoked for
// the reason.
func SubscriberReason(reason cert.Reason) bool {
	return issuance.ReasonAllowed(reason) && reason != cert.CACompromise
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

// announce publishes what a committed revocation changed. Whoever asked for it
// may go away meanwhile.
func (a *Authority) announce(ctx context.Context, m *Member, change store.StatusChange) {
	a.answers.drop(m.id, change.Serial)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	a.covering(ctx, m, change)
}

// covering sees to it that a list with the change is published.
func (a *Authority) covering(ctx context.Context, m *Member, change store.StatusChange) {
	if change.Partition >= len(m.partitions) {
		return
	}
	covered := func(c store.CRL) bool { return c.Covers >= change.Seq }
	if _, err := a.publish(ctx, m, change.Partition, covered); err != nil && ctx.Err() == nil {
		a.o.Log.Error("CRL not renewed after a revocation", "authority", m.name, "partition", change.Partition, "error", err)
	}
}
