package store

import "time"

// Mail is one row of mails: a mail with a code, on its way to an address of an
// order. States: waiting, sent, refused, bounced, void.
type Mail struct {
	ID      string
	OrderID string
	Number  int // counts the mails of the order
	Address string
	State   string
	Tries   int    // how often it was begun to be sent
	Reason  string // why it waits, was refused or came back
	Created time.Time
	Next    time.Time // when a waiting one may be begun next
	Ended   time.Time
}

const mailColumns = `id, order_id, number, address, state, tries, reason, created_at, next_at, ended_at`

func scanMail(s scanner) (m Mail, err error) {
	return m, s.Scan(&m.ID, &m.OrderID, &m.Number, &m.Address, &m.State, &m.Tries, &m.Reason,
		seconds{&m.Created}, seconds{&m.Next}, seconds{&m.Ended})
}

// InsertMail writes a new waiting mail and voids the one before it: only the
// last mail of an order counts.
func (tx *Tx) InsertMail(m Mail) error {
	if _, err := tx.execCount("void mail", `UPDATE mails SET state = 'void', ended_at = $2
		WHERE order_id = $1 AND state = 'waiting'`, m.OrderID, unix(m.Created)); err != nil {
		return err
	}
	return tx.exec("new mail", `INSERT INTO mails (id, order_id, number, address, state, tries, reason, created_at, next_at)
		SELECT $1, $2, coalesce(max(number), 0) + 1, $3, 'waiting', 0, '', $4, $5 FROM mails WHERE order_id = $2
		ON CONFLICT DO NOTHING`, m.ID, m.OrderID, m.Address, unix(m.Created), unix(m.Next))
}

// BeginMail takes a waiting mail that is due; nobody else gets it until a time.
// ErrNotFound: it is not due, or does not wait.
func (tx *Tx) BeginMail(id string, now, until time.Time) (Mail, error) {
	return one(tx, "waiting mail", scanMail, `UPDATE mails SET tries = tries + 1, next_at = $3
		WHERE id = $1 AND state = 'waiting' AND next_at <= $2 RETURNING `+mailColumns, id, unix(now), unix(until))
}

// DeferMail leaves a mail waiting, until a time and for a reason.
func (tx *Tx) DeferMail(id, reason string, next time.Time) error {
	return tx.exec("defer mail", `UPDATE mails SET next_at = $2, reason = $3
		WHERE id = $1 AND state = 'waiting'`, id, unix(next), reason)
}

// EndMail ends the waiting of a mail.
func (tx *Tx) EndMail(id, state, reason string, now time.Time) error {
	return tx.exec("end mail", `UPDATE mails SET state = $2, reason = $3, ended_at = $4
		WHERE id = $1 AND state = 'waiting'`, id, state, reason, unix(now))
}

// BounceMail writes that a mail came back. It may have come back before it was
// written that it left.
func (tx *Tx) BounceMail(id, reason string, now time.Time) error {
	return tx.exec("bounced mail", `UPDATE mails SET state = 'bounced', reason = $2, ended_at = $3
		WHERE id = $1 AND (state = 'sent' OR state = 'waiting' AND tries > 0)`, id, reason, unix(now))
}

// Mail reads one mail.
func (tx *Tx) Mail(id string) (Mail, error) {
	return one(tx, "mail", scanMail, `SELECT `+mailColumns+` FROM mails WHERE id = $1`, id)
}

// LastMail reads the last mail of an order.
func (tx *Tx) LastMail(orderID string) (Mail, error) {
	return one(tx, "mail of the order", scanMail, `SELECT `+mailColumns+` FROM mails
		WHERE order_id = $1 ORDER BY number DESC LIMIT 1`, orderID)
}

// DueMails names up to limit waiting mails that are due, the longest due first.
func (tx *Tx) DueMails(now time.Time, limit int) ([]string, error) {
	return all(tx, "mails that are due", scanString, `SELECT id FROM mails
		WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at, id LIMIT $2`, unix(now), limit)
}

// CountWaitingMails says how many mails have not left yet.
func (tx *Tx) CountWaitingMails() (int, error) {
	return one(tx, "count waiting mails", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM mails WHERE state = 'waiting'`)
}
