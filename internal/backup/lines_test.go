package backup

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// end is the last line of a copy without rows.
func end(before string) string {
	return fmt.Sprintf(`{"rows":{},"files":{},"sha256":"%x"}`+"\n", sha256.Sum256([]byte(before)))
}

// export is what mailseal audit export prints.
func export(t *testing.T, w *world) string {
	t.Helper()
	var b strings.Builder
	lines := json.NewEncoder(&b)
	err := w.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.AuditEntries(func(e store.AuditEntry, err error) error {
			if err != nil {
				return err
			}
			return lines.Encode(audit.Line(e))
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// lineOf is the line of an entry.
func lineOf(export string, seq int64) string {
	return strings.SplitAfter(export, "\n")[seq-1]
}
