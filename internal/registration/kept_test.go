package registration_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// shelf keeps what it is given, and refuses what says so.
type shelf struct {
	kept map[string]registration.Keeping
}

func (s *shelf) Escrowed(_ *store.Tx, _, person string, keyHash []byte) (bool, error) {
	k, is := s.kept[string(keyHash)]
	return is && k.Person == person, nil
}

func (s *shelf) Keep(_ context.Context, _ *store.Tx, k registration.Keeping) error {
	if bytes.Equal(k.Sealed, []byte("nonsense")) {
		return &registration.InputError{Field: "escrow", Key: "input.recovery.sealed", Args: []any{"x"}}
	}
	hash, err := issuance.KeyHash(k.Key)
	s.kept[string(hash)] = k
	return err
}

// A person's encryption key gets its certificate when it comes sealed, or is kept
// already; no other key is kept, and nothing of who may not ask.
func TestKeysThatAreKept(t *testing.T) {
	c := openCompany(t)
	kept := &shelf{map[string]registration.Keeping{}}
	c.Service = registration.New(registration.Options{Store: c.db, Validation: c.v, Issuer: c.authority, Mails: c.mailed, Clock: c.clock, Escrow: kept})
	c.set(t, func(s *registration.Settings) { s.Split, s.Escrow, s.Keys = true, true, registration.KeysBrowser })
	person := c.add(t, tanaka())
	outcomes, err := c.OrdersFor(t.Context(), c.admin, c.id, []string{person.ID}, registration.OrderRequest{})
	if err != nil || len(outcomes) != 2 || outcomes[1].Order.Use != string(issuance.Encryption) {
		t.Fatal(outcomes, err)
	}
	ask := func(order registration.Order, sealed string) (registration.Request, func() error) {
		_, secret, err := c.OpenOrder(t.Context(), auth.Server(registration.PartEnrollment), order.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := registration.Request{Kind: registration.RequestSession, Order: order.ID, Secret: secret, Certification: request(t, newKey(t))}
		if sealed != "" {
			r.Sealed = []byte(sealed)
		}
		return r, func() error { _, err := c.EnrollFor(t.Context(), auth.Actor{}, r); return err }
	}
	signing, encryption := outcomes[0].Order, outcomes[1].Order
	if _, enroll := ask(signing, "sealed"); !errors.Is(enroll(), registration.ErrRequest) {
		t.Error("a copy of a signing key was taken")
	}
	if _, enroll := ask(encryption, ""); !errors.Is(enroll(), registration.ErrState) {
		t.Error("a key that is not kept got its certificate")
	}
	if _, enroll := ask(encryption, "nonsense"); inputKey(enroll()) != "escrow input.recovery.sealed" {
		t.Error("nonsense was taken")
	}
	foreign, _ := ask(encryption, "sealed")
	foreign.Secret = "another"
	if _, err := c.EnrollFor(t.Context(), auth.Actor{}, foreign); !errors.Is(err, registration.ErrNotFound) || len(kept.kept) > 0 {
		t.Errorf("of a foreign session %d keys are kept: %v", len(kept.kept), err)
	}
	foreign.Kind = registration.RequestServer
	if _, err := c.EnrollFor(t.Context(), auth.Server(registration.PartEnrollment), foreign); !errors.Is(err, registration.ErrRequest) {
		t.Errorf("the server with a sealed key: %v", err)
	}
	r, enroll := ask(encryption, "sealed")
	for range 2 { // the second time because the answer was lost
		if err := enroll(); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range kept.kept {
		if len(kept.kept) != 1 || k.Organization != c.id || k.Person != person.ID || k.Order != r.Order || string(k.Sealed) != "sealed" {
			t.Errorf("kept %+v", kept.kept)
		}
	}
	if _, enroll := ask(signing, ""); enroll() != nil {
		t.Error("the signing key got no certificate")
	}
	c.set(t, func(s *registration.Settings) { s.Escrow = false })
	outcomes, err = c.OrdersFor(t.Context(), c.admin, c.id, []string{person.ID}, registration.OrderRequest{Use: issuance.Encryption})
	if err != nil {
		t.Fatal(err)
	}
	if _, enroll := ask(outcomes[0].Order, "sealed"); !errors.Is(enroll(), registration.ErrRequest) {
		t.Error("a copy was taken that nobody asked for")
	}
	c.logIsWhole(t)
}
