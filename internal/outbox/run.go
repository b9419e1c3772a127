package outbox

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	leases := newLeases(b)
	stop := make(chan struct{})
	var keeping, working sync.WaitGroup
	keeping.Go(func() { leases.keep(stop) })
	for _, k := range b.kinds {
		working.Go(func() { k.run(ctx, leases) })
	}
	working.Go(func() { b.forget(ctx) })
	<-ctx.Done()
	timer := time.AfterFunc(b.o.Grace, leases.cut)
	working.Wait()
	timer.Stop()
	close(stop)
	keeping.Wait()
	leases.cut()
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
func (k *kind) run(ctx context.Context, l *leases) {
	var under sync.WaitGroup
	defer under.Wait()
	for ctx.Err() == nil {
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
			under.Go(func() {
				k.do(ctx, l, j)
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
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			return
		case <-time.After(around(k.box.o.Poll)):
			// Only a look: every node asks, and writers queue.
			if due, err := k.due(ctx); err != nil {
				k.box.o.Log.Error("jobs not looked for", "kind", k.name, "error", err)
			} else if due {
				return
			}
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
		taken, err := tx.TakeJobs(k.name, k.box.holder, now, now.Add(k.box.o.Lease), n)
		if err != nil {
			return err
		}
		for _, j := range taken {
			if j.Attempts > j.MaxAttempts {
				if err := tx.JobDead(j, now, fmt.Sprintf("no node came to an end with it in %d attempts; the last error: %s", j.MaxAttempts, j.LastError)); err != nil {
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
	box    *Outbox
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

func newLeases(b *Outbox) *leases {
	l := &leases{box: b}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *leases) context() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx
}

// cut cuts off the jobs under way.
func (l *leases) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
}

// lost cuts off the jobs under way, but not those to come.
func (l *leases) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	l.ctx, l.cancel = context.WithCancel(context.Background())
}

// keep extends the leases three times in their length. When that fails for
// longer than a lease, others have the jobs by now, and ours are cut off.
func (l *leases) keep(stop <-chan struct{}) {
	lease := l.box.o.Lease
	end := time.Now().Add(lease)
	for {
		select {
		case <-stop:
			return
		case <-time.After(lease / 3):
		}
		from := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), lease/3)
		err := l.box.o.Store.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.ExtendJobs(l.box.holder, l.box.o.Clock().Add(lease))
			return err
		})
		cancel()
		switch {
		case err == nil:
			end = from.Add(lease)
		case time.Now().After(end):
			l.box.o.Log.Error("jobs under way are lost to other nodes", "error", err)
			l.lost()
			end = time.Now().Add(lease)
		}
	}
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
