package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// verdict is an error of a job that says what is to become of it.
type verdict struct {
	err   error
	dead  bool
	rest  bool
	later time.Duration
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// Dead marks an error that no further attempt would mend: a mailbox that does
// not exist, a payload that cannot be read.
func Dead(err error) error { return &verdict{err: err, dead: true} }

// Later marks an error after which the next attempt should wait for so long: a
// relay that says when to come back.
func Later(err error, d time.Duration) error { return &verdict{err: err, later: d} }

// Rest marks an error that is not the job's own and that all of its kind would
// meet now: a relay that cannot be reached. The attempt does not count, and this
// node takes no job of the kind for a while, longer each time until one is done.
func Rest(err error) error { return &verdict{err: err, rest: true} }

// Between attempts: 2, 4, 8 seconds and so on up to an hour, each a half more or
// less, so that what failed together does not come back together.
const (
	firstPause = 2 * time.Second
	maxPause   = time.Hour
)

func pause(attempt int) time.Duration {
	d := maxPause
	if attempt < 12 {
		d = min(maxPause, firstPause<<(attempt-1))
	}
	return d/2 + rand.N(d)
}

// do makes one attempt when it is its turn, and writes down what came of it. A
// job that was not begun when the node stops, or has to rest, is given back.
func (k *kind) do(running context.Context, row store.Job) {
	select {
	case k.slots <- struct{}{}:
	case <-running.Done():
		k.settle(row, running.Err(), true)
		return
	}
	if k.rest.left() > 0 {
		<-k.slots
		k.settle(row, errResting, true)
		return
	}
	k.perform(row)
}

var errResting = errors.New("outbox: the node rests")

// perform makes one attempt in the slot that the caller has taken, and frees it.
func (k *kind) perform(row store.Job) {
	ctx := k.box.leases.context()
	if k.Timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, k.Timeout)
		defer cancel()
		ctx = limited
	}
	begun := time.Now()
	finish, err := k.attempt(ctx, public(row))
	k.took(time.Since(begun))
	<-k.slots
	if err == nil {
		k.rest.end()
		err = k.finish(row, finish)
	}
	if err != nil && !errors.Is(err, errTaken) {
		k.settle(row, err, errors.Is(context.Cause(ctx), context.Canceled))
	}
}

func public(row store.Job) Job {
	return Job{
		ID: row.ID, Kind: row.Kind, Key: row.Key, Lane: row.Lane, Payload: row.Payload, Attempt: row.Attempts, Created: row.Created,
	}
}

// settle writes down that a job failed, or was cut off.
func (k *kind) settle(row store.Job, why error, cut bool) {
	if err := k.fail(row, why, cut); err != nil {
		// Its lease ends, and then it is tried again.
		k.box.o.Log.Error("outcome of a job not stored", "kind", k.name, "job", row.ID, "error", err)
	}
}

// attempt calls the worker; a panic is an error like others.
func (k *kind) attempt(ctx context.Context, j Job) (finish Finish, err error) {
	defer func() {
		if r := recover(); r != nil {
			k.box.o.Log.Error("job panicked", "kind", k.name, "job", j.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return k.Do(ctx, j)
}

// errTaken: the lease has ended and somebody else has the job.
var errTaken = errors.New("outbox: somebody else has the job")

// storeTimeout bounds how long an outcome waits to be stored.
const storeTimeout = 30 * time.Second

// finish marks the job done, in one transaction with what it changes.
func (k *kind) finish(row store.Job, finish Finish) error {
	return k.update(row, func(tx *store.Tx) error {
		if err := tx.JobDone(row, k.box.o.Clock()); err != nil {
			return taken(err)
		}
		if finish != nil {
			return finish(tx)
		}
		return nil
	})
}

// fail leaves the job for another attempt, or gives it up. One that was cut off
// because the node stops is given back as it was.
func (k *kind) fail(row store.Job, why error, cut bool) error {
	now := k.box.o.Clock()
	text := storable(why)
	v, told := errors.AsType[*verdict](why)
	log := k.box.o.Log.With("kind", k.name, "job", row.ID, "attempt", row.Attempts, "error", text)
	if told && v.rest {
		log.Error("jobs of the kind rest", "for", k.rest.begin().String())
	}
	return k.update(row, func(tx *store.Tx) error {
		switch {
		case cut && !told || told && v.rest:
			return taken(tx.JobReleased(row, now))
		case told && v.dead || row.Attempts >= row.MaxAttempts:
			log.Error("job is dead")
			if err := tx.JobDead(row, now, text); err != nil {
				return taken(err)
			}
			return k.failed(tx, row, why, true)
		}
		d := k.Pause(row.Attempts)
		if told {
			d = max(v.later, time.Second)
		}
		log.Warn("job failed", "again", d.String())
		if err := tx.JobAgain(row, now.Add(d), text); err != nil {
			return taken(err)
		}
		return k.failed(tx, row, why, false)
	})
}

func (k *kind) failed(tx *store.Tx, row store.Job, why error, dead bool) error {
	if k.Failed == nil {
		return nil
	}
	return k.Failed(tx, public(row), why, dead)
}

// storable is what both engines take of an error's text.
func storable(why error) string {
	text := strings.ToValidUTF8(strings.ReplaceAll(why.Error(), "\x00", ""), "?")
	if len(text) > maxError {
		text = strings.ToValidUTF8(text[:maxError], "")
	}
	return text
}

func taken(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errTaken
	}
	return err
}

// update is not under the job's context: what was done must be written down.
func (k *kind) update(row store.Job, change func(tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	err := k.box.o.Store.Update(ctx, change)
	if errors.Is(err, errTaken) {
		k.box.o.Log.Warn("job was taken by another node meanwhile", "kind", k.name, "job", row.ID)
	}
	return err
}
