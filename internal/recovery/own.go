package recovery

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
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

// Recipients are the certificates of a person who is signed in that an
// organization's keys can be released to: valid ones that are for encryption, the
// newest first. What another organization asked for or took in makes no certificate
// the person's here: it may have made the key itself. One that is not issued here is
// of that organization, with a root that the installation trusts.
func (s *Service) Recipients(ctx context.Context, actor auth.Actor, organization string) (list []*cert.Certificate, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		list, err = s.recipients(tx, actor.ID, organization)
		return err
	})
	return list, err
}

func (s *Service) recipients(tx *store.Tx, person, organization string) (list []*cert.Certificate, err error) {
	held, err := tx.PersonHoldings(person)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(held, func(a, b store.Holding) int { return b.Issued.Compare(a.Issued) })
	for _, h := range held {
		asked := h.OrganizationID == organization || h.OrganizationID == "" // nobody but the person
		if !h.Revoked.IsZero() || !asked || h.AuthorityID == "" && h.Trust != "server" {
			continue
		}
		der, err := holdingDER(tx, h)
		if err != nil {
			return nil, err
		}
		if c, err := s.usable(der); err == nil {
			list = append(list, c)
		}
	}
	return list, nil
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
// officers have take a request each: what can be asked for is, and the error says
// why the rest cannot.
func (s *Service) RequestOwn(ctx context.Context, actor auth.Actor, organization, recipient, reason string) (list []*Request, err error) {
	if actor.Kind != auth.KindPerson || actor.ID == "" {
		return nil, auth.ErrForbidden
	}
	var faults []error
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		list, faults = nil, nil
		ask, to, err := s.ownAsking(tx, actor, organization, recipient, reason)
		if err != nil {
			return err
		}
		quorums, asked, err := formerKeys(tx, actor, organization, to)
		if err != nil {
			return err
		}
		for _, q := range quorums {
			ask.Keys = asked[q]
			r, err := s.enter(ctx, tx, actor, organization, ask, to)
			_, wrong := errors.AsType[*registration.InputError](err)
			switch {
			case err == nil:
				list = append(list, r)
			case wrong || errors.Is(err, ErrState) || errors.Is(err, ErrSigns):
				faults = append(faults, err)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, errors.Join(faults...)
}

// ownAsking looks at what a person asks for, who has asked for nothing that is
// open.
func (s *Service) ownAsking(tx *store.Tx, actor auth.Actor, organization, recipient, reason string) (ask Asking, to *cert.Certificate, err error) {
	recipients, err := s.recipients(tx, actor.ID, organization)
	if err != nil {
		return ask, nil, err
	}
	i := slices.IndexFunc(recipients, func(c *cert.Certificate) bool { return c.SHA256() == recipient })
	if i < 0 {
		return ask, nil, input("recipient", "input.recovery.recipient.own")
	}
	before, err := tx.RecoveryRequestsBy(organization, who(actor), shown)
	if err != nil {
		return ask, nil, err
	}
	if slices.ContainsFunc(before, func(r store.RecoveryRequest) bool { return s.stateOf(r) == Open || s.stateOf(r) == Ready }) {
		return ask, nil, input("reason", "input.recovery.open")
	}
	ask = Asking{Person: actor.ID, Recipient: recipients[i].Raw, Reason: reason}
	to, err = s.checked(&ask)
	return ask, to, err
}

// formerKeys are the ids of a person's keys, but the one of a certificate, by who
// has the shares.
func formerKeys(tx *store.Tx, actor auth.Actor, organization string, to *cert.Certificate) (quorums []string, asked map[string][]string, err error) {
	keys, err := keysOf(tx, organization, actor.ID)
	if err != nil {
		return nil, nil, err
	}
	asked = map[string][]string{}
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
		return nil, nil, input("keys", "input.recovery.keys.former")
	}
	return quorums, asked, nil
}
