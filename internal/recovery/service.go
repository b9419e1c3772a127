package recovery

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// What a caller branches on, beside *registration.InputError. Who may not do something, and what is not there,
// are both [auth.ErrForbidden].
var (
	// ErrState: it is not, or no longer, in a state in which this can be done.
	ErrState = errors.New("recovery: it cannot be done now")
	// ErrOfficersChanged: a key was sealed for officers who are not, or no longer,
	// the ones: seal it again.
	ErrOfficersChanged = fmt.Errorf("%w: the officers are others by now", ErrState)
	// ErrProof: the answer does not show that the officer's private key made it,
	// or is for another task, or came a second time.
	ErrProof = errors.New("recovery: the answer does not fit the task: fetch the task again and answer that")
)

// input makes an error about a field.
func input(field, key string, args ...any) error {
	return &registration.InputError{Field: field, Key: key, Args: args}
}

// Limits of a request.
const (
	MaxReason     = 500 // characters
	MinReason     = 10
	RequestLife   = 14 * 24 * time.Hour
	ChallengeLife = 7 * 24 * time.Hour
	shown         = 100
)

// Options are what a [Service] needs.
type Options struct {
	Store *store.DB
	Clock func() time.Time
	Rand  io.Reader // nil: crypto/rand
	Log   *slog.Logger

	Mails *mailqueue.Queue // is told here how to make the mails to owners
}

// Service keeps the escrowed keys of all organizations.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o}
	if o.Mails != nil {
		o.Mails.Handle(noticeKind, mailqueue.Sort{Compose: s.notice})
	}
	return s
}

func (s *Service) now() time.Time { return s.o.Clock().UTC().Truncate(time.Second) }

func (s *Service) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return "", fmt.Errorf("recovery: randomness: %w", err)
	}
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])), nil
}

// account is whose act it is: a program acts for the account that its token
// belongs to.
func account(a auth.Actor) string {
	switch a.Kind {
	case auth.KindAccount:
		return a.ID
	case auth.KindToken:
		return a.Account
	}
	return ""
}

// who is how a person or an account stands in a request; empty: neither.
func who(a auth.Actor) string {
	if a.Kind == auth.KindPerson && a.ID != "" {
		return a.String()
	}
	if id := account(a); id != "" {
		return string(auth.KindAccount) + ":" + id
	}
	return ""
}

// mayAct tells whether an actor may ask for the keys of people of an
// organization. Officers do it for each other, too.
func mayAct(a auth.Actor, organization string) bool {
	return account(a) != "" && (a.Has(auth.Administrator, organization) || a.Has(auth.RecoveryOfficer, organization))
}

// mayLook tells whether an actor may see what there is of requests and officers.
func mayLook(a auth.Actor, organization string) bool {
	return a.MayRead(organization) || a.Has(auth.RecoveryOfficer, organization)
}

// missing makes what is not there look like what is not allowed.
func missing(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return auth.ErrForbidden
	}
	return err
}

// quorum reads a quorum with its officers.
func quorum(tx *store.Tx, row store.RecoveryQuorum) (*Quorum, error) {
	q := &Quorum{
		ID: row.ID, Organization: row.OrganizationID, Threshold: row.Threshold, State: State(row.State),
		Proposed: row.Proposed, Active: row.Active, Seconded: row.Seconded,
	}
	rows, err := tx.RecoveryOfficers(row.ID)
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		c, err := cert.Parse(r.Certificate)
		if err != nil {
			return nil, fmt.Errorf("recovery: the certificate of officer %d of %s: %w", r.Position, row.ID, err)
		}
		q.Officers = append(q.Officers, Officer{Position: r.Position, Account: r.AccountID, Certificate: c, Confirmed: r.Confirmed})
	}
	q.Approvals, err = tx.RecoveryApprovals(row.ID)
	return q, err
}

// quorumOf reads the active or the proposed quorum; nil: there is none.
func quorumOf(tx *store.Tx, organization string, state State) (*Quorum, error) {
	row, err := tx.RecoveryQuorumOf(organization, string(state))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return quorum(tx, row)
}

// Quorum returns who an organization's keys are sealed for; nil: nobody yet, and
// then no key can be escrowed.
func (s *Service) Quorum(ctx context.Context, organization string) (q *Quorum, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		q, err = quorumOf(tx, organization, Active)
		return err
	})
	return q, err
}

// Standing is how an organization's recovery stands.
type Standing struct {
	Name     string  // of the organization
	Active   *Quorum // nil: no key can be escrowed
	Proposed *Quorum // nil: none
	Keys     int64   // with the active officers
	Former   int64   // keys that officers before have not handed over
	Alone    bool    // one administrator names officers: nobody is asked to confirm it
}

// whose says whose the accounts of the officers are.
func whose(tx *store.Tx, q *Quorum) error {
	if q == nil {
		return nil
	}
	for i, o := range q.Officers {
		a, err := tx.Administrator(o.Account)
		if err != nil {
			return err
		}
		q.Officers[i].Email = a.Email
	}
	return nil
}

// Officers tells how the recovery of an organization stands.
func (s *Service) Officers(ctx context.Context, actor auth.Actor, organization string) (st Standing, err error) {
	if !mayLook(actor, organization) {
		return st, auth.ErrForbidden
	}
	err = s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		o, err := tx.Organization(organization)
		if err != nil {
			return missing(err)
		}
		st.Name = o.Name
		if st.Active, err = quorumOf(tx, organization, Active); err != nil {
			return err
		}
		if st.Proposed, err = quorumOf(tx, organization, Proposed); err != nil {
			return err
		}
		if err := errors.Join(whose(tx, st.Active), whose(tx, st.Proposed)); err != nil {
			return err
		}
		if st.Active != nil {
			if st.Keys, err = tx.CountRecoveryEscrows(st.Active.ID); err != nil {
				return err
			}
		}
		if st.Alone, err = s.alone(tx, organization); err != nil {
			return err
		}
		st.Former, err = tx.CountFormerEscrows(organization)
		return err
	})
	return st, err
}
