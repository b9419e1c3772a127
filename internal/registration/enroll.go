package registration

import (
	"context"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Enroll gives a proven order its certificate. Of the certification request
// (RFC 2986, DER or PEM) only the public key is used; its signature shows that
// the key's holder sent it. Whoever repeats the call with the same key, because
// the answer was lost, gets the same certificate; another key is refused.
func (s *Service) Enroll(ctx context.Context, orderID, secret string, request []byte) (Issued, error) {
	return s.EnrollFor(ctx, auth.Actor{}, Request{Kind: RequestSession, Order: orderID, Secret: secret, Certification: request})
}

func issued(tx *store.Tx, orderID string) (*cert.Certificate, error) {
	row, err := tx.CertificateOf(orderID)
	if err != nil {
		return nil, err
	}
	return cert.Parse(row.DER)
}

// turns lets one caller per name in at a time.
type turns struct {
	mu    sync.Mutex
	names map[string]*turn
}

type turn struct {
	mu      sync.Mutex
	waiting int // callers that hold or wait, guarded by turns.mu
}

// take waits for the turn of a name; the returned function ends it.
func (t *turns) take(name string) func() {
	t.mu.Lock()
	if t.names == nil {
		t.names = map[string]*turn{}
	}
	mine := t.names[name]
	if mine == nil {
		mine = &turn{}
		t.names[name] = mine
	}
	mine.waiting++
	t.mu.Unlock()

	mine.mu.Lock()
	return func() {
		mine.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.names, name)
		}
	}
}
