package store

import "time"

// Mail is one row of mails: a mail on its way, or what became of it. States:
// waiting, sent, refused, bounced, void.
type Mail struct {
	ID      string
	Kind    string
	About   string // the id of what it is about
	Number  int    // counts the mails of the kind about the same
	Key     string // unique among the mails of the kind
	Address string
	State   string
	Reason  string // why it waits, was refused or came back
	Created time.Time
	Ended   time.Time
}

const mailColumns = `id, kind, about, number, unique_key, address, state, reason, created_at, ended_at`

func scanMail(s scanner) (m Mail, err error) {
	return m, s.Scan(&m.ID, &m.Kind, &m.About, &m.Number, &m.Key, &m.Address, &m.State, &m.Reason,
		seconds{&m.Created}, seconds{&m.Ended})
}

// InsertMail writes a new waiting mail. ErrConflict: there is one of that kind
// and key.
func (tx *Tx) InsertMail(m Mail) error {
	return tx.exec("new mail", `INSERT INTO mails (id, kind, about, number, unique_key, address, state, reason, created_at)
		SELECT $1, $2, $3, coalesce(max(number), 0) + 1, $4, $5, 'waiting', '', $6 FROM mails WHERE about = $3 AND kind = $2
		ON CONFLICT DO NOTHING`, m.ID, m.Kind, m.About, m.Key, m.Address, unix(m.Created))
}

// VoidMails voids the waiting mails of a kind about something.
func (tx *Tx) VoidMails(kind, about string, now time.Time) error {
	_, err := tx.execCount("void mails", `UPDATE mails SET state = 'void', ended_at = $3
		WHERE about = $2 AND kind = $1 AND state = 'waiting'`, kind, about, unix(now))
	return err
}

// DeferMail notes why a mail still waits.
func (tx *Tx) DeferMail(id, reason string) error {
	return tx.exec("defer mail", `UPDATE mails SET reason = $2 WHERE id = $1 AND state = 'waiting'`, id, reason)
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
		WHERE id = $1 AND state IN ('sent', 'waiting')`, id, reason, unix(now))
}

// Mail reads one mail.
func (tx *Tx) Mail(id string) (Mail, error) {
	return one(tx, "mail", scanMail, `SELECT `+mailColumns+` FROM mails WHERE id = $1`, id)
}

// LastMail reads the last mail of a kind about something.
func (tx *Tx) LastMail(kind, about string) (Mail, error) {
	return one(tx, "mail", scanMail, `SELECT `+mailColumns+` FROM mails
		WHERE about = $2 AND kind = $1 ORDER BY number DESC LIMIT 1`, kind, about)
}

// CountWaitingMails says how many mails have not left yet.
func (tx *Tx) CountWaitingMails() (int, error) {
	return one(tx, "count waiting mails", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`SELECT count(*) FROM mails WHERE state = 'waiting'`)
}

// MailCount is how many mails of a kind are in a state.
type MailCount struct {
	Kind, State string
	Count       int
}

// MailsAbout counts the mails about something, by kind and state.
func (tx *Tx) MailsAbout(about string) ([]MailCount, error) {
	return all(tx, "count mails", func(s scanner) (c MailCount, err error) { return c, s.Scan(&c.Kind, &c.State, &c.Count) },
		`SELECT kind, state, count(*) FROM mails WHERE about = $1 GROUP BY kind, state ORDER BY kind, state`, about)
}

// FailedMailsAbout lists up to limit mails about something that nobody got: of
// those that were refused or came back, the latest first.
func (tx *Tx) FailedMailsAbout(about string, limit int) ([]Mail, error) {
	return all(tx, "failed mails", scanMail, `SELECT `+mailColumns+` FROM mails
		WHERE about = $1 AND state IN ('refused', 'bounced') ORDER BY ended_at DESC, id LIMIT $2`, about, limit)
}
