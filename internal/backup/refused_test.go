package backup

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// empty is where a copy can be restored to, on the engine at hand.
func empty(t *testing.T) Place {
	t.Helper()
	place := Place{Data: filepath.Join(t.TempDir(), "data")}
	if storetest.Postgres() {
		place.Source = storetest.Empty(t, "")
	}
	return place
}

// checkpoint signs the newest entry of a log.
func (w *world) checkpoint() *audit.Checkpoint {
	w.t.Helper()
	log, err := audit.Open(w.t.Context(), audit.Options{Store: w.db, Keys: &keys.Keys{Dir: w.dir, Plaintext: true}, Clock: clock})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := log.Checkpoint(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// refusedFor restores a copy that must be refused with a finding, and leaves
// nothing that anybody could take for a restored one.
func (w *world) refusedFor(place Place, data []byte, kept []*audit.Checkpoint, why string) {
	w.t.Helper()
	_, err := Restore(w.t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock, Kept: kept}, w.key)
	findings, ok := errors.AsType[*FindingsError](err)
	if !ok || !strings.Contains(findings.Error(), why) {
		w.t.Errorf("%v, want a finding of %q", err, why)
	}
	if left, err := os.ReadDir(filepath.Dir(place.Data)); err != nil || len(left) != 0 {
		w.t.Errorf("left %v, %v", left, err)
	}
	if place.Source != "" {
		if _, err := store.Open(w.t.Context(), place.Source); !errors.Is(err, store.ErrUnfinished) {
			w.t.Errorf("the database can be opened: %v", err)
		}
	}
}

// A copy of a log that somebody changed is not put in place, unless there is no
// other; and a restore that was refused can be done again at the same place.
func TestLogNotWhole(t *testing.T) {
	w := filled(t)
	good, _ := w.copy(false)
	w.update(func(tx *store.Tx) error { return w.entry(tx, store.ActIssued, "nowhere") }) // of a certificate that is not there
	bad, _ := w.copy(false)
	place := empty(t)
	w.refusedFor(place, bad, nil, "of something that is not there")
	r, err := Restore(t.Context(), bytes.NewReader(bad), place, Restoring{Clock: clock, Accept: true}, w.key)
	if err != nil || r.Audit.Good() {
		t.Errorf("accepted: %+v, %v", r, err)
	}
	if _, err := Restore(t.Context(), bytes.NewReader(good), empty(t), Restoring{Clock: clock}, w.key); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Checkpoints of the copy's time must be of the same entry, not only of as many;
// those of a later time must be of the same log.
func TestKeptCheckpoints(t *testing.T) {
	w, other := filled(t), filled(t)
	now := w.checkpoint()
	data, s := w.copy(false)
	w.order()
	later := w.checkpoint()
	if now.Entries > s.Entries || later.Entries <= s.Entries {
		t.Fatalf("checkpoints of %d and %d, a copy of %d", now.Entries, later.Entries, s.Entries)
	}
	r, err := Restore(t.Context(), bytes.NewReader(data), empty(t), Restoring{Clock: clock, Kept: []*audit.Checkpoint{now, later}}, w.key)
	if err != nil || r.Audit.Kept != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	place := empty(t)
	w.refusedFor(place, data, []*audit.Checkpoint{other.checkpoint()}, "not signed by the log's key")
	// Two histories of one log, under one key: the operator's copy of the other one.
	fork := &world{t: t, dir: w.dir, key: w.key, next: 100}
	forked := empty(t)
	if _, err := Restore(t.Context(), bytes.NewReader(data), forked, Restoring{Clock: clock}, w.key); err != nil {
		t.Fatal(err)
	}
	if forked.Source == "" {
		forked.Source = filepath.Join(forked.Data, "mailseal.db")
	}
	if fork.db, err = store.Open(t.Context(), forked.Source); err != nil {
		t.Fatal(err)
	}
	defer fork.db.Close()
	w.order()
	long, _ := w.copy(false)
	w.refusedFor(place, long, []*audit.Checkpoint{fork.checkpoint()}, "was another one")
}

// What is to be checked is checked before anything is made.
func TestCheckedFirst(t *testing.T) {
	w := filled(t)
	data, _ := w.copy(false)
	place := empty(t)
	no := errors.New("no")
	_, err := Restore(t.Context(), bytes.NewReader(data), place, Restoring{Clock: clock, Check: func(s *Summary) error {
		if s.Entries == 0 {
			t.Error("asked before the copy was read")
		}
		return no
	}}, w.key)
	if !errors.Is(err, no) {
		t.Error(err)
	}
	if _, err := os.Stat(place.Data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if place.Source != "" {
		db, err := store.Open(t.Context(), place.Source)
		if err != nil {
			t.Fatalf("the database is not as it was: %v", err)
		}
		_ = db.Close()
	}
}
