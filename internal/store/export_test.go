package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

// Plans says how SQLite would run the writer's statements that have a text in
// them and were run before.
func (db *DB) Plans(ctx context.Context, of string) ([]string, error) {
	return db.explained(ctx, of, `EXPLAIN QUERY PLAN `, 4, 3)
}

// Programs says which instructions SQLite makes of them.
func (db *DB) Programs(ctx context.Context, of string) ([]string, error) {
	return db.explained(ctx, of, `EXPLAIN `, 8, 1)
}

// explained collects one of the columns that SQLite answers with, by statement.
func (db *DB) explained(ctx context.Context, of, how string, columns, column int) (answers []string, err error) {
	conn, err := db.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var statements []string
	err = conn.Raw(func(c any) error {
		for s := range c.(*preparedConn).statements {
			if strings.Contains(s, of) {
				statements = append(statements, s)
			}
		}
		return nil
	})
	for _, s := range statements {
		rows, err := conn.QueryContext(ctx, how+s, make([]any, parameters(s))...)
		if err != nil {
			return nil, err
		}
		answer := ""
		for rows.Next() {
			values := make([]any, columns)
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				return nil, err
			}
			answer += fmt.Sprintln(*values[column].(*any))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, err
}

// parameters is the highest number behind a $.
func parameters(statement string) (n int) {
	for _, p := range strings.Split(statement, "$")[1:] {
		digits := len(p) - len(strings.TrimLeft(p, "0123456789"))
		i, _ := strconv.Atoi(p[:digits])
		n = max(n, i)
	}
	return n
}
