// Package outbox does later, for sure, what a transaction asked for: mails,
// deliveries, publications.
//
// A job is written by [Outbox.Enqueue] in the caller's own transaction, so that
// there is a job exactly if what asked for it took place. [Outbox.Run] works on
// the jobs of the kinds that [Outbox.Handle] names, on any number of nodes at
// once. A job is done at least once: a node that is killed in the middle leaves
// it to another one when its lease ends. What a job changes in the store it
// returns as a [Finish], which runs in the transaction that marks the job done,
// and so once.
//
// A job that fails is tried again, later and later; after its last attempt it is
// dead and stays until the operator revives or discards it (internal/jobs). What is wrong
// with one job holds up no other: only where an error says, by [Rest], that
// nothing of the kind can be done, a node pauses with all of them.
//
// Jobs that burden the same third party, as mails to one domain do, share a
// lane, of which few are done at once however many wait, on all nodes together;
// lanes take turns. Somebody who waits for an outcome has it by
// [Outbox.Reserve], past the queue.
package outbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// Limits of a job.
const (
	MaxPayload = 1 << 20 // bytes; what is larger belongs into a table of its own
	MaxKey     = 200     // bytes
	maxError   = 1000    // bytes of an error that are kept
)

// Defaults, for what is zero.
const (
	DefaultLease       = time.Minute
	DefaultPoll        = time.Second
	DefaultKeep        = 7 * 24 * time.Hour
	DefaultGrace       = 10 * time.Second
	DefaultConcurrency = 4
	DefaultAttempts    = 20 // the last one about half a day after the first
)

// Options are what an [Outbox] needs.
type Options struct {
	Store *store.DB
	Clock func() time.Time
	Rand  io.Reader // nil: crypto/rand
	Log   *slog.Logger

	// Alone: no other process uses the store, so whatever is held when Run begins
	// was held by one that is gone.
	Alone bool

	Lease time.Duration // how long a node that says nothing keeps its jobs
	Poll  time.Duration // how often a node looks for jobs of the others
	Keep  time.Duration // how long a key stays taken after its job is done
	Grace time.Duration // how long Run waits for jobs under way when it ends
}

// Outbox is the queue of one store.
type Outbox struct {
	o        Options
	kinds    map[string]*kind
	holder   string // this process, as the store knows it
	leases   *leases
	reserved sync.WaitGroup // jobs that are done by who asked for them
}

// Request describes a job.
type Request struct {
	Kind    string
	Key     string // of one kind and key there is one job; empty: a random one
	Lane    string // see [Worker.PerLane]; empty: one of its own
	Payload []byte
	After   time.Time // not before; zero: now
}

// Job is one attempt at a job.
type Job struct {
	ID      string
	Kind    string
	Key     string
	Lane    string
	Payload []byte
	Attempt int // 1 for the first
	Created time.Time
}

// Finish changes the store in the transaction that marks the job done.
type Finish func(tx *store.Tx) error

// Worker does the jobs of one kind.
type Worker struct {
	// Do does a job. An error means another attempt; see [Dead], [Later] and
	// [Rest]. Its context ends when the job is lost to another node or Run has to
	// end.
	Do func(ctx context.Context, j Job) (Finish, error)

	// Failed, if set, runs in the transaction that writes down that an attempt
	// failed; dead tells that there is no other. An error of its own leaves the
	// job as it is, until its lease ends.
	Failed func(tx *store.Tx, j Job, why error, dead bool) error

	Concurrency int           // jobs at once on this node
	PerLane     int           // jobs at once of one lane, on all nodes together; 0: no limit
	Attempts    int           // after which a job is dead
	Timeout     time.Duration // of one attempt; 0: none

	// Pause is how long to wait after an attempt, 1 being the first; nil: 2
	// seconds, twice as long after each, an hour in the end.
	Pause func(attempt int) time.Duration
}

// New returns an Outbox.
func New(o Options) (*Outbox, error) {
	if o.Store == nil || o.Clock == nil {
		return nil, errors.New("outbox: options are not complete")
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Lease = or(o.Lease, DefaultLease)
	o.Poll = or(o.Poll, DefaultPoll)
	o.Keep = or(o.Keep, DefaultKeep)
	o.Grace = or(o.Grace, DefaultGrace)
	b := &Outbox{o: o, kinds: map[string]*kind{}, leases: newLeases(o)}
	var err error
	b.holder, err = b.newID()
	return b, err
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Handle names who does the jobs of a kind on this node. It is called before
// Run; jobs of other kinds are left to other nodes.
func (b *Outbox) Handle(name string, w Worker) {
	w.Concurrency = or(w.Concurrency, DefaultConcurrency)
	w.Attempts = or(w.Attempts, DefaultAttempts)
	if w.Pause == nil {
		w.Pause = pause
	}
	b.kinds[name] = &kind{
		name: name, Worker: w, box: b,
		wake: make(chan struct{}, 1), freed: make(chan struct{}, 1), slots: make(chan struct{}, w.Concurrency),
	}
}

// Enqueue writes a job in the caller's transaction. New is false when there is,
// or was until a while ago, one of that kind and key: then nothing is written.
func (b *Outbox) Enqueue(tx *store.Tx, r Request) (isNew bool, err error) {
	k := b.kinds[r.Kind]
	row, err := b.row(r, k)
	if err != nil {
		return false, err
	}
	err = tx.InsertJob(row)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if k != nil {
		signal(k.wake) // who is woken waits for its turn to write, and that comes after this
	}
	return true, nil
}

// row is a new open job that nobody holds.
func (b *Outbox) row(r Request, k *kind) (store.Job, error) {
	if r.Kind == "" || max(len(r.Key), len(r.Lane)) > MaxKey || len(r.Payload) > MaxPayload {
		return store.Job{}, fmt.Errorf("outbox: a job needs a kind, a key and a lane of at most %d and a payload of at most %d bytes", MaxKey, MaxPayload)
	}
	id, err := b.newID()
	if err != nil {
		return store.Job{}, err
	}
	now := b.o.Clock()
	due := now
	if r.After.After(now) {
		due = r.After.Add(time.Second - 1) // the store has whole seconds: rather late
	}
	attempts := DefaultAttempts
	if k != nil {
		attempts = k.Attempts
	}
	return store.Job{
		ID: id, Kind: r.Kind, Key: or(r.Key, id), Lane: or(r.Lane, id), Payload: r.Payload, Due: due, MaxAttempts: attempts, Created: now,
	}, nil
}

// newID draws a name: the time in front, so that the newest are neighbours in
// the index, then 80 random bits.
func (b *Outbox) newID() (string, error) {
	var id [16]byte
	big.NewInt(b.o.Clock().UnixMilli()).FillBytes(id[:6])
	if _, err := io.ReadFull(b.o.Rand, id[6:]); err != nil {
		return "", fmt.Errorf("outbox: randomness: %w", err)
	}
	return hex.EncodeToString(id[:]), nil
}

// Pause lets no node take a job of a kind until Resume. Those that a node has
// taken it still does: with quick jobs a few for each worker.
func (b *Outbox) Pause(ctx context.Context, kind string) error {
	return b.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.PauseJobs(kind, b.o.Clock()) })
}

// Resume ends a pause.
func (b *Outbox) Resume(ctx context.Context, kind string) error {
	return b.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.ResumeJobs(kind) })
}

// Counts tells how much there is to do, by kind.
func (b *Outbox) Counts(ctx context.Context) (counts []store.JobCount, err error) {
	err = b.o.Store.View(ctx, func(tx *store.Tx) error {
		counts, err = tx.JobCounts()
		return err
	})
	return counts, err
}
