package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"math"

	"github.com/pressly/goose/v3"
)

// migrations are forward only and never edited after a release.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the folder of migrations, for tests that name it.
func Migrations() fs.FS { return migrations }

// migrate applies what is missing, each migration in a transaction of its own.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	return migrateTo(ctx, dialect, db, math.MaxInt64)
}

// migrateTo stops after the migration of a version.
func migrateTo(ctx context.Context, dialect goose.Dialect, db *sql.DB, version int64) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	// Out of order: the number says what a migration is about, and none needs
	// one with a higher number.
	p, err := goose.NewProvider(dialect, db, files, goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	current, newest, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if current > newest {
		return fmt.Errorf("the database is of a newer mailseal (its tables are at %d, this program knows %d): run that one, or go back with a copy from before", current, newest)
	}
	if _, err := p.UpTo(ctx, version); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}
