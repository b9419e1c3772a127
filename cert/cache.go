package cert

import "sync"

const (
	// MaxCached limits how many certificates a [Cache] keeps.
	MaxCached = 2048
	// MaxCachedSize is the size in octets of the largest that it keeps.
	MaxCachedSize = 8 << 10
)

// Cache reads certificates that come again and again, as those of the
// authorities in mails do, only once. The zero value is ready, and may be used
// by several goroutines at a time. Those who have one share what it gives, so
// nobody may change it.
type Cache struct {
	mu sync.Mutex
	// Two generations: when the new one is full, the old one is forgotten.
	young, old map[string]*Certificate
}

// Parse is [Parse], and gives the same Certificate for the same octets.
func (k *Cache) Parse(der []byte) (*Certificate, error) {
	if c := k.find(der); c != nil {
		return c, nil
	}
	c, err := Parse(der)
	if err == nil && len(der) <= MaxCachedSize {
		k.add(c)
	}
	return c, err
}

func (k *Cache) find(der []byte) *Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.young[string(der)]; c != nil {
		return c
	}
	return k.old[string(der)]
}

func (k *Cache) add(c *Certificate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= MaxCached/2 {
		k.old, k.young = k.young, nil
	}
	if k.young == nil {
		k.young = map[string]*Certificate{}
	}
	k.young[string(c.Raw)] = c
}
