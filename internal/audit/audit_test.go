package audit_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// world is a store with a log.
type world struct {
	t      testing.TB
	source string
	db     *store.DB
	raw    *sql.DB // behind the store's back
	keys   *keys.Keys
	kept   string // file of the checkpoints that are kept elsewhere
	now    time.Time
	log    *audit.Log
}

func open(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, source: storetest.Source(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		keys: &keys.Keys{Dir: t.TempDir(), Plaintext: true}, kept: filepath.Join(t.TempDir(), "kept"),
	}
	var err error
	if w.db, err = store.Open(t.Context(), w.source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	driver, source := "sqlite", w.source
	if storetest.Postgres() {
		driver = "pgx"
	} else {
		source += "?_pragma=synchronous(OFF)&_pragma=busy_timeout(10000)"
	}
	if w.raw, err = sql.Open(driver, source); err != nil {
		t.Fatal(err)
	}
	w.raw.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = w.raw.Close() })
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.log, err = audit.Open(w.t.Context(), audit.Options{
		Store: w.db, Keys: w.keys, Clock: func() time.Time { return w.now }, Keep: []audit.Keeper{audit.AppendTo(w.kept)},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(e audit.Entry) {
	w.t.Helper()
	if e.At.IsZero() {
		e.At = w.now
	}
	err := w.db.Update(w.t.Context(), func(tx *store.Tx) error { return audit.Append(w.t.Context(), tx, e) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// fill adds n entries of several kinds, a second apart.
func (w *world) fill(n int) {
	w.t.Helper()
	for i := range n {
		w.now = w.now.Add(time.Second)
		w.add(audit.Entry{Act: audit.ActCeremony, Actor: "operator", Object: fmt.Sprintf("step%d", i),
			Details: map[string]string{"n": fmt.Sprint(i), "a": "<&>\u00e9"}})
	}
}

func (w *world) checkpoint() *audit.Checkpoint {
	w.t.Helper()
	c, err := w.log.Checkpoint(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	if _, err := w.raw.ExecContext(w.t.Context(), query, args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

func (w *world) verify(o *audit.VerifyOptions) *audit.Report {
	w.t.Helper()
	r, err := audit.Verify(w.t.Context(), w.db, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) good(o *audit.VerifyOptions) *audit.Report {
	w.t.Helper()
	r := w.verify(o)
	if !r.Good() {
		w.t.Errorf("found in a log that nobody touched: %v", r.Findings)
	}
	return r
}

func TestUntouched(t *testing.T) {
	w := open(t)
	w.fill(3)
	c := w.checkpoint()
	if again := w.checkpoint(); again.String() != c.String() {
		t.Error("a second checkpoint of the same entry")
	}
	w.fill(2)
	w.checkpoint()
	f, err := os.Open(w.kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kept, err := audit.ReadCheckpoints(f)
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d checkpoints were kept, %v", len(kept), err)
	}
	r := w.good(&audit.VerifyOptions{Kept: kept, Key: w.log.Key()})
	if r.Entries != 6 || r.Covered != 6 || r.Kept != 2 || len(r.Notes) != 0 {
		t.Errorf("%+v", r)
	}
	w.open() // the key is found again
	w.fill(1)
	w.checkpoint()
	if r := w.good(nil); r.Covered != 7 {
		t.Errorf("%+v", r)
	}
}

// What was kept tells a log that was cut off, or is another one.
func TestRollback(t *testing.T) {
	for name, change := range map[string]func(*world){
		"truncated": func(w *world) {
			w.sql(`DELETE FROM audit_checkpoints`)
			w.sql(`DELETE FROM audit_entries WHERE seq > 4`)
		},
		"truncated and gone on": func(w *world) {
			w.sql(`DELETE FROM audit_checkpoints`)
			w.sql(`DELETE FROM audit_entries WHERE seq > 4`)
			w.fill(5)
			w.checkpoint()
		},
		"begun anew": func(w *world) {
			for _, table := range []string{"audit_checkpoints", "audit_keys", "audit_entries"} {
				w.sql(`DELETE FROM ` + table)
			}
			w.open()
			w.fill(10)
			w.checkpoint()
		},
		"another key": func(w *world) {
			if _, err := audit.Rekey(w.t.Context(), audit.Options{Store: w.db, Keys: w.keys, Clock: func() time.Time { return w.now }}); err != nil {
				w.t.Fatal(err)
			}
			w.sql(`DELETE FROM audit_checkpoints`)
			w.sql(`UPDATE audit_entries SET details = (SELECT details FROM audit_entries WHERE seq = 8) WHERE seq = 1`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.fill(6)
			kept := &audit.VerifyOptions{Kept: []*audit.Checkpoint{w.checkpoint()}}
			w.good(kept)
			change(w)
			if r := w.verify(kept); r.Good() {
				t.Error("not found")
			} else {
				t.Log(r.Findings[0].Text)
			}
		})
	}
}

func TestOtherKey(t *testing.T) {
	w := open(t)
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := w.verify(&audit.VerifyOptions{Key: public}); r.Good() || r.Findings[0].Kind != audit.Unsigned {
		t.Errorf("another key than the log's: %v", r.Findings)
	}
}

// An act whose entry cannot be written does not take place.
func TestFailClosed(t *testing.T) {
	w := open(t)
	allow := storetest.Refuse(t, w.source, "INSERT ON audit_entries")
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.InsertPerson(store.Person{ID: "p", Created: w.now}),
			audit.Append(t.Context(), tx, audit.Entry{At: w.now, Act: audit.ActCeremony}))
	})
	if err == nil {
		t.Error("written to a log that takes no entries")
	}
	allow()
	err = w.db.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Person("p"); return err })
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the act took place: %v", err)
	}
	w.good(nil)
}

func TestClockWentBack(t *testing.T) {
	w := open(t)
	w.fill(1)
	add := func(at time.Time, act string) error {
		return w.db.Update(t.Context(), func(tx *store.Tx) error {
			return audit.Append(t.Context(), tx, audit.Entry{At: at, Act: act})
		})
	}
	back := w.now.Add(-time.Hour)
	if err := add(back, store.ActIssued); !errors.Is(err, audit.ErrClock) {
		t.Errorf("issued an hour before the last entry: %v", err)
	}
	if err := add(w.now.Add(-time.Minute), audit.ActBackup); err != nil {
		t.Errorf("a minute is nothing: %v", err)
	}
	// A start says that the clock is right.
	if err := add(back, audit.ActConfiguration); err != nil {
		t.Error(err)
	}
	if err := add(back, audit.ActCeremony); err != nil {
		t.Error(err)
	}
	if r := w.good(nil); len(r.Notes) == 0 || !strings.Contains(r.Notes[0], "clock went back by 59m0s") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestEntryLimits(t *testing.T) {
	w := open(t)
	for name, e := range map[string]audit.Entry{
		"no act":       {At: w.now},
		"no time":      {Act: "x"},
		"long object":  {At: w.now, Act: "x", Object: strings.Repeat("o", 257)},
		"not UTF-8":    {At: w.now, Act: "x", Object: "\xff"},
		"NUL":          {At: w.now, Act: "x", Object: "\x00"},
		"long details": {At: w.now, Act: "x", Details: map[string]string{"a": strings.Repeat("d", 16<<10)}},
	} {
		err := w.db.Update(t.Context(), func(tx *store.Tx) error { return audit.Append(t.Context(), tx, e) })
		if err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

// Who acts is the context's; digests are the same within a month, and say
// nothing without its salt.
func TestActorAndDigest(t *testing.T) {
	w := open(t)
	digest := func(value string) (d string) {
		err := w.db.Update(t.Context(), func(tx *store.Tx) (err error) {
			d, err = audit.Digest(tx, w.now, value)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if a, b := digest("alice@example.org"), digest("alice@example.org"); a != b || a == digest("bob@example.org") {
		t.Error("digests cannot be compared")
	}
	before := digest("alice@example.org")
	w.sql(`DELETE FROM audit_salts`)
	if before == digest("alice@example.org") {
		t.Error("the same digest after its salt was forgotten")
	}
	err := w.db.Update(t.Context(), func(tx *store.Tx) error {
		err := audit.Append(audit.WithActor(t.Context(), "administrator:7"), tx, audit.Entry{At: w.now, Act: audit.ActCeremony})
		if last, _ := tx.LastAuditEntry(); last.Actor != "administrator:7" {
			t.Errorf("actor %q", last.Actor)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Maintain signs after enough entries, after enough time, and at the end.
func TestMaintain(t *testing.T) {
	w := open(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.log.Maintain(ctx) }()
	stop()
	<-done
	if r := w.good(nil); r.Covered != r.Entries {
		t.Errorf("%d of %d entries are covered at the end", r.Covered, r.Entries)
	}
}

// old opens a store with an authority, orders and a certificate, and no log.
func old(t *testing.T) *world {
	t.Helper()
	w := open(t)
	at := w.now.Unix()
	w.sql(`DELETE FROM audit_keys`)
	w.sql(`DELETE FROM audit_entries`)
	w.sql(`INSERT INTO profiles VALUES ($1, '{}', $2)`, []byte("p"), at)
	w.sql(`INSERT INTO authorities (id, name, kind, key_uri, certificate, crl_number, created_at) VALUES ('ca', 'root', 'root', 'file:x', $1, 0, $2)`, []byte("c"), at)
	for id, state := range map[string]string{"o1": "issued", "o2": "refused", "o3": "applied"} {
		w.sql(`INSERT INTO orders (id, state, name, language, secret_hash, profile_hash, reason, created_at, expires_at)
			VALUES ($1, $2, '', 'en', $3, $3, '', $4, $4)`, id, state, []byte("p"), at)
	}
	sum := []byte("\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55")
	w.sql(`INSERT INTO certificates (id, authority_id, serial, state, order_id, profile_hash, key_hash, der, sha256, not_after, reserved_at, issued_at, revoked_at, revoked_for, note)
		VALUES ('c1', 'ca', $1, 'issued', 'o1', $2, $2, $3, $4, $5, $5, $5, $5, 1, '')`, []byte{1}, []byte("p"), []byte{}, sum, at)
	return w
}

// What a store held before it had a log is entered when the log begins.
func TestAdopt(t *testing.T) {
	w := old(t)
	if r := w.verify(nil); r.Wrong < 5 {
		t.Errorf("before: %v", r.Findings)
	}
	w.open()
	if r := w.good(nil); r.Issued != 1 || r.Revoked != 1 {
		t.Errorf("%+v", r)
	}
}

// Joins find what was done without the log, and what the log says that is not so.
func TestJoins(t *testing.T) {
	for name, edit := range map[string]string{
		"certificate issued behind the log": `UPDATE certificates SET id = 'c2'`,
		"certificate exchanged":             `UPDATE certificates SET der = sha256`,
		"digest exchanged":                  `UPDATE certificates SET sha256 = der`,
		"serial exchanged":                  `UPDATE certificates SET serial = sha256`,
		"revocation undone":                 `UPDATE certificates SET revoked_at = NULL`,
		"reason changed":                    `UPDATE certificates SET revoked_for = 4`,
		"certificate deleted":               `DELETE FROM certificates`,
		"certificate refused":               `UPDATE certificates SET state = 'refused'`,
		"order refused":                     `UPDATE orders SET state = 'refused' WHERE id = 'o1'`,
		"order proven":                      `UPDATE orders SET state = 'proven' WHERE id = 'o3'`,
		"order unknown":                     `UPDATE orders SET id = 'o7' WHERE id = 'o3'`,
		"order no longer proven":            `UPDATE orders SET state = 'applied' WHERE id = 'o1'`,
	} {
		t.Run(name, func(t *testing.T) {
			w := old(t)
			w.open()
			w.sql(edit)
			if r := w.verify(nil); r.Wrong < 1 || r.Wrong > 4 {
				t.Errorf("findings: %v", r.Findings)
			}
		})
	}
}
