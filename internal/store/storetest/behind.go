package storetest

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// behind opens a database for what the store itself would not do.
func behind(t testing.TB, source string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if strings.HasPrefix(source, "postgres://") {
		driver = "pgx"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// SQL changes a database behind the store's back.
func SQL(t testing.TB, source, query string, args ...any) {
	t.Helper()
	db := behind(t, source)
	defer db.Close()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatal(err)
	}
}

// Refuse makes every write of a kind fail, as a full disk would, until allow is
// called. The event is such as "INSERT ON certificates" or "UPDATE OF state ON
// orders".
func Refuse(t testing.TB, source, event string) (allow func()) {
	t.Helper()
	if !Postgres() {
		SQL(t, source, `CREATE TRIGGER full BEFORE `+event+` BEGIN SELECT RAISE(ABORT, 'no space'); END`)
		return func() { SQL(t, source, `DROP TRIGGER full`) }
	}
	SQL(t, source, `CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$`)
	SQL(t, source, `CREATE TRIGGER no_space BEFORE `+event+` FOR EACH ROW EXECUTE FUNCTION no_space()`)
	return func() { SQL(t, source, `DROP FUNCTION no_space CASCADE`) }
}

// Content returns everything that a database holds, by the name of the file or
// table, for tests that look for what must not be there.
func Content(t testing.TB, source string) map[string]string {
	t.Helper()
	content := map[string]string{}
	if !Postgres() {
		files, err := filepath.Glob(source + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			content[file] = string(data)
		}
		return content
	}
	db := behind(t, source)
	defer db.Close()
	var tables string
	err := db.QueryRow(`SELECT string_agg(table_name, ' ') FROM information_schema.tables WHERE table_schema = 'public'`).Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	for table := range strings.FieldsSeq(tables) {
		var rows string
		// Binary values as far as possible as they are, not in hexadecimal.
		err := db.QueryRow(`SELECT coalesce(string_agg(t::text, ' '), '') FROM (SELECT set_config('bytea_output', 'escape', false)) s, ` + table + ` t`).Scan(&rows)
		if err != nil {
			t.Fatal(err)
		}
		content[table] = rows
	}
	return content
}
