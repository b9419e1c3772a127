package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// OpenToLook opens a store that is there already and changes nothing in it, not
// even its tables: for whoever examines it, beside a server that runs or after
// one that does not. Every Update fails.
func OpenToLook(ctx context.Context, source string) (*DB, error) {
	if isPostgres(source) {
		config, _, err := parsePostgres(source)
		if err != nil {
			return nil, err
		}
		config.RuntimeParams["default_transaction_read_only"] = "on"
		// One look at a large store takes longer than a statement of a server.
		config.RuntimeParams["application_name"] = "mailseal"
		reader := connectPostgres(config, maxReaders)
		return &DB{engine: onPostgres, writer: reader, reader: reader}, nil
	}
	if _, err := os.Stat(source); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	abs, err := filepath.Abs(source)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(abs)}
	reader, err := sql.Open("sqlite", u.String()+"?mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", source, err)
	}
	if err := reader.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", source, classify(err)), reader.Close())
	}
	reader.SetMaxOpenConns(maxReaders)
	return &DB{engine: onSQLite, writer: reader, reader: reader}, nil
}
