package store

import "time"

// Challenge is one row of challenges: a code that was mailed to an address for
// an order. States: open, used, void.
type Challenge struct {
	ID       string
	OrderID  string
	Address  string
	CodeHash []byte
	State    string
	Wrong    int // wrong codes entered so far
	Created  time.Time
	Expires  time.Time
}

// InsertChallenge writes a new open challenge and voids the one before it:
// only the last mail counts (S/MIME BR §3.2.2.2).
func (tx *Tx) InsertChallenge(c Challenge) error {
	if _, err := tx.execCount("void challenge", `UPDATE challenges SET state = 'void'
		WHERE order_id = $1 AND address = $2 AND state = 'open'`, c.OrderID, c.Address); err != nil {
		return err
	}
	return tx.exec("new challenge", `INSERT INTO challenges
		(id, order_id, address, code_hash, state, wrong, created_at, expires_at)
		VALUES ($1, $2, $3, $4, 'open', 0, $5, $6) ON CONFLICT DO NOTHING`,
		c.ID, c.OrderID, c.Address, c.CodeHash, unix(c.Created), unix(c.Expires))
}

// OpenChallenges lists the challenges of an order that still wait.
func (tx *Tx) OpenChallenges(orderID string) ([]Challenge, error) {
	return all(tx, "open challenges", func(s scanner) (c Challenge, err error) {
		return c, s.Scan(&c.ID, &c.OrderID, &c.Address, &c.CodeHash, &c.State, &c.Wrong,
			seconds{&c.Created}, seconds{&c.Expires})
	}, `SELECT id, order_id, address, code_hash, state, wrong, created_at, expires_at
		FROM challenges WHERE order_id = $1 AND state = 'open' ORDER BY address`, orderID)
}

// ChallengeWrong counts one wrong code and returns how many there were.
func (tx *Tx) ChallengeWrong(id string) (int, error) {
	return one(tx, "wrong code", func(s scanner) (n int, err error) { return n, s.Scan(&n) },
		`UPDATE challenges SET wrong = wrong + 1 WHERE id = $1 AND state = 'open' RETURNING wrong`, id)
}

// CloseChallenge ends an open challenge as "used" or "void".
func (tx *Tx) CloseChallenge(id, state string) error {
	return tx.exec("close challenge", `UPDATE challenges SET state = $2 WHERE id = $1 AND state = 'open'`, id, state)
}
