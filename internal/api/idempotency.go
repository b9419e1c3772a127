package api

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

const (
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 255
	idempotencyLife   = 24 * time.Hour
	forgetAtOnce      = 100

	// requestLease is how long a request counts as under way when the process that
	// does it says nothing any more; it says so each requestStep.
	requestLease = time.Minute
	requestStep  = 15 * time.Second
)

// What keeps a request with a key from being answered.
var (
	errKey       = errors.New("the Idempotency-Key cannot be used")
	errKeyReused = errors.New("the Idempotency-Key was used for another request")
	errUnderWay  = errors.New("the request with this Idempotency-Key has not ended")
	errLost      = errors.New("the server stopped while it did the request with this Idempotency-Key")
	errOnce      = errors.New("the request with this Idempotency-Key was done, and its answer is shown only once")
)

// once does a request that has an Idempotency-Key one time. Refusals are kept as
// well: the same request is refused the same way, unless it failed here.
func (h *handler) once(r *route, c *call) (*answer, error) {
	keys := c.r.Header.Values(idempotencyHeader)
	if len(keys) == 0 {
		return h.run(r, c)
	}
	if err := checkKey(r, keys); err != nil {
		return nil, err
	}
	now := h.Clock()
	row := store.APIRequest{Actor: c.actor.String(), Key: keys[0], Hash: requestHash(c), Asked: now, Lease: now.Add(requestLease)}
	before, err := h.begin(c.ctx, row)
	if err != nil {
		return nil, err
	}
	if before != nil {
		return replay(r, row, *before, now)
	}
	// From here on it is done, whether or not the connection lasts: what takes
	// several transactions would be done by half, and once more by who asks again.
	ctx := context.WithoutCancel(c.ctx)
	c.ctx = ctx
	stop := h.hold(ctx, row)
	defer stop() // also where the request panics
	a, err := h.run(r, c)
	if err != nil {
		a = h.problemAnswer(c, err)
	}
	if a.status >= 500 || a.status == 499 {
		err := h.Store.Update(ctx, func(tx *store.Tx) error { return tx.DropAPIRequest(row.Actor, row.Key) })
		return a, err
	}
	row.Status, row.MediaType, row.Answer = a.status, a.media, a.body
	if r.secret && a.status < 300 {
		row.Answer = nil
	}
	return a, h.Store.Update(ctx, func(tx *store.Tx) error { return tx.AnswerAPIRequest(row) })
}

// hold says that a request is under way until stop is called.
func (h *handler) hold(ctx context.Context, row store.APIRequest) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticks, stop := h.Ticker(requestStep)
		defer stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks:
			}
			err := h.Store.Update(ctx, func(tx *store.Tx) error {
				return tx.ExtendAPIRequest(row.Actor, row.Key, h.Clock().Add(requestLease))
			})
			if err != nil && ctx.Err() == nil {
				h.Log.WarnContext(ctx, "request under way not held", "error", err)
			}
		}
	}()
	return func() { cancel(); <-ended }
}

func checkKey(r *route, keys []string) error {
	switch key := keys[0]; {
	case !r.replayable():
		return fmt.Errorf("%w here: it is for POST with an account's token", errKey)
	case len(keys) > 1 || len(key) == 0 || len(key) > maxIdempotencyKey:
		return fmt.Errorf("%w: it is one line of 1 to %d characters", errKey, maxIdempotencyKey)
	default:
		for _, b := range []byte(key) {
			if b <= ' ' || b >= 0x7f {
				return fmt.Errorf("%w: it has other characters than visible ones of ASCII", errKey)
			}
		}
	}
	return nil
}

// begin takes the key, or returns the request that has it.
func (h *handler) begin(ctx context.Context, row store.APIRequest) (before *store.APIRequest, err error) {
	err = h.Store.Update(ctx, func(tx *store.Tx) error {
		before = nil
		if err := tx.ForgetAPIRequests(row.Asked.Add(-idempotencyLife), forgetAtOnce); err != nil {
			return err
		}
		found, err := tx.APIRequest(row.Actor, row.Key)
		if err == nil {
			before = &found
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.BeginAPIRequest(row)
	})
	return before, err
}

// replay answers as before. A request whose process is gone may have been done, in
// part or not at all, and most would do something twice if they were done again:
// that is for who asks to decide, with another key, when they have looked. A
// process that only was slow still leaves its answer.
func replay(r *route, row, before store.APIRequest, now time.Time) (*answer, error) {
	switch {
	case string(before.Hash) != string(row.Hash):
		return nil, errKeyReused
	case before.Status == 0 && now.Before(before.Lease):
		return nil, errUnderWay
	case before.Status == 0:
		return nil, errLost
	case r.secret && before.Status < 300:
		return nil, errOnce
	}
	return &answer{status: before.Status, media: before.MediaType, body: before.Answer, replayed: true}, nil
}

// requestHash is of all that makes a request what it is.
func requestHash(c *call) []byte {
	h := sha256.New()
	for _, part := range []string{c.r.Method, c.r.URL.Path, c.r.URL.RawQuery, c.r.Header.Get("Content-Type"), string(c.body)} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
