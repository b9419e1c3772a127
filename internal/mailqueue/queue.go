// Package mailqueue hands mails over to the relay: for sure, once as far as SMTP
// can tell, and politely.
//
// Whoever wants a mail writes a [Letter] in the transaction that it belongs to,
// so that there is a mail exactly if that took place. What the mail says is made
// when it is about to leave, by the [Sort] of its kind: a code never lies in a
// queue, and a mail that has become pointless is not sent. What became of it is
// kept: taken by the relay, refused by it for good, come back later.
//
// The jobs are internal/outbox's. Few mails to one domain are handed over at a
// time, domains take turns, a mailbox that does not work holds up no other, and
// a relay that is away costs no mail an attempt.
//
// It sends nothing itself: see [validation.Mailer]. Start at [New] and
// [Queue.Handle].
package mailqueue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// How mails of a kind leave, where their [Sort] says nothing else.
const (
	DefaultAtOnce    = 16 // on one node
	DefaultPerDomain = 4  // on all nodes together
)

// Between tries a mail waits from 15 seconds to half an hour; the last try is
// about four days after the first (RFC 5321 §4.5.4.1).
const (
	firstPause = 15 * time.Second
	maxPause   = 30 * time.Minute
	tries      = 200
)

// sendTimeout bounds one try.
const sendTimeout = time.Minute

// maxReason is how much of a mail server's words is kept, in characters.
const maxReason = 300

// State is how far a mail came.
type State string

// The states of a mail. Whoever is told that it was sent may still be told
// later that it came back.
const (
	Waiting State = "waiting" // not handed over yet; it will be tried again
	Sent    State = "sent"    // a mail server has taken it
	Refused State = "refused" // no mail server will take it
	Bounced State = "bounced" // it came back
	Void    State = "void"    // nobody wants it any more
)

// Mail is what became of a mail.
type Mail struct {
	State  State
	Reason string // of the mail server, where it was refused or came back
}

// Failed tells whether nobody will get this mail.
func (m Mail) Failed() bool { return m.State == Refused || m.State == Bounced }

// Waiting tells whether it is still to leave.
func (m Mail) Waiting() bool { return m.State == Waiting }

// Letter is a mail that is to be written.
type Letter struct {
	Kind  string
	About string // the id of what it is about, to find it again
	Key   string // of one kind and key there is one mail, for ever; empty: as many as there are
	To    mailbox.Mailbox
	Data  []byte // for Compose, until the mail has left; nothing secret: it lies in the database
}

// Leaving is a mail that is about to leave.
type Leaving struct {
	store.Mail
	To   mailbox.Mailbox
	Data []byte
	Try  int // 1 for the first
}

// ErrPointless is what [Sort.Compose] returns for a mail that has nothing to say
// any more.
var ErrPointless = errors.New("mailqueue: the mail is not wanted any more")

// Sort is what is to be known about a kind of mails.
type Sort struct {
	// Compose writes the mail, in the language of whoever gets it. It may be called
	// again for the same mail, when that could not be handed over.
	Compose func(tx *store.Tx, m Leaving) (validation.Mail, error)

	// Sent, if set, runs in the transaction that notes that a relay took it.
	Sent func(tx *store.Tx, m store.Mail) error

	AtOnce    int // handed over at once by one node; 0: [DefaultAtOnce]
	PerDomain int // of them to one domain, by all nodes together; 0: [DefaultPerDomain]
}

// Options are what a [Queue] needs.
type Options struct {
	Store  *store.DB
	Outbox *outbox.Outbox
	Mailer validation.Mailer // what mails are handed over to
	Clock  func() time.Time
	Rand   io.Reader // nil: crypto/rand
	Log    *slog.Logger

	// Tried, if set, hears what became of each try: sent, deferred, refused.
	Tried func(outcome string)
}

// Queue is the mails of one store.
type Queue struct {
	o      Options
	urgent sync.Map // *Urgent by their names, while somebody waits
}

// New returns a Queue.
func New(o Options) *Queue {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Tried == nil {
		o.Tried = func(string) {}
	}
	return &Queue{o: o}
}

// Handle says how mails of a kind are made. It is called before the outbox runs.
func (q *Queue) Handle(kind string, s Sort) {
	if s.AtOnce == 0 {
		s.AtOnce = DefaultAtOnce
	}
	if s.PerDomain == 0 {
		s.PerDomain = DefaultPerDomain
	}
	q.o.Outbox.Handle(job(kind), outbox.Worker{
		Concurrency: s.AtOnce, PerLane: s.PerDomain, Attempts: tries, Timeout: sendTimeout, Pause: pause,
		Do:     func(ctx context.Context, j outbox.Job) (outbox.Finish, error) { return q.deliver(ctx, s, j) },
		Failed: q.failed,
	})
}

// job is the kind of the jobs for mails of a kind.
func job(kind string) string { return "mail " + kind }

// Enqueue writes down that a mail is to leave. New is false when there is one of
// that kind and key.
func (q *Queue) Enqueue(tx *store.Tx, l Letter) (isNew bool, err error) {
	r, err := q.insert(tx, l)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return q.o.Outbox.Enqueue(tx, r)
}

// Urgent is a mail for whose outcome somebody waits.
type Urgent struct {
	q   *Queue
	id  string
	job *outbox.Reserved

	came atomic.Pointer[Mail] // how far, once that is known
}

// Reserve is Enqueue for a mail that somebody waits for: it passes by the queue.
// When the transaction is committed, the caller has it sent by [Urgent.Send].
func (q *Queue) Reserve(tx *store.Tx, l Letter) (*Urgent, error) {
	r, err := q.insert(tx, l)
	if err != nil {
		return nil, err
	}
	reserved, err := q.o.Outbox.Reserve(tx, r)
	if err == nil && reserved == nil {
		err = errors.New("mailqueue: there is a job of that name already")
	}
	return &Urgent{q: q, id: r.Key, job: reserved}, err
}

// insert writes the mail and returns the job to be written with it.
func (q *Queue) insert(tx *store.Tx, l Letter) (outbox.Request, error) {
	// The name is all that proves a bounce, so it must not be guessed.
	var random [16]byte
	if _, err := io.ReadFull(q.o.Rand, random[:]); err != nil {
		return outbox.Request{}, fmt.Errorf("mailqueue: randomness: %w", err)
	}
	id := hex.EncodeToString(random[:])
	key := l.Key
	if key == "" {
		key = id
	}
	err := tx.InsertMail(store.Mail{ID: id, Kind: l.Kind, About: l.About, Key: key, Address: l.To.String(), Created: q.now()})
	return outbox.Request{Kind: job(l.Kind), Key: id, Lane: lane(l.To.Domain()), Payload: l.Data}, err
}

// lane is the domain; of one that is longer than a lane may be, its end.
func lane(domain string) string { return domain[max(0, len(domain)-outbox.MaxKey):] }

// Send tries the mail at once and says how far it came when that is known, or
// when ctx ends. What takes longer goes on.
func (u *Urgent) Send(ctx context.Context) Mail {
	u.q.urgent.Store(u.id, u)
	defer u.q.urgent.Delete(u.id)
	u.job.Do(ctx)
	if m := u.came.Load(); m != nil {
		return *m
	}
	return Mail{State: Waiting}
}

// tell tells who waits for a mail.
func (q *Queue) tell(id string, m Mail) {
	if u, waits := q.urgent.Load(id); waits {
		u.(*Urgent).came.Store(&m)
	}
}

// Last is what became of the last mail of a kind about something; the zero value
// where there was none.
func Last(tx *store.Tx, kind, about string) (Mail, error) {
	row, err := tx.LastMail(kind, about)
	if errors.Is(err, store.ErrNotFound) {
		return Mail{}, nil
	}
	return Mail{State(row.State), row.Reason}, err
}

// ErrUnknown: there is no such mail, or it came back already.
var ErrUnknown = errors.New("mailqueue: no such mail")

// Bounced writes down that a mail came back.
func (q *Queue) Bounced(ctx context.Context, id, reason string) error {
	err := q.o.Store.Update(ctx, func(tx *store.Tx) error { return tx.BounceMail(id, readable(reason), q.now()) })
	if errors.Is(err, store.ErrConflict) {
		return ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("bounced mail: %w", err)
	}
	return nil
}

// KnowsMail tells whether a bounce of a mail would be taken.
func (q *Queue) KnowsMail(ctx context.Context, id string) (known bool, err error) {
	err = q.o.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Mail(id)
		if known = err == nil; errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return known, err
}

func (q *Queue) now() time.Time { return q.o.Clock().UTC().Truncate(time.Second) }

// readable is what a stranger's mail server said, as it may be shown: one line
// of printable characters.
func readable(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason, " "))
	runes := []rune(strings.Join(strings.Fields(reason), " "))
	return string(runes[:min(len(runes), maxReason)])
}
