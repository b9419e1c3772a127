package store

import (
	"cmp"
	"fmt"
	"time"
)

// Order is one row of orders with its mailboxes. States: applied, proven,
// issued, refused. Of an organization's order, applied is one that waits for
// proofs or approval, proven one that a key may come for.
type Order struct {
	ID          string
	State       string
	Name        string
	Language    string
	SecretHash  []byte // SHA-256 of the asking session's token
	PersonID    string // empty until a mailbox is proven
	ProfileHash []byte
	KeyHash     []byte // SHA-256 of the SubjectPublicKeyInfo; nil until enrolled
	Reason      string
	Created     time.Time
	Expires     time.Time
	Addresses   []string // in the order they were asked for

	OrganizationID string // empty: nobody's but the person's
	Kind           string // self, organization, renewal, import; empty: self
	Profile        string // name of the one behind ProfileHash
	Issuer         string // local, external; empty: local
	Names          string // JSON: what the certificate is to say of whom
	Use            string // of the key: dual, signing, encryption; empty: dual
	RequestedBy    string // as the audit log names them
	ApprovedBy     string // who else looked at it; empty: nobody yet
	Approved       time.Time
	WaitingFor     string // mailbox, approval, person, issuer; empty: for nobody
	Replaces       string // the certificate that it renews
}

// Proof is one row of proofs: an address of an order is proven by a method.
type Proof struct {
	OrderID  string
	Address  string
	Method   string // the section of the S/MIME BR, "3.2.2.2"
	Evidence string // what proved it: the id of the challenge
	Proven   time.Time
	Expires  time.Time
}

// InsertOrder writes a new order and its mailboxes.
func (tx *Tx) InsertOrder(o Order) error {
	err := tx.owe(ActApplied, tx.exec("new order", `INSERT INTO orders
		(id, state, name, language, secret_hash, profile_hash, reason, created_at, expires_at, person_id, organization_id,
		 kind, profile, issuer, names, key_use, requested_by, waiting_for, replaces)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING`,
		o.ID, o.State, o.Name, o.Language, o.SecretHash, o.ProfileHash, o.Reason, unix(o.Created), unix(o.Expires),
		reference(o.PersonID), reference(o.OrganizationID), cmp.Or(o.Kind, "self"), cmp.Or(o.Profile, "basic"), cmp.Or(o.Issuer, "local"),
		o.Names, cmp.Or(o.Use, "dual"), o.RequestedBy, o.WaitingFor, o.Replaces))
	if err != nil {
		return err
	}
	for i, address := range o.Addresses {
		if err := tx.exec("mailbox of a new order", `INSERT INTO order_mailboxes (order_id, position, address)
			VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, o.ID, i, address); err != nil {
			return err
		}
	}
	return nil
}

// orderColumns are those of orders o, with the addresses as lines, each behind
// its position. $1 is [lineFeed].
const orderColumns = `o.id, o.state, o.name, o.language, o.secret_hash, coalesce(o.person_id, ''), o.profile_hash,
	o.key_hash, o.reason, o.created_at, o.expires_at, coalesce(o.organization_id, ''), o.kind, o.profile, o.issuer, o.names, o.key_use,
	o.requested_by, o.approved_by, o.approved_at, o.waiting_for, o.replaces, coalesce((SELECT string_agg(CAST(m.position AS TEXT) || ' ' || m.address, $1)
	FROM order_mailboxes m WHERE m.order_id = o.id), '')`

// Order reads one order.
func (tx *Tx) Order(id string) (Order, error) {
	return one(tx, "order", scanOrder, `SELECT `+orderColumns+` FROM orders o WHERE o.id = $2`, lineFeed, id)
}

func scanOrder(s scanner) (o Order, err error) {
	var addresses string
	err = s.Scan(&o.ID, &o.State, &o.Name, &o.Language, &o.SecretHash, &o.PersonID, &o.ProfileHash,
		&o.KeyHash, &o.Reason, seconds{&o.Created}, seconds{&o.Expires}, &o.OrganizationID, &o.Kind, &o.Profile, &o.Issuer, &o.Names, &o.Use,
		&o.RequestedBy, &o.ApprovedBy, seconds{&o.Approved}, &o.WaitingFor, &o.Replaces, &addresses)
	if err != nil {
		return o, err
	}
	o.Addresses, err = inOrder(addresses)
	return o, err
}

func scanString(s scanner) (v string, err error) { return v, s.Scan(&v) }

// reference is an identifier that may be absent.
func reference(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// OrderProven moves an applied order on; its person is known from now on.
func (tx *Tx) OrderProven(id, personID string, expires time.Time) error {
	return tx.owe(ActProven, tx.exec("order proven", `UPDATE orders SET state = 'proven', person_id = $2, expires_at = $3, waiting_for = 'person'
		WHERE id = $1 AND state = 'applied'`, id, personID, unix(expires)))
}

// OrderKey binds a proven order to the one key that it may be enrolled with.
func (tx *Tx) OrderKey(id string, keyHash []byte) error {
	return tx.later("key of the order", `UPDATE orders SET key_hash = $2
		WHERE id = $1 AND state = 'proven' AND (key_hash IS NULL OR key_hash = $2)`, id, keyHash)
}

// OrderIssued moves a proven order to its good end. The entry of its certificate
// says so.
func (tx *Tx) OrderIssued(id string) error {
	return tx.later("order issued", `UPDATE orders SET state = 'issued', waiting_for = '' WHERE id = $1 AND state = 'proven'`, id)
}

// OrderRefused ends an order that has no certificate yet.
func (tx *Tx) OrderRefused(id, reason string) error {
	return tx.owe(ActDenied, tx.exec("order refused", `UPDATE orders SET state = 'refused', reason = $2, waiting_for = ''
		WHERE id = $1 AND state IN ('applied', 'proven')`, id, reason))
}

// InsertProof writes that an address is proven.
func (tx *Tx) InsertProof(p Proof) error {
	return tx.exec("proof", `INSERT INTO proofs (order_id, address, method, evidence, proven_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		p.OrderID, p.Address, p.Method, p.Evidence, unix(p.Proven), unix(p.Expires))
}

// Proofs lists the proofs of an order, expired ones too.
func (tx *Tx) Proofs(orderID string) ([]Proof, error) {
	return all(tx, fmt.Sprintf("proofs of order %s", orderID), scanProof, `SELECT order_id, address, method, evidence, proven_at, expires_at
		FROM proofs WHERE order_id = $1 ORDER BY address`, orderID)
}

// InsertProfile keeps a profile as it was; the same one again is no error.
func (tx *Tx) InsertProfile(hash []byte, config string, now time.Time) error {
	_, err := tx.execCount("profile", `INSERT INTO profiles (hash, config, first_used)
		VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, hash, config, unix(now))
	return err
}

// Profile reads a profile as it was.
func (tx *Tx) Profile(hash []byte) (config string, err error) {
	return one(tx, "profile", scanString, `SELECT config FROM profiles WHERE hash = $1`, hash)
}

// ForgetOrders drops up to limit orders that nobody proved anything for and
// that ended before a time: what a stranger typed in is not ours to keep.
func (tx *Tx) ForgetOrders(before time.Time, limit int) error {
	ids, err := all(tx, "orders to forget", scanString, `SELECT o.id FROM orders o
		WHERE o.expires_at <= $1 AND o.state IN ('applied', 'refused') AND o.person_id IS NULL
		AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.order_id = o.id) LIMIT $2`, unix(before), limit)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := tx.execCount("forget mails", `DELETE FROM mails WHERE about = $1`, id); err != nil {
			return err
		}
		for _, table := range []string{"challenges", "order_mailboxes"} {
			if _, err := tx.execCount("forget order", `DELETE FROM `+table+` WHERE order_id = $1`, id); err != nil {
				return err
			}
		}
		if err := tx.exec("forget order", `DELETE FROM orders WHERE id = $1`, id); err != nil {
			return err
		}
	}
	return nil
}

// ExtendOrder gives an applied order more time, because a new mail was sent; one
// that has more keeps it.
func (tx *Tx) ExtendOrder(id string, expires time.Time) error {
	return tx.exec("extend order", `UPDATE orders SET expires_at = CASE WHEN expires_at > $2 THEN expires_at ELSE $2 END
		WHERE id = $1 AND state = 'applied'`, id, unix(expires))
}

// OrderWaits writes whose turn it is with an open order.
func (tx *Tx) OrderWaits(id, whom string) error {
	return tx.exec("waiting order", `UPDATE orders SET waiting_for = $2 WHERE id = $1 AND state IN ('applied', 'proven')`, id, whom)
}

// OrderApproved writes that somebody other than who asked for it approved an
// order that waits for that.
func (tx *Tx) OrderApproved(id, by string, now time.Time) error {
	return tx.owe(ActApproved, tx.exec("approve order", `UPDATE orders SET approved_by = $2, approved_at = $3
		WHERE id = $1 AND state = 'applied' AND waiting_for = 'approval' AND approved_by = '' AND requested_by <> $2`, id, by, unix(now)))
}

// SetOrderSecret lets a session in that asks for an order of its own, such as
// the one that opened an invitation.
func (tx *Tx) SetOrderSecret(id string, secretHash []byte) error {
	return tx.exec("session of the order", `UPDATE orders SET secret_hash = $2 WHERE id = $1 AND state IN ('applied', 'proven')`, id, secretHash)
}

// OrderQuery says which orders of an organization are wanted. What is empty
// does not narrow.
type OrderQuery struct {
	OrganizationID string
	State          string // or "open": applied or proven
	WaitingFor     string
	PersonID       string
	Kind           string
	Now            time.Time // open orders are those that last beyond it, "expired" those that do not; zero: it is not looked at
	Before         time.Time // the last one of the page before; zero: from the newest on
	BeforeID       string
	Limit          int
}

// Orders reads a page of an organization's orders, the newest first.
func (tx *Tx) Orders(q OrderQuery) ([]Order, error) {
	text, args := `o.organization_id = $2`, []any{lineFeed, q.OrganizationID}
	if q.PersonID != "" { // of whom there are few: not by the index of all the organization's
		text = `coalesce(o.organization_id, '') = $2`
	}
	narrow := func(condition string, v string) {
		if v != "" {
			args = append(args, v)
			text += fmt.Sprintf(condition, len(args))
		}
	}
	const open = `o.state IN ('applied', 'proven')`
	if q.State != "expired" && q.State != "open" {
		narrow(` AND o.state = $%d`, q.State)
	}
	if !q.Now.IsZero() && (q.State == "expired" || q.State == "open" || q.State == "applied" || q.State == "proven" || q.WaitingFor != "") {
		args = append(args, unix(q.Now))
		lasts := `>`
		if q.State == "expired" {
			lasts = `<=`
		}
		text += fmt.Sprintf(` AND `+open+` AND o.expires_at `+lasts+` $%d`, len(args))
	}
	narrow(` AND o.waiting_for = $%d AND o.state IN ('applied', 'proven')`, q.WaitingFor)
	narrow(` AND o.person_id = $%d`, q.PersonID)
	narrow(` AND o.kind = $%d`, q.Kind)
	if !q.Before.IsZero() {
		args = append(args, unix(q.Before), q.BeforeID)
		text += fmt.Sprintf(` AND (o.created_at, o.id) < ($%d, $%d)`, len(args)-1, len(args))
	}
	args = append(args, q.Limit)
	return all(tx, "orders of an organization", scanOrder, `SELECT `+orderColumns+` FROM orders o WHERE `+text+
		fmt.Sprintf(` ORDER BY o.created_at DESC, o.id DESC LIMIT $%d`, len(args)), args...)
}

// ProofToReuse reads the newest mailed proof of an address that the same person,
// or the same organization for the same person, may rely on once more (S/MIME BR
// §4.2.1).
func (tx *Tx) ProofToReuse(address, personID, organizationID string, now time.Time) (Proof, error) {
	return one(tx, "earlier proof", scanProof, `SELECT p.order_id, p.address, p.method, p.evidence, p.proven_at, p.expires_at
		FROM proofs p JOIN orders o ON o.id = p.order_id
		WHERE p.address = $1 AND p.method = '3.2.2.2' AND p.expires_at > $2
		AND o.person_id = $3 AND coalesce(o.organization_id, '') = $4
		ORDER BY p.proven_at DESC, p.order_id LIMIT 1`, address, unix(now), personID, organizationID)
}

func scanProof(s scanner) (p Proof, err error) {
	return p, s.Scan(&p.OrderID, &p.Address, &p.Method, &p.Evidence, seconds{&p.Proven}, seconds{&p.Expires})
}
