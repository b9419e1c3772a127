package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// Drilled is what a drill found out.
type Drilled struct {
	Summary
	Octets int64         // of the copy
	Wrote  time.Duration // how long it took to make
	Read   time.Duration // and to restore and verify
	Audit  *audit.Report // of the restored store
}

// Drill proves that a copy would help: it makes one, restores it to a folder of
// its own below temp, verifies the audit log there and counts the rows. Nothing
// of it stays but an entry in the log.
func Drill(ctx context.Context, db *store.DB, temp string, o Options) (d *Drilled, err error) {
	dir, err := os.MkdirTemp(temp, "mailseal-drill-")
	if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	o.To = []age.Recipient{key.Recipient()}
	f, err := os.OpenFile(filepath.Join(dir, "copy"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	defer f.Close()
	d = &Drilled{}
	start := time.Now()
	s, err := Write(ctx, db, f, o)
	if err != nil {
		return nil, err
	}
	d.Summary, d.Wrote = *s, time.Since(start)
	if d.Octets, err = f.Seek(0, io.SeekCurrent); err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	start = time.Now()
	data := filepath.Join(dir, "data")
	if _, err := Restore(ctx, f, Place{Data: data}, Restoring{Clock: o.Clock, Accept: true}, key); err != nil {
		return nil, err
	}
	if d.Audit, err = d.check(ctx, filepath.Join(data, "mailseal.db")); err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	d.Read = time.Since(start)
	return d, nil
}

// changedByRestore are tables that a restore adds to or takes from.
var changedByRestore = map[string]int64{"audit_entries": 1, "administrator_sessions": -1}

func (d *Drilled) check(ctx context.Context, source string) (*audit.Report, error) {
	db, err := store.OpenToLook(ctx, source)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	report, err := audit.Verify(ctx, db, nil)
	if err != nil {
		return nil, err
	}
	return report, db.View(ctx, func(tx *store.Tx) error {
		tables, err := tx.Tables()
		if err != nil {
			return err
		}
		for _, t := range tables {
			var n int64
			if err := tx.EachRow(t, func([]any) error { n++; return nil }); err != nil {
				return err
			}
			want := d.Rows[t.Name]
			switch change := changedByRestore[t.Name]; {
			case change > 0:
				want += change
			case change < 0:
				want = 0
			}
			if n != want {
				return fmt.Errorf("table %s has %d rows after restoring, and the copy says %d", t.Name, n, want)
			}
		}
		return nil
	})
}
