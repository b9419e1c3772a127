package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

func (i issued) insert(t *testing.T, db *store.DB, o store.Order) {
	t.Helper()
	update(t, db, func(tx *store.Tx) error {
		id := string(i.serial)
		return errors.Join(
			tx.PrepareCertificate(store.Certificate{
				ID: id, AuthorityID: "ca", Serial: i.serial, Partition: i.partition, ProfileHash: o.ProfileHash, KeyHash: []byte("k"), TBS: i.serial, Reserved: now,
			}),
			tx.IssueCertificate(id, i.serial, i.serial, i.end, now, now))
	})
}

type issued struct {
	serial    []byte
	partition int
	end       time.Time
}

// An OCSP response is stored only as long as it tells the truth, and a change of
// standing drops it and says so to other nodes.
func TestOCSPResponses(t *testing.T) {
	db, o := filled(t)
	alice, bob, gone := []byte("\x01a"), []byte("\x01b"), []byte("\x01c")
	issued{alice, 0, now.AddDate(1, 0, 0)}.insert(t, db, o)
	issued{bob, 3, now.AddDate(1, 0, 0)}.insert(t, db, o)
	issued{gone, 0, now.Add(-time.Hour)}.insert(t, db, o)
	update(t, db, func(tx *store.Tx) error {
		return tx.PrepareCertificate(store.Certificate{ID: "r", AuthorityID: "ca", Serial: []byte("\x01d"), ProfileHash: o.ProfileHash, KeyHash: []byte("k"), Reserved: now})
	})
	soon := now.Add(time.Minute)
	claim := func(at time.Time) (serials []byte) {
		update(t, db, func(tx *store.Tx) error {
			due, err := tx.ClaimOCSP("ca", at, soon, 10)
			for _, c := range due {
				serials = append(serials, c.Serial...)
			}
			return err
		})
		return serials
	}
	if got := claim(now); len(got) != 4 || bytes.Contains(got, gone) {
		t.Fatalf("due are %x, want the two that live", got)
	}
	if got := claim(now); got != nil {
		t.Errorf("due again at once: %x", got)
	}
	if got := claim(soon); len(got) != 4 {
		t.Errorf("nothing came of it, and due again are %x", got)
	}
	answer := func(serial []byte, text string) store.OCSPResponse {
		return store.OCSPResponse{AuthorityID: "ca", Serial: serial, ThisUpdate: now, NextUpdate: now.Add(time.Hour), DER: []byte(text)}
	}
	good := store.Standing{}
	update(t, db, func(tx *store.Tx) error {
		for _, text := range []string{"good", "good again"} {
			if err := tx.StoreOCSP(answer(alice, text), good, now.Add(24*time.Hour)); err != nil {
				return err
			}
		}
		if r, err := tx.OCSPResponse("ca", alice); string(r.DER) != "good again" || err != nil {
			t.Errorf("stored is %q, %v", r.DER, err)
		}
		if last, err := tx.LastStatusChange(); last != 0 || err != nil {
			t.Errorf("change %d, %v, before there was one", last, err)
		}
		if err := tx.RevokeCertificate("ca", alice, now, 1); err != nil {
			return err
		}
		c, err := tx.AddStatusChange("ca", alice, now)
		if c.Seq != 1 || c.Partition != 0 {
			t.Errorf("the change is %+v", c)
		}
		return err
	})
	update(t, db, func(tx *store.Tx) error {
		if _, err := tx.OCSPResponse("ca", alice); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what was signed before the revocation is still there: %v", err)
		}
		if err := tx.StoreOCSP(answer(alice, "good"), good, now); !errors.Is(err, store.ErrConflict) {
			t.Errorf("what was signed before the revocation was stored after it: %v", err)
		}
		s, err := tx.Standing("ca", alice)
		if err != nil || !s.Revoked.Equal(now) || s.RevokedFor != 1 {
			t.Errorf("standing %+v, %v", s, err)
		}
		if _, err := tx.Standing("ca", []byte("\x01d")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that was never issued has a standing: %v", err)
		}
		return tx.StoreOCSP(answer(alice, "revoked"), s, now.Add(24*time.Hour))
	})
	update(t, db, func(tx *store.Tx) error {
		if err := tx.RevokeCertificate("ca", bob, now, 4); err != nil {
			return err
		}
		_, err := tx.AddStatusChange("ca", bob, now)
		return err
	})
	update(t, db, func(tx *store.Tx) error {
		changes, err := tx.StatusChanges(1, 10)
		if len(changes) != 1 || changes[0].Seq != 2 || !bytes.Equal(changes[0].Serial, bob) || changes[0].Partition != 3 {
			t.Errorf("after the first change: %+v", changes)
		}
		for partition, want := range map[int]int64{0: 1, 3: 2, 5: 0} {
			if last, err := tx.LastStatusChangeIn("ca", partition); last != want || err != nil {
				t.Errorf("last change of partition %d is %d, %v, want %d", partition, last, err, want)
			}
		}
		return err
	})
}

func TestDelegates(t *testing.T) {
	db, _ := filled(t)
	update(t, db, func(tx *store.Tx) error {
		for _, d := range []store.Delegate{
			{ID: "1", AuthorityID: "ca", Purpose: "ocsp", KeyURI: "file:1", Certificate: []byte("1"), NotAfter: now.Add(time.Hour), Created: now},
			{ID: "2", AuthorityID: "ca", Purpose: "ocsp", KeyURI: "file:2", Certificate: []byte("2"), NotAfter: now.Add(3 * time.Hour), Created: now},
			{ID: "3", AuthorityID: "root", Purpose: "timestamp", KeyURI: "file:3", Certificate: []byte("3"), NotAfter: now.Add(3 * time.Hour), Created: now},
		} {
			if err := tx.InsertDelegate(d); err != nil {
				return err
			}
		}
		list, err := tx.Delegates("ca", "ocsp", now)
		if len(list) != 2 || list[0].ID != "2" || list[1].ID != "1" {
			t.Errorf("delegates %+v", list)
		}
		if list, err := tx.Delegates("ca", "ocsp", now.Add(time.Hour)); len(list) != 1 || err != nil {
			t.Errorf("an hour later %+v, %v", list, err)
		}
		return err
	})
}
