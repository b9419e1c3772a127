package store_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// unrecorded lets a test write states without the audit entries that a real
// caller writes with them.
func unrecorded(change func(*store.Tx) error) func(*store.Tx) error {
	return func(tx *store.Tx) error {
		err := change(tx)
		tx.Forgive()
		return err
	}
}

// What the audit log must say is not committed without its entry, and is with it.
func TestRecorded(t *testing.T) {
	db, o := filled(t)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.PrepareCertificate(store.Certificate{ID: "refused", AuthorityID: "ca", Serial: []byte{1}, ProfileHash: o.ProfileHash, KeyHash: []byte("k"), Reserved: now}),
			tx.PrepareCertificate(store.Certificate{ID: "issued", AuthorityID: "ca", Serial: []byte{2}, ProfileHash: o.ProfileHash, KeyHash: []byte("k"), Reserved: now}))
	})
	second := o
	second.ID, second.State = "second", "applied"
	seq := int64(0)
	for _, act := range []struct {
		name string
		do   func(*store.Tx) error
	}{
		{store.ActAuthority, func(tx *store.Tx) error {
			return tx.InsertAuthority(store.Authority{ID: "new", Name: "new", Kind: "issuing", ParentID: "root", KeyURI: "file:n", Certificate: []byte("n"), Created: now})
		}},
		{store.ActCRL, func(tx *store.Tx) error {
			return tx.InsertCRL(store.CRL{AuthorityID: "ca", Number: 1, ThisUpdate: now, NextUpdate: now, DER: []byte("l")})
		}},
		{store.ActApplied, func(tx *store.Tx) error { return tx.InsertOrder(second) }},
		{store.ActProven, func(tx *store.Tx) error {
			return errors.Join(tx.InsertPerson(store.Person{ID: "p", Created: now}), tx.OrderProven(second.ID, "p", now))
		}},
		{store.ActDenied, func(tx *store.Tx) error { return tx.OrderRefused(second.ID, "test") }},
		{store.ActRefused, func(tx *store.Tx) error { return tx.RefuseCertificate("refused", "test") }},
		{store.ActIssued, func(tx *store.Tx) error {
			return tx.IssueCertificate("issued", []byte("d"), []byte("h"), now, now, now)
		}},
		{store.ActRevoked, func(tx *store.Tx) error { return tx.RevokeCertificate("ca", []byte{2}, now, 1) }},
	} {
		if err := db.Update(t.Context(), act.do); !errors.Is(err, store.ErrUnrecorded) {
			t.Errorf("%s without its entry: %v, want %v", act.name, err, store.ErrUnrecorded)
		}
		// It did not take place, or it could not take place now.
		seq++
		update(t, db, func(tx *store.Tx) error {
			if err := act.do(tx); err != nil {
				return err
			}
			if err := tx.Recorded(); !errors.Is(err, store.ErrUnrecorded) {
				t.Errorf("%s: %v", act.name, err)
			}
			err := tx.InsertAuditEntry(store.AuditEntry{Seq: seq, At: now, Act: act.name, Hash: []byte{1}})
			if err := tx.Recorded(); err != nil {
				t.Errorf("%s with its entry: %v", act.name, err)
			}
			return err
		})
	}
}
