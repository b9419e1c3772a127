package enrollment

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// How often Maintain looks.
const (
	lookForReady = 3 * time.Second
	lookForEnds  = 10 * time.Minute
)

// Maintain sees to runs whose people waited for somebody, to what is over, to
// certificates that end, and to chains of certificates by others, until ctx ends. The server runs it in a goroutine of
// its own.
func (s *Service) Maintain(ctx context.Context) {
	tick := time.NewTicker(lookForReady)
	defer tick.Stop()
	var looked time.Time
	for {
		err := s.Wake(ctx)
		if s.now().Sub(looked) >= lookForEnds {
			looked = s.now()
			err = errors.Join(err, s.Expire(ctx), s.Renew(ctx), s.Remind(ctx), s.o.Registration.JudgeChains(ctx, ""))
		}
		if err != nil && ctx.Err() == nil {
			s.o.Log.ErrorContext(ctx, "bulk enrollment not looked after", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Wake gives jobs to batches that rest and have somebody whose order was
// approved, proven or refused meanwhile.
func (s *Service) Wake(ctx context.Context) error {
	var runs []store.Run
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		runs, err = tx.RunningRuns()
		return err
	})
	for _, run := range runs {
		var ready bool
		err = errors.Join(err, s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			ready, err = tx.HasReadyBatch(run.ID)
			return err
		}))
		if !ready {
			continue // every node asks, and writers queue
		}
		err = errors.Join(err, s.o.Store.Update(ctx, func(tx *store.Tx) error {
			batches, err := tx.WakeReadyBatches(run.ID)
			for _, b := range batches {
				if err := s.queue(tx, b); err != nil {
					return err
				}
			}
			return err
		}))
	}
	return err
}

// endsAtOnce bounds what one transaction of the loops below changes.
const endsAtOnce = 200

// Expire ends what has waited too long and erases it, and ends invitations whose
// certificates are there.
func (s *Service) Expire(ctx context.Context) error {
	for {
		n := 0
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			over, err := tx.EndedPickups(s.now(), endsAtOnce)
			if err != nil {
				return err
			}
			used, err := tx.UsedInvitations(endsAtOnce)
			if err != nil {
				return err
			}
			n = max(len(over), len(used))
			for _, p := range over {
				if err := s.end(ctx, tx, p, PickupExpired, s.actor); err != nil {
					return err
				}
			}
			for _, p := range used {
				if err := s.end(ctx, tx, p, PickupTaken, s.actor); err != nil && !errors.Is(err, store.ErrConflict) {
					return err
				}
			}
			if err := errors.Join(tx.ForgetPassphrases(s.now()), tx.ForgetRunPreviews(s.now())); err != nil {
				return err
			}
			_, err = tx.ForgetRunLists(s.now().Add(-keepLists))
			return err
		})
		if err != nil || n < endsAtOnce {
			return err
		}
	}
}

// keepLists is how long the list of an ended run is kept for a retry.
const keepLists = 30 * 24 * time.Hour

// endless says that there is nothing to remind of any more.
func endless(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return mailqueue.ErrPointless
	}
	return err
}

// remindAhead is how long before its end a certificate is first spoken of.
const remindAhead = 30 * 24 * time.Hour

// step is which reminder is due, so many days before the end: at 30, 20 and 10
// days, and from then on daily.
func step(left time.Duration) int {
	switch days := int((left + 24*time.Hour - 1) / (24 * time.Hour)); {
	case days > 20:
		return 30
	case days > 10:
		return 20
	default:
		return days
	}
}

// Remind queues the reminders that are due. Each is queued once; a certificate
// that was renewed or revoked has none.
func (s *Service) Remind(ctx context.Context) error {
	for after := ""; ; {
		var list []store.Ending
		err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
			list, err = tx.EndingCertificates(s.now(), s.now().Add(remindAhead), after, endsAtOnce)
			return err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		after = list[len(list)-1].ID
		err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
			for _, c := range list {
				if err := s.remind(tx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

func (s *Service) remind(tx *store.Tx, c store.Ending) error {
	days := step(c.NotAfter.Sub(s.now()))
	if err := tx.InsertReminder(c.ID, days, s.now()); errors.Is(err, store.ErrConflict) {
		return nil
	} else if err != nil {
		return err
	}
	to, err := mailbox.Parse(c.Address)
	if err != nil {
		return err
	}
	data, err := json.Marshal(ending{c.ID, int(c.NotAfter.Sub(s.now()) / (24 * time.Hour))})
	if err != nil {
		return err
	}
	_, err = s.o.Mails.Enqueue(tx, mailqueue.Letter{Kind: mailEnding, About: c.ID, Key: fmt.Sprintf("%s/%d", c.ID, days), To: to, Data: data})
	return err
}

// renewAhead is how long before its end a certificate is renewed where the
// organization wants that: before anybody is reminded of it.
const renewAhead = 35 * 24 * time.Hour

// Renew starts a run for each organization that wants its certificates renewed
// and has some that end: people whose keys are made on the server find the new
// file ready, the others an invitation.
func (s *Service) Renew(ctx context.Context) error {
	var organizations []string
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		organizations, err = tx.OrganizationsWithEnds(s.now(), s.now().Add(renewAhead))
		return err
	})
	for _, id := range organizations {
		err = errors.Join(err, s.renew(ctx, id))
	}
	return err
}

func (s *Service) renew(ctx context.Context, organization string) error {
	org, err := s.o.Registration.Organization(ctx, s.actor, organization)
	if err != nil || !org.Settings.Renew || org.Standing != registration.StandingActive {
		return err
	}
	var people []listed
	hash := sha256.New()
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		list, err := tx.CertificatesToRenew(organization, s.now(), s.now().Add(renewAhead), batchSize*batchesOfRenewal)
		for _, c := range list {
			people = append(people, listed{Address: c.Address, Person: c.PersonID, Use: c.Use, Replaces: c.ID})
			fmt.Fprintln(hash, c.ID)
		}
		return err
	})
	if err != nil || len(people) == 0 {
		return err
	}
	_, err = s.start(ctx, auth.Server(registration.PartRenewal), org, kindRenewal, hash.Sum(nil), people, StartOptions{})
	if errors.Is(err, ErrUnderWay) {
		return nil
	}
	return err
}

// batchesOfRenewal bounds one run of renewals; what is left comes with the next.
const batchesOfRenewal = 50

// Leave ends that people belong to the organization: their open orders are
// refused, their certificates revoked, and what waits for them is erased.
func (s *Service) Leave(ctx context.Context, actor auth.Actor, organization string, people []string) (registration.Revocations, error) {
	if !registration.Administers(actor, organization) {
		return registration.Revocations{}, registration.ErrForbidden
	}
	if err := s.askOfMany(ctx, actor, organization, people); err != nil {
		return registration.Revocations{}, err
	}
	if err := s.o.Registration.PeopleLeave(ctx, actor, organization, people); err != nil {
		return registration.Revocations{}, err
	}
	return s.revoke(ctx, actor, organization, people, cert.AffiliationChanged)
}

// RevokeAll revokes every certificate of people that a search finds.
func (s *Service) RevokeAll(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery, reason cert.Reason) (registration.Revocations, error) {
	people, err := s.o.Registration.PeopleIDs(ctx, actor, organization, q)
	if err != nil {
		return registration.Revocations{}, err
	}
	return s.revoke(ctx, actor, organization, people, reason)
}

// LeaveAll is Leave for people that a search finds.
func (s *Service) LeaveAll(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery) (registration.Revocations, error) {
	people, err := s.o.Registration.PeopleIDs(ctx, actor, organization, q)
	if err != nil {
		return registration.Revocations{}, err
	}
	return s.Leave(ctx, actor, organization, people)
}

// StartAll is StartFor for people that a search finds.
func (s *Service) StartAll(ctx context.Context, actor auth.Actor, organization string, q registration.PersonQuery, o StartOptions) (Run, error) {
	people, err := s.o.Registration.PeopleIDs(ctx, actor, organization, q)
	if err != nil {
		return Run{}, err
	}
	return s.StartFor(ctx, actor, organization, people, o)
}

// revoke revokes the valid certificates of people and withdraws what waits for
// them.
func (s *Service) revoke(ctx context.Context, actor auth.Actor, organization string, people []string, reason cert.Reason) (registration.Revocations, error) {
	if !registration.Administers(actor, organization) {
		return registration.Revocations{}, registration.ErrForbidden
	}
	if err := s.askOfMany(ctx, actor, organization, people); err != nil {
		return registration.Revocations{}, err
	}
	var ids []string
	for from := 0; from < len(people); from += endsAtOnce {
		part := people[from:min(from+endsAtOnce, len(people))]
		var theirs []string
		err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
			theirs = nil
			for _, person := range part {
				valid, err := tx.ValidCertificatesOf(organization, person, s.now())
				if err != nil {
					return err
				}
				theirs = append(theirs, valid...)
				if err := s.withdraw(ctx, tx, actor, organization, person); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return registration.Revocations{}, err
		}
		ids = append(ids, theirs...)
	}
	if len(ids) == 0 {
		return registration.Revocations{}, nil
	}
	return s.o.Registration.Revoke(ctx, actor, organization, ids, reason)
}

// askOfMany refuses to revoke many certificates before anything is done, where who
// is signed in has to show first that it is them.
func (s *Service) askOfMany(ctx context.Context, actor auth.Actor, organization string, people []string) error {
	if actor.Again() == nil {
		return nil
	}
	if len(people) > registration.ManyAtOnce {
		return s.o.Registration.AskOfMany(ctx, actor, len(people))
	}
	n := 0
	err := s.o.Store.View(ctx, func(tx *store.Tx) error {
		for _, person := range people {
			valid, err := tx.ValidCertificatesOf(organization, person, s.now())
			if err != nil {
				return err
			}
			n += len(valid)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.o.Registration.AskOfMany(ctx, actor, n)
}

func (s *Service) withdraw(ctx context.Context, tx *store.Tx, actor auth.Actor, organization, person string) error {
	pickups, err := tx.PickupsOfPerson(organization, person)
	for _, p := range pickups {
		if p.State != PickupWaiting && p.State != PickupVoid {
			continue
		}
		if err := s.end(ctx, tx, p, PickupWithdrawn, actor); err != nil {
			return err
		}
	}
	return err
}
