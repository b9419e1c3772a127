// Package storetest gives tests a store of their own, on each engine.
//
// A package whose tests open a store says so once, and all of them run on
// SQLite and then, those that opened a store, on PostgreSQL:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }
//
// In a test, [Open] opens a new store; [Source] names a new database for a test
// that opens it by itself, more than once or in another process. PostgreSQL runs
// as one throw-away server for all test processes of a machine; see cluster.go.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/mailseal/mailseal/internal/store"
)

// engines is the state of a test process: what Run has chosen.
var engines struct {
	mu     sync.Mutex
	server *cluster        // nil while tests run on SQLite
	opened map[string]bool // names of the tests that asked for a store
}

// Run runs a package's tests on SQLite, and then those that opened a store on
// PostgreSQL as well. It returns what to exit with. Without PostgreSQL the second
// half is left out, with a word about it; with CI=true that is a failure.
//
// MAILSEAL_TEST_ENGINE=sqlite or postgres runs all tests on that one, or on SQLite
// where there is no PostgreSQL: the profiles
// and the coverage that go test writes are those of the first half alone.
func Run(m *testing.M) int {
	engines.opened = map[string]bool{}
	only := os.Getenv("MAILSEAL_TEST_ENGINE")
	if only != "postgres" {
		if code := m.Run(); code != 0 {
			return code
		}
		if len(engines.opened) == 0 || listing() || only == "sqlite" {
			return 0
		}
	}
	server, err := startCluster()
	if errors.Is(err, errNoPostgres) && os.Getenv("CI") != "true" {
		fmt.Fprintln(os.Stderr, "storetest: not tested on PostgreSQL:", err)
		if only == "postgres" {
			return m.Run()
		}
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		return 1
	}
	defer server.leave()
	if err := onlyOpened(only); err != nil {
		fmt.Fprintln(os.Stderr, "storetest:", err)
		return 1
	}
	engines.server = server
	return m.Run()
}

// listing tells runs that are about something else than both engines.
func listing() bool {
	for _, name := range []string{"test.list", "test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" && f.Value.String() != "false" {
			return true
		}
	}
	return false
}

// onlyOpened narrows -run to the tests that opened a store, and keeps what it
// says about their subtests.
func onlyOpened(engine string) error {
	if engine != "" {
		return nil
	}
	var names []string
	for name := range engines.opened {
		names = append(names, regexp.QuoteMeta(name))
	}
	pattern := "^(" + strings.Join(names, "|") + ")$"
	if _, subtests, found := strings.Cut(flag.Lookup("test.run").Value.String(), "/"); found {
		pattern += "/" + subtests
	}
	return flag.Set("test.run", pattern)
}

// Source names a new database of the engine under test, with all tables: a path
// or a URL for [store.Open]. It is gone after the test.
func Source(t testing.TB) string {
	t.Helper()
	engines.mu.Lock()
	defer engines.mu.Unlock()
	mark(t)
	if engines.server == nil {
		return filepath.Join(t.TempDir(), "mailseal.db")
	}
	t.Log("on PostgreSQL")
	return database(t, engines.server.template)
}

// Empty names a new PostgreSQL database without tables, made as options say
// (ENCODING and such; may be empty).
func Empty(t testing.TB, options string) string {
	t.Helper()
	return database(t, "template0 "+options)
}

func database(t testing.TB, template string) string {
	t.Helper()
	source, drop, err := engines.server.database(template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(); err != nil {
			t.Error(err)
		}
	})
	return source
}

// OnPostgres is for a test that is about PostgreSQL alone: it has such a test
// run there too, and tells whether that is now.
func OnPostgres(t testing.TB) bool {
	engines.mu.Lock()
	defer engines.mu.Unlock()
	mark(t)
	return engines.server != nil
}

// mark remembers that a test wants both engines. The caller holds the lock.
func mark(t testing.TB) {
	t.Helper()
	if engines.opened == nil {
		t.Fatal("storetest: the package's TestMain does not call storetest.Run")
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	engines.opened[name] = true
}

// Postgres tells whether the tests run on PostgreSQL now.
func Postgres() bool { return engines.server != nil }

// Open opens a new store, which is closed after the test.
func Open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), Source(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// schema names the tables as they are: by a hash of all migrations.
func schema() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(store.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(store.Migrations(), path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), err
}
