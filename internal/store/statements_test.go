package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
)

// A statement that is running is not disturbed by another run of the same, and
// is kept for the next one.
func TestStatementsAreKept(t *testing.T) {
	pool, err := openSQLitePool(dsn(filepath.Join(t.TempDir(), "a.db"), ""))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const list = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n`
	read := func(rows *sql.Rows, err error) (read []int) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var i int
			if err := rows.Scan(&i); err != nil {
				t.Fatal(err)
			}
			if read = append(read, i); i == 2 { // the same once more, half way
				if inner := 0; conn.QueryRowContext(t.Context(), list, 1).Scan(&inner) != nil || inner != 1 {
					t.Error("the inner run read", inner)
				}
			}
		}
		return read
	}
	kept := func() (statements int) {
		if err := conn.Raw(func(c any) error { statements = len(c.(*preparedConn).statements); return nil }); err != nil {
			t.Fatal(err)
		}
		return statements
	}
	for range 3 {
		if got := read(conn.QueryContext(t.Context(), list, 4)); len(got) != 4 {
			t.Errorf("read %d", got)
		}
	}
	if n := kept(); n != 1 {
		t.Errorf("%d statements are kept, want 1", n)
	}
	// One that fails is not kept, and leaves the connection as it was.
	if _, err := conn.ExecContext(t.Context(), `INSERT INTO nothing VALUES (1)`); err == nil {
		t.Error("no error from a table that is not there")
	}
	if n := kept(); n != 1 {
		t.Errorf("%d statements are kept, want 1", n)
	}
	if got := read(conn.QueryContext(t.Context(), list, 3)); len(got) != 3 {
		t.Errorf("read %d", got)
	}
	// Others that came before, such as those of migrations, keep no place for ever.
	for i := range maxStatements + 9 {
		if _, err := conn.ExecContext(t.Context(), fmt.Sprintf(`CREATE TABLE t%d (a TEXT)`, i)); err != nil {
			t.Fatal(err)
		}
	}
	read(conn.QueryContext(t.Context(), list, 3))
	err = conn.Raw(func(c any) error {
		if all := c.(*preparedConn).statements; len(all) != maxStatements || all[list] == nil {
			t.Errorf("%d statements are kept, and the newest among them: %t", len(all), all[list] != nil)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A transaction that cannot be committed is over, and one that writes holds the
// file from its beginning.
func TestTransactionsOfSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	open := func() *sql.DB {
		pool, err := openSQLitePool(dsn(path, ""))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pool.Close() })
		pool.SetMaxOpenConns(1)
		return pool
	}
	pool, other := open(), open()
	if _, err := other.ExecContext(t.Context(), `PRAGMA busy_timeout = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), `CREATE TABLE a (id INTEGER PRIMARY KEY, of INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)`); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if locked, err := other.BeginTx(t.Context(), nil); err == nil {
			t.Error("a second one began to write")
			locked.Rollback()
		}
		if reader, err := other.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true}); err != nil {
			t.Error("nobody may read:", err)
		} else if err := reader.Rollback(); err != nil {
			t.Error(err)
		}
		if _, err := tx.ExecContext(t.Context(), `INSERT INTO a VALUES (1, 2)`); err != nil {
			t.Fatal(err)
		}
		if tx.Commit() == nil {
			t.Error("committed a reference to nothing")
		}
	}
	var n int
	if err := pool.QueryRowContext(t.Context(), `SELECT count(*) FROM a`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}
