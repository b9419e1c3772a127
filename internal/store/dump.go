package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

// Table is the name of a table and of its columns.
type Table struct {
	Name    string
	Columns []string
}

// notDumped are tables that a new store has already, or that belong to the
// database and not to what is kept in it.
var notDumped = []string{"goose_db_version", "migration_lock", "writers", unfinished}

// unfinished is a table that a PostgreSQL database has while a store is loaded
// into it, and until [Tx.EndLoad]. SQLite needs none: there the file has no name
// before.
const unfinished = "load_unfinished"

// ErrUnfinished: a store was loaded into the database, and that did not come to
// its end.
var ErrUnfinished = errors.New("store: restoring to this database did not come to its end: restore the copy again")

// Tables lists what a dump has, in the order of their names.
func (tx *Tx) Tables() (tables []Table, err error) {
	query := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	if tx.t.engine.lock != "" {
		query = `SELECT table_name FROM information_schema.tables
			WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name COLLATE "C"`
	}
	names, err := all(tx, "tables", scanString, query)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.Contains(notDumped, name) || strings.HasPrefix(name, "goose_") {
			continue
		}
		rows, err := tx.t.tx.QueryContext(tx.t.ctx, `SELECT * FROM `+quoted(name)+` LIMIT 0`)
		if err != nil {
			return nil, fmt.Errorf("store: columns of %s: %w", name, tx.t.explain(err))
		}
		columns, err := rows.Columns()
		err = errors.Join(err, rows.Err(), rows.Close())
		if err != nil {
			return nil, fmt.Errorf("store: columns of %s: %w", name, err)
		}
		tables = append(tables, Table{name, columns})
	}
	return tables, nil
}

// quoted is a name as both engines take it.
func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quotedList(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = quoted(name)
	}
	return strings.Join(list, ", ")
}

// EachRow calls each with every row of a table: values are nil, int64, float64,
// bool, string, []byte or time.Time, and belong to the caller.
func (tx *Tx) EachRow(t Table, each func([]any) error) error {
	return stream(tx, "rows of "+t.Name, func(s scanner) ([]any, error) {
		row := make([]any, len(t.Columns))
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		return row, s.Scan(into...)
	}, func(row []any, err error) error {
		if err != nil {
			return err
		}
		return each(row)
	}, `SELECT `+quotedList(t.Columns)+` FROM `+quoted(t.Name))
}

// Version says which migration the tables are at.
func (db *DB) Version(ctx context.Context) (version int64, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		version, err = tx.Version()
		return err
	})
	return version, err
}

// Version says so in a transaction.
func (tx *Tx) Version() (int64, error) {
	return one(tx, "version of the tables", func(s scanner) (v int64, err error) { return v, s.Scan(&v) },
		`SELECT max(version_id) FROM goose_db_version WHERE CAST(is_applied AS TEXT) IN ('1', 'true')`)
}

// Newest is the newest migration that this program knows.
func Newest() (int64, error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(entries[len(entries)-1].Name())
}

// ErrNotEmpty: a place where something is to be loaded has something already.
var ErrNotEmpty = errors.New("store: it is not empty")

// Loader fills the tables of a new store.
type Loader struct {
	tx      *sql.Tx
	ctx     context.Context
	tables  []Table
	insert  *sql.Stmt
	columns int
}

// Load makes a store that is not there yet, as it was at a migration, lets fill
// write its rows, all or none, and opens it as [Open] does. Nobody else can open
// it before [Tx.EndLoad]; what an earlier Load left without that is removed.
func Load(ctx context.Context, source string, version int64, fill func(*Loader) error) (*DB, error) {
	newest, err := Newest()
	if err != nil {
		return nil, err
	}
	if version > newest || version < 1 {
		return nil, fmt.Errorf("store: tables of version %d, and this program knows versions up to %d", version, newest)
	}
	if err := load(ctx, source, version, fill); err != nil {
		return nil, fmt.Errorf("store: load: %w", err)
	}
	if isPostgres(source) {
		return openPostgres(ctx, source, true)
	}
	return Open(ctx, source)
}

// EndLoad says that everything about a store that was loaded is as it should be.
func (tx *Tx) EndLoad() error {
	if tx.t.engine.lock == "" {
		return nil
	}
	_, err := tx.execCount("end of loading", `DROP TABLE `+unfinished)
	return err
}

func load(ctx context.Context, source string, version int64, fill func(*Loader) error) error {
	db, dialect, err := openToLoad(ctx, source)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := migrateTo(ctx, dialect, db, version); err != nil {
		return classify(err)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = tx.Rollback() }() // no-op after a commit
	l := &Loader{tx: tx, ctx: ctx}
	later, now, err := references(ctx, tx, dialect)
	if err != nil {
		return classify(err)
	}
	if err := l.exec(later...); err != nil {
		return err
	}
	if err := l.empty(dialect); err != nil {
		return err
	}
	if err := fill(l); err != nil {
		return err
	}
	if err := l.close(); err != nil {
		return err
	}
	if err := l.exec(now...); err != nil {
		return err
	}
	return classify(tx.Commit())
}

// openToLoad opens a database for a Loader alone. One that has tables is
// refused.
func openToLoad(ctx context.Context, source string) (db *sql.DB, dialect goose.Dialect, err error) {
	count := `SELECT count(*) FROM sqlite_master`
	if isPostgres(source) {
		config, _, err := parsePostgres(source)
		if err != nil {
			return nil, "", err
		}
		count = `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()`
		db, dialect = connectPostgres(config, 2), goose.DialectPostgres
	} else {
		if err := touch(source); err != nil {
			return nil, "", err
		}
		if db, err = sql.Open("sqlite", dsn(source, "_txlock=immediate")); err != nil {
			return nil, "", err
		}
		db.SetMaxOpenConns(1)
		dialect = goose.DialectSQLite3
	}
	var n int
	if err := db.QueryRowContext(ctx, count).Scan(&n); err != nil {
		return nil, "", errors.Join(classify(err), db.Close())
	}
	if dialect == goose.DialectPostgres {
		err = beginLoad(ctx, db, n)
	} else if n > 0 {
		err = errTables
	}
	if err != nil {
		return nil, "", errors.Join(err, db.Close())
	}
	return db, dialect, nil
}

var errTables = fmt.Errorf("%w: the database has tables", ErrNotEmpty)

// beginLoad marks a PostgreSQL database, after removing what was left there by a
// load that did not come to its end.
func beginLoad(ctx context.Context, db *sql.DB, tables int) error {
	if tables > 0 {
		left, err := loadUnfinished(ctx, db)
		if err != nil {
			return err
		}
		if !left {
			return errTables
		}
		if err := dropTables(ctx, db); err != nil {
			return fmt.Errorf("remove what an earlier restore left: %w", classify(err))
		}
	}
	_, err := db.ExecContext(ctx, `CREATE TABLE `+unfinished+` (id BIGINT)`)
	return classify(err)
}

func loadUnfinished(ctx context.Context, db *sql.DB) (left bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM information_schema.tables
		WHERE table_schema = current_schema() AND table_name = $1)`, unfinished).Scan(&left)
	return left, classify(err)
}

// dropTables removes the tables that the mark is among, the mark last.
func dropTables(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, `SELECT table_name FROM information_schema.tables
		WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> $1`, unfinished)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(names) > 0 {
		if _, err := db.ExecContext(ctx, `DROP TABLE `+quotedList(names)+` CASCADE`); err != nil {
			return err
		}
	}
	_, err = db.ExecContext(ctx, `DROP TABLE `+unfinished)
	return err
}

// references returns what lets rows come in any order, and what makes sure in
// the end that they refer to each other as they should.
func references(ctx context.Context, tx *sql.Tx, dialect goose.Dialect) (later, now []string, err error) {
	if dialect == goose.DialectSQLite3 {
		return []string{`PRAGMA defer_foreign_keys = ON`}, nil, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT conrelid::regclass::text, conname FROM pg_constraint
		WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY 1, 2`)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	now = []string{`SET CONSTRAINTS ALL IMMEDIATE`}
	for rows.Next() {
		var table, name string
		if err := rows.Scan(&table, &name); err != nil {
			return nil, nil, err
		}
		alter := `ALTER TABLE ` + table + ` ALTER CONSTRAINT ` + quoted(name)
		later = append(later, alter+` DEFERRABLE INITIALLY DEFERRED`)
		now = append(now, alter+` NOT DEFERRABLE`)
	}
	return later, now, rows.Err()
}

func (l *Loader) exec(statements ...string) error {
	for _, s := range statements {
		if _, err := l.tx.ExecContext(l.ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, classify(err))
		}
	}
	return nil
}

// empty takes away what migrations wrote, and remembers the tables.
func (l *Loader) empty(dialect goose.Dialect) (err error) {
	e := onSQLite
	if dialect == goose.DialectPostgres {
		e = onPostgres
	}
	e.patience = 0
	tx := &Tx{ctx: l.ctx, t: &transaction{ctx: l.ctx, engine: &e, tx: l.tx}}
	if l.tables, err = tx.Tables(); err != nil {
		return err
	}
	for _, t := range l.tables {
		if err := l.exec(`DELETE FROM ` + quoted(t.Name)); err != nil {
			return err
		}
	}
	return nil
}

// Table begins a table; every one comes once.
func (l *Loader) Table(t Table) error {
	i := slices.IndexFunc(l.tables, func(known Table) bool { return known.Name == t.Name })
	if i < 0 {
		return fmt.Errorf("a table %q, which a store of this version does not have, or not twice", t.Name)
	}
	known := l.tables[i]
	l.tables = slices.Delete(l.tables, i, i+1)
	for _, column := range t.Columns {
		if !slices.Contains(known.Columns, column) {
			return fmt.Errorf("a column %q, which table %s does not have", column, t.Name)
		}
	}
	if err := l.close(); err != nil {
		return err
	}
	places := make([]string, len(t.Columns))
	for i := range places {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	var err error
	l.columns = len(t.Columns)
	l.insert, err = l.tx.PrepareContext(l.ctx, `INSERT INTO `+quoted(t.Name)+` (`+quotedList(t.Columns)+`) VALUES (`+strings.Join(places, ", ")+`)`)
	return classify(err)
}

// Row writes a row of the table that was begun last.
func (l *Loader) Row(values []any) error {
	if l.insert == nil || len(values) != l.columns {
		return errors.New("a row that does not fit its table")
	}
	_, err := l.insert.ExecContext(l.ctx, values...)
	return classify(err)
}

func (l *Loader) close() error {
	if l.insert == nil {
		return nil
	}
	err := l.insert.Close()
	l.insert = nil
	return err
}

// RaiseCRLNumbers lets every authority's next CRL have a number that is higher
// by gap than the next one would be.
func (tx *Tx) RaiseCRLNumbers(gap int64) error {
	_, err := tx.execCount("CRL numbers", `UPDATE authorities SET crl_number = crl_number + $1`, gap)
	return err
}
