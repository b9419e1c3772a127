package server

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// The server enters its start and its end, signs the last entry, and hands the
// checkpoint to where it is kept; the log is whole beside it and after it.
func TestAuditLog(t *testing.T) {
	data := folder(t)
	kept := filepath.Join(t.TempDir(), "kept")
	var out bytes.Buffer
	c := development(data, &out)
	c.CheckpointFile = kept
	source := c.DB
	if source == "" {
		source = filepath.Join(data, "mailseal.db")
	}
	look := func(against []*audit.Checkpoint) (r *audit.Report, last store.AuditEntry) {
		t.Helper()
		db, err := store.OpenToLook(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if r, err = audit.Verify(t.Context(), db, &audit.VerifyOptions{Kept: against}); err != nil || !r.Good() {
			t.Errorf("%v, %v", r.Findings, err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error { last, err = tx.LastAuditEntry(); return err })
		if err != nil {
			t.Error(err)
		}
		return r, last
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Ready = func(string) {
		look(nil)
		cancel()
	}
	if err := Run(ctx, c); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(kept)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list, err := audit.ReadCheckpoints(f)
	if err != nil {
		t.Fatal(err)
	}
	r, last := look(list)
	if last.Act != audit.ActStopped || r.Covered != last.Seq || list[len(list)-1].Entries != last.Seq {
		t.Errorf("the last entry is %d, %s; signed up to %d, kept up to %d", last.Seq, last.Act, r.Covered, list[len(list)-1].Entries)
	}
}
