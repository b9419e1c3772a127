package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// Group commit: what a disk can do least often is to sync, so changes that wait
// while another one commits share the next transaction and its one sync. One
// that fails, panics or is given up takes back what it did and nothing else.
// Nobody hears of success before the commit.
//
// Few fail after they have written, and a savepoint for each costs more than all
// else that is not the change's own: a transaction begins without them, and when
// one would have been needed everybody runs again, each with a savepoint.
//
// Every change runs in the goroutine of its caller; a leader, which lives as
// long as somebody waits, gives out the turns and begins and commits.

// maxBatch bounds the changes of one transaction: PostgreSQL keeps up to 64
// subtransactions of a session in shared memory and is slow beyond that.
const maxBatch = 64

// fewChanges is how many do not fill a transaction. While changes come several at
// a time, one begins only when whoever can run now has run, because many of those
// are about to join; a lone writer beside others who compute waits for nobody.
// With more there is no wait, or everybody would be in it, and nobody would use
// the processor while the disk syncs.
const fewChanges = 8

// maxTries bounds how often a change or a batch is run that the database asks
// to run again.
const maxTries = 3

// careful is how many transactions have savepoints from the start after one that
// needed them: those who fail do not come alone.
const careful = 32

// errNoWayBack tells that a change failed that nothing but the beginning of the
// transaction lies before.
var errNoWayBack = errors.New("store: no savepoint to go back to")

// errStopped is the outcome of a change whose function did not return.
var errStopped = errors.New("store: the change panicked or its goroutine ended")

// errClosed tells who comes after Close.
var errClosed = errors.New("store: the database is closed")

// change is one call of Update. Its channels are between the caller and the
// leader; err belongs to the leader until it ends the change.
type change struct {
	ctx  context.Context
	turn chan *Tx   // the caller's turn; nil ends the change
	ran  chan error // what came of the turn
	err  error
}

// group is the queue of an open store.
type group struct {
	mu      sync.Mutex
	waiting []*change
	leader  chan struct{} // closed when the leader is gone; nil when there is none
	closed  bool
	stats   Stats
	careful int // transactions that will have savepoints; the leader's
	crowd   int // changes of the last transaction; the leader's
}

// Stats counts what Update did since the store was opened.
type Stats struct {
	Changes uint64 // that were committed
	Commits uint64 // transactions that they took
}

// Stats returns the counts so far.
func (db *DB) Stats() Stats {
	db.group.mu.Lock()
	defer db.group.mu.Unlock()
	return db.group.stats
}

// Update runs change in a transaction that writes, and commits it unless
// change returns an error, which Update then returns as it is, or ctx has ended
// by then. Changes take place one after the other, of all processes that have
// the store open. A change may be run again when the database asks for that, so
// it must not do anything outside the store that cannot be done twice.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	c := &change{ctx: ctx, turn: make(chan *Tx, 1), ran: make(chan error)}
	if err := db.join(c); err != nil {
		return err
	}
	gone := ctx.Done()
	for {
		select {
		case tx := <-c.turn:
			if tx == nil {
				return c.err
			}
			c.do(tx, f)
		case <-gone:
			if db.group.leave(c) {
				return fmt.Errorf("store: begin: %w", ctx.Err())
			}
			gone = nil // its turn has come: the leader says how it ended
		}
	}
}

// do runs the function and reports, whatever the function does.
func (c *change) do(tx *Tx, f func(*Tx) error) {
	err := errStopped
	defer func() {
		tx.over = true
		c.ran <- err
	}()
	switch err = f(tx); {
	case tx.late != nil:
		err = tx.late
	case err != nil:
	case tx.failed != nil:
		// PostgreSQL commits nothing after a statement that failed, whether or
		// not somebody looked at its error. So does SQLite here.
		err = tx.failed
	case c.ctx.Err() != nil:
		err = fmt.Errorf("store: %w", c.ctx.Err())
	default:
		if err = tx.flush(); err == nil {
			err = tx.recorded()
		}
	}
}

// join queues a change and starts a leader where there is none.
func (db *DB) join(c *change) error {
	g := &db.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errClosed
	}
	g.waiting = append(g.waiting, c)
	if g.leader == nil {
		g.leader = make(chan struct{})
		go db.lead()
	}
	return nil
}

// leave takes a change out of the queue; false: its turn has come.
func (g *group) leave(c *change) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, c)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// next takes who has waited longest, or nil.
func (g *group) next() *change {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.take()
}

func (g *group) take() *change {
	if len(g.waiting) == 0 {
		return nil
	}
	c := g.waiting[0]
	g.waiting = slices.Delete(g.waiting, 0, 1)
	return c
}

// close lets nobody in any more and waits until all who are in are served.
func (g *group) close() {
	g.mu.Lock()
	g.closed = true
	leader := g.leader
	g.mu.Unlock()
	if leader != nil {
		<-leader
	}
}

// lead serves until nobody waits.
func (db *DB) lead() {
	g := &db.group
	for {
		g.mu.Lock()
		first := g.take()
		if first == nil {
			close(g.leader)
			g.leader = nil
			g.mu.Unlock()
			return
		}
		few := len(g.waiting)+1 < fewChanges
		g.mu.Unlock()
		if few && g.crowd > 1 {
			runtime.Gosched() // holds nothing yet
		}
		db.serve(first)
	}
}

// serve runs one batch to its end.
func (db *DB) serve(first *change) {
	g := &db.group
	b := &batch{db: db, savepoints: g.careful > 0}
	g.careful = max(0, g.careful-1)
	members := []*change{first}
	for try := 1; ; try++ {
		err := b.run(members)
		if err == nil {
			err = b.commit()
		}
		switch {
		case errors.Is(err, errNoWayBack):
			try, g.careful, b.savepoints = try-1, careful, true // once: there are savepoints now
		case err == nil || try == maxTries || !runAgain(err):
			g.crowd = len(b.members)
			b.end(err)
			return
		}
		b.rollback()
		members, b.members = b.members, nil
	}
}

// runAgain tells failures that are nobody's fault and took everything back:
// serialization_failure and deadlock_detected.
func runAgain(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// batch is the changes of one transaction.
type batch struct {
	db         *DB
	tx         *transaction // nil until somebody has to do something
	members    []*change    // those that ran
	good       uint64       // of them, whose changes are in the transaction
	savepoints bool         // each gets one
	marked     bool         // there is one
	fresh      bool         // and nothing was done since
}

// run runs those who must and then those who wait. An error means that the
// transaction is lost, for all of them.
func (b *batch) run(must []*change) error {
	for i, c := range must {
		if err := b.add(c); err != nil {
			b.members = append(b.members, must[i+1:]...) // they hear of it, too
			return err
		}
	}
	for len(b.members) < maxBatch {
		c := b.db.group.next()
		if c == nil {
			return nil
		}
		if err := b.add(c); err != nil {
			return err
		}
	}
	return nil
}

// add gives one change its turn.
func (b *batch) add(c *change) error {
	b.members = append(b.members, c)
	switch {
	case errors.Is(c.err, errStopped):
		return nil // it cannot run again
	case c.ctx.Err() != nil:
		c.err = fmt.Errorf("store: %w", c.ctx.Err())
		return nil
	}
	for try := 1; ; try++ {
		if err := b.mark(); err != nil {
			return err
		}
		tx := &Tx{ctx: c.ctx, t: b.tx}
		c.turn <- tx
		if c.err = <-c.ran; c.err == nil {
			b.good++
			b.fresh = false
			return nil
		}
		if b.good > 0 && !tx.touched {
			return nil // it only looked
		}
		switch err := b.undo(); {
		case errors.Is(err, errNoWayBack):
			return err
		case err != nil && tx.failed != nil: // which is the reason
			return fmt.Errorf("store: transaction lost: %w", tx.failed)
		case err != nil:
			return fmt.Errorf("store: transaction lost: %w", err)
		}
		if try == maxTries || !runAgain(c.err) {
			return nil
		}
	}
}

// moveSavepoint is two calls: SQLite would parse several in one every time.
var moveSavepoint = []string{`RELEASE SAVEPOINT change`, `SAVEPOINT change`}

// mark makes the point that a change goes back to when it fails: as long as
// nobody's work is in the transaction that is its beginning.
func (b *batch) mark() error {
	switch {
	case b.tx == nil:
		return b.begin()
	case b.good == 0 || b.fresh || !b.savepoints:
		return nil
	}
	statements := []string{`SAVEPOINT change`}
	if b.marked {
		statements = moveSavepoint
	}
	for _, s := range statements {
		if b.db.engine.together {
			b.tx.waiting = append(b.tx.waiting, statement{"savepoint", s, nil, control})
		} else if err := b.tx.control(s); err != nil {
			return fmt.Errorf("store: savepoint: %w", err)
		}
	}
	b.marked, b.fresh = true, true
	return nil
}

func (b *batch) begin() (err error) {
	b.marked, b.fresh = false, false
	if b.tx, err = b.db.engine.begin(context.Background(), b.db.writer, nil); err != nil {
		return err
	}
	if b.db.engine.lock == "" {
		return nil
	}
	if err := b.tx.control(b.db.engine.lock); err != nil {
		b.rollback()
		return fmt.Errorf("store: wait for the other writers: %w", err)
	}
	return nil
}

// undo takes back what the last change did.
func (b *batch) undo() error {
	switch {
	case b.good == 0:
		b.rollback()
		return nil
	case !b.savepoints:
		return errNoWayBack
	}
	b.fresh, b.tx.newest = true, nil
	return b.tx.back()
}

func (b *batch) rollback() {
	if b.tx != nil {
		b.tx.rollback()
	}
	b.tx, b.good = nil, 0
}

func (b *batch) commit() error {
	if b.good == 0 {
		b.rollback()
		return nil
	}
	tx := b.tx
	b.tx = nil
	return tx.commit()
}

// end tells everybody: each its own error, or the one of the transaction, also
// to those who failed by themselves: what they saw may never have been.
func (b *batch) end(err error) {
	members := b.members
	g := &b.db.group
	g.mu.Lock()
	if err == nil && b.good > 0 {
		g.stats.Changes += b.good
		g.stats.Commits++
	}
	if b.good == 0 && errors.Is(err, ErrUnavailable) {
		// It did not even begin: nobody waits for one more try each.
		members = append(members, g.waiting...)
		g.waiting = nil
	}
	g.mu.Unlock()
	b.rollback()
	for _, c := range members {
		if err != nil {
			c.err = err
		}
		c.turn <- nil
	}
}
