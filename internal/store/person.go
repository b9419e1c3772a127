package store

import "time"

// Person is one row of people.
type Person struct {
	ID        string
	Name      string // as they are shown
	GivenName string // in Latin letters, as certificates have it; may be empty
	Surname   string // likewise
	LocalName string // in their own script; may be empty
	Language  string
	Created   time.Time
}

// InsertPerson writes a new person.
func (tx *Tx) InsertPerson(p Person) error {
	return tx.exec("new person", `INSERT INTO people (id, name, given_name, surname, local_name, language, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		p.ID, p.Name, p.GivenName, p.Surname, p.LocalName, p.Language, unix(p.Created))
}

// RenamePerson changes what a person is called and spoken to in.
func (tx *Tx) RenamePerson(id, name, language string) error {
	return tx.exec("rename person", `UPDATE people SET name = $2, language = $3 WHERE id = $1`, id, name, language)
}

// NamePerson changes all that a person is called, and spoken to in.
func (tx *Tx) NamePerson(p Person) error {
	return tx.exec("name person", `UPDATE people SET name = $2, given_name = $3, surname = $4, local_name = $5, language = $6
		WHERE id = $1`, p.ID, p.Name, p.GivenName, p.Surname, p.LocalName, p.Language)
}

// Person reads one person.
func (tx *Tx) Person(id string) (Person, error) {
	return one(tx, "person", scanPerson, `SELECT id, name, given_name, surname, local_name, language, created_at FROM people WHERE id = $1`, id)
}

// HolderOf reads who holds a mailbox now; key is mailbox.Mailbox.Key.
func (tx *Tx) HolderOf(key string) (Person, error) {
	return one(tx, "holder of the mailbox", scanPerson, `SELECT p.id, p.name, p.given_name, p.surname, p.local_name, p.language, p.created_at
		FROM mailbox_holders h JOIN people p ON p.id = h.person_id
		WHERE h.mailbox_key = $1 AND h.held_until IS NULL`, key)
}

// HoldMailbox writes that a person holds a mailbox from now on; ErrConflict
// when somebody does already.
func (tx *Tx) HoldMailbox(key, address, personID string, since time.Time) error {
	return tx.exec("hold mailbox", `INSERT INTO mailbox_holders (mailbox_key, address, person_id, held_since)
		VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, key, address, personID, unix(since))
}

// ReleaseMailbox ends that a mailbox is held, and with it the sessions of who held
// it: the next holder may read the mails that opened them. Nobody holding it is
// no error.
func (tx *Tx) ReleaseMailbox(key string, until time.Time) error {
	_, err := tx.execCount("end sessions", `DELETE FROM person_sessions WHERE person_id IN
		(SELECT person_id FROM mailbox_holders WHERE mailbox_key = $1 AND held_until IS NULL)`, key)
	if err != nil {
		return err
	}
	_, err = tx.execCount("release mailbox", `UPDATE mailbox_holders SET held_until = $2
		WHERE mailbox_key = $1 AND held_until IS NULL`, key, unix(until))
	return err
}

// MailboxesHeld lists the addresses that a person holds now.
func (tx *Tx) MailboxesHeld(personID string) ([]string, error) {
	return all(tx, "mailboxes of a person", scanString, `SELECT address FROM mailbox_holders
		WHERE person_id = $1 AND held_until IS NULL ORDER BY held_since, address`, personID)
}

func scanPerson(s scanner) (p Person, err error) {
	return p, s.Scan(&p.ID, &p.Name, &p.GivenName, &p.Surname, &p.LocalName, &p.Language, seconds{&p.Created})
}
