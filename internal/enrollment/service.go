package enrollment

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// Escrow keeps encryption keys for an organization's recovery officers.
type Escrow interface {
	// Ready tells whether an organization has officers: [ErrNoOfficers].
	Ready(ctx context.Context, organization string) error
	// Prepare encrypts a key to the officers; keep writes the result in the
	// transaction that keeps the key for its certificate.
	Prepare(ctx context.Context, organization, person string, key crypto.PrivateKey) (keep func(tx *store.Tx) error, err error)
}

// Options are what a [Service] needs.
type Options struct {
	Store        *store.DB
	Outbox       *outbox.Outbox
	Mails        *mailqueue.Queue
	Registration *registration.Service
	Keys         KeyStore // nil: to look only, no file is made or opened
	Escrow       Escrow   // nil: no organization has its keys escrowed
	Site         string   // address of the portal, without a final slash
	Clock        func() time.Time
	Rand         io.Reader // nil: crypto/rand
	Log          *slog.Logger
	Cores        int  // that make keys; 0: all
	UTF8         bool // mailboxes may have other letters than ASCII before the at sign

	// Stop, if set, hears of each durable step of a batch; an error ends the job
	// there, as the end of the process would. For tests.
	Stop func(step string) error
}

// Service equips people, many at a time.
type Service struct {
	o        Options
	sealer   *sealer
	accounts *sealer // for auth
	workers  workers
	actor    auth.Actor // as whom the jobs act
}

// Refusals.
var (
	// ErrProblems: the list has problems, and nobody said to leave their lines out.
	ErrProblems = errors.New("enrollment: the list has problems")
	// ErrNobody: nobody is left to equip.
	ErrNobody = errors.New("enrollment: the list has nobody to equip")
	// ErrUnderWay: a run with the same list has not ended yet.
	ErrUnderWay = errors.New("enrollment: a run with this list is under way")
	// ErrChanged: the organization's settings are other ones than at the preview.
	ErrChanged = errors.New("enrollment: the settings were changed since the preview")
	// ErrGone: it was picked up, has expired, was withdrawn, or too many codes
	// were wrong.
	ErrGone = errors.New("enrollment: nothing is here any more")
	// ErrWrongCode: a code, but not the one that was mailed.
	ErrWrongCode = errors.New("enrollment: wrong code")
	// ErrOptions: a mode, a format or a client is none of those that are known.
	ErrOptions = errors.New("enrollment: not known")
	// ErrNoOfficers: keys are to be escrowed, and there is nobody yet to hold them.
	ErrNoOfficers = errors.New("enrollment: the organization has no recovery officers yet")
	// ErrNoKeys: the organization's settings let nobody but the people themselves
	// make keys.
	ErrNoKeys = errors.New("enrollment: the organization does not have keys made on the server")
)

// Kinds of jobs and mails.
const (
	jobBatch   = "enrollment batch"
	mailPickup = "pickup"
	mailEnding = "ending"
)

// New returns a Service, and names it to the outbox and the mails as who does
// its jobs.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Cores == 0 {
		o.Cores = runtime.GOMAXPROCS(0)
	}
	if o.Stop == nil {
		o.Stop = func(string) error { return nil }
	}
	s := &Service{o: o, workers: newWorkers(o.Cores), actor: auth.Server(registration.PartEnrollment)}
	if o.Keys != nil {
		if err := s.openSealers(ctx); err != nil {
			return nil, err
		}
	}
	// Two batches at a time: while one waits for the store, the other has the cores.
	o.Outbox.Handle(jobBatch, outbox.Worker{Do: s.batch, Concurrency: batchesAtOnce})
	o.Mails.Handle(mailPickup, mailqueue.Sort{Compose: s.composePickup})
	o.Mails.Handle(mailEnding, mailqueue.Sort{Compose: s.composeEnding})
	return s, nil
}

func (s *Service) now() time.Time { return s.o.Clock().UTC().Truncate(time.Second) }

// act enters an act of an actor.
func (s *Service) act(ctx context.Context, tx *store.Tx, a auth.Actor, act, object string, details map[string]string) error {
	return audit.Append(ctx, tx, audit.Entry{At: s.now(), Actor: a.String(), Act: act, Object: object, Details: details})
}

func (s *Service) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.o.Rand, b[:]); err != nil {
		return "", fmt.Errorf("enrollment: randomness: %w", err)
	}
	return encodeID(b[:]), nil
}

func encodeID(b []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
}
