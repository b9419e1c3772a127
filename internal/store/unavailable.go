package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrUnavailable: the database cannot be used just now: it does not answer, is
// busy or full, or went away in the middle. Nothing is wrong with what was
// asked; the same call works when the database is back. After an Update it may
// be unknown whether the change took place: ask before doing it again.
var ErrUnavailable = errors.New("store: database unavailable")

// unavailableCodes are the SQLSTATEs (PostgreSQL's appendix A) that say so; the
// first two characters stand for a class.
var unavailableCodes = map[string]bool{
	"08":    true,                               // connection exceptions
	"53":    true,                               // out of memory, disk or connections
	"58":    true,                               // the server's own input and output
	"57P01": true, "57P02": true, "57P03": true, // shut down, crashed, starting
	"57014": true, // statement timeout
	"25P03": true, // idle in a transaction for too long
	"55P03": true, // lock timeout
	"25006": true, // only reads: demoted to a standby
}

// unavailableResults are SQLite's result codes, without their extension.
var unavailableResults = map[int]bool{
	sqlite3.SQLITE_BUSY: true, sqlite3.SQLITE_LOCKED: true, sqlite3.SQLITE_NOMEM: true, sqlite3.SQLITE_READONLY: true,
	sqlite3.SQLITE_IOERR: true, sqlite3.SQLITE_FULL: true, sqlite3.SQLITE_CANTOPEN: true,
}

// classify wraps what means that the database is away in ErrUnavailable.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func unavailable(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return unavailableCodes[e.Code] || len(e.Code) == 5 && unavailableCodes[e.Code[:2]]
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return unavailableResults[e.Code()&0xff]
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // a caller's own impatience
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	// What never left for the server has met a connection that was closed.
	return pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
