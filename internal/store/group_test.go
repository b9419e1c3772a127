package store_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// queue makes changes that all wait while the first one runs, so that they
// share its transaction.
type queue struct {
	db   *store.DB
	wg   sync.WaitGroup
	gate chan struct{}
	mu   sync.Mutex
	errs map[string]error
}

// newQueue starts a change that writes the person "first" and waits for go.
func newQueue(t *testing.T, db *store.DB, last func(*store.Tx) error) *queue {
	t.Helper()
	return queueBehind(t, db, func(tx *store.Tx) error {
		err := person("first")(tx)
		if last != nil {
			err = errors.Join(err, last(tx))
		}
		return err
	})
}

// queueBehind starts a change that waits for go and is what f does.
func queueBehind(t *testing.T, db *store.DB, f func(*store.Tx) error) *queue {
	t.Helper()
	q := &queue{db: db, gate: make(chan struct{}), errs: map[string]error{}}
	running := make(chan struct{})
	run := sync.OnceFunc(func() { close(running) }) // it may have to run again
	q.add(t.Context(), "first", func(tx *store.Tx) error {
		run()
		<-q.gate
		return f(tx)
	})
	<-running
	return q
}

func (q *queue) add(ctx context.Context, name string, f func(*store.Tx) error) {
	q.wg.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				q.say(name, fmt.Errorf("panic: %v", r))
			}
		}()
		q.say(name, errors.New("goroutine ended"))
		err := q.db.Update(ctx, f)
		q.say(name, err)
	})
}

func (q *queue) say(name string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.errs[name] = err
}

// run lets the first change go on and waits for all.
func (q *queue) run() map[string]error {
	close(q.gate)
	q.wg.Wait()
	return q.errs
}

func person(id string) func(*store.Tx) error {
	return func(tx *store.Tx) error { return tx.InsertPerson(store.Person{ID: id, Created: now}) }
}

// people lists who is stored.
func people(t *testing.T, db *store.DB) []string {
	t.Helper()
	ids, err := db.Texts(t.Context(), `SELECT id FROM people ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// waitFor waits until n changes are in the queue.
func waitFor(t *testing.T, db *store.DB, n int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); db.Waiting() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d changes wait, want %d", db.Waiting(), n)
		}
	}
}

// Changes that wait share transactions, each of which is bounded.
func TestChangesShareACommit(t *testing.T) {
	db := storetest.Open(t)
	const n = 3*store.MaxBatch - 1 // beside the first
	q := newQueue(t, db, nil)
	for i := range n {
		q.add(t.Context(), fmt.Sprint(i), person(fmt.Sprint(i)))
	}
	waitFor(t, db, n)
	for name, err := range q.run() {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := db.Stats(); got != (store.Stats{Changes: n + 1, Commits: 3}) {
		t.Errorf("%+v, want %d changes in 3 commits", got, n+1)
	}
	if got := len(people(t, db)); got != n+1 {
		t.Errorf("%d people are stored, want %d", got, n+1)
	}
}

// What fails takes back its own change and nothing else, and is told so.
func TestOneFailureHurtsNobody(t *testing.T) {
	db := storetest.Open(t)
	boom := errors.New("boom")
	// after writes a row and then goes wrong.
	after := func(id string, wrong func(*store.Tx) error) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			if err := person(id)(tx); err != nil {
				return err
			}
			return wrong(tx)
		}
	}
	statement := func(tx *store.Tx) error { return tx.HoldMailbox("k", "a", "nobody", now) } // breaks a reference
	ctx, leave := context.WithCancel(t.Context())
	bad := map[string]struct {
		f    func(*store.Tx) error
		want string
	}{
		"error":     {after("error", func(*store.Tx) error { return boom }), "boom"},
		"panic":     {after("panic", func(*store.Tx) error { panic("boom") }), "panic: boom"},
		"exit":      {after("exit", func(*store.Tx) error { runtime.Goexit(); return nil }), "goroutine ended"},
		"statement": {after("statement", statement), ""},
		"swallowed": {after("swallowed", func(tx *store.Tx) error { _ = statement(tx); return nil }), ""},
		"left":      {after("left", func(*store.Tx) error { leave(); return nil }), "store: context canceled"},
	}
	for _, first := range []bool{true, false} { // the first change of the transaction, or another
		var q *queue
		want := []string{"first"}
		if first {
			q = newQueue(t, db, func(*store.Tx) error { return boom })
			want = nil
		} else {
			q = newQueue(t, db, nil)
		}
		n := 0
		for name, tc := range bad {
			prefix := fmt.Sprint(first, " ")
			c := t.Context()
			if name == "left" {
				c = ctx
			}
			q.add(c, prefix+name, tc.f)
			q.add(t.Context(), prefix+"after "+name, person(prefix+"after "+name))
			want = append(want, prefix+"after "+name)
			n += 2
		}
		waitFor(t, db, n)
		errs := q.run()
		for name, tc := range bad {
			err := errs[fmt.Sprint(first, " ", name)]
			if err == nil || tc.want != "" && err.Error() != tc.want {
				t.Errorf("%s: %v, want %q", name, err, tc.want)
			}
			if err := errs[fmt.Sprint(first, " after ", name)]; err != nil {
				t.Errorf("after %s: %v", name, err)
			}
		}
		if err := errs["first"]; first != errors.Is(err, boom) {
			t.Errorf("the first: %v", err)
		}
		slices.Sort(want)
		got := slices.DeleteFunc(people(t, db), func(id string) bool { return !first && len(id) > 4 && id[:5] == "true " })
		if !slices.Equal(got, want) {
			t.Errorf("stored are %q, want %q", got, want)
		}
		ctx, leave = context.WithCancel(t.Context())
	}
	leave()
}

// Changes run once where nothing goes wrong, and where one fails that only
// looked. When one fails that has written, those before it run again, with
// savepoints, and so do those of the next transactions.
func TestSavepointsWhenNeeded(t *testing.T) {
	boom := errors.New("boom")
	looks := func(tx *store.Tx) error {
		if _, err := tx.Order("nobody's"); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return boom
	}
	writes := func(tx *store.Tx) error { return errors.Join(person("never")(tx), boom) }
	breaks := func(tx *store.Tx) error { return errors.Join(tx.HoldMailbox("k", "a", "nobody", now), boom) } // a reference
	db := storetest.Open(t)
	for i, tt := range []struct {
		bad  func(*store.Tx) error
		runs int // of the change before it
	}{{looks, 1}, {breaks, 2}, {writes, 1}, {breaks, 1}} {
		name := fmt.Sprint(i)
		q := queueBehind(t, db, person("first "+name))
		runs := 0
		q.add(t.Context(), name, func(tx *store.Tx) error { runs++; return person(name)(tx) })
		waitFor(t, db, 1)
		q.add(t.Context(), "bad", tt.bad)
		waitFor(t, db, 2)
		q.add(t.Context(), "after", person("after "+name))
		waitFor(t, db, 3)
		errs := q.run()
		if !errors.Is(errs["bad"], boom) || errs[name] != nil || errs["after"] != nil {
			t.Errorf("%d: %v", i, errs)
		}
		if runs != tt.runs {
			t.Errorf("%d: the change before the one that failed ran %d times, want %d", i, runs, tt.runs)
		}
	}
	if got, want := people(t, db), []string{"0", "1", "2", "3", "after 0", "after 1", "after 2", "after 3", "first 0", "first 1", "first 2", "first 3"}; !slices.Equal(got, want) {
		t.Errorf("stored are %q, want %q", got, want)
	}
}

// A statement that answers with rows may write all the same: what it did goes with
// the change that failed, though nothing else was written.
func TestReturningIsTakenBack(t *testing.T) {
	db := storetest.Open(t)
	seq := func() (n int64) {
		t.Helper()
		if err := db.View(t.Context(), func(tx *store.Tx) (err error) { n, err = tx.LastStatusChange(); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := seq()
	q := newQueue(t, db, nil)
	q.add(t.Context(), "none", func(tx *store.Tx) error {
		_, err := tx.AddStatusChange("nobody", []byte{1}, now) // it counts, and then there is no such certificate
		return err
	})
	waitFor(t, db, 1)
	if errs := q.run(); errs["first"] != nil || !errors.Is(errs["none"], store.ErrNotFound) {
		t.Errorf("%v", errs)
	}
	if after := seq(); after != before {
		t.Errorf("the count went from %d to %d with a change that failed", before, after)
	}
	if got := people(t, db); !slices.Equal(got, []string{"first"}) {
		t.Errorf("%q are stored", got)
	}
}

// Who leaves before their turn is not served, and who has waited longest comes
// first.
func TestQueue(t *testing.T) {
	db := storetest.Open(t)
	ctx, leave := context.WithCancel(t.Context())
	q := newQueue(t, db, nil)
	var served []string
	for i := range 9 {
		name := fmt.Sprint(i)
		c := t.Context()
		if i == 4 {
			c = ctx
		}
		q.add(c, name, func(*store.Tx) error { served = append(served, name); return nil })
		waitFor(t, db, i+1)
	}
	leave()
	waitFor(t, db, 8)
	if err := q.run()["4"]; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: %v", err)
	}
	if want := []string{"0", "1", "2", "3", "5", "6", "7", "8"}; !slices.Equal(served, want) {
		t.Errorf("served %v, want %v", served, want)
	}
}

// A transaction is used in its function and nowhere else.
func TestTxEnds(t *testing.T) {
	db := storetest.Open(t)
	var kept *store.Tx
	update(t, db, func(tx *store.Tx) error { kept = tx; return nil })
	if err := person("late")(kept); err == nil {
		t.Error("used after its end")
	}
}

// Close serves everybody who is in, and nobody who comes later.
func TestClose(t *testing.T) {
	source := storetest.Source(t)
	db := open(t, source)
	q := newQueue(t, db, nil)
	q.add(t.Context(), "second", person("second"))
	waitFor(t, db, 1)
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for late := error(context.DeadlineExceeded); errors.Is(late, context.DeadlineExceeded); {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		late = db.Update(ctx, func(*store.Tx) error { return errors.New("served") })
		cancel()
		if late == nil {
			t.Fatal("served after Close")
		}
	}
	for name, err := range q.run() {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := people(t, open(t, source)); !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("stored are %q", got)
	}
}

// What is no text is in no row, on either engine.
func TestNotText(t *testing.T) {
	db, _ := filled(t)
	for _, id := range []string{"a\x00b", "\xff"} {
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Order(id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("order %q: %v", id, err)
			}
			if list, err := tx.OpenChallenges(id); len(list) > 0 || err != nil {
				t.Errorf("challenges of order %q: %v, %v", id, list, err)
			}
			return person(id)(tx)
		})
		if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("person %q: %v", id, err)
		}
	}
}

// The newest audit entry is the newest one that is there, also after a change
// that wrote another one was taken back.
func TestNewestEntryAfterFailure(t *testing.T) {
	db := storetest.Open(t)
	add := func(details string) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			last, err := tx.LastAuditEntry()
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return tx.InsertAuditEntry(store.AuditEntry{
				Seq: last.Seq + 1, At: now, Act: "test", Details: last.Details + details, Hash: []byte{byte(last.Seq)},
			})
		}
	}
	q := newQueue(t, db, add("a"))
	for i, f := range []func(*store.Tx) error{
		add("b"), func(tx *store.Tx) error { return errors.Join(add("x")(tx), errors.New("boom")) }, add("c"),
	} {
		q.add(t.Context(), fmt.Sprint(i), f)
		waitFor(t, db, i+1)
	}
	q.run()
	got, err := db.Texts(t.Context(), `SELECT details FROM audit_entries ORDER BY seq`)
	if want := []string{"a", "ab", "abc"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("entries %q, %v, want %q", got, err, want)
	}
}
