package authority

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
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

// revokedAtOnce bounds the certificates of one transaction.
const revokedAtOnce = 200

// RevokeAll revokes many subscribers' certificates, in few transactions, and
// names those it did; one that was revoked already is passed over. When it
// returns, no OCSP response of this process says anything else, and the lists
// that name them are published, each once. Actor is who asked, as the audit log
// names them.
func (a *Authority) RevokeAll(ctx context.Context, actor string, list []store.Holding, reason cert.Reason) (ids []string, err error) {
	if !SubscriberReason(reason) {
		return nil, fmt.Errorf("revoke: %d is not a reason for a subscriber's certificate", reason)
	}
	var changes []store.StatusChange
	defer func() { a.announceAll(ctx, changes) }() // of what was committed, whatever came then
	for part := range slices.Chunk(list, revokedAtOnce) {
		var done []string
		var changed []store.StatusChange
		err := a.o.Store.Update(ctx, func(tx *store.Tx) error {
			done, changed = nil, nil
			for _, h := range part {
				change, err := a.revokeOne(ctx, tx, actor, h, reason)
				if errors.Is(err, store.ErrConflict) {
					continue
				}
				if err != nil {
					return err
				}
				done, changed = append(done, h.ID), append(changed, change)
			}
			return nil
		})
		if err != nil {
			return ids, fmt.Errorf("revoke %d certificates: %w", len(part), err)
		}
		ids, changes = append(ids, done...), append(changes, changed...)
	}
	a.o.Log.Info("certificates revoked", "count", len(ids), "reason", int(reason))
	return ids, nil
}

func (a *Authority) revokeOne(ctx context.Context, tx *store.Tx, actor string, h store.Holding, reason cert.Reason) (change store.StatusChange, err error) {
	if err := tx.RevokeCertificate(h.AuthorityID, h.Serial, a.now(), int(reason)); err != nil {
		return change, err
	}
	entry := audit.Revoked(h.ID, h.Serial, int(reason))
	entry.Actor = actor
	if err := a.record(ctx, tx, entry); err != nil {
		return change, err
	}
	return tx.AddStatusChange(h.AuthorityID, h.Serial, a.now())
}

// announceAll is announce for many: of each list, the last change decides.
func (a *Authority) announceAll(ctx context.Context, changes []store.StatusChange) {
	type list struct {
		authority string
		partition int
	}
	last := map[list]store.StatusChange{}
	for _, c := range changes {
		a.answers.drop(c.AuthorityID, c.Serial)
		last[list{c.AuthorityID, c.Partition}] = c
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range last {
		if m, err := a.MemberOf(c.AuthorityID); err == nil && !m.Offline() {
			wg.Go(func() { a.covering(ctx, m, c) })
		}
	}
	wg.Wait()
}

// Standing tells what is known of an issued certificate, whichever authority
// signed it. [ErrUnknown]: it was not issued here.
func (a *Authority) Standing(ctx context.Context, serial *big.Int) (standing store.Standing, err error) {
	err = a.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, m := range a.all() {
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
	for _, m := range a.all() {
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
