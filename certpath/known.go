package certpath

import (
	"crypto/sha256"
	"sync"

	"github.com/mailseal/mailseal/cert"
)

// MaxKnown limits what a [Known] remembers. Whoever sends mail can make it
// remember certificates of their own authorities; they push out old ones.
const MaxKnown = 1 << 16

// Known remembers which key signed which certificate, for those who judge many
// messages: the authorities in their chains are few, and their RSA keys large.
// It remembers facts alone. That a signature is right changes neither with the
// time nor with whom one trusts, so one Known serves every Options.
//
// And it remembers paths, each with everything that the search for it has looked
// at: which anchors and intermediates have the names in it, and whether each
// certificate is within its time. All of that is compared again each time, and
// the path is given only where a new search would find the same.
//
// The zero value is ready, and may be used by several goroutines at a time.
type Known struct {
	mu sync.Mutex
	// Two generations: when the new one is full, the old one is forgotten.
	young, old map[fact]struct{}
	// The same of paths.
	routes, oldRoutes map[request]*route

	certificates cert.Cache
}

// Parse is [cert.Parse]; a certificate that comes again is read only once.
func (k *Known) Parse(der []byte) (*cert.Certificate, error) { return k.certificates.Parse(der) }

// fact is the digest of a certificate and of the key that signed it.
type fact [sha256.Size]byte

func factOf(child, parent *cert.Certificate) fact {
	digest := child.Digest()
	return sha256.Sum256(append(digest[:], parent.RawSPKI...))
}

func (k *Known) has(f fact) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, found := k.young[f]; found {
		return true
	}
	_, found := k.old[f]
	return found
}

func (k *Known) add(f fact) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.young) >= MaxKnown/2 {
		k.old, k.young = k.young, nil
	}
	if k.young == nil {
		k.young = map[fact]struct{}{}
	}
	k.young[f] = struct{}{}
}

func (k *Known) route(q request) *route {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.routes[q]; r != nil {
		return r
	}
	return k.oldRoutes[q]
}

func (k *Known) addRoute(q request, r *route) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.routes) >= MaxRoutes/2 {
		k.oldRoutes, k.routes = k.routes, nil
	}
	if k.routes == nil {
		k.routes = map[request]*route{}
	}
	k.routes[q] = r
}
