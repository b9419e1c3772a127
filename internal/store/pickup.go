package store

import (
	"strings"
	"time"
)

// EnrollmentKey reads where the key is that pickups are sealed with.
func (tx *Tx) EnrollmentKey() (uri string, err error) {
	return one(tx, "enrollment key", scanString, `SELECT key_uri FROM enrollment_keys WHERE id = 1`)
}

// InsertEnrollmentKey writes it. ErrConflict: there is one.
func (tx *Tx) InsertEnrollmentKey(uri string, now time.Time) error {
	return tx.exec("enrollment key", `INSERT INTO enrollment_keys (id, key_uri, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING`, uri, unix(now))
}

// KeepKey keeps a sealed private key until the certificate of its order has
// come. ErrConflict: one is kept for it.
func (tx *Tx) KeepKey(orderID string, sealed []byte, now time.Time) error {
	return tx.exec("keep key", `INSERT INTO kept_keys (order_id, sealed, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, orderID, sealed, unix(now))
}

// KeptKey reads the sealed key of an order.
func (tx *Tx) KeptKey(orderID string) ([]byte, error) {
	return one(tx, "kept key", func(s scanner) (b []byte, err error) { return b, s.Scan(&b) }, `SELECT sealed FROM kept_keys WHERE order_id = $1`, orderID)
}

// ForgetKey drops the sealed key of an order; none is no error.
func (tx *Tx) ForgetKey(orderID string) error {
	_, err := tx.execCount("forget key", `DELETE FROM kept_keys WHERE order_id = $1`, orderID)
	return err
}

// Pickup is one row of pickups. States: waiting, taken, void (too many wrong
// codes), expired, withdrawn.
type Pickup struct {
	ID             string
	OrganizationID string
	PersonID       string
	RunID          string
	Mode           string // invite, server-keys
	Address        string
	Language       string
	Orders         []string
	Client         string // the form of the file, by what imports it
	File           []byte
	Passphrase     []byte // sealed
	CodeHash       []byte // empty until a mail is sent
	Wrong          int
	State          string
	Created        time.Time
	Expires        time.Time
	Taken          time.Time
}

// InsertPickup writes a new one.
func (tx *Tx) InsertPickup(p Pickup) error {
	return tx.exec("new pickup", `INSERT INTO pickups (id, organization_id, person_id, run_id, mode, address, language, orders, client,
		file, passphrase, code_hash, wrong, state, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 'waiting', $13, $14) ON CONFLICT DO NOTHING`,
		p.ID, p.OrganizationID, p.PersonID, p.RunID, p.Mode, p.Address, p.Language, strings.Join(p.Orders, " "), p.Client,
		octets(p.File), octets(p.Passphrase), []byte{}, unix(p.Created), unix(p.Expires))
}

// octets is a value that is never NULL.
func octets(b []byte) []byte { return append([]byte{}, b...) }

const pickupColumns = `id, organization_id, person_id, run_id, mode, address, language, orders, client, file, passphrase, code_hash, wrong,
	state, created_at, expires_at, taken_at`

func scanPickup(s scanner) (p Pickup, err error) {
	var orders string
	err = s.Scan(&p.ID, &p.OrganizationID, &p.PersonID, &p.RunID, &p.Mode, &p.Address, &p.Language, &orders, &p.Client, &p.File, &p.Passphrase,
		&p.CodeHash, &p.Wrong, &p.State, seconds{&p.Created}, seconds{&p.Expires}, seconds{&p.Taken})
	p.Orders = strings.Fields(orders)
	return p, err
}

// Pickup reads one.
func (tx *Tx) Pickup(id string) (Pickup, error) {
	return one(tx, "pickup", scanPickup, `SELECT `+pickupColumns+` FROM pickups WHERE id = $1`, id)
}

// PickupsOfRun lists those of a run after one of them.
func (tx *Tx) PickupsOfRun(runID, after string, limit int) ([]Pickup, error) {
	return all(tx, "pickups of a run", scanPickup, `SELECT `+pickupColumns+` FROM pickups WHERE run_id = $1 AND id > $2 ORDER BY id LIMIT $3`, runID, after, limit)
}

// PickupsOfPerson lists those of a person, the newest first.
func (tx *Tx) PickupsOfPerson(organizationID, personID string) ([]Pickup, error) {
	return all(tx, "pickups of a person", scanPickup, `SELECT `+pickupColumns+` FROM pickups WHERE organization_id = $1 AND person_id = $2
		ORDER BY created_at DESC, id DESC`, organizationID, personID)
}

// PickupCode replaces the code of a waiting one, which lets wrong ones be
// forgotten.
func (tx *Tx) PickupCode(id string, hash []byte) error {
	return tx.exec("code of a pickup", `UPDATE pickups SET code_hash = $2, wrong = 0 WHERE id = $1 AND state = 'waiting'`, id, hash)
}

// PickupWrong counts a wrong code; the last one that is allowed makes it void.
func (tx *Tx) PickupWrong(id string, most int) error {
	return tx.exec("wrong code of a pickup", `UPDATE pickups SET wrong = wrong + 1, state = CASE WHEN wrong + 1 >= $2 THEN 'void' ELSE state END,
		code_hash = CASE WHEN wrong + 1 >= $2 THEN $3 ELSE code_hash END WHERE id = $1 AND state = 'waiting'`, id, most, []byte{})
}

// EndPickup ends a waiting one and erases what lies there; the passphrase of a
// file that was taken stays for its person until [Tx.ForgetPassphrases].
// ErrConflict: it does not wait any more.
func (tx *Tx) EndPickup(id, state string, now time.Time) error {
	return tx.owe(ActPickup, tx.exec("end of a pickup", `UPDATE pickups SET state = $2, taken_at = $3, file = $4, code_hash = $4,
		passphrase = CASE WHEN $2 = 'taken' THEN passphrase ELSE $4 END WHERE id = $1 AND state IN ('waiting', 'void')`, id, state, unix(now), []byte{}))
}

// EndedPickups lists those whose time is over.
func (tx *Tx) EndedPickups(now time.Time, limit int) ([]Pickup, error) {
	return all(tx, "ended pickups", scanPickup, `SELECT `+pickupColumns+` FROM pickups
		WHERE state IN ('waiting', 'void') AND expires_at <= $1 ORDER BY expires_at LIMIT $2`, unix(now), limit)
}

// ReopenPickup lets one that is void wait again, for a new code.
func (tx *Tx) ReopenPickup(id string) error {
	return tx.exec("reopen pickup", `UPDATE pickups SET state = 'waiting', wrong = 0, code_hash = $2 WHERE id = $1 AND state IN ('waiting', 'void')`, id, []byte{})
}

// UsedInvitations lists those that none of their orders waits for any more.
func (tx *Tx) UsedInvitations(limit int) ([]Pickup, error) {
	return all(tx, "used invitations", scanPickup, `SELECT `+pickupColumns+` FROM pickups p WHERE p.state = 'waiting' AND p.mode = 'invite'
		AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.id IN (substr(p.orders, 1, 26), substr(p.orders, 28, 26)) AND o.state IN ('applied', 'proven'))
		ORDER BY p.id LIMIT $1`, limit)
}

// ForgetPassphrases erases those whose time is over.
func (tx *Tx) ForgetPassphrases(now time.Time) error {
	_, err := tx.execCount("forget passphrases", `UPDATE pickups SET passphrase = $2 WHERE state = 'taken' AND expires_at <= $1 AND passphrase <> $2`, unix(now), []byte{})
	return err
}
