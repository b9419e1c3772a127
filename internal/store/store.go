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
	"strings"
	"time"
	"unicode/utf8"
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
	lock     string        // makes a transaction the only one that writes; empty where beginning does
	view     sql.TxOptions // of a transaction that reads one consistent state
	together bool          // statements wait for each other, see later
	patience time.Duration // how long one answer may take; 0: it always comes
	endless  string        // takes away the server's own limit, for the transaction
}

// DB is an open store.
type DB struct {
	engine engine
	writer *sql.DB
	reader *sql.DB
	group  group
}

// Open opens a store and brings its tables up to date: the SQLite file at a
// path, which is made where there is none, or the PostgreSQL database of a URL
// (postgres://...), which several processes may have open. No error names the
// URL's password.
func Open(ctx context.Context, source string) (*DB, error) {
	if isPostgres(source) {
		return openPostgres(ctx, source, false)
	}
	return openSQLite(ctx, source)
}

// Shared tells whether other processes may have the store open, too.
func (db *DB) Shared() bool { return db.engine.lock != "" }

// Close closes the store; changes that were asked for end first.
func (db *DB) Close() error {
	db.group.close()
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Tx is a running transaction, or the part of one that belongs to one change.
// It carries the context of who asked for it, as *sql.Tx does, and must not
// outlive the function it was given to.
type Tx struct {
	ctx    context.Context
	t      *transaction
	over   bool           // the function has returned
	failed error          // of the first statement that the database refused
	late   error          // of the first statement that is run with later
	owed   map[string]int // acts without their audit entry, see owe

	touched bool // a statement was sent that may write, or was refused
}

// View runs look in a transaction that reads one consistent state.
func (db *DB) View(ctx context.Context, look func(*Tx) error) error {
	t, err := db.engine.begin(ctx, db.reader, &db.engine.view)
	if err != nil {
		return err
	}
	defer t.rollback() // it wrote nothing
	return look(&Tx{ctx: ctx, t: t})
}

// exec runs a statement that must touch a row: none means ErrConflict.
func (tx *Tx) exec(what, query string, args ...any) error {
	n, err := tx.execCount(what, query, args...)
	if err == nil && n == 0 {
		return fmt.Errorf("%s: %w", what, ErrConflict)
	}
	return err
}

func (tx *Tx) execCount(what, query string, args ...any) (n int64, err error) {
	if err := tx.ready(args); err != nil {
		return 0, fmt.Errorf("store: %s: %w", what, err)
	}
	tx.touched = true
	if len(tx.t.waiting) > 0 {
		tx.t.waiting = append(tx.t.waiting, statement{what, query, args, counted})
		return tx.send()
	}
	defer tx.t.watch()()
	res, err := tx.t.tx.ExecContext(tx.t.ctx, query, args...)
	if err == nil {
		n, err = res.RowsAffected()
	}
	return n, tx.fail(what, err)
}

// ready makes sure that the caller is still there, and that PostgreSQL takes
// the texts, of which SQLite would take any.
func (tx *Tx) ready(args []any) error {
	if tx.over {
		return errors.New("used after its function returned")
	}
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	for _, arg := range args {
		if s, ok := arg.(string); ok && (!utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0) {
			return errNotText
		}
	}
	return nil
}

// errNotText: a value is not UTF-8 or has a NUL, and so is in no row.
var errNotText = errors.New("not a text that can be stored")

// fail keeps and explains the error of a statement.
func (tx *Tx) fail(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("store: %s: %w", what, tx.t.explain(err))
	tx.touched = true
	if tx.failed == nil {
		tx.failed = err
	}
	return err
}

// scanner is what *sql.Row and *sql.Rows have in common.
type scanner interface{ Scan(dest ...any) error }

// one reads the single row of a query, or says ErrNotFound.
func one[T any](tx *Tx, what string, scan func(scanner) (T, error), query string, args ...any) (v T, err error) {
	if err = tx.flush(); err != nil {
		return v, err
	}
	err = tx.ready(args)
	if err == nil {
		tx.touched = tx.touched || writes(query)
		defer tx.t.watch()()
		v, err = scan(tx.t.tx.QueryRowContext(tx.t.ctx, query, args...))
	}
	if errors.Is(err, sql.ErrNoRows) || errors.Is(err, errNotText) {
		return v, fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return v, tx.fail(what, err)
}

// all reads every row of a query.
func all[T any](tx *Tx, what string, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	if err := tx.flush(); err != nil {
		return nil, err
	}
	err := tx.ready(args)
	if errors.Is(err, errNotText) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, err)
	}
	tx.touched = tx.touched || writes(query)
	list, err := rows(tx, scan, query, args)
	return list, tx.fail(what, err)
}

// writes tells whether a statement that answers with rows may do more than that:
// UPDATE ... RETURNING does.
func writes(query string) bool { return !strings.HasPrefix(query, "SELECT ") }

func rows[T any](tx *Tx, scan func(scanner) (T, error), query string, args []any) ([]T, error) {
	defer tx.t.watch()()
	rows, err := tx.t.tx.QueryContext(tx.t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// stream reads the rows of a query one by one, however long that takes. What is
// wrong with a row is told to each; what is wrong with the database ends it.
// Until it ends, each may not use the transaction.
func stream[T any](tx *Tx, what string, scan func(scanner) (T, error), each func(T, error) error, query string, args ...any) error {
	if err := tx.ready(args); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	if err := tx.flush(); err != nil {
		return err
	}
	if err := tx.t.endless(); err != nil {
		return tx.fail(what, err)
	}
	defer tx.t.watch()()
	rows, err := tx.t.tx.QueryContext(tx.t.ctx, query, args...)
	if err != nil {
		return tx.fail(what, err)
	}
	defer rows.Close()
	for rows.Next() {
		tx.t.heard()
		v, err := scan(rows)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return tx.fail(what, err)
		}
		if err := each(v, err); err != nil {
			return err
		}
		if err := tx.ctx.Err(); err != nil {
			return fmt.Errorf("store: %s: %w", what, err)
		}
		tx.t.heard()
	}
	return tx.fail(what, rows.Err())
}

// seconds reads and writes a time as BIGINT seconds; the zero time is NULL.
type seconds struct{ t *time.Time }

func unix(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Unix()
}

// flag writes a truth as BIGINT 0 or 1, which Scan reads into a bool.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
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

// number reads an INTEGER; database/sql would go by way of its decimal digits.
type number struct{ n *int }

// Scan implements sql.Scanner.
func (n number) Scan(v any) error {
	i, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a number is stored as %T", v)
	}
	*n.n = int(i)
	return nil
}
