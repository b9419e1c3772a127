package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // the driver "sqlite", pure Go
)

// onSQLite is the engine that is embedded. It has one writer at a time: one
// connection makes the waiting a queue in this process instead of SQLITE_BUSY.
// Readers see the last committed state (write-ahead log).
var onSQLite = engine{view: sql.TxOptions{ReadOnly: true}}

// openSQLite opens the file at path, makes it (mode 0600) where there is none
// and brings its tables up to date.
func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	// fdatasync(2) writes all that is needed to read the data back, and not the
	// time of the change, for which ext4 would write its journal at each commit.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, fmt.Errorf("open store: %w", err)
	}
	// secure_delete: what is erased is overwritten, and not left in free pages.
	// The log may grow to 16 MiB before its pages go to the file: a page that many
	// changes touch goes there once. Of the file as much is kept in memory as a full
	// transaction touches: SQLite walks all of that at a commit.
	writer, err := openSQLitePool(dsn(path, "_pragma=secure_delete(1)&_pragma=wal_autocheckpoint(4000)&_pragma=cache_size(-4000)"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), writer.Close())
	}
	reader, err := openSQLitePool(dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), writer.Close())
	}
	reader.SetMaxOpenConns(maxReaders)
	reader.SetMaxIdleConns(maxReaders) // a new one reads the schema first
	return &DB{engine: onSQLite, writer: writer, reader: reader}, nil
}

// touch makes the file before SQLite does, which would ask for mode 0644. The
// log and the index beside it inherit the mode.
func touch(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// dsn names the file and the promises: synchronous=FULL syncs the log at every
// commit, so that a certificate that left the process is on the disk.
func dsn(path, more string) string {
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	if abs, err := filepath.Abs(path); err == nil {
		u.Path = filepath.ToSlash(abs)
	}
	return u.String() + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&" + more
}
