package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// changed returns the URL with one parameter more.
func changed(t *testing.T, source, key, value string) string {
	t.Helper()
	u, err := url.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// What would break a promise is refused when the store is opened.
func TestPromisesOfPostgres(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	for _, test := range []struct{ name, source, want string }{
		{"commits are not synchronous", changed(t, storetest.Source(t), "synchronous_commit", "off"), "set it to on"},
		{"not UTF-8", storetest.Empty(t, "ENCODING 'SQL_ASCII'"), "ENCODING 'UTF8'"},
		{"nobody there", changed(t, storetest.Source(t), "host", t.TempDir()), "unavailable"},
	} {
		db, err := store.Open(t.Context(), test.source)
		if err == nil {
			db.Close()
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error that says %q", test.name, err, test.want)
		}
	}
	// A later connection is looked at too.
	source := storetest.Source(t)
	db := open(t, source)
	u, err := url.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	storetest.SQL(t, source, `ALTER DATABASE `+u.Path[1:]+` SET synchronous_commit = off`)
	if err := db.View(t.Context(), func(*store.Tx) error { return nil }); err == nil || !strings.Contains(err.Error(), "synchronous_commit is off") {
		t.Errorf("set to off while running: %v", err)
	}
}

// A session is as the promises and the time limits want it.
func TestSessionOfPostgres(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	for source, settings := range map[string]map[string]string{
		storetest.Source(t): {
			"synchronous_commit": "on", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "30s", "application_name": "mailseal",
		},
		changed(t, storetest.Source(t), "statement_timeout", "7000"): {"statement_timeout": "7s"},
	} {
		db := open(t, source)
		for name, run := range map[string]func(context.Context, func(*store.Tx) error) error{"writer": db.Update, "reader": db.View} {
			err := run(t.Context(), func(tx *store.Tx) error {
				for setting, want := range settings {
					got, err := tx.Text(`SELECT current_setting($1)`, setting)
					if err != nil || got != want {
						t.Errorf("%s: %s is %s, %v, want %s", name, setting, got, err, want)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := isolation(t, db); got != "repeatable read" {
			t.Errorf("a view is %s", got)
		}
	}
}

func isolation(t *testing.T, db *store.DB) (level string) {
	t.Helper()
	err := db.View(t.Context(), func(tx *store.Tx) (err error) {
		level, err = tx.Text(`SHOW transaction_isolation`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return level
}

// No error tells the password, however broken the URL is.
func TestPasswordIsNotTold(t *testing.T) {
	const password = "hunter2"
	for _, source := range []string{
		"postgres://u:" + password + "@127.0.0.1:1/db",
		"postgres://u:" + password + "@127.0.0.1:x/db",
		"postgres://u:" + password + "%zz@127.0.0.1/db",
		"postgres://u:" + password + "@[::1/db",
		"postgres://127.0.0.1:1/db?password=" + password,
		"postgres://127.0.0.1:1/db?password=" + password + "&sslmode=nonsense",
		"postgres://u:" + password + "@127.0.0.1:1/db?sslrootcert=/nowhere&sslmode=verify-full",
		"postgres://u:p\x7f" + password + "@127.0.0.1/db",
		"postgresql://u:" + password + "/x@127.0.0.1:1/db",
	} {
		db, err := store.Open(t.Context(), source)
		if err == nil {
			db.Close()
			t.Fatal("opened")
		}
		if strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", source, err)
		}
		if !strings.HasPrefix(err.Error(), "open store") {
			t.Errorf("%q: %v, want an error that says what failed", source, err)
		}
	}
}

// Several nodes that start on an empty database make its tables once.
func TestNodesMigrateTogether(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	source := storetest.Empty(t, "")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			db, err := store.Open(t.Context(), source)
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	storetest.SQL(t, source, `INSERT INTO people VALUES ('p', '', 'en', 0)`)
}

// Of two nodes one writes at a time, and each sees what the other did.
func TestTwoNodes(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	source := storetest.Source(t)
	nodes := []*store.DB{open(t, source), open(t, source)}
	authority := store.Authority{ID: "ca", Name: "ca", Kind: "issuing", KeyURI: "file:i", Certificate: []byte("i"), Created: now}
	update(t, nodes[0], unrecorded(func(tx *store.Tx) error { return tx.InsertAuthority(authority) }))
	var wg sync.WaitGroup
	const each = 30
	for i := range 4 * each {
		wg.Go(func() {
			err := nodes[i%2].Update(t.Context(), unrecorded(func(tx *store.Tx) error {
				n, err := tx.CRLNumber("ca")
				if err != nil {
					return err
				}
				// A number that two had read would be refused here.
				return errors.Join(tx.TakeCRLNumber("ca", n+1),
					tx.InsertCRL(store.CRL{AuthorityID: "ca", Number: n + 1, ThisUpdate: now, NextUpdate: now, DER: []byte{1}}))
			}))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	numbers, err := nodes[1].Texts(t.Context(), `SELECT number::text FROM crls ORDER BY crls.number`)
	if err != nil || len(numbers) != 4*each || numbers[len(numbers)-1] != fmt.Sprint(4*each) {
		t.Errorf("%d numbers, %v: %v", len(numbers), err, numbers)
	}
}

// When the connection is lost in the middle, everybody in the transaction hears
// of it, nothing of it is there, and the next change is served.
func TestLostInTheMiddle(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	gate := storetest.NewGate(t, storetest.Source(t))
	db := open(t, gate.Source)
	q := newQueue(t, db, nil)
	q.add(t.Context(), "second", person("second"))
	waitFor(t, db, 1)
	q.add(t.Context(), "third", func(tx *store.Tx) error {
		err := person("third")(tx)
		gate.Shut()
		return err
	})
	waitFor(t, db, 2)
	for name, err := range q.run() {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", name, err, store.ErrUnavailable)
		}
	}
	for what, run := range map[string]func(context.Context, func(*store.Tx) error) error{"Update": db.Update, "View": db.View} {
		if err := run(t.Context(), func(*store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s while it is away: %v", what, err)
		}
	}
	gate.Open()
	update(t, db, person("fourth"))
	if got := people(t, db); !slices.Equal(got, []string{"fourth"}) {
		t.Errorf("stored are %q", got)
	}
}

// A server that says nothing is given up.
func TestSilence(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	gate := storetest.NewGate(t, storetest.Source(t))
	db := open(t, gate.Source)
	update(t, db, person("before"))
	people(t, db) // so that views have a connection that falls silent
	gate.Hold()
	db.SetPatience(100 * time.Millisecond)
	if err := db.Update(t.Context(), person("lost")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Update: %v", err)
	}
	if err := db.View(t.Context(), func(tx *store.Tx) error { _, err := tx.Person("before"); return err }); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("View: %v", err)
	}
	if err := db.Update(t.Context(), person("lost")); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Update on a new connection: %v", err)
	}
	gate.Release()
	db.SetPatience(10 * time.Second)
	update(t, db, person("after"))
	if got := people(t, db); !slices.Contains(got, "before") || !slices.Contains(got, "after") {
		t.Errorf("stored are %q", got)
	}
}

// When the database goes away while changes run again, each of them hears of it.
func TestGoneWhileRunningAgain(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	gate := storetest.NewGate(t, storetest.Source(t))
	db := open(t, gate.Source)
	q := newQueue(t, db, nil)
	names := []string{"second", "third", "last"}
	for i, name := range names {
		q.add(t.Context(), name, func(tx *store.Tx) error {
			if name == "last" {
				gate.Shut()
			}
			return person(name)(tx)
		})
		waitFor(t, db, i+1)
	}
	errs := q.run()
	for _, name := range append(names, "first") {
		if !errors.Is(errs[name], store.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", name, errs[name], store.ErrUnavailable)
		}
	}
}

// Whoever was told that a change took place finds it, however often the
// database goes away and comes back.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	gate := storetest.NewGate(t, storetest.Source(t))
	db := open(t, gate.Source)
	var mu sync.Mutex
	told := map[string]bool{}
	var good atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", client, i)
				err := db.Update(t.Context(), person(id))
				if err != nil && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: %v", id, err)
				}
				mu.Lock()
				told[id] = err == nil
				mu.Unlock()
				if err == nil {
					good.Add(1)
				} else {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	for range 15 {
		for seen := good.Load(); good.Load() == seen; time.Sleep(rand.N(10 * time.Millisecond)) {
		}
		gate.Shut()
		time.Sleep(rand.N(2 * time.Millisecond))
		gate.Open()
	}
	close(stop)
	wg.Wait()
	stored := people(t, db)
	for id, yes := range told {
		if _, found := slices.BinarySearch(stored, id); yes && !found {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for _, id := range stored {
		if _, asked := told[id]; !asked {
			t.Errorf("%s came from nowhere", id)
		}
	}
	if int(good.Load()) == len(told) {
		t.Error("every change was acknowledged: the test shows nothing")
	}
}

// A transaction that PostgreSQL chooses as the victim of a deadlock is run again.
func TestDeadlockRunsAgain(t *testing.T) {
	if !storetest.OnPostgres(t) {
		return
	}
	source := storetest.Source(t)
	db := open(t, source)
	for _, first := range []bool{true, false} {
		runs := 0
		victim := func(tx *store.Tx) error {
			if runs++; runs == 1 {
				if _, err := tx.Text(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$`); err == nil {
					t.Error("no deadlock")
				} else {
					return err
				}
			}
			return person(fmt.Sprint("victim ", first))(tx)
		}
		if first {
			update(t, db, victim)
		} else {
			q := newQueue(t, db, nil)
			q.add(t.Context(), "victim", victim)
			waitFor(t, db, 1)
			for name, err := range q.run() {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if runs != 2 {
			t.Errorf("the victim ran %d times", runs)
		}
	}
	if got := people(t, db); !slices.Equal(got, []string{"first", "victim false", "victim true"}) {
		t.Errorf("stored are %q", got)
	}
	// At the commit the whole transaction is run again.
	storetest.SQL(t, source, `CREATE TABLE tries (n BIGINT); INSERT INTO tries VALUES (0)`)
	storetest.SQL(t, source, `CREATE SEQUENCE attempts`)
	storetest.SQL(t, source, `CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('attempts') = 1 THEN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END IF; RETURN NULL; END $$`)
	storetest.SQL(t, source, `CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON people DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION late()`)
	runs := 0
	update(t, db, func(tx *store.Tx) error { runs++; return tx.RenamePerson("first", "First", "en") })
	if runs != 2 {
		t.Errorf("ran %d times, want 2", runs)
	}
}
