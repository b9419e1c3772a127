package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// onPostgres is the engine that several nodes share. It lets many write at once;
// everything above was written for one writer at a time, so each transaction
// that changes something first locks the one row that all nodes know. A row
// lock ends with its transaction, however that ends.
var onPostgres = engine{
	lock:     `SELECT id FROM writers WHERE id = 1 FOR UPDATE`,
	view:     sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	together: true,
	patience: 40 * time.Second, // more than the server's own limits
	endless:  `SET LOCAL statement_timeout = 0`,
}

// leastPostgres is the oldest server that is accepted: older ones get no
// corrections any more.
const leastPostgres = 130000

// connectTimeout bounds the making of a connection, unless the URL does.
const connectTimeout = 10 * time.Second

// sessionSettings bound how long a lost node or a stuck statement can keep the
// others waiting. What the URL says goes before them.
var sessionSettings = map[string]string{
	"application_name":                    "mailseal",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "30s",
	// A node that lost its power says no goodbye: without these its row lock
	// would stay for two hours.
	"tcp_keepalives_idle":     "10",
	"tcp_keepalives_interval": "5",
	"tcp_keepalives_count":    "3",
}

// isPostgres tells an address of PostgreSQL from a path.
func isPostgres(source string) bool {
	return strings.HasPrefix(source, "postgres://") || strings.HasPrefix(source, "postgresql://")
}

// openPostgres connects, brings the tables up to date and makes sure that the
// server promises what the rooms above rely on. Loading is the one who may open
// what is being loaded.
func openPostgres(ctx context.Context, source string, loading bool) (*DB, error) {
	config, name, err := parsePostgres(source)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, *config, loading); err != nil {
		return nil, fmt.Errorf("open store %s: %w", name, err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	for key, value := range sessionSettings {
		if _, given := config.RuntimeParams[key]; !given {
			config.RuntimeParams[key] = value
		}
	}
	db := &DB{engine: onPostgres, writer: connectPostgres(config, 1), reader: connectPostgres(config, maxReaders)}
	if err := db.writer.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", name, classify(err)), db.Close())
	}
	return db, nil
}

// parsePostgres reads the URL and returns how to call it: without its password.
func parsePostgres(source string) (config *pgx.ConnConfig, name string, err error) {
	u, err := url.Parse(source)
	if err != nil {
		// The cause would repeat the URL, and nobody knows where in it the password is.
		return nil, "", errors.New("open store: the PostgreSQL URL cannot be read: want postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %XX for special characters")
	}
	name = u.Scheme + "://" + u.Host + u.Path
	if config, err = pgx.ParseConfig(source); err != nil {
		// A URL that parses is printed by pgx with every password masked.
		return nil, "", fmt.Errorf("open store %s: %w", name, err)
	}
	return config, name, nil
}

func connectPostgres(config *pgx.ConnConfig, most int) *sql.DB {
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(checkPostgres))
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db
}

// checkPostgres looks at each new connection: another server may answer after
// a failover, and settings change while we run. What it saw of
// synchronous_commit stays so for the session.
func checkPostgres(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var commit, encoding, standby string
	err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
		pg_is_in_recovery()::text, set_config('synchronous_commit', current_setting('synchronous_commit'), false)`,
	).Scan(&version, &encoding, &standby, &commit)
	switch {
	case err != nil:
		return err
	case version < leastPostgres:
		return fmt.Errorf("the server is PostgreSQL %d: at least %d is needed", version/10000, leastPostgres/10000)
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s: make it anew with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0", encoding)
	case standby == "true":
		return fmt.Errorf("%w: the server is a standby that only reads: name the primary, or name all of them and add target_session_attrs=read-write", ErrUnavailable)
	case commit == "off":
		return errors.New("synchronous_commit is off, so that a certificate could be given out and then be forgotten: " +
			"set it to on in postgresql.conf, and take it away from ALTER ROLE and ALTER DATABASE")
	}
	return nil
}

// migratePostgres lets one node at a time migrate, and without the time limits
// of everyday statements.
func migratePostgres(ctx context.Context, config pgx.ConnConfig, loading bool) error {
	db := connectPostgres(&config, 2)
	defer db.Close()
	if !loading {
		if left, err := loadUnfinished(ctx, db); err != nil || left {
			return cmp.Or(err, ErrUnfinished)
		}
	}
	if err := makeMigrationLock(ctx, db); err != nil {
		return classify(err)
	}
	// The lock's own transaction stays open while goose works on the other
	// connection. PostgreSQL ends both when this process does.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }() // it wrote nothing
	_, err = tx.ExecContext(ctx, `LOCK TABLE migration_lock IN EXCLUSIVE MODE`)
	if err != nil {
		return classify(err)
	}
	return classify(migrate(ctx, goose.DialectPostgres, db))
}

// madeByAnother are the SQLSTATEs of an object that is there after all:
// unique_violation, duplicate_table, duplicate_object.
var madeByAnother = map[string]bool{"23505": true, "42P07": true, "42710": true}

// makeMigrationLock makes the table that is locked. IF NOT EXISTS does not help
// two who make it at the same moment: one of them fails on the catalog's index
// and finds it there at the next try.
func makeMigrationLock(ctx context.Context, db *sql.DB) (err error) {
	for range 3 {
		_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS migration_lock (id BIGINT PRIMARY KEY)`)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || !madeByAnother[e.Code] {
			return err
		}
	}
	return err
}
