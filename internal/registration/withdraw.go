package registration

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/store"
)

// Revocations is what became of certificates that were to be revoked.
type Revocations struct {
	Revoked []string // by our own authority: OCSP and CRL say so
	Before  []string // that were revoked already
	Outside []string // somebody else issued them, who is to be told; entered here
}

// ManyAtOnce is how many certificates an account revokes within [auth.FreshTime]
// without being asked to show that it is them.
const ManyAtOnce = 20

// AskOfMany refuses to have many certificates revoked, together with those that
// the account had revoked a moment ago, where whoever is signed in has to show
// first that it is them.
func (s *Service) AskOfMany(ctx context.Context, actor auth.Actor, many int) error {
	again := actor.Again()
	if again == nil || many > ManyAtOnce {
		return again
	}
	return s.o.Store.View(ctx, func(tx *store.Tx) error {
		_, err := s.leftToRevoke(tx, actor, many, again)
		return err
	})
}

// countRevocations takes certificates from what an account may revoke without
// being asked, before they are revoked: sessions beside each other share it.
func (s *Service) countRevocations(ctx context.Context, actor auth.Actor, many int) error {
	again := actor.Again()
	if again == nil || many == 0 {
		return nil // who has just been asked needs no count
	}
	return s.o.Store.Update(ctx, func(tx *store.Tx) error {
		key, err := s.leftToRevoke(tx, actor, many, again)
		if err != nil {
			return err
		}
		now := s.now()
		if err := tx.ForgetEvents(now.Add(-time.Hour)); err != nil {
			return err
		}
		for range many {
			id, err := s.newID()
			if err != nil {
				return err
			}
			if err := tx.AddEvent(id, key, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// leftToRevoke is again where many more would be too many, and otherwise what the
// account's are counted under.
func (s *Service) leftToRevoke(tx *store.Tx, actor auth.Actor, many int, again error) ([]byte, error) {
	key := sha256.Sum256([]byte("revocations by " + whose(actor)))
	// The store has whole seconds: rather a second longer than one shorter.
	n, _, err := tx.CountEvents(key[:], s.now().Add(-auth.FreshTime-time.Second))
	if err == nil && n+many > ManyAtOnce {
		err = again
	}
	return key[:], err
}

// Revoke revokes certificates of an organization. When it returns, OCSP and the
// lists say so. One that is not the organization's keeps all from being revoked.
func (s *Service) Revoke(ctx context.Context, actor auth.Actor, organization string, ids []string, reason cert.Reason) (Revocations, error) {
	if !administers(actor, organization) && !(ours(actor) && organization != "") {
		return Revocations{}, ErrForbidden
	}
	if err := s.AskOfMany(ctx, actor, len(ids)); err != nil {
		return Revocations{}, err
	}
	return s.revoke(ctx, actor, ids, reason, func(tx *store.Tx, id string) (store.Holding, error) {
		return tx.Holding(organization, id)
	})
}

// RevokeOwn revokes certificates of the person who is signed in.
func (s *Service) RevokeOwn(ctx context.Context, actor auth.Actor, ids []string, reason cert.Reason) (Revocations, error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return Revocations{}, ErrForbidden
	}
	var mine []store.Holding
	return s.revoke(ctx, actor, ids, reason, func(tx *store.Tx, id string) (store.Holding, error) {
		if mine == nil {
			var err error
			if mine, err = tx.PersonHoldings(actor.ID); err != nil {
				return store.Holding{}, err
			}
		}
		if i := slices.IndexFunc(mine, func(h store.Holding) bool { return h.ID == id }); i >= 0 {
			return mine[i], nil
		}
		return store.Holding{}, store.ErrNotFound
	})
}

func (s *Service) revoke(ctx context.Context, actor auth.Actor, ids []string, reason cert.Reason, find func(*store.Tx, string) (store.Holding, error)) (done Revocations, err error) {
	if !issuance.ReasonAllowed(reason) || reason == cert.CACompromise {
		return done, wrong("reason", "input.reason", int(reason))
	}
	var local, foreign []store.Holding
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		seen := map[string]bool{}
		for _, id := range ids {
			if seen[id] {
				continue
			}
			seen[id] = true
			h, err := find(tx, id)
			switch {
			case err != nil:
				return hidden(err)
			case !h.Revoked.IsZero():
				done.Before = append(done.Before, id)
			case h.AuthorityID == "":
				foreign = append(foreign, h)
			default:
				local = append(local, h)
			}
		}
		return nil
	})
	if err != nil {
		return Revocations{}, err
	}
	if err := s.countRevocations(ctx, actor, len(local)+len(foreign)); err != nil {
		return Revocations{}, err
	}
	revoked, err := s.o.Issuer.RevokeAll(ctx, actor.String(), local, reason)
	is := make(map[string]bool, len(revoked)) // both may be 100,000
	for _, id := range revoked {
		is[id] = true
	}
	for _, h := range local {
		if is[h.ID] {
			done.Revoked = append(done.Revoked, h.ID)
		} else if err == nil {
			done.Before = append(done.Before, h.ID) // somebody was faster
		}
	}
	if err != nil {
		return done, fmt.Errorf("registration: %w", err)
	}
	return done, s.withdraw(ctx, actor, foreign, reason, &done)
}

// withdraw enters that certificates by others are to be revoked.
func (s *Service) withdraw(ctx context.Context, actor auth.Actor, list []store.Holding, reason cert.Reason, done *Revocations) error {
	if len(list) == 0 {
		return nil
	}
	var outside []string
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		outside = nil
		for _, h := range list {
			err := tx.RevokeForeignCertificate(h.OrganizationID, h.ID, s.now(), int(reason))
			if errors.Is(err, store.ErrConflict) {
				continue
			}
			if err != nil {
				return err
			}
			if err := s.act(ctx, tx, actor, store.ActForeignRevoked, h.ID, map[string]string{"organization": h.OrganizationID, "reason": fmt.Sprint(int(reason))}); err != nil {
				return err
			}
			outside = append(outside, h.ID)
		}
		return nil
	})
	if err == nil {
		done.Outside = outside
	}
	return err
}
