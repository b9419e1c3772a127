package store

import (
	"errors"
	"time"
)

// TimestampClock is how far the clock of timestamps has come; the zero time
// before the first one.
func (tx *Tx) TimestampClock() (time.Time, error) {
	at, err := one(tx, "clock of timestamps", func(s scanner) (t time.Time, err error) { return t, s.Scan(seconds{&t}) },
		`SELECT at FROM timestamp_clock WHERE id = 1`)
	if errors.Is(err, ErrNotFound) {
		return time.Time{}, nil
	}
	return at, err
}

// SetTimestampClock notes how far it has come; it is never set back.
func (tx *Tx) SetTimestampClock(at time.Time) error {
	return tx.exec("clock of timestamps", `INSERT INTO timestamp_clock (id, at) VALUES (1, $1)
		ON CONFLICT (id) DO UPDATE SET at = CASE WHEN excluded.at > timestamp_clock.at THEN excluded.at ELSE timestamp_clock.at END`, unix(at))
}
