package mailqueue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/outbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// pause is how long a mail waits after a try, a quarter more or less.
func pause(try int) time.Duration {
	d := min(firstPause<<min(try-1, 10), maxPause)
	return d*3/4 + rand.N(d/2)
}

// deliver makes one try of one mail.
func (q *Queue) deliver(ctx context.Context, s Sort, j outbox.Job) (outbox.Finish, error) {
	var m Leaving
	var mail validation.Mail
	err := q.o.Store.Update(ctx, func(tx *store.Tx) (err error) {
		m, mail, err = q.compose(tx, s, j)
		return err
	})
	switch {
	case errors.Is(err, ErrPointless), errors.Is(err, store.ErrNotFound) && m.ID == "":
		return q.end(j.Key, Void, ""), nil
	case err != nil:
		return nil, fmt.Errorf("compose mail: %w", err)
	}
	log := q.o.Log.With("kind", m.Kind, "about", m.About, "try", j.Attempt)
	err = q.o.Mailer.Send(ctx, mail)
	if err == nil {
		q.o.Tried("sent")
		q.tell(m.ID, Mail{State: Sent})
		log.InfoContext(ctx, "mail sent")
		return func(tx *store.Tx) error {
			if err := q.end(j.Key, Sent, "")(tx); err != nil || s.Sent == nil {
				return err
			}
			return s.Sent(tx, m.Mail)
		}, nil
	}
	if u, final := errors.AsType[*validation.UndeliverableError](err); final {
		q.o.Tried("refused")
		log.WarnContext(ctx, "mail not sent: the address takes no mail")
		reason := readable(u.Reason)
		q.tell(m.ID, Mail{Refused, reason})
		return q.end(j.Key, Refused, reason), nil
	}
	q.o.Tried("deferred")
	if _, away := errors.AsType[*validation.UnavailableError](err); away {
		return nil, outbox.Rest(err)
	}
	return nil, err
}

// compose reads a mail that still waits and has it written.
func (q *Queue) compose(tx *store.Tx, s Sort, j outbox.Job) (m Leaving, mail validation.Mail, err error) {
	row, err := tx.Mail(j.Key)
	if err != nil {
		return m, mail, err
	}
	m = Leaving{Mail: row, Data: j.Payload, Try: j.Attempt}
	if State(row.State) != Waiting {
		return m, mail, ErrPointless
	}
	if m.To, err = mailbox.Parse(row.Address); err != nil {
		return m, mail, err
	}
	mail, err = s.Compose(tx, m)
	mail.ID = row.ID
	return m, mail, err
}

// end notes what became of a mail. One that has ended already, because it came
// back before it was known to have left, stays as it is.
func (q *Queue) end(id string, state State, reason string) outbox.Finish {
	return func(tx *store.Tx) error {
		err := tx.EndMail(id, string(state), reason, q.now())
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	}
}

// gaveUp is why a mail was not sent that no server refused for good.
const gaveUp = "no mail server took it within four days"

// failed notes why a mail waits on, or that it does not any more.
func (q *Queue) failed(tx *store.Tx, j outbox.Job, why error, dead bool) error {
	reason := ""
	if d, ok := errors.AsType[*validation.DeferredError](why); ok {
		reason = readable(d.Reason)
	}
	if !dead {
		if reason == "" {
			return nil
		}
		err := tx.DeferMail(j.Key, reason)
		if errors.Is(err, store.ErrConflict) {
			return nil
		}
		return err
	}
	if reason == "" {
		reason = gaveUp
	}
	return q.end(j.Key, Refused, reason)(tx)
}
