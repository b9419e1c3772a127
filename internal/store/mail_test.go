package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// TestMailsOfOlderVersions: what waited before there were jobs still leaves, and
// what became of the others is still known.
func TestMailsOfOlderVersions(t *testing.T) {
	const before = 49
	now := time.Unix(1_800_000_000, 0)
	db, err := store.Load(t.Context(), emptySource(t), before, func(l *store.Loader) error {
		for _, table := range []struct {
			store.Table
			rows [][]any
		}{
			{store.Table{Name: "profiles", Columns: []string{"hash", "config", "first_used"}}, [][]any{{[]byte{1}, "{}", now.Unix()}}},
			{store.Table{Name: "orders", Columns: []string{"id", "state", "name", "language", "secret_hash", "profile_hash", "reason", "created_at", "expires_at"}},
				[][]any{{"order", "applied", "", "en", []byte{1}, []byte{1}, "", now.Unix(), now.Unix()}}},
			{store.Table{Name: "mails", Columns: []string{"id", "order_id", "number", "address", "state", "tries", "reason", "created_at", "next_at", "ended_at"}}, [][]any{
				{"first", "order", int64(1), "alice@example.org", "refused", int64(1), "no such person", now.Unix(), now.Unix(), now.Unix()},
				{"second", "order", int64(2), "alice@example.org", "waiting", int64(3), "", now.Unix(), now.Unix() + 60, nil},
			}},
		} {
			if err := l.Table(table.Table); err != nil {
				return err
			}
			for _, row := range table.rows {
				if err := l.Row(row); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		first, err := tx.Mail("first")
		if err != nil || first.State != "refused" || first.Reason != "no such person" || first.About != "order" || first.Ended.IsZero() {
			t.Errorf("the refused one: %+v, %v", first, err)
		}
		last, err := tx.LastMail("code", "order")
		if err != nil || last.ID != "second" || last.State != "waiting" {
			t.Errorf("the last one: %+v, %v", last, err)
		}
		early, err := tx.TakeJobsOfLane("mail code", "second", "node", now, now.Add(time.Hour), 9)
		if err != nil || len(early) != 0 {
			t.Errorf("before its time: %+v, %v", early, err)
		}
		jobs, err := tx.TakeJobs("mail code", "node", now.Add(time.Minute), now.Add(time.Hour), 9)
		if err != nil || len(jobs) != 1 || jobs[0].Key != "second" || len(jobs[0].Payload) != 0 {
			t.Errorf("jobs: %+v, %v", jobs, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// emptySource is a database without tables, of the engine at hand.
func emptySource(t *testing.T) string {
	t.Helper()
	if storetest.Postgres() {
		return storetest.Empty(t, "")
	}
	return filepath.Join(t.TempDir(), "old.db")
}
