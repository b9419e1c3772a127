package store_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// Some statements are sent with the next one: what goes wrong with them is the
// error of the change all the same, whatever its function made of it, and hurts
// no other change.
func TestSentLater(t *testing.T) {
	mine := errors.New("mine")
	entry := func(tx *store.Tx, seq int64) error {
		return tx.InsertAuditEntry(store.AuditEntry{Seq: seq, At: now, Act: "test", Details: "{}", Hash: []byte{1}})
	}
	taken := func(tx *store.Tx) error { return entry(tx, 1) }
	bad := map[string]struct {
		f    func(*store.Tx) error
		want error
	}{
		"at the end":     {taken, store.ErrConflict},
		"swallowed":      {func(tx *store.Tx) error { _ = taken(tx); return nil }, store.ErrConflict},
		"with the next":  {func(tx *store.Tx) error { return errors.Join(taken(tx), person("next")(tx)) }, store.ErrConflict},
		"before a read":  {func(tx *store.Tx) error { _ = taken(tx); _, _ = tx.Person("first"); return nil }, store.ErrConflict},
		"renamed":        {func(tx *store.Tx) error { _ = taken(tx); _ = person("x")(tx); return mine }, store.ErrConflict},
		"nothing sent":   {func(*store.Tx) error { return mine }, mine},
		"waits and ends": {func(tx *store.Tx) error { _ = entry(tx, 9); return mine }, mine},
		"panic":          {func(tx *store.Tx) error { _ = entry(tx, 9); panic("boom") }, nil},
	}
	for name, tc := range bad {
		t.Run(name, func(t *testing.T) {
			db := storetest.Open(t)
			q := newQueue(t, db, func(tx *store.Tx) error { return entry(tx, 1) })
			q.add(t.Context(), "before", person("before"))
			waitFor(t, db, 1)
			q.add(t.Context(), "bad", tc.f)
			waitFor(t, db, 2)
			q.add(t.Context(), "after", func(tx *store.Tx) error { return errors.Join(entry(tx, 2), person("after")(tx)) })
			waitFor(t, db, 3)
			errs := q.run()
			if err := errs["bad"]; err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			for _, name := range []string{"first", "before", "after"} {
				if errs[name] != nil {
					t.Errorf("%s: %v", name, errs[name])
				}
			}
			if got := people(t, db); !slices.Equal(got, []string{"after", "before", "first"}) {
				t.Errorf("stored are %q", got)
			}
			entries, err := db.Texts(t.Context(), `SELECT CAST(seq AS TEXT) FROM audit_entries ORDER BY seq`)
			if err != nil || !slices.Equal(entries, []string{"1", "2"}) {
				t.Errorf("entries %q, %v", entries, err)
			}
		})
	}
}
