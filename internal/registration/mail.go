package registration

import (
	"context"
	"errors"
	"time"

	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
)

// mailKind is the kind of the mails with codes. They are about orders.
const mailKind = "code"

// patience is how long whoever asked waits to hear that the address is wrong.
const patience = 4 * time.Second

// enqueue writes down that a mail with a code is to leave. Only the last one of
// an order counts.
func (s *Service) enqueue(tx *store.Tx, row store.Order, to mailbox.Mailbox, client string) (*mailqueue.Urgent, error) {
	if err := s.o.Validation.Admit(tx, row, to, client); err != nil {
		return nil, err
	}
	if err := tx.VoidMails(mailKind, row.ID, s.now()); err != nil {
		return nil, err
	}
	return s.o.Mails.Reserve(tx, mailqueue.Letter{Kind: mailKind, About: row.ID, To: to})
}

// try hands a mail over at once. It waits for the outcome for as long as a
// person would; what takes longer goes on without them.
func (s *Service) try(ctx context.Context, u *mailqueue.Urgent) (Mail, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	mail := u.Send(wait)
	if mail.State == mailqueue.Refused {
		return mail, &UndeliverableError{mail.Reason}
	}
	return mail, nil
}

// compose makes a code and the mail that carries it. A mail whose order went on,
// or ended, has nothing to say any more.
func (s *Service) compose(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
	order, err := tx.Order(m.About)
	if err != nil {
		return validation.Mail{}, err
	}
	if s.state(order) != StateApplied {
		return validation.Mail{}, mailqueue.ErrPointless
	}
	return s.o.Validation.Challenge(tx, order, m.To)
}

// mailed: the code is valid from now on, and so is the order.
func (s *Service) mailed(tx *store.Tx, m store.Mail) error {
	err := tx.ExtendOrder(m.About, s.now().Add(OrderLife))
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}
