package store

import (
	"context"
	"fmt"
)

// Soundness looks at what the engine promises and holds: of SQLite whether the
// file is whole, of PostgreSQL whether it writes through to the disk. The error
// says what is wrong.
func (db *DB) Soundness(ctx context.Context) error {
	if db.engine.lock == "" {
		return db.askFor(ctx, "PRAGMA quick_check(1)", "ok", "the database file is damaged: restore it from a backup")
	}
	for _, name := range []string{"fsync", "full_page_writes"} {
		if err := db.askFor(ctx, "SHOW "+name, "on", name+" is off in PostgreSQL, which loses certificates when the power fails: set it to on"); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) askFor(ctx context.Context, query, want, otherwise string) error {
	var got string
	if err := db.reader.QueryRowContext(ctx, query).Scan(&got); err != nil {
		return fmt.Errorf("store: look at the engine: %w", classify(err))
	}
	if got != want {
		return fmt.Errorf("store: %s (%s)", otherwise, got)
	}
	return nil
}
