package recovery

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
)

// Release gives who asked what the officers gave, encrypted to the certificate
// of the request. The log has it, and a mail to the owner is on its way, before
// anything is returned. Again, until the request expires, it gives the same, and
// what officers who were at it have given since; the log has that, too.
func (s *Service) Release(ctx context.Context, actor auth.Actor, organization, id string) (*Bundle, error) {
	var b *Bundle
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		row, err := requestRow(tx, organization, id)
		if err != nil {
			return err
		}
		if who(actor) == "" || row.Requester != who(actor) || actor.Kind != auth.KindPerson && !mayAct(actor, organization) {
			return auth.ErrForbidden
		}
		if err := actor.Again(); err != nil {
			return err
		}
		if state := s.stateOf(row); !s.now().Before(row.Expires) || state != Ready && state != Released {
			return ErrState
		}
		if b, err = s.bundle(tx, row); err != nil {
			return err
		}
		first := row.Released.IsZero()
		if err := tx.ReleaseRecoveryRequest(id, s.now()); err != nil {
			return err
		}
		var positions []string
		for _, share := range b.Keys[0].Shares {
			positions = append(positions, strconv.Itoa(share.Position))
		}
		err = audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: actor.String(), Act: store.ActRecoveryReleased, Object: id, Details: map[string]string{
			"organization": organization, "person": row.PersonID, "keys": strconv.Itoa(len(b.Keys)), "officers": strings.Join(positions, " "),
		}})
		if err != nil || !first {
			return err
		}
		return s.tellOwner(tx, row)
	})
	if err != nil {
		return nil, err
	}
	s.o.Log.InfoContext(ctx, "keys released", "request", id, "organization", organization)
	return b, nil
}

// bundle collects what the officers gave, after looking once more at who they
// are.
func (s *Service) bundle(tx *store.Tx, row store.RecoveryRequest) (*Bundle, error) {
	held, err := tx.RecoveryQuorum(row.QuorumID)
	if err != nil {
		return nil, err
	}
	q, err := quorum(tx, held)
	if err != nil {
		return nil, err
	}
	good := map[int]bool{}
	given, err := givers(tx, row)
	if err != nil {
		return nil, err
	}
	for _, o := range q.Officers {
		apart, err := s.apart(tx, row, o)
		if err != nil {
			return nil, err
		}
		for _, position := range given {
			good[o.Position] = good[o.Position] || apart && position == o.Position
		}
	}
	p, err := tx.Person(row.PersonID)
	if err != nil {
		return nil, err
	}
	keys, err := tx.RecoveryRequestKeys(row.ID)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Format: bundleFormat, Request: row.ID, Owner: p.Name, Recipient: row.Recipient}
	for _, e := range keys {
		k := BundleKey{Key: keyName(e.KeyHash), Sealed: e.Sealed, Threshold: q.Threshold}
		certificates, err := encryptsOnly(tx, e.KeyHash)
		if err != nil {
			return nil, err
		}
		for _, c := range certificates {
			k.Certificates = append(k.Certificates, c.Raw)
		}
		shares, err := tx.RecoveryContributions(row.ID, e.ID)
		if err != nil {
			return nil, err
		}
		for _, share := range shares {
			if good[share.Position] {
				k.Shares = append(k.Shares, BundleShare{share.Position, share.Envelope})
			}
		}
		if len(k.Shares) < q.Threshold {
			return nil, ErrState
		}
		b.Keys = append(b.Keys, k)
	}
	return b, nil
}

// tellOwner has a mail written to every mailbox that the owner has now; where
// there is none, to those of the certificates that nobody else has by now.
func (s *Service) tellOwner(tx *store.Tx, row store.RecoveryRequest) error {
	held, err := tx.MailboxesOf(row.PersonID)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		if held, err = s.formerMailboxes(tx, row); err != nil {
			return err
		}
	}
	for _, address := range held {
		m, err := mailbox.Parse(address)
		if err != nil {
			continue // it got no mail before either
		}
		if _, err := s.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: noticeKind, About: row.ID, To: m}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) formerMailboxes(tx *store.Tx, row store.RecoveryRequest) (free []string, err error) {
	keys, err := tx.RecoveryRequestKeys(row.ID)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, e := range keys {
		certificates, err := encryptsOnly(tx, e.KeyHash)
		if err != nil {
			return nil, err
		}
		for _, c := range certificates {
			for _, address := range c.Emails() {
				m, err := mailbox.Parse(address)
				if err != nil || seen[m.Key()] {
					continue
				}
				seen[m.Key()] = true
				if _, err := tx.HolderOf(m.Key()); errors.Is(err, store.ErrNotFound) {
					free = append(free, address)
				} else if err != nil {
					return nil, err
				}
			}
		}
	}
	return free, nil
}
