// Package store keeps the state of the server in SQL: people, orders, proofs,
// certificates, authorities, administrators.
//
// One set of hand-written statements and migrations serves both engines: SQLite,
// which is embedded, and PostgreSQL, which several nodes share. It keeps to what
// both understand: $N parameters, BIGINT seconds, BYTEA, no counters of the
// engine, and state changes written as one conditional UPDATE whose row count
// says whether it took place. Migrations are embedded, run forward only, and run
// when the store is opened.
//
// Start at [Open]. Everything happens in a transaction: [DB.Update] to change,
// [DB.View] to look; the methods of [Tx] are grouped by what they keep, one
// file each. The package imports nothing of ours and decides nothing: rows are
// plain structs, and what they mean is the business of the rooms above.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What a statement may answer; both are wrapped with what was looked for.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("store: not found")
	// ErrConflict: the row exists already, or is no longer as the statement
	// requires it to be.
	ErrConflict = errors.New("store: conflict")
)

// maxReaders bounds the connections that look while one writes.
const maxReaders = 8

// engine is what differs between SQLite and PostgreSQL once a store is open.
type engine struct {
	lock string        // makes a transaction the only one that writes; empty where beginning does
	view sql.TxOptions // of a transaction that reads one consistent state
}

// DB is an open store.
type DB struct {
	engine engine
	writer *sql.DB
	reader *sql.DB
}

// Open opens a store and brings its tables up to date: the SQLite file at a
// path, which is made where there is none, or the PostgreSQL database of a URL
// (postgres://...), which several processes may have open. No error names the
// URL's password.
func Open(ctx context.Context, source string) (*DB, error) {
	if isPostgres(source) {
		return openPostgres(ctx, source)
	}
	return openSQLite(ctx, source)
}

// Close closes the store; running transactions end first.
func (db *DB) Close() error {
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Tx is a running transaction. It carries the context that it was begun with,
// as the *sql.Tx inside does, and must not outlive the function it was given to.
type Tx struct {
	ctx  context.Context
	tx   *sql.Tx
	owed map[string]int // acts without their audit entry, see owe
}

// Update runs change in a transaction that writes, and commits it unless
// change returns an error, which Update then returns as it is. Changes take
// place one after the other, of all processes that have the store open.
func (db *DB) Update(ctx context.Context, change func(*Tx) error) error {
	return run(ctx, db.writer, nil, func(tx *Tx) error {
		if db.engine.lock != "" {
			if _, err := tx.execCount("wait for the other writers", db.engine.lock); err != nil {
				return err
			}
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.recorded()
	})
}

// View runs look in a transaction that reads one consistent state.
func (db *DB) View(ctx context.Context, look func(*Tx) error) error {
	return run(ctx, db.reader, &db.engine.view, look)
}

func run(ctx context.Context, db *sql.DB, o *sql.TxOptions, f func(*Tx) error) error {
	tx, err := db.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("store: begin: %w", classify(err))
	}
	if err := f(&Tx{ctx: ctx, tx: tx}); err != nil {
		// The error of f is the one to tell; a rollback fails only when the
		// connection is gone, and then nothing was committed.
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", classify(err))
	}
	return nil
}

// exec runs a statement that must touch a row: none means ErrConflict.
func (tx *Tx) exec(what, query string, args ...any) error {
	n, err := tx.execCount(what, query, args...)
	if err == nil && n == 0 {
		return fmt.Errorf("%s: %w", what, ErrConflict)
	}
	return err
}

func (tx *Tx) execCount(what, query string, args ...any) (int64, error) {
	res, err := tx.tx.ExecContext(tx.ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("store: %s: %w", what, classify(err))
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("store: %s: %w", what, classify(err))
	}
	return n, nil
}

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

// one reads the single row of a query, or says ErrNotFound.
func one[T any](tx *Tx, what string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	v, err := scan(tx.tx.QueryRowContext(tx.ctx, query, args...))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return v, fmt.Errorf("%s: %w", what, ErrNotFound)
	case err != nil:
		return v, fmt.Errorf("store: %s: %w", what, classify(err))
	}
	return v, nil
}

// all reads every row of a query.
func all[T any](tx *Tx, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, classify(err))
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("store: %s: %w", what, classify(err))
		}
		list = append(list, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, classify(err))
	}
	return list, nil
}

// seconds reads and writes a time as BIGINT seconds; the zero time is NULL.
type seconds struct{ t *time.Time }

func unix(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

// Scan implements sql.Scanner.
func (s seconds) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s.t = time.Time{}
	case int64:
		*s.t = time.Unix(v, 0).UTC()
	default:
		return fmt.Errorf("time is stored as %T, not as seconds", v)
	}
	return nil
}
