package registration

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// ManyAtOnce is how many certificates are revoked at a time without asking who is
// signed in to show that it is them.
const ManyAtOnce = 20

// Revoke revokes certificates of an organization. When it returns, OCSP and the
// lists say so. One that is not the organization's keeps all from being revoked.
func (s *Service) Revoke(ctx context.Context, actor auth.Actor, organization string, ids []string, reason cert.Reason) (Revocations, error) {
	if !administers(actor, organization) && !(ours(actor) && organization != "") {
		return Revocations{}, ErrForbidden
	}
	if len(ids) > ManyAtOnce {
		if err := actor.Again(); err != nil {
			return Revocations{}, err
		}
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
