package store

import (
	"context"
	"time"
)

// Text asks what the store itself has no use for.
func (tx *Tx) Text(query string, args ...any) (string, error) {
	return one(tx, query, scanString, query, args...)
}

// Recorded and Forgive look at, and forget, the audit entries that are owed.
func (tx *Tx) Recorded() error { return tx.recorded() }
func (tx *Tx) Forgive()        { tx.owed = nil }

// SetPatience shortens how long an answer may take.
func (db *DB) SetPatience(d time.Duration) { db.engine.patience = d }

// MaxBatch is maxBatch.
const MaxBatch = maxBatch

// Waiting says how many changes wait for their turn.
func (db *DB) Waiting() int {
	db.group.mu.Lock()
	defer db.group.mu.Unlock()
	return len(db.group.waiting)
}

// Texts asks for a list.
func (db *DB) Texts(ctx context.Context, query string) (list []string, err error) {
	err = db.View(ctx, func(tx *Tx) (err error) {
		list, err = all(tx, query, scanString, query)
		return err
	})
	return list, err
}

// Plan says how SQLite would read a page of members.
func (tx *Tx) Plan(q MemberQuery) ([]string, error) {
	text, args := q.page()
	return all(tx, "plan", func(s scanner) (line string, err error) {
		var id, parent, unused int
		return line, s.Scan(&id, &parent, &unused, &line)
	}, `EXPLAIN QUERY PLAN `+text, args...)
}
