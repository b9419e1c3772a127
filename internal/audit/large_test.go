package audit_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// A log of many entries, half of them about certificates, is verified as a
// stream. MAILSEAL_AUDIT_ENTRIES says how many; the time is in the log.
func TestLargeLog(t *testing.T) {
	entries := 3000
	if text := os.Getenv("MAILSEAL_AUDIT_ENTRIES"); text != "" {
		var err error
		if entries, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if storetest.Postgres() {
		entries = 300
	}
	w := open(t)
	w.sql(`INSERT INTO profiles VALUES ($1, '{}', 0)`, []byte("p"))
	w.add(audit.Entry{Act: store.ActAuthority, Object: "ca"})
	w.sql(`INSERT INTO authorities (id, name, kind, key_uri, certificate, crl_number, created_at) VALUES ('ca', 'root', 'root', 'file:x', $1, 0, 0)`, []byte("c"))
	rows := w.rows()
	der := make([]byte, 1000)
	tx, err := w.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	prepare := func(query string) *sql.Stmt {
		s, err := tx.Prepare(query)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	certificate := prepare(`INSERT INTO certificates (id, authority_id, serial, state, profile_hash, key_hash, der, sha256, not_after, reserved_at, issued_at, note)
		VALUES ($1, 'ca', $2, 'issued', $3, $3, $4, $5, 0, 0, 0, '')`)
	entry := prepare(`INSERT INTO audit_entries (seq, at, actor, act, object, details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`)
	for n := len(rows) + 1; n <= entries; n++ {
		r := row{seq: int64(n), at: w.now.Unix(), actor: "server", act: "ceremony.step", details: "{}"}
		if n%2 == 0 {
			der[0], der[1], der[2], der[3] = byte(n), byte(n>>8), byte(n>>16), byte(n>>24)
			sum := sha256.Sum256(der)
			id := fmt.Sprintf("%032x", n)
			r.act, r.object = store.ActIssued, id
			r.details = fmt.Sprintf(`{"authority":"ca","order":"","serial":"%032x","sha256":"%x"}`, n, sum)
			serial := binary.BigEndian.AppendUint64(make([]byte, 8), uint64(n))
			if _, err := certificate.Exec(id, serial, []byte("p"), der, sum[:]); err != nil {
				t.Fatal(err)
			}
		}
		two := []row{rows[len(rows)-1], r}
		chain(two, 1)
		rows[len(rows)-1] = two[1]
		r = two[1]
		if _, err := entry.Exec(r.seq, r.at, r.actor, r.act, r.object, r.details, r.hash); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	w.checkpoint()
	start := time.Now()
	r := w.good(nil)
	if r.Entries != int64(entries) || r.Issued < int64(entries)/2-3 {
		t.Errorf("%+v", r)
	}
	t.Logf("%d entries, %d certificates: %v", r.Entries, r.Issued, time.Since(start).Round(time.Millisecond))
}
