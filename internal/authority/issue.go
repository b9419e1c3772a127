package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
	"github.com/mailseal/mailseal/internal/weakkey"
)

// The durable steps of issuing, in order, as [Options.Stop] hears of them.
const (
	StepPrepared = "serial and prepared bytes stored"
	StepSigned   = "signed"                        // not durable: what is lost here is signed again
	StepRecorded = "certificate and entry written" // and not yet committed
	StepIssued   = "certificate stored"
)

// Steps lists them.
func Steps() []string { return []string{StepPrepared, StepSigned, StepRecorded, StepIssued} }

// Issue gives the order of the warrant its certificate for key, and binds it to
// the key. Profile and names are those of the warrant. The caller lets only one call per order in at a time. An
// order that has a certificate gets the same one again, one that was interrupted
// is taken up where it stopped.
func (a *Authority) Issue(ctx context.Context, w validation.Warrant, key crypto.PublicKey) (*cert.Certificate, error) {
	if !w.Valid(a.o.Clock()) {
		return nil, fmt.Errorf("%w: the warrant has expired, or there is none", ErrNotAllowed)
	}
	keyHash, err := issuance.KeyHash(key)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	row, prepared, err := a.begin(ctx, w, key, keyHash)
	switch {
	case err != nil:
		return nil, fmt.Errorf("issue for order %s: %w", w.Order(), err)
	case !bytes.Equal(row.KeyHash, keyHash):
		return nil, ErrOtherKey
	case row.State == "issued":
		return cert.Parse(row.DER)
	case prepared == nil:
		if prepared, err = a.resume(ctx, row, w); err != nil {
			return nil, fmt.Errorf("issue for order %s: %w", w.Order(), err)
		}
	}
	return a.finish(ctx, row, prepared)
}

// serialTries bounds how often a serial number may turn out to be taken; with
// 127 random bits once is a sign of broken randomness.
const serialTries = 3

// begin is the first durable step: serial number and bytes are stored. An order
// that has a certificate, or one on its way, gives that row, and no bytes.
func (a *Authority) begin(ctx context.Context, w validation.Warrant, key crypto.PublicKey, keyHash []byte) (store.Certificate, *issuance.Prepared, error) {
	for range serialTries {
		row, prepared, refusal := a.prepare(ctx, w, key, keyHash)
		if !errors.Is(refusal, store.ErrConflict) && !errors.Is(refusal, ErrOtherKey) {
			return row, prepared, refusal
		}
		row, err := a.begun(ctx, w.Order())
		switch {
		case !errors.Is(err, store.ErrNotFound):
			return row, nil, err
		case errors.Is(refusal, ErrOtherKey):
			return row, nil, refusal
		}
	}
	return store.Certificate{}, nil, errors.New("serial numbers are taken again and again: is the randomness broken?")
}

// begun reads what there is of the order's certificate.
func (a *Authority) begun(ctx context.Context, order string) (row store.Certificate, err error) {
	err = a.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err = tx.CertificateOf(order)
		return err
	})
	return row, err
}

// prepare chooses the authority that is for the mailboxes.
func (a *Authority) prepare(ctx context.Context, w validation.Warrant, key crypto.PublicKey, keyHash []byte) (store.Certificate, *issuance.Prepared, error) {
	m, err := a.Issuing(w.Profile(), w.Names().Mailboxes)
	if err != nil {
		return store.Certificate{}, nil, err
	}
	row := store.Certificate{AuthorityID: m.id, OrderID: w.Order(), KeyHash: keyHash}
	return a.draw(ctx, m, w.Profile(), row, issuance.Request{Key: key, Names: w.Names(), NotBefore: a.now().Add(-backdate)})
}

// draw draws a serial number, makes the bytes and stores both. Bytes that do not
// meet the profile are kept as a refusal, so that the order may be tried again
// and the number is not.
func (a *Authority) draw(ctx context.Context, m *Member, p *issuance.Profile, row store.Certificate, r issuance.Request) (store.Certificate, *issuance.Prepared, error) {
	var err error
	if r.Serial, err = newSerial(a.o.Rand); err != nil {
		return store.Certificate{}, nil, err
	}
	if row.ID, err = newID(a.o.Rand); err != nil {
		return store.Certificate{}, nil, err
	}
	row.Serial, row.Partition, row.State = r.Serial.Bytes(), m.issuer.Partition(r.Serial), "prepared"
	row.ProfileHash, row.Reserved = p.Hash(), a.now()
	prepared, refusal, err := a.makeReady(ctx, p, m.issuer, r)
	if err != nil {
		return store.Certificate{}, nil, err
	}
	if refusal == nil {
		row.TBS = prepared.TBS()
	}
	err = a.o.Store.Update(ctx, func(tx *store.Tx) error {
		key, err := a.checkKey(tx, row.OrderID, row.KeyHash)
		switch {
		case err != nil:
			return err
		case refusal == nil && prepared.Signs() && key.Escrowed:
			return weakkey.Refuse("a copy of it is kept for emergencies, so it must not sign; make another one to sign with")
		}
		if _, stored := a.profiles.Load(string(p.Hash())); !stored {
			if err := tx.InsertProfile(p.Hash(), string(p.Text()), row.Reserved); err != nil {
				return err
			}
		}
		if err := tx.PrepareCertificate(row); err != nil {
			return err
		}
		if refusal != nil {
			return a.refused(ctx, tx, row, refusal)
		}
		return bind(tx, row, key)
	})
	if err == nil {
		a.profiles.Store(string(p.Hash()), true)
	}
	if err := errors.Join(refusal, err); err != nil {
		return store.Certificate{}, nil, err
	}
	return row, prepared, a.o.Stop(StepPrepared)
}

// makeReady makes the bytes, on half of the processors, and on one at least. What it
// does waits for nobody and takes longest: on all of them, whoever has the store
// would wait behind it for a processor, and everybody else for the store.
func (a *Authority) makeReady(ctx context.Context, p *issuance.Profile, i *issuance.Issuer, r issuance.Request) (prepared *issuance.Prepared, refusal, err error) {
	select {
	case a.preparing <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	defer func() { <-a.preparing }()
	prepared, refusal = issuance.Prepare(p, i, r)
	return prepared, refusal, nil
}

// bind makes sure that the order may still have a certificate, and has it for
// this key and no other.
func bind(tx *store.Tx, row store.Certificate, key store.KeyStanding) error {
	switch {
	case row.OrderID == "":
		return nil
	case !key.Open:
		return ErrOtherKey
	}
	return tx.OrderKey(row.OrderID, row.KeyHash)
}

// resume takes up stored bytes under the profile that they were made for.
func (a *Authority) resume(ctx context.Context, row store.Certificate, w validation.Warrant) (*issuance.Prepared, error) {
	err := a.weak(ctx, row)
	if errors.Is(err, issuance.ErrWeakKey) {
		return nil, errors.Join(err, a.refuse(ctx, row, err))
	}
	if err != nil {
		return nil, err
	}
	prepared, err := a.admit(row, w)
	if err != nil {
		return nil, errors.Join(err, a.refuse(ctx, row, err))
	}
	return prepared, nil
}

func (a *Authority) admit(row store.Certificate, w validation.Warrant) (*issuance.Prepared, error) {
	if !w.Valid(a.o.Clock()) || w.Order() != row.OrderID || !bytes.Equal(w.Profile().Hash(), row.ProfileHash) {
		return nil, fmt.Errorf("%w: the warrant is another order's or profile's, or has expired", ErrNotAllowed)
	}
	m, err := a.issuingOf(row)
	if err != nil {
		return nil, err
	}
	prepared, err := issuance.Resume(w.Profile(), m.issuer, row.TBS, w.Names())
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(prepared.Serial().Bytes(), row.Serial) || !bytes.Equal(prepared.KeyHash(), row.KeyHash):
		return nil, fmt.Errorf("%w: the prepared bytes have another serial number or key", ErrNotAllowed)
	case !prepared.NotAfter().After(a.o.Clock()):
		return nil, fmt.Errorf("%w: the prepared bytes have expired", ErrNotAllowed)
	}
	return prepared, nil
}

// finish signs and stores certificate and order in one transaction. Once the
// bytes are prepared it no longer follows the caller's context: a visitor who
// leaves must not leave half a certificate.
func (a *Authority) finish(ctx context.Context, row store.Certificate, prepared *issuance.Prepared) (*cert.Certificate, error) {
	// Its key may have been retired since it was prepared, a moment ago: what was
	// longer ago has been asked for in admit.
	m, err := a.MemberOf(row.AuthorityID)
	if err == nil && m.Offline() {
		err = ErrOffline
	}
	if err != nil {
		return nil, err
	}
	c, err := m.issuer.Issue(prepared)
	if err != nil {
		return nil, err
	}
	if err := a.o.Stop(StepSigned); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(c.Raw)
	err = a.o.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		now := a.now()
		if err := tx.IssueCertificate(row.ID, c.Raw, sum[:], c.NotAfter, now, firstOCSP(row.Serial, now)); err != nil {
			return err
		}
		if err := tx.OrderIssued(row.OrderID); err != nil {
			return err
		}
		if err := a.record(ctx, tx, audit.Issued(row, sum[:])); err != nil {
			return err
		}
		return a.o.Stop(StepRecorded)
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return a.overtaken(ctx, row, err)
	case err != nil:
		return nil, fmt.Errorf("store certificate: %w", err)
	}
	if err := a.o.Stop(StepIssued); err != nil {
		return nil, err
	}
	a.o.Log.Info("certificate issued", "serial", c.SerialHex(), "order", row.OrderID, "profile", prepared.Profile())
	return c, nil
}

// overtaken finds out why prepared bytes were not issued. Another node has signed
// them and stored them first, because the order came to both or this one was
// taken for dead: that signature counts, ours has not left the process. Or the
// key has become known as compromised since.
func (a *Authority) overtaken(ctx context.Context, row store.Certificate, why error) (*cert.Certificate, error) {
	ctx = context.WithoutCancel(ctx)
	stored, err := a.begun(ctx, row.OrderID)
	if err != nil || stored.ID != row.ID {
		return nil, fmt.Errorf("store certificate: %w", why)
	}
	if stored.State == "issued" {
		return cert.Parse(stored.DER)
	}
	if err := a.weak(ctx, row); errors.Is(err, issuance.ErrWeakKey) {
		return nil, errors.Join(err, a.refuse(ctx, row, err))
	}
	return nil, fmt.Errorf("store certificate: %w", why)
}

// weak asks whether something has become known against the key.
func (a *Authority) weak(ctx context.Context, row store.Certificate) error {
	return a.o.Store.View(ctx, func(tx *store.Tx) error {
		_, err := a.checkKey(tx, row.OrderID, row.KeyHash)
		return err
	})
}

// refuse ends a row that cannot become a certificate; its serial stays taken.
func (a *Authority) refuse(ctx context.Context, row store.Certificate, why error) error {
	return a.o.Store.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error { return a.refused(ctx, tx, row, why) })
}

func (a *Authority) refused(ctx context.Context, tx *store.Tx, row store.Certificate, why error) error {
	a.o.Log.Warn("certificate refused", "serial", fmt.Sprintf("%x", row.Serial), "order", row.OrderID, "error", why)
	if err := tx.RefuseCertificate(row.ID, why.Error()); err != nil {
		return err
	}
	return a.record(ctx, tx, audit.Refused(row))
}

// settled is how long an unfinished certificate is left to the node that began
// it, which may be at it; clocks of nodes differ by less.
const settled = time.Minute

// Recover finishes what the last process left behind: prepared bytes whose
// order still may have them are signed, everything else is refused. What can be
// neither, because its key does not answer, is logged and keeps nothing else
// waiting. It must run before anything is issued. In a shared store it takes what has settled;
// [Authority.Maintain] sees to the rest.
func (a *Authority) Recover(ctx context.Context) error {
	before := time.Time{}
	if a.o.Shared {
		before = a.now().Add(-settled)
	}
	return a.recoverAll(ctx, before)
}

// recoverSettled is Recover while certificates are being issued: another node
// may have been killed, and a caller may have met a store that was away.
func (a *Authority) recoverSettled(ctx context.Context) {
	if err := a.recoverAll(ctx, a.now().Add(-settled)); err != nil && ctx.Err() == nil {
		a.o.Log.Error("interrupted certificates not finished", "error", err)
	}
}

// recoverAll recovers what was begun before a time; zero: everything.
func (a *Authority) recoverAll(ctx context.Context, before time.Time) error {
	var rows []store.Certificate
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		rows, err = tx.UnfinishedCertificates()
		return err
	})
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for _, row := range rows {
		if !before.IsZero() && row.Reserved.After(before) {
			continue
		}
		err := a.recover(ctx, row)
		switch {
		case err == nil || errors.Is(err, store.ErrConflict): // somebody else was faster
		case ctx.Err() != nil || errors.Is(err, store.ErrUnavailable) || errors.Is(err, audit.ErrClock): // so will all others
			return fmt.Errorf("recover certificate %x: %w", row.Serial, err)
		default:
			// It stays as it is, and its order waits; the others do not.
			a.o.Log.Error("interrupted certificate not finished; it will be tried again", "serial", fmt.Sprintf("%x", row.Serial), "order", row.OrderID, "error", err)
		}
	}
	return nil
}

func (a *Authority) recover(ctx context.Context, row store.Certificate) error {
	if row.OrderID == "" {
		return a.refuse(ctx, row, errors.New("interrupted; the key of a service is made anew"))
	}
	var order store.Order
	var w validation.Warrant
	err := a.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if order, err = tx.Order(row.OrderID); err != nil {
			return err
		}
		if _, err := a.checkKey(tx, row.OrderID, row.KeyHash); err != nil {
			return err
		}
		w, err = a.o.Validation.Warrant(tx, order)
		return err
	})
	if validation.Withheld(err) || errors.Is(err, issuance.ErrWeakKey) {
		return a.refuse(ctx, row, err)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(order.KeyHash, row.KeyHash) {
		return a.refuse(ctx, row, fmt.Errorf("%w: the order has another key", ErrNotAllowed))
	}
	prepared, err := a.admit(row, w)
	if err != nil {
		return a.refuse(ctx, row, err)
	}
	_, err = a.finish(ctx, row, prepared)
	return err
}

// record enters an act of now.
func (a *Authority) record(ctx context.Context, tx *store.Tx, e audit.Entry) error {
	e.At = a.now()
	return audit.Append(ctx, tx, e)
}

func (a *Authority) now() time.Time { return a.o.Clock().UTC().Truncate(time.Second) }
