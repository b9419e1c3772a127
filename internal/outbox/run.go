package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// kind is the jobs of one kind on this node.
type kind struct {
	Worker
	name  string
	box   *Outbox
	wake  chan struct{} // has one when there may be a job
	freed chan struct{} // has one when a job has left
	slots chan struct{} // has one for each job that is being done
	taken atomic.Int64  // jobs that this node holds
	usual atomic.Int64  // nanoseconds that a job takes
	rest  rest
	lane  string // that was served last; of run alone
}

// Jobs that are quick are taken ahead, so that taking and ending many of them
// costs one sync: as many as the workers do in so short a time, and never more
// than so many for each of them.
const (
	aheadFor = 100 * time.Millisecond
	aheadOf  = 16
)

// hold is how many jobs this node wants to have.
func (k *kind) hold() int {
	usual := k.usual.Load()
	if usual == 0 {
		return k.Concurrency // nobody knows yet
	}
	return k.Concurrency * int(min(max(int64(aheadFor)/usual, 1), aheadOf))
}

// took remembers how long a job took.
func (k *kind) took(d time.Duration) {
	old := k.usual.Load()
	k.usual.Store(max(old+(int64(d)-old)/8, 1))
}

// signal leaves a word where there is none.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run works until ctx ends. Then it begins nothing more, waits for the jobs
// under way, cuts off those that take too long, and gives them back.
func (b *Outbox) Run(ctx context.Context) {
	if b.o.Alone {
		b.takeOver(ctx)
	}
	leases := b.leases
	leases.open()
	stop := make(chan struct{})
	var keeping, working sync.WaitGroup
	keeping.Go(func() { leases.keep(stop) })
	for _, k := range b.kinds {
		working.Go(func() { k.run(ctx) })
	}
	working.Go(func() { b.forget(ctx) })
	<-ctx.Done()
	timer := time.AfterFunc(b.o.Grace, leases.cut)
	working.Wait()
	b.reserved.Wait()
	timer.Stop()
	close(stop)
	keeping.Wait()
	leases.lost()
}

// takeOver opens what a process that is gone had taken.
func (b *Outbox) takeOver(ctx context.Context) {
	err := b.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.ReleaseJobs(b.o.Clock()) })
	if err = ignoreEnd(ctx, err); err != nil {
		b.o.Log.Error("jobs of the last process not taken over: they wait for the end of its lease", "error", err)
	}
}

// run takes jobs while there are any and looks again when somebody says so or
// after a while.
func (k *kind) run(ctx context.Context) {
	var under sync.WaitGroup
	defer under.Wait()
	for ctx.Err() == nil {
		if left := k.rest.left(); left > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(left):
			}
			continue
		}
		want := k.hold()
		free := want - int(k.taken.Load())
		if free < (want+1)/2 {
			select {
			case <-ctx.Done():
			case <-k.freed:
			}
			continue
		}
		jobs := k.take(ctx, free)
		k.taken.Add(int64(len(jobs)))
		for _, j := range jobs {
			k.box.leases.add(j)
			under.Go(func() {
				k.do(ctx, j)
				k.box.leases.remove(j)
				k.taken.Add(-1)
				signal(k.freed)
			})
		}
		if len(jobs) < free {
			k.wait(ctx)
		}
	}
}

// wait waits until it is time to look, or ctx ends.
func (k *kind) wait(ctx context.Context) {
	freed := k.freed
	if k.PerLane == 0 {
		freed = nil // whatever is due was taken
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			return
		case <-freed: // in whose lane there may be another one
		case <-time.After(around(k.box.o.Poll)):
		}
		// Only a look: every node asks, and writers queue.
		if due, err := k.due(ctx); err != nil {
			k.box.o.Log.Error("jobs not looked for", "kind", k.name, "error", err)
		} else if due {
			return
		}
	}
}

func (k *kind) due(ctx context.Context) (due bool, err error) {
	err = k.box.o.Store.View(ctx, func(tx *store.Tx) error {
		due, err = tx.JobDue(k.name, k.box.o.Clock())
		return err
	})
	return due, ignoreEnd(ctx, err)
}

// take takes up to n jobs. Those that were taken too often already, because
// each time their node went down with them, are dead.
func (k *kind) take(ctx context.Context, n int) (jobs []store.Job) {
	now := k.box.o.Clock()
	err := k.box.o.Store.Update(ctx, func(tx *store.Tx) error {
		jobs = nil
		taken, err := k.pick(tx, now, n)
		if err != nil {
			return err
		}
		for _, j := range taken {
			if j.Attempts > j.MaxAttempts {
				why := fmt.Errorf("no node came to an end with it in %d attempts; the last error: %s", j.MaxAttempts, j.LastError)
				if err := errors.Join(tx.JobDead(j, now, storable(why)), k.failed(tx, j, why, true)); err != nil {
					return err
				}
				k.box.o.Log.Error("job is dead", "kind", k.name, "job", j.ID)
				continue
			}
			jobs = append(jobs, j)
		}
		return nil
	})
	if err == nil {
		return jobs
	}
	// They may have been taken all the same; then their lease ends.
	if err = ignoreEnd(ctx, err); err != nil {
		k.box.o.Log.Error("jobs not taken", "kind", k.name, "error", err)
	}
	return nil
}

// pick takes jobs that are due: the longest due first, or a few of each lane in
// turn, beginning behind the one that had its turn last.
func (k *kind) pick(tx *store.Tx, now time.Time, n int) (taken []store.Job, err error) {
	until := now.Add(k.box.o.Lease)
	if k.PerLane == 0 {
		return tx.TakeJobs(k.name, k.box.holder, now, until, n)
	}
	lanes, err := tx.HeldLanes(k.name, now)
	if err != nil {
		return nil, err
	}
	held := map[string]int{}
	for _, l := range lanes {
		held[l.Lane] = l.Held
	}
	begin := k.lane
	for at, wrapped := begin, false; len(taken) < n; {
		lane, err := tx.NextLane(k.name, at, now)
		switch {
		case errors.Is(err, store.ErrNotFound) && !wrapped:
			at, wrapped = "", true
			continue
		case errors.Is(err, store.ErrNotFound) || err == nil && wrapped && lane > begin:
			return taken, nil
		case err != nil:
			return nil, err
		}
		at = lane
		room := min(k.PerLane-held[lane], n-len(taken))
		if room <= 0 {
			continue
		}
		jobs, err := tx.TakeJobsOfLane(k.name, lane, k.box.holder, now, until, room)
		if err != nil {
			return nil, err
		}
		taken = append(taken, jobs...)
		k.lane = lane
	}
	return taken, nil
}

// ignoreEnd makes nothing of errors that come from the end of ctx.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// around spreads what nodes would do at the same moment.
func around(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}

// leases keeps what this node works on, and has the context of its jobs, which
// outlives that of Run by the grace.
type leases struct {
	o      Options
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	held   map[string]store.Job
}

func newLeases(o Options) *leases {
	l := &leases{o: o, held: map[string]store.Job{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// add begins to keep a job, remove ends it. What was taken without our knowing,
// because its commit was lost on the way, is not kept.
func (l *leases) add(j store.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[j.ID] = j
}

func (l *leases) remove(j store.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, j.ID)
}

func (l *leases) list() []store.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.held))
}

func (l *leases) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// open lets jobs be done, for the first time or again.
func (l *leases) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
}

// cut cuts off the jobs under way.
func (l *leases) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
}

// lost cuts off the jobs under way, but not those to come.
func (l *leases) lost() {
	l.cut()
	l.open()
}

// keep extends the leases three times in their length. When that fails for
// longer than a lease, others have the jobs by now, and ours are cut off.
func (l *leases) keep(stop <-chan struct{}) {
	lease := l.o.Lease
	end := time.Now().Add(lease)
	for {
		select {
		case <-stop:
			return
		case <-time.After(lease / 3):
		}
		from := time.Now()
		err := l.extend()
		switch {
		case err == nil:
			end = from.Add(lease)
		case time.Now().After(end):
			l.o.Log.Error("jobs under way are lost to other nodes", "error", err)
			l.lost()
			end = time.Now().Add(lease)
		}
	}
}

func (l *leases) extend() error {
	jobs := l.list()
	if len(jobs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.o.Lease/3)
	defer cancel()
	return l.o.Store.Update(ctx, func(tx *store.Tx) error {
		for _, j := range jobs {
			// One that is not ours any more is ending at the moment, or was taken.
			if err := tx.ExtendJob(j, l.o.Clock().Add(l.o.Lease)); err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		return nil
	})
}

// forgetEvery is how often old jobs are dropped, and forgetAtOnce how many in
// one transaction.
const (
	forgetEvery  = time.Hour
	forgetAtOnce = 1000
)

// forget drops the jobs that were done long ago.
func (b *Outbox) forget(ctx context.Context) {
	for {
		var n int64
		err := b.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
			n, err = tx.ForgetJobs(b.o.Clock().Add(-b.o.Keep), forgetAtOnce)
			return err
		})
		if err = ignoreEnd(ctx, err); err != nil {
			b.o.Log.Error("old jobs not dropped", "error", err)
		}
		pause := around(forgetEvery)
		if n == forgetAtOnce && err == nil {
			pause = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
