package store_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

func TestOpenFile(t *testing.T) {
	// Names that a URI would read as something else.
	path := filepath.Join(t.TempDir(), "a b", "50%?x=1#y", "mailseal.db")
	db := open(t, path)
	update(t, db, func(tx *store.Tx) error {
		return tx.InsertOperator(store.Operator{Name: "Example", PolicyArc: "2.25.1", BaseURL: "http://ca.example.org", Created: now})
	})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if log, err := os.Stat(path + "-wal"); err != nil || log.Mode().Perm() != 0o600 {
		t.Errorf("log: %v, want a file of mode 0600", err)
	}
}

// The promises that durability and references rest on hold on every connection.
func TestPragmas(t *testing.T) {
	db := open(t, filepath.Join(t.TempDir(), "mailseal.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		for name, run := range map[string]func(context.Context, func(*store.Tx) error) error{"writer": db.Update, "reader": db.View} {
			err := run(t.Context(), func(tx *store.Tx) error {
				got, err := tx.Text(`PRAGMA ` + pragma)
				if got != want {
					t.Errorf("%s: %s is %s, want %s", name, pragma, got, want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailseal.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := store.Open(t.Context(), path); err == nil {
		db.Close()
		t.Error("opened")
	}
}
