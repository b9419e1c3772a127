package store_test

import (
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// Whoever looks sees what is there, also what the log of a running server has,
// and changes nothing.
func TestOpenToLook(t *testing.T) {
	source := storetest.Source(t)
	db := open(t, source)
	update(t, db, func(tx *store.Tx) error {
		return tx.InsertOperator(store.Operator{Name: "Example", PolicyArc: "2.25.1", BaseURL: "http://ca.example.org", Created: now})
	})
	look, err := store.OpenToLook(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	err = look.View(t.Context(), func(tx *store.Tx) error {
		o, err := tx.Operator()
		if o.Name != "Example" {
			t.Errorf("%+v", o)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := look.Update(t.Context(), func(tx *store.Tx) error { return tx.AddEvent("id", []byte("k"), now) }); err == nil {
		t.Error("who looks wrote")
	}
	if db, err := store.OpenToLook(t.Context(), filepath.Join(t.TempDir(), "mailseal.db")); err == nil {
		db.Close()
		t.Error("opened a store that is not there")
	}
}
