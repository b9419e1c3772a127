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
// dead and stays visible until somebody revives or discards it.
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
	o      Options
	kinds  map[string]*kind
	holder string // this process, as the store knows it
}

// Request describes a job.
type Request struct {
	Kind    string
	Key     string // of one kind and key there is one job; empty: a random one
	Payload []byte
	After   time.Time // not before; zero: now
}

// Job is one attempt at a job.
type Job struct {
	ID      string
	Kind    string
	Key     string
	Payload []byte
	Attempt int // 1 for the first
	Created time.Time
}

// Finish changes the store in the transaction that marks the job done.
type Finish func(tx *store.Tx) error

// Worker does the jobs of one kind.
type Worker struct {
	// Do does a job. An error means another attempt; see [Dead] and [Later]. Its
	// context ends when the job is lost to another node or Run has to end.
	Do func(ctx context.Context, j Job) (Finish, error)

	Concurrency int           // jobs at once on this node
	Attempts    int           // after which a job is dead
	Timeout     time.Duration // of one attempt; 0: none
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
	b := &Outbox{o: o, kinds: map[string]*kind{}}
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
	b.kinds[name] = &kind{
		name: name, Worker: w, box: b,
		wake: make(chan struct{}, 1), freed: make(chan struct{}, 1), slots: make(chan struct{}, w.Concurrency),
	}
}

// Enqueue writes a job in the caller's transaction. New is false when there is,
// or was until a while ago, one of that kind and key: then nothing is written.
func (b *Outbox) Enqueue(tx *store.Tx, r Request) (isNew bool, err error) {
	if r.Kind == "" || len(r.Key) > MaxKey || len(r.Payload) > MaxPayload {
		return false, fmt.Errorf("outbox: a job needs a kind, a key of at most %d and a payload of at most %d bytes", MaxKey, MaxPayload)
	}
	id, err := b.newID()
	if err != nil {
		return false, err
	}
	now := b.o.Clock()
	due := now
	if r.After.After(now) {
		due = r.After.Add(time.Second - 1) // the store has whole seconds: rather late
	}
	attempts := DefaultAttempts
	k := b.kinds[r.Kind]
	if k != nil {
		attempts = k.Attempts
	}
	err = tx.InsertJob(store.Job{
		ID: id, Kind: r.Kind, Key: or(r.Key, id), Payload: r.Payload, Due: due, MaxAttempts: attempts, Created: now,
	})
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

// Dead lists the jobs that were given up, the latest first.
func (b *Outbox) Dead(ctx context.Context, limit int) (jobs []store.Job, err error) {
	err = b.o.Store.View(ctx, func(tx *store.Tx) error {
		jobs, err = tx.JobsOf("dead", limit)
		return err
	})
	return jobs, err
}

// Revive has a dead job tried again from the beginning. [store.ErrConflict]: it
// is not dead.
func (b *Outbox) Revive(ctx context.Context, id string) error {
	return b.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.ReviveJob(id, b.o.Clock()) })
}

// Discard removes a dead job. [store.ErrConflict]: it is not dead.
func (b *Outbox) Discard(ctx context.Context, id string) error {
	return b.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.DropJob(id) })
}

// Counts tells how much there is to do, by kind.
func (b *Outbox) Counts(ctx context.Context) (counts []store.JobCount, err error) {
	err = b.o.Store.View(ctx, func(tx *store.Tx) error {
		counts, err = tx.JobCounts()
		return err
	})
	return counts, err
}
