package recovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/store"
)

// Own is what an organization has kept of the keys of a person, as that person
// sees it.
type Own struct {
	Organization string
	Name         string
	Keys         []Key      // with a certificate: mail may have been encrypted to them
	Requests     []*Request // the person's own, the newest first
}

// Own lists the organizations that keep keys of the person who is signed in.
func (s *Service) Own(ctx context.Context, actor auth.Actor) (list []Own, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, auth.ErrForbidden
	}
	var ids []string
	names := map[string]string{}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		if ids, err = tx.RecoveryOrganizationsOf(actor.ID); err != nil {
			return err
		}
		for _, id := range ids {
			o, err := tx.Organization(id)
			if err != nil {
				return err
			}
			names[id] = o.Name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		o := Own{Organization: id, Name: names[id]}
		if o.Keys, err = s.Keys(ctx, actor, id, actor.ID); err != nil {
			return nil, err
		}
		o.Keys = slices.DeleteFunc(o.Keys, func(k Key) bool { return len(k.Certificates) == 0 })
		if o.Requests, err = s.Requests(ctx, actor, id, time.Time{}, "", shown); err != nil {
			return nil, err
		}
		if len(o.Keys) > 0 || len(o.Requests) > 0 {
			list = append(list, o)
		}
	}
	return list, nil
}

// Recipients are the certificates of a person who is signed in that their keys
// can be released to: valid ones that are for encryption, the newest first.
func (s *Service) Recipients(ctx context.Context, actor auth.Actor) (list []*cert.Certificate, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		list = nil
		held, err := tx.PersonHoldings(actor.ID)
		if err != nil {
			return err
		}
		slices.SortStableFunc(held, func(a, b store.Holding) int { return b.Issued.Compare(a.Issued) })
		for _, h := range held {
			if !h.Revoked.IsZero() {
				continue
			}
			der, err := holdingDER(tx, h)
			if err != nil {
				return err
			}
			if c, err := s.usable(der); err == nil {
				list = append(list, c)
			}
		}
		return nil
	})
	return list, err
}

// holdingDER reads a certificate of ours, or one that was taken in.
func holdingDER(tx *store.Tx, h store.Holding) ([]byte, error) {
	if h.AuthorityID != "" {
		return tx.CertificateDER(h.ID)
	}
	f, err := tx.ForeignCertificate(h.OrganizationID, h.ID)
	return f.DER, err
}

// RequestOwn asks an organization's officers for the keys of the person who is
// signed in, all but the one of the certificate that they are released to, which
// is one of [Service.Recipients] by its SHA-256. Keys whose shares different
// officers have take a request each.
func (s *Service) RequestOwn(ctx context.Context, actor auth.Actor, organization, recipient, reason string) (list []*Request, err error) {
	recipients, err := s.Recipients(ctx, actor)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(recipients, func(c *cert.Certificate) bool { return c.SHA256() == recipient })
	if i < 0 {
		return nil, input("recipient", "input.recovery.recipient.own")
	}
	to := recipients[i]
	keys, err := s.Keys(ctx, actor, organization, actor.ID)
	if err != nil {
		return nil, err
	}
	before, err := s.Requests(ctx, actor, organization, time.Time{}, "", shown)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(before, func(r *Request) bool { return r.State == Open || r.State == Ready }) {
		return nil, input("reason", "input.recovery.open")
	}
	var quorums []string
	asked := map[string][]string{}
	hash := sha256.Sum256(to.RawSPKI)
	own := keyName(hash[:])
	for _, k := range keys {
		if k.Key == own || len(k.Certificates) == 0 {
			continue
		}
		if asked[k.Quorum] == nil {
			quorums = append(quorums, k.Quorum)
		}
		asked[k.Quorum] = append(asked[k.Quorum], k.ID)
	}
	if len(quorums) == 0 {
		return nil, input("keys", "input.recovery.keys.former")
	}
	var faults []error
	for _, q := range quorums {
		r, err := s.Request(ctx, actor, organization, Asking{Person: actor.ID, Keys: asked[q], Recipient: to.Raw, Reason: reason})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		list = append(list, r)
	}
	if len(list) > 0 { // what could be asked for is
		return list, nil
	}
	return nil, errors.Join(faults...)
}
