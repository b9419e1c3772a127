package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// One writer at a time means that everybody waits for the answer to each of its
// statements. On PostgreSQL those whose answer the next one does not need wait
// for it and travel together; SQLite, which is in the process, runs each at once.

// statement is one that waits to be sent.
type statement struct {
	what, query string
	args        []any
	kind        statementKind
}

type statementKind int

const (
	counted statementKind = iota // may touch no row
	must                         // touches a row, or it is ErrConflict
	control                      // is about the transaction itself
)

// later runs a statement that must touch a row, at the latest when the change
// ends. What is wrong with it is the error of the Update, ErrConflict too,
// whatever the function makes of what came after.
func (tx *Tx) later(what, query string, args ...any) error {
	if !tx.t.engine.together {
		err := tx.exec(what, query, args...)
		if tx.late == nil {
			tx.late = err
		}
		return err
	}
	if err := tx.ready(args); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	tx.touched = true
	tx.t.waiting = append(tx.t.waiting, statement{what, query, args, must})
	return nil
}

// flush sends what waits, because what comes next reads or is the end.
func (tx *Tx) flush() error {
	if len(tx.t.waiting) == 0 {
		return nil
	}
	_, err := tx.send()
	return err
}

// send sends all that waits in one round trip and returns how many rows the last
// of them touched.
func (tx *Tx) send() (n int64, err error) {
	t := tx.t
	list := t.waiting
	t.waiting = nil
	defer t.watch()()
	at := 0
	err = t.conn.Raw(func(driverConn any) (err error) {
		var b pgx.Batch
		for _, s := range list {
			b.Queue(s.query, s.args...)
		}
		results := driverConn.(*stdlib.Conn).Conn().SendBatch(t.ctx, &b)
		defer func() { err = errors.Join(err, results.Close()) }()
		for at = range list {
			tag, err := results.Exec()
			if err != nil {
				return err
			}
			if n = tag.RowsAffected(); n == 0 && list[at].kind == must {
				return ErrConflict
			}
		}
		return nil
	})
	if err == nil {
		return n, nil
	}
	what, last := list[at].what, at == len(list)-1
	if list[at].kind == control {
		// Whether there is a savepoint, and whose, is not known any more.
		t.lost = fmt.Errorf("store: %s: %w", what, t.explain(err))
	}
	if errors.Is(err, ErrConflict) {
		err = fmt.Errorf("%s: %w", what, ErrConflict)
	} else {
		err = tx.fail(what, err)
	}
	if !last || list[at].kind == must {
		tx.late = err
	}
	return 0, err
}

// back goes back to the savepoint of the change.
func (t *transaction) back() error {
	t.waiting = slices.DeleteFunc(t.waiting, func(s statement) bool { return s.kind != control })
	switch {
	case t.lost != nil:
		return t.lost
	case len(t.waiting) > 0: // nothing of the change was sent, not even its savepoint
		return nil
	}
	return t.control(`ROLLBACK TO SAVEPOINT change`)
}
