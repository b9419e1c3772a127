package store_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// A key stands badly when somebody distrusts it, when a certificate with it was
// revoked for its compromise, or when another person has it.
func TestStandingOfKey(t *testing.T) {
	db, o := filled(t)
	update(t, db, func(tx *store.Tx) error {
		errs := []error{}
		for _, id := range []string{"alice", "bob"} {
			errs = append(errs, tx.InsertPerson(store.Person{ID: id, Name: id, Language: "en", Created: now}))
		}
		o.State = "applied"
		for id, person := range map[string]string{"mine": "alice", "hers": "alice", "his": "bob"} {
			o.ID, o.SecretHash, o.Addresses = id, []byte(id), []string{id + "@example.org"}
			errs = append(errs, tx.InsertOrder(o), tx.OrderProven(id, person, now))
		}
		return errors.Join(errs...)
	})
	made := func(serial, order, key string, reason int) {
		update(t, db, func(tx *store.Tx) error {
			err := tx.PrepareCertificate(store.Certificate{
				ID: serial, AuthorityID: "ca", Serial: []byte(serial), OrderID: order, ProfileHash: o.ProfileHash, KeyHash: []byte(key), TBS: []byte("t"), Reserved: now,
			})
			if err != nil || reason < 0 {
				return err
			}
			return errors.Join(
				tx.IssueCertificate(serial, []byte(serial), []byte(serial), now.AddDate(1, 0, 0), now, now),
				tx.RevokeCertificate("ca", []byte(serial), now, reason))
		})
	}
	made("\x01a", "hers", "her key", -1)
	made("\x01b", "his", "his key", 4)
	made("\x01c", "", "nobody's key", -1)
	made("\x01d", "mine", "lost key", 1)
	update(t, db, func(tx *store.Tx) error {
		if err := tx.DistrustKey([]byte("listed key"), "seen on a list", now); err != nil {
			return err
		}
		if err := tx.DistrustKey([]byte("listed key"), "once more", now); !errors.Is(err, store.ErrConflict) {
			t.Errorf("distrusted twice: %v", err)
		}
		return nil
	})
	for _, tt := range []struct {
		key, order string
		want       store.KeyState
	}{
		{"new key", "mine", store.KeyFree},
		{"her key", "mine", store.KeyFree},
		{"her key", "his", store.KeyForeign},
		{"his key", "his", store.KeyFree},
		{"his key", "mine", store.KeyForeign},
		{"nobody's key", "mine", store.KeyForeign},
		{"lost key", "mine", store.KeyCompromised},
		{"lost key", "his", store.KeyCompromised},
		{"listed key", "his", store.KeyDistrusted},
	} {
		var got store.KeyStanding
		update(t, db, func(tx *store.Tx) (err error) {
			got, err = tx.StandingOfKey([]byte(tt.key), tt.order)
			return err
		})
		if got.State != tt.want {
			t.Errorf("%s for the order %s: %s, want %s", tt.key, tt.order, got.State, tt.want)
		}
	}
}
