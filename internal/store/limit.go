package store

import "time"

// CountEvents says how often something happened after since, and when first.
func (tx *Tx) CountEvents(key []byte, since time.Time) (n int, first time.Time, err error) {
	type count struct {
		n     int
		first time.Time
	}
	c, err := one(tx, "count events", func(s scanner) (c count, err error) {
		return c, s.Scan(&c.n, seconds{&c.first})
	}, `SELECT count(*), min(at) FROM rate_events WHERE limit_key = $1 AND at > $2`, key, unix(since))
	return c.n, c.first, err
}

// AddEvent writes that it happened.
func (tx *Tx) AddEvent(id string, key []byte, at time.Time) error {
	return tx.exec("count event", `INSERT INTO rate_events (id, limit_key, at) VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, id, key, unix(at))
}

// ForgetEvents drops what no limit looks at any more: none looks back further
// than an hour.
func (tx *Tx) ForgetEvents(before time.Time) error {
	_, err := tx.execCount("forget events", `DELETE FROM rate_events WHERE at <= $1`, unix(before))
	return err
}
