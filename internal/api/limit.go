package api

import (
	"sync"
	"time"
)

// A program may ask fifty times a second, and two hundred times at once: whoever
// has more to do has a route that takes many at a time.
const (
	perSecond = 50
	atOnce    = 200
	tracked   = 10_000 // buckets until full ones are dropped
)

// limitError tells when the next request is answered.
type limitError struct{ retry time.Duration }

func (e *limitError) Error() string { return "too many requests" }

// limits are buckets of tokens, one for each program.
type limits struct {
	*sync.Mutex
	clock   func() time.Time
	buckets map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

func newLimits(clock func() time.Time) limits {
	return limits{&sync.Mutex{}, clock, map[string]*bucket{}}
}

// take takes one request of a program.
func (l *limits) take(who string) error {
	l.Lock()
	defer l.Unlock()
	now := l.clock()
	if len(l.buckets) >= tracked {
		for name, b := range l.buckets {
			if b.at.Add(atOnce / perSecond * time.Second).Before(now) {
				delete(l.buckets, name)
			}
		}
	}
	b := l.buckets[who]
	if b == nil {
		b = &bucket{left: atOnce, at: now}
		l.buckets[who] = b
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(atOnce, b.left+passed.Seconds()*perSecond)
	}
	b.at = now
	if b.left < 1 {
		return &limitError{time.Second}
	}
	b.left--
	return nil
}
