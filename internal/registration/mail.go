package registration

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// How mails leave. That one is to leave is written down with the order; its
// code is made when it is handed over, so that no code ever lies in a queue.
const (
	mailsAtOnce = 16
	mailsLooked = 50
	lookForMail = 2 * time.Second
	// mailLease is longer than one try can take: until then nobody else tries,
	// and then a process that died on it no longer does.
	mailLease = time.Minute
	// patience is how long whoever asked waits to hear that the address is wrong.
	patience  = 4 * time.Second
	maxReason = 300 // characters
)

// RetryAfter waits longer after each try, half an hour in the end.
func RetryAfter(tries int) time.Duration {
	return min(15*time.Second<<min(max(tries-1, 0), 10), 30*time.Minute)
}

// enqueue writes down that a mail with a code is to leave, and returns its name.
func (s *Service) enqueue(tx *store.Tx, row store.Order, to mailbox.Mailbox, client string) (string, error) {
	if err := s.o.Validation.Admit(tx, row, to, client); err != nil {
		return "", err
	}
	// The name is all that proves a bounce, so it must not be guessed.
	random, err := s.random(16)
	if err != nil {
		return "", err
	}
	id := hex.EncodeToString(random)
	return id, tx.InsertMail(store.Mail{ID: id, OrderID: row.ID, Address: to.String(), Created: s.now(), Next: s.now()})
}

// try hands a mail over at once. It waits for the outcome for as long as a
// person would; what takes longer goes on without them.
func (s *Service) try(ctx context.Context, id string) (Mail, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan Mail, 1)
	if !s.begin(wait, func() { done <- s.deliver(context.WithoutCancel(ctx), id) }) {
		return Mail{State: MailWaiting}, nil
	}
	select {
	case <-wait.Done():
		return Mail{State: MailWaiting}, nil
	case mail := <-done:
		if mail.State == MailRefused {
			return mail, &UndeliverableError{mail.Reason}
		}
		return mail, nil
	}
}

// begin runs send on a slot of its own, unless none is free until ctx ends.
func (s *Service) begin(ctx context.Context, send func()) bool {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	s.sending.Go(func() {
		defer func() { <-s.slots }()
		send()
	})
	return true
}

// DeliverMails hands over what waits until ctx ends, and returns when the last
// one that was begun is done. The server runs it in a goroutine of its own.
func (s *Service) DeliverMails(ctx context.Context) {
	defer s.sending.Wait()
	for {
		for _, id := range s.due(ctx) {
			if !s.begin(ctx, func() { s.deliver(context.WithoutCancel(ctx), id) }) {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookForMail):
		}
	}
}

func (s *Service) due(ctx context.Context) (ids []string) {
	err := s.o.Store.View(ctx, func(tx *store.Tx) (err error) {
		ids, err = tx.DueMails(s.now(), mailsLooked)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.o.Log.ErrorContext(ctx, "waiting mails not read", "error", err)
	}
	return ids
}

// deliver makes one try of one mail. What cannot be written down is tried again
// when the lease has ended.
func (s *Service) deliver(ctx context.Context, id string) Mail {
	row, mail, err := s.compose(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound): // somebody else has it
		return Mail{State: MailWaiting}
	case err != nil:
		s.o.Log.ErrorContext(ctx, "mail not begun", "mail", id[:8], "error", err)
		return Mail{State: MailWaiting}
	case row.State != string(MailWaiting):
		return Mail{State: MailState(row.State)}
	}
	became, err := s.settle(ctx, row, s.o.Mailer.Send(ctx, mail))
	if err != nil && !errors.Is(err, store.ErrConflict) { // a bounce was faster
		s.o.Log.ErrorContext(ctx, "outcome of a mail not stored", "order", row.OrderID, "error", err)
	}
	return became
}

// compose takes a mail that is due and makes its code. A mail whose order went
// on, or ended, has nothing to say any more.
func (s *Service) compose(ctx context.Context, id string) (row store.Mail, mail validation.Mail, err error) {
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		now := s.now()
		if row, err = tx.BeginMail(id, now, now.Add(mailLease)); err != nil {
			return err
		}
		order, err := tx.Order(row.OrderID)
		if err != nil {
			return err
		}
		if s.state(order) != StateApplied {
			row.State = string(MailVoid)
			return tx.EndMail(id, row.State, "", now)
		}
		to, err := mailbox.Parse(row.Address)
		if err != nil {
			return err
		}
		mail, err = s.o.Validation.Challenge(tx, order, to)
		mail.ID = id
		return err
	})
	return row, mail, err
}

// settle writes down what became of a try.
func (s *Service) settle(ctx context.Context, row store.Mail, failure error) (became Mail, err error) {
	now := s.now()
	undeliverable, final := errors.AsType[*validation.UndeliverableError](failure)
	err = s.o.Store.Update(ctx, func(tx *store.Tx) error {
		switch {
		case failure == nil:
			became = Mail{State: MailSent}
			// The code is valid from now on, and so is the order.
			if err := tx.ExtendOrder(row.OrderID, now.Add(OrderLife)); err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
			return tx.EndMail(row.ID, string(MailSent), "", now)
		case final:
			became = Mail{MailRefused, readable(undeliverable.Reason)}
			return tx.EndMail(row.ID, string(MailRefused), became.Reason, now)
		}
		became = Mail{State: MailWaiting}
		return tx.DeferMail(row.ID, "", now.Add(s.o.RetryAfter(row.Tries)))
	})
	switch {
	case failure == nil:
		s.o.Mailed("sent")
		s.o.Log.InfoContext(ctx, "code mailed", "order", row.OrderID, "try", row.Tries)
	case final:
		s.o.Mailed("refused")
		s.o.Log.WarnContext(ctx, "code not mailed: the address takes no mail", "order", row.OrderID)
	default:
		s.o.Mailed("deferred")
		s.o.Log.ErrorContext(ctx, "code not mailed yet", "order", row.OrderID, "try", row.Tries, "error", failure)
	}
	return became, err
}

// Bounced writes down that a mail came back. [ErrNotFound]: it is none of ours,
// or too old.
func (s *Service) Bounced(ctx context.Context, mailID, reason string) error {
	err := s.o.Store.Update(ctx, func(tx *store.Tx) error {
		return tx.BounceMail(mailID, readable(reason), s.now())
	})
	if errors.Is(err, store.ErrConflict) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("registration: bounced mail: %w", err)
	}
	return nil
}

// KnowsMail tells whether a bounce of a mail would be taken.
func (s *Service) KnowsMail(ctx context.Context, mailID string) (known bool, err error) {
	err = s.o.Store.View(ctx, func(tx *store.Tx) error {
		_, err := tx.Mail(mailID)
		if known = err == nil; errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return known, err
}

func lastMail(tx *store.Tx, orderID string) (Mail, error) {
	row, err := tx.LastMail(orderID)
	if errors.Is(err, store.ErrNotFound) { // an order of an older version
		return Mail{}, nil
	}
	return Mail{MailState(row.State), row.Reason}, err
}

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
