package outbox

import (
	"sync"
	"time"
)

// A node that has to rest does so for 2, 4, 8 seconds and so on up to a minute.
const (
	firstRest = 2 * time.Second
	maxRest   = time.Minute
)

// rest is the pause of a kind on this node.
type rest struct {
	mu    sync.Mutex
	until time.Time
	next  time.Duration // how long the next one takes; 0: the first
}

// begin begins a rest, unless there is one, and returns what is left of it.
func (r *rest) begin() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left := time.Until(r.until); left > 0 {
		return left
	}
	d := around(or(r.next, firstRest))
	r.next = min(2*or(r.next, firstRest), maxRest)
	r.until = time.Now().Add(d)
	return d
}

// left is how long the rest goes on.
func (r *rest) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Until(r.until)
}

// end ends it: something was done.
func (r *rest) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until, r.next = time.Time{}, 0
}
