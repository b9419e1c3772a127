package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// A few of one lane at once, on all nodes together, and however many of it come
// first, those of others have their turn.
func TestLanes(t *testing.T) {
	source := storetest.Source(t)
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	var order []string
	var nodes []*node
	for range 2 {
		db, err := store.Open(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		n := newNode(t, db, nil)
		n.Handle("mail", Worker{Concurrency: 4, PerLane: 2, Do: func(_ context.Context, j Job) (Finish, error) {
			mu.Lock()
			order = append(order, j.Lane)
			now[j.Lane]++
			most[j.Lane] = max(most[j.Lane], now[j.Lane])
			mu.Unlock()
			time.Sleep(2 * time.Millisecond)
			mu.Lock()
			now[j.Lane]--
			mu.Unlock()
			return nil, nil
		}})
		nodes = append(nodes, n)
	}
	var requests []Request
	for i := range 60 {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprint(i), Lane: "large.example"})
	}
	for i := range 5 {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprint("z", i), Lane: fmt.Sprintf("z%d.example", i)})
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprint("a", i), Lane: fmt.Sprintf("a%d.example", i)})
	}
	requests = append(requests, Request{Kind: "mail", Key: "of its own"})
	nodes[0].enqueue(requests...)
	for _, n := range nodes {
		n.start()
	}
	eventually(t, "all are done", func() bool { return len(jobs(t, nodes[0].db, "done")) == len(requests) })
	for _, n := range nodes {
		n.stop()
	}
	// One that is done is held until that is written down.
	if m := most["large.example"]; m > 2 {
		t.Errorf("%d of one lane at once, want at most 2", m)
	}
	for _, lane := range []string{"a0.example", "a4.example", "z0.example", "z4.example"} {
		if at := slices.Index(order, lane); at > 45 {
			t.Errorf("%s had its turn as number %d", lane, at)
		}
	}
}

// A lane that is full is gone on with when one of it ends, not at the next look.
func TestLaneGoesOn(t *testing.T) {
	n := newNode(t, storetest.Open(t), func(o *Options) { o.Poll = time.Hour })
	n.Handle("mail", Worker{PerLane: 1, Do: func(context.Context, Job) (Finish, error) { return nil, nil }})
	for i := range 5 {
		n.enqueue(Request{Kind: "mail", Key: fmt.Sprint(i), Lane: "one"})
	}
	n.start()
	eventually(t, "all are done", func() bool { return len(jobs(t, n.db, "done")) == 5 })
}

// While nothing of a kind can be done its jobs lose no attempt, and go on when it
// can; other kinds do not notice.
func TestRest(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	var away atomic.Bool
	var tries atomic.Int64
	away.Store(true)
	n.Handle("mail", Worker{Attempts: 1, Concurrency: 1, Do: func(context.Context, Job) (Finish, error) {
		tries.Add(1)
		if away.Load() {
			return nil, Rest(errors.New("connection refused"))
		}
		return nil, nil
	}})
	n.Handle("page", Worker{Do: func(context.Context, Job) (Finish, error) { return nil, nil }})
	var requests []Request
	for i := range 10 {
		requests = append(requests, Request{Kind: "mail", Key: fmt.Sprint(i)})
	}
	n.enqueue(requests...)
	n.start()
	eventually(t, "tried", func() bool { return tries.Load() > 0 })
	n.enqueue(Request{Kind: "page", Key: "p"})
	eventually(t, "the other kind is done", func() bool { return jobs(t, n.db, "done")["p"].ID != "" })
	if got := tries.Load(); got > 2 {
		t.Errorf("%d tries while the relay is away", got)
	}
	away.Store(false)
	eventually(t, "all are done", func() bool { return len(jobs(t, n.db, "done")) == 11 })
	if dead := jobs(t, n.db, "dead"); len(dead) != 0 {
		t.Errorf("dead: %v", dead)
	}
}

// Rests grow up to a minute and end with the first success.
func TestRestGrows(t *testing.T) {
	var r rest
	for i := range 10 {
		want := min(firstRest<<i, maxRest)
		if d := r.begin(); d < want/2 || d > want*3/2 {
			t.Errorf("rest %d takes %v", i, d)
		}
		if r.begin() > want*3/2 || r.left() <= 0 {
			t.Error("a second failure in a rest makes it longer")
		}
		r.until = time.Time{}
	}
	r.begin()
	r.end()
	if d := r.begin(); d > firstRest*3/2 {
		t.Errorf("after a success %v", d)
	}
}

// Who waits for a job has it at once, whatever is in the queue; what is not done
// then is left to the queue.
func TestReserve(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	block := make(chan struct{})
	n.Handle("mail", Worker{Concurrency: 2, PerLane: 1, Do: func(_ context.Context, j Job) (Finish, error) {
		switch {
		case strings.HasPrefix(j.Key, "slow"):
			<-block
		case j.Key == "fails":
			return nil, errors.New("no answer")
		}
		return note(j), nil
	}})
	reserve := func(key string) (r *Reserved) {
		t.Helper()
		lane := "one"
		if key == "abandoned" {
			lane = "another" // it fills it for as long as it is not known to be abandoned
		}
		err := n.db.Update(t.Context(), func(tx *store.Tx) (err error) {
			r, err = n.Reserve(tx, Request{Kind: "mail", Key: key, Lane: lane})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	n.enqueue(Request{Kind: "mail", Key: "slow", Lane: "one"})
	n.start()
	eventually(t, "the queue is held up", func() bool { return jobs(t, n.db, "open")["slow"].Holder != "" })
	n.enqueue(Request{Kind: "mail", Key: "waits", Lane: "one"})
	reserve("urgent").Do(t.Context())
	if !noted(n.db, "urgent") || noted(n.db, "waits") {
		t.Errorf("done: urgent %v, waits %v", noted(n.db, "urgent"), noted(n.db, "waits"))
	}
	if r := reserve("urgent"); r != nil {
		t.Error("a key was taken twice")
	}
	reserve("fails").Do(t.Context())
	if j := jobs(t, n.db, "open")["fails"]; j.Attempts != 1 || j.LastError != "no answer" || j.Holder != "" {
		t.Errorf("after its first attempt: %+v", j)
	}
	// Who has no patience leaves, and the job goes on.
	slow := reserve("slow too")
	impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	slow.Do(impatient)
	full := reserve("no place")
	full.Do(impatient)
	eventually(t, "given back", func() bool { j := jobs(t, n.db, "open")["no place"]; return j.Holder == "" && j.Attempts == 0 })
	abandoned := reserve("abandoned")
	_ = abandoned // whoever asked for it is gone
	close(block)
	for _, key := range []string{"slow", "waits", "slow too", "no place"} {
		eventually(t, key, func() bool { return noted(n.db, key) })
	}
	if noted(n.db, "abandoned") {
		t.Error("done before its lease has ended")
	}
	n.pass(2 * DefaultLease)
	eventually(t, "abandoned", func() bool { return noted(n.db, "abandoned") })
	if err := n.db.Update(t.Context(), func(tx *store.Tx) error { _, err := n.Reserve(tx, Request{Kind: "page"}); return err }); err == nil {
		t.Error("a job of a kind that nobody does was reserved")
	}
}

// What a failure means to others is written down with it.
func TestFailed(t *testing.T) {
	n := newNode(t, storetest.Open(t), nil)
	n.Handle("mail", Worker{Attempts: 2,
		Do:    func(context.Context, Job) (Finish, error) { return nil, errors.New("no answer") },
		Pause: func(attempt int) time.Duration { return time.Duration(attempt) * time.Hour },
		Failed: func(tx *store.Tx, j Job, why error, dead bool) error {
			return tx.InsertPerson(store.Person{ID: fmt.Sprint(j.Attempt, why, dead), Created: j.Created})
		},
	})
	n.enqueue(Request{Kind: "mail", Key: "k"})
	n.start()
	eventually(t, "the first failure", func() bool { return noted(n.db, "1 no answer false") })
	if d := time.Until(jobs(t, n.db, "open")["k"].Due); d < 59*time.Minute || d > time.Hour {
		t.Errorf("again in %v", d)
	}
	n.pass(time.Hour)
	eventually(t, "the last failure", func() bool { return noted(n.db, "2 no answer true") && len(jobs(t, n.db, "dead")) == 1 })
}
