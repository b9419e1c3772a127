//go:build unix

package authority_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// PostgreSQL crashes and comes back while eight clients get certificates: they
// are told that the database is unavailable, and nothing that they got is lost.
func TestDatabaseGone(t *testing.T) {
	w := found(t) // so that the test runs on PostgreSQL, too
	if !storetest.Postgres() {
		return
	}
	server := storetest.Own(t)
	w = foundAt(t, server.Source, authority.Founding{BaseURL: "http://ca.example.org", Dev: true})
	w.oneKey()
	c := w.bulk([]string{bulkErrors + "=1"})
	for range times(t, "MAILSEAL_DATABASE_CRASHES", 2) {
		c.await(20)
		time.Sleep(rand.N(20 * time.Millisecond))
		server.Crash()
		server.Start()
	}
	c.await(20) // it goes on by itself
	c.kill()
	unavailable, got := 0, 0
	for _, line := range c.got {
		text, isError := strings.CutPrefix(line, lineError+" ")
		switch {
		case !isError:
			got++
		case strings.Contains(text, "unavailable"):
			unavailable++
		case !strings.Contains(text, "another certificate"):
			t.Errorf("not a clear error: %s", text)
		}
	}
	if unavailable == 0 {
		t.Error("nobody was told that the database was away")
	}
	t.Logf("%d certificates, %d clients were told that the database was away", got-1, unavailable)
	w.settle(c.got)
}

// Without a place for the entry in the audit log nothing is issued and nothing
// is revoked.
func TestNoEntryNoAct(t *testing.T) {
	w := found(t)
	key := newKey(t)
	done, o := w.order(key), w.order(key)
	c, err := w.issue(done, key)
	if err != nil {
		t.Fatal(err)
	}
	allow := storetest.Refuse(t, w.source, "INSERT ON audit_entries")
	if _, err := w.issue(o, key); err == nil {
		t.Error("issued without an entry")
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err == nil {
		t.Error("revoked without an entry")
	}
	if order, row, _ := w.state(o); order.State != "proven" || row.State == "issued" {
		t.Errorf("the order is %s, its certificate %s", order.State, row.State)
	}
	if _, row, _ := w.state(done); !row.Revoked.IsZero() {
		t.Error("it is revoked")
	}
	allow()
	if _, err := w.issue(o, key); err != nil {
		t.Error(err)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Error(err)
	}
	w.check(done, o)
	w.audited(2, 1)
}

// A clock that goes back is told to whoever wants a certificate, and once it is
// right again, everything goes on.
func TestClockBack(t *testing.T) {
	w := found(t)
	key := newKey(t)
	first, second := w.order(key), w.order(key)
	right := w.now.Add(3 * time.Hour)
	w.now = right
	if _, err := w.issue(first, key); err != nil {
		t.Fatal(err)
	}
	w.now = right.Add(-2 * time.Hour)
	_, err := w.issue(second, key)
	if !errors.Is(err, audit.ErrClock) || !strings.Contains(err.Error(), "2026-11-23T13:00:00Z") || !strings.Contains(err.Error(), "set it right") {
		t.Errorf("two hours back: %v", err)
	}
	w.restart()
	if err := w.Recover(t.Context()); !errors.Is(err, audit.ErrClock) {
		t.Errorf("recovering two hours back: %v", err)
	}
	w.now = right
	w.restart()
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.issue(second, key); err != nil {
		t.Error(err)
	}
	w.check(first, second)
	w.audited(2, 0)
}

// audited holds the audit log against what there is.
func (w *world) audited(issued, revoked int64) {
	w.t.Helper()
	r, err := audit.Verify(w.t.Context(), w.db, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if !r.Good() || r.Issued != issued || r.Revoked != revoked {
		w.t.Errorf("audit log: %d issued, %d revoked, %v", r.Issued, r.Revoked, r.Findings)
	}
}
