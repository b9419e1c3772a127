package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// node is an outbox with a clock that a test moves.
type node struct {
	*Outbox
	t     *testing.T
	db    *store.DB
	ahead atomic.Int64 // nanoseconds
	stop  func()
}

func newNode(t *testing.T, db *store.DB, change func(*Options)) *node {
	t.Helper()
	n := &node{t: t, db: db}
	o := Options{Store: db, Clock: n.clock, Poll: 10 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	var err error
	if n.Outbox, err = New(o); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) clock() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) }

func (n *node) pass(d time.Duration) { n.ahead.Add(int64(d)) }

// start runs the node until stop is called, or the test ends.
func (n *node) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() { cancel(); <-done })
	n.t.Cleanup(n.stop)
}

func (n *node) enqueue(requests ...Request) {
	n.t.Helper()
	err := n.db.Update(n.t.Context(), func(tx *store.Tx) error {
		for _, r := range requests {
			if isNew, err := n.Enqueue(tx, r); err != nil || !isNew {
				return fmt.Errorf("job %s: new: %v, %w", r.Key, isNew, err)
			}
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

// jobs reads the jobs of a state by their keys.
func jobs(t *testing.T, db *store.DB, state string) map[string]store.Job {
	t.Helper()
	found := map[string]store.Job{}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.JobsOf(state, 1<<20)
		for _, j := range list {
			found[j.Key] = j
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !yes(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// note is a Finish that leaves a mark in the store; a second one is an error.
func note(j Job) Finish {
	return func(tx *store.Tx) error { return tx.InsertPerson(store.Person{ID: j.Key, Created: j.Created}) }
}

func noted(db *store.DB, key string) bool {
	return nil == db.View(context.Background(), func(tx *store.Tx) error { _, err := tx.Person(key); return err })
}

// A job exists exactly if its transaction took place, once for a key, and what
// it changes is there when it is done.
func TestEnqueue(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	var payload []byte
	n.Handle("mail", Worker{Do: func(_ context.Context, j Job) (Finish, error) { payload = j.Payload; return note(j), nil }})
	boom := errors.New("boom")
	err := n.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := n.Enqueue(tx, Request{Kind: "mail", Key: "never"})
		return errors.Join(err, boom)
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	n.enqueue(Request{Kind: "mail", Key: "once", Payload: []byte("text")})
	n.start()
	eventually(t, "done", func() bool { return len(jobs(t, n.db, "done")) == 1 })
	if done := jobs(t, n.db, "done")["once"]; !noted(n.db, "once") || len(done.Payload) != 0 || done.Finished.IsZero() {
		t.Errorf("done: %+v, noted: %v", done, noted(n.db, "once"))
	}
	if string(payload) != "text" {
		t.Errorf("payload %q", payload)
	}
	err = n.db.Update(t.Context(), func(tx *store.Tx) error {
		isNew, err := n.Enqueue(tx, Request{Kind: "mail", Key: "once"})
		if isNew {
			t.Error("the key of a job that is done was taken again")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Request{
		"no kind": {Key: "k"}, "long key": {Kind: "mail", Key: strings.Repeat("k", MaxKey+1)},
		"large payload": {Kind: "mail", Payload: make([]byte, MaxPayload+1)},
	} {
		if err := n.db.Update(t.Context(), func(tx *store.Tx) error { _, err := n.Enqueue(tx, r); return err }); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// A job that fails is tried again later, and dead after its last attempt; a
// dead one stays until it is revived or discarded.
func TestAttempts(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	var tries sync.Map
	var well atomic.Bool
	n.Handle("mail", Worker{Attempts: 3, Do: func(_ context.Context, j Job) (Finish, error) {
		tries.Store(fmt.Sprint(j.Key, j.Attempt), true)
		if well.Load() {
			return nil, nil
		}
		switch j.Key {
		case "panics":
			panic("boom")
		case "hopeless":
			return nil, Dead(errors.New("no such mailbox"))
		case "later":
			return nil, Later(errors.New("come back\x00 \xff"), 24*time.Hour)
		}
		return nil, errors.New("relay is away")
	}})
	n.enqueue(Request{Kind: "mail", Key: "fails"}, Request{Kind: "mail", Key: "panics"}, Request{Kind: "mail", Key: "hopeless"},
		Request{Kind: "mail", Key: "later"}, Request{Kind: "mail", Key: "tomorrow", After: n.clock().Add(24 * time.Hour)})
	n.start()
	eventually(t, "the hopeless one is dead", func() bool { return len(jobs(t, n.db, "dead")) == 1 })
	eventually(t, "all have been tried", func() bool {
		return jobs(t, n.db, "open")["later"].LastError != "" && jobs(t, n.db, "open")["panics"].LastError != ""
	})
	open := jobs(t, n.db, "open")
	if d := time.Until(open["fails"].Due); d > 4*time.Second || open["fails"].Attempts != 1 {
		t.Errorf("after the first failure: %+v", open["fails"])
	}
	if d := time.Until(open["later"].Due); d < 23*time.Hour || open["later"].LastError != "come back ?" {
		t.Errorf("told to come later: %+v", open["later"])
	}
	for range 2 {
		n.pass(10 * time.Second)
		time.Sleep(20 * time.Millisecond)
	}
	eventually(t, "dead after three attempts", func() bool { n.pass(time.Second); return len(jobs(t, n.db, "dead")) == 3 })
	if dead := jobs(t, n.db, "dead"); len(dead) != 3 {
		t.Fatalf("dead are %v", dead)
	}
	for key, want := range map[string]string{"fails": "relay is away", "panics": "panic: boom", "hopeless": "no such mailbox"} {
		if j := jobs(t, n.db, "dead")[key]; j.LastError != want || key != "hopeless" && j.Attempts != 3 {
			t.Errorf("%s: %+v", key, j)
		}
	}
	if _, early := tries.Load("tomorrow1"); early {
		t.Error("tomorrow's job was done today")
	}
	well.Store(true)
	decide := func(act string, do func(tx *store.Tx) error) error {
		return n.db.Update(t.Context(), func(tx *store.Tx) error {
			if err := do(tx); err != nil {
				return err
			}
			return audit.Append(t.Context(), tx, audit.Entry{At: n.clock(), Actor: "x", Act: act, Object: "x"})
		})
	}
	fails, hopeless, later := jobs(t, n.db, "dead")["fails"].ID, jobs(t, n.db, "dead")["hopeless"].ID, jobs(t, n.db, "open")["later"].ID
	if err := n.db.Update(t.Context(), func(tx *store.Tx) error { return tx.ReviveJob(fails, n.clock()) }); !errors.Is(err, store.ErrUnrecorded) {
		t.Errorf("without an entry in the log: %v", err)
	}
	if err := decide(store.ActJobRevived, func(tx *store.Tx) error { return tx.ReviveJob(fails, n.clock()) }); err != nil {
		t.Fatal(err)
	}
	if err := decide(store.ActJobDiscarded, func(tx *store.Tx) error { return tx.DropJob(hopeless) }); err != nil {
		t.Fatal(err)
	}
	if err := decide(store.ActJobDiscarded, func(tx *store.Tx) error { return tx.DropJob(later) }); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an open job was discarded: %v", err)
	}
	eventually(t, "the revived one is done", func() bool { return jobs(t, n.db, "done")["fails"].Attempts == 1 })
	n.pass(25 * time.Hour)
	eventually(t, "tomorrow's are done", func() bool { return len(jobs(t, n.db, "done")) == 3 })
	if err := n.db.Update(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ForgetJobs(n.clock().Add(time.Hour), 10)
		return err
	}); err != nil || len(jobs(t, n.db, "done")) != 0 || len(jobs(t, n.db, "dead")) != 1 {
		t.Errorf("after forgetting: %v, done %d, dead %d", err, len(jobs(t, n.db, "done")), len(jobs(t, n.db, "dead")))
	}
}

// Pauses grow, are bounded, and differ.
func TestPauseBetweenAttempts(t *testing.T) {
	for attempt := 1; attempt < 100; attempt++ {
		d := pause(attempt)
		least := min(maxPause, firstPause*time.Duration(1<<min(attempt-1, 20))) / 2
		if d < least || d > 3*least {
			t.Errorf("after attempt %d: %v, want %v to %v", attempt, d, least, 3*least)
		}
	}
	if pause(9) == pause(9) && pause(9) == pause(9) {
		t.Error("pauses do not differ")
	}
}

// A paused kind waits on every node, others do not.
func TestPause(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	for _, kind := range []string{"mail", "page"} {
		n.Handle(kind, Worker{Do: func(context.Context, Job) (Finish, error) { return nil, nil }})
	}
	if err := n.Pause(t.Context(), "mail"); err != nil {
		t.Fatal(err)
	}
	n.enqueue(Request{Kind: "mail", Key: "m"}, Request{Kind: "page", Key: "p"})
	n.start()
	eventually(t, "the other kind is done", func() bool { return jobs(t, n.db, "done")["p"].ID != "" })
	time.Sleep(50 * time.Millisecond)
	counts, err := n.Counts(t.Context())
	if err != nil || len(counts) != 1 || !counts[0].Paused || counts[0].Open != 1 || counts[0].Held != 0 || counts[0].Oldest.IsZero() {
		t.Errorf("while paused: %+v, %v", counts, err)
	}
	if err := n.Resume(t.Context(), "mail"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "done after the pause", func() bool { return jobs(t, n.db, "done")["m"].ID != "" })
}

// Never more jobs at once than allowed, and as many as that.
func TestConcurrency(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	var now, most atomic.Int64
	n.Handle("mail", Worker{Concurrency: 3, Do: func(context.Context, Job) (Finish, error) {
		at := now.Add(1)
		for m := most.Load(); at > m && !most.CompareAndSwap(m, at); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		return nil, nil
	}})
	var requests []Request
	for i := range 20 {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprint(i)})
	}
	n.enqueue(requests...)
	n.start()
	eventually(t, "all are done", func() bool { return len(jobs(t, n.db, "done")) == 20 })
	if most.Load() != 3 {
		t.Errorf("%d at once, want 3", most.Load())
	}
}

// A node that stops lets its jobs end, and gives those back that take too long,
// as if they had not been begun.
func TestStop(t *testing.T) {
	n := newNode(t, storetest.Open(t), func(o *Options) { o.Grace = 100 * time.Millisecond })
	begun := make(chan string, 2)
	end := make(chan struct{})
	n.Handle("mail", Worker{Do: func(ctx context.Context, j Job) (Finish, error) {
		begun <- j.Key
		if j.Key == "quick" {
			<-end
			return note(j), nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	n.enqueue(Request{Kind: "mail", Key: "quick"}, Request{Kind: "mail", Key: "slow"})
	n.start()
	<-begun
	<-begun
	stopped := make(chan struct{})
	go func() { n.stop(); close(stopped) }()
	close(end)
	<-stopped
	if !noted(n.db, "quick") || jobs(t, n.db, "done")["quick"].ID == "" {
		t.Error("a job that was nearly done was cut off")
	}
	if j := jobs(t, n.db, "open")["slow"]; j.Holder != "" || j.Attempts != 0 || j.Due.After(n.clock()) {
		t.Errorf("the slow one is %+v", j)
	}
}

// When a lease ends another node takes the job, and what the first one brings
// later counts no more.
func TestLeaseEnds(t *testing.T) {
	db := storetest.Open(t)
	slow := newNode(t, db, func(o *Options) { o.Lease = time.Hour })
	begun, end := make(chan struct{}), make(chan struct{})
	slow.Handle("mail", Worker{Do: func(_ context.Context, j Job) (Finish, error) {
		close(begun)
		<-end
		return note(Job{Key: "of the slow one"}), nil
	}})
	slow.enqueue(Request{Kind: "mail", Key: "k"})
	slow.start()
	<-begun
	other := newNode(t, db, nil)
	other.Handle("mail", Worker{Do: func(_ context.Context, j Job) (Finish, error) { return note(j), nil }})
	other.start()
	time.Sleep(50 * time.Millisecond)
	if noted(db, "k") {
		t.Error("taken while the lease went on")
	}
	other.pass(2 * time.Hour)
	eventually(t, "done by the other", func() bool { return noted(db, "k") })
	close(end)
	slow.stop()
	if noted(db, "of the slow one") {
		t.Error("the slow node changed something")
	}
	if j := jobs(t, db, "done")["k"]; j.Attempts != 2 {
		t.Errorf("%+v", j)
	}
}

// A lease goes on while the node is well.
func TestLeaseIsExtended(t *testing.T) {
	db := storetest.Open(t)
	n := newNode(t, db, func(o *Options) { o.Lease = 2 * time.Second })
	end := make(chan struct{})
	begun := make(chan struct{})
	n.Handle("mail", Worker{Do: func(context.Context, Job) (Finish, error) { close(begun); <-end; return nil, nil }})
	n.enqueue(Request{Kind: "mail", Key: "k"})
	n.start()
	<-begun
	first := jobs(t, db, "open")["k"].Due
	eventually(t, "extended", func() bool { return jobs(t, db, "open")["k"].Due.After(first) })
	close(end)
	eventually(t, "done", func() bool { return jobs(t, db, "done")["k"].Attempts == 1 })
}

// A job that takes every node down with it is given up.
func TestDeadlyJob(t *testing.T) {
	db := storetest.Open(t)
	n := newNode(t, db, nil)
	n.Handle("mail", Worker{Attempts: 3, Do: func(context.Context, Job) (Finish, error) { t.Error("done once more"); return nil, nil }})
	n.enqueue(Request{Kind: "mail", Key: "k"})
	for i := range 3 { // a node takes it and is never seen again
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			list, err := tx.TakeJobs("mail", fmt.Sprint("gone", i), n.clock(), n.clock(), 1)
			if len(list) != 1 {
				t.Errorf("took %v", list)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	n.start()
	eventually(t, "dead", func() bool { return strings.Contains(jobs(t, db, "dead")["k"].LastError, "no node came to an end") })
}

// These tell the child of TestKill where to work, and how far its clock is ahead:
// so far that the leases of the dead have ended.
const (
	childStore = "MAILSEAL_TEST_OUTBOX"
	childAhead = "MAILSEAL_TEST_OUTBOX_AHEAD"
)

// TestKill kills processes that work, again and again: every job is done, what
// it changes in the store once.
func TestKill(t *testing.T) {
	if source := os.Getenv(childStore); source != "" {
		workUntilKilled(t, source)
		return
	}
	source := storetest.Source(t)
	db, err := store.Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, db, nil)
	// Each kill is an attempt at everything that was held.
	n.Handle("mail", Worker{Attempts: 1000, Do: func(_ context.Context, j Job) (Finish, error) { return note(j), nil }})
	const count = 200
	var requests []Request
	for i := range count {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprintf("%03d", i)})
	}
	n.enqueue(requests...)
	kills, held := 0, 0
	for len(jobs(t, db, "done")) < count*2/3 {
		// Of two nodes on PostgreSQL one is killed. SQLite has one process at a
		// time: the parent waits meanwhile.
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), childStore+"="+source, fmt.Sprint(childAhead, "=", n.ahead.Load()))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 30)); err != nil {
			t.Fatalf("the child did nothing: %v", err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
		kills++
		n.pass(2 * DefaultLease)
		for _, j := range jobs(t, db, "open") {
			if j.Holder != "" {
				held++
			}
		}
	}
	if held == 0 || kills < 2 {
		t.Errorf("%d jobs were in the hands of %d killed processes: the test shows nothing", held, kills)
	}
	n.start()
	eventually(t, "all are done", func() bool { return len(jobs(t, db, "done")) == count })
	for key := range jobs(t, db, "done") {
		if !noted(db, key) {
			t.Errorf("%s is done without its effect", key)
		}
	}
	t.Logf("%d kills, %d jobs held by the dead", kills, held)
	n.stop()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func workUntilKilled(t *testing.T, source string) {
	db, err := store.Open(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t, db, nil)
	ahead, err := time.ParseDuration(os.Getenv(childAhead) + "ns")
	if err != nil {
		t.Fatal(err)
	}
	n.pass(ahead)
	n.Handle("mail", Worker{Do: func(_ context.Context, j Job) (Finish, error) {
		fmt.Print(".")
		time.Sleep(time.Millisecond)
		return note(j), nil
	}})
	n.start()
	select {} // until it is killed
}

// Two nodes share the work, and no job is done twice.
func TestTwoNodes(t *testing.T) {
	source := storetest.Source(t)
	var nodes []*node
	var did [2]atomic.Int64
	// Each node keeps its first job until the other one has one too.
	var begun [2]chan struct{}
	var first [2]sync.Once
	for i := range begun {
		begun[i] = make(chan struct{})
	}
	for i := range 2 {
		db, err := store.Open(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		n := newNode(t, db, nil)
		n.Handle("mail", Worker{Do: func(ctx context.Context, j Job) (Finish, error) {
			did[i].Add(1)
			first[i].Do(func() { close(begun[i]) })
			select {
			case <-begun[1-i]:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return note(j), nil
		}})
		nodes = append(nodes, n)
	}
	var requests []Request
	for i := range 200 {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprintf("%03d", i)})
	}
	nodes[0].enqueue(requests...)
	for _, n := range nodes {
		n.start()
	}
	eventually(t, "all are done", func() bool { return len(jobs(t, nodes[0].db, "done")) == len(requests) })
	if a, b := did[0].Load(), did[1].Load(); a == 0 || b == 0 || a+b != int64(len(requests)) {
		t.Errorf("%d and %d jobs", a, b)
	}
}

// What happens to jobs is logged, what is in them is not.
func TestLog(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	n := newNode(t, storetest.Open(t), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return log.Write(p) }), nil))
	})
	n.Handle("mail", Worker{Do: func(context.Context, Job) (Finish, error) { return nil, Dead(errors.New("no such mailbox")) }})
	n.enqueue(Request{Kind: "mail", Key: "k", Payload: []byte("a code")})
	n.start()
	eventually(t, "dead", func() bool { return len(jobs(t, n.db, "dead")) == 1 })
	n.stop()
	mu.Lock()
	defer mu.Unlock()
	if s := log.String(); !strings.Contains(s, "no such mailbox") || !strings.Contains(s, "kind=mail") || strings.Contains(s, "a code") {
		t.Errorf("logged:\n%s", s)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// BenchmarkJobs writes and does jobs that do nothing.
func BenchmarkJobs(b *testing.B) {
	db := storetest.Open(b)
	box, err := New(Options{Store: db, Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	box.Handle("mail", Worker{Concurrency: 8, Do: func(context.Context, Job) (Finish, error) {
		return func(*store.Tx) error { return nil }, nil
	}})
	b.ResetTimer()
	for chunk := range slices.Chunk(make([]int, b.N), 500) {
		err := db.Update(b.Context(), func(tx *store.Tx) error {
			for range chunk {
				if _, err := box.Enqueue(tx, Request{Kind: "mail"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(b.Context())
	go func() {
		for {
			counts, err := box.Counts(b.Context())
			if err != nil || len(counts) == 0 {
				stop()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	box.Run(ctx)
}
