package registration

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// Enroll gives a proven order its certificate. Of the certification request
// (RFC 2986, DER or PEM) only the public key is used; its signature shows that
// the key's holder sent it. Whoever repeats the call with the same key, because
// the answer was lost, gets the same certificate; another key is refused.
func (s *Service) Enroll(ctx context.Context, orderID, secret string, request []byte) (Issued, error) {
	// One enrolment per order at a time: the second finds what the first made.
	// Before anything is looked at, so that the two see the same order.
	defer s.turns.take(orderID)()

	key, keyHash, err := s.requestedKey(request)
	if err != nil {
		return Issued{}, s.refuseRequest(ctx, orderID, secret, err)
	}
	proofs, c, err := s.authorizeIssue(ctx, orderID, secret, keyHash)
	if err != nil {
		return Issued{}, err
	}
	if c == nil {
		if c, err = s.issue(ctx, proofs, key); err != nil {
			return Issued{}, err
		}
	}
	chain, root, err := s.o.Issuer.Above(c)
	if err != nil {
		return Issued{}, fmt.Errorf("registration: %w", err)
	}
	return Issued{Certificate: c, Chain: chain, Root: root}, nil
}

// refuseRequest tells what is wrong with a request to the order's session alone.
func (s *Service) refuseRequest(ctx context.Context, orderID, secret string, why error) error {
	return s.o.Store.View(ctx, func(tx *store.Tx) error {
		if _, err := s.authorized(tx, orderID, secret, StateProven, StateIssued); err != nil {
			return err
		}
		return why
	})
}

// requestedKey takes the public key out of a request, and nothing else.
func (s *Service) requestedKey(request []byte) (key crypto.PublicKey, hash []byte, err error) {
	r, err := cert.ParseRequest(request)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := s.o.Issuer.Profile().CheckKey(r.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if hash, err = issuance.KeyHash(r.PublicKey); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return r.PublicKey, hash, nil
}

// authorizeIssue turns an order that may be enrolled now into the proofs that
// issuing takes. There is no other way to them. An order that was issued to this
// key gives its certificate instead. Issuing itself binds the order to the key,
// and is refused when the order changed meanwhile.
func (s *Service) authorizeIssue(ctx context.Context, orderID, secret string, keyHash []byte) (proofs []validation.Proof, done *cert.Certificate, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		row, err := s.authorized(tx, orderID, secret, StateProven, StateIssued)
		if err != nil {
			return err
		}
		if row.KeyHash != nil && !bytes.Equal(row.KeyHash, keyHash) {
			return ErrOtherKey
		}
		if s.state(row) == StateIssued {
			done, err = issued(tx, row.ID)
			return err
		}
		proofs, err = s.o.Validation.Proofs(tx, row)
		return err
	})
	if errors.Is(err, validation.ErrUnproven) {
		err = fmt.Errorf("%w: %w", ErrState, err)
	}
	return proofs, done, err
}

// issue has the certificate made.
func (s *Service) issue(ctx context.Context, proofs []validation.Proof, key crypto.PublicKey) (*cert.Certificate, error) {
	c, err := s.o.Issuer.Issue(ctx, proofs, key)
	switch {
	case errors.Is(err, issuance.ErrWeakKey):
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	case errors.Is(err, store.ErrConflict): // somebody else was faster
		return nil, ErrOtherKey
	case err != nil:
		return nil, fmt.Errorf("registration: %w", err)
	}
	return c, nil
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
