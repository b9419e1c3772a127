package store_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// What is asked for each of many people or certificates goes by an index that
// has the answer; SQLite chose one that leads to everything of the organization,
// or of the authority.
func TestPlans(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, test := range []struct {
		statement, index string
		run              func(*store.Tx) error
	}{
		{"number = $2", "memberships_number", func(tx *store.Tx) error { _, err := tx.MemberByNumber("o", "1"); return err }},
		{"mailbox_key = $2", "member_mailboxes", func(tx *store.Tx) error { _, err := tx.MemberByMailbox("o", "a@example.org"); return err }},
		{"max(c.not_after)", "certificates_person", func(tx *store.Tx) error { _, err := tx.MemberMailboxes("o"); return err }},
		{"SELECT id FROM certificates", "certificates_person", func(tx *store.Tx) error { _, err := tx.ValidCertificatesOf("o", "p", now); return err }},
		{"DELETE FROM person_sessions", "person_sessions_person", func(tx *store.Tx) error { return tx.ReleaseMailbox("a@example.org", now) }},
		{"ocsp_due <= $2", "certificates_ocsp_due", func(tx *store.Tx) error { _, err := tx.ClaimOCSP("a", now, now, 10); return err }},
	} {
		_ = db.Update(t.Context(), test.run) // there is nothing to find
		plans, err := db.Plans(t.Context(), test.statement)
		if err != nil || len(plans) != 1 {
			t.Errorf("%s: %q, %v", test.statement, plans, err)
			continue
		}
		if !strings.Contains(plans[0], test.index) || strings.Contains(plans[0], "TEMP B-TREE") || strings.Contains(plans[0], "SCAN") {
			t.Errorf("%s:\n%s", test.statement, plans[0])
		}
	}
}

// An order, a job and a certificate are written without a table made on the way, as
// an IN list of more than two in a CHECK of the row would have it.
func TestIssuingMakesNoTables(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for statement, run := range map[string]func(*store.Tx) error{
		"INSERT INTO certificates": func(tx *store.Tx) error {
			return errors.Join(tx.InsertProfile([]byte{1}, "", now),
				tx.InsertAuthority(store.Authority{ID: "a", Name: "a", Kind: "issuing", KeyURI: "file:a", Certificate: []byte{1}, Created: now}),
				tx.PrepareCertificate(store.Certificate{ID: "c", AuthorityID: "a", Serial: []byte{1}, ProfileHash: []byte{1}, KeyHash: []byte{1}, Reserved: now}))
		},
		"not_after = $4, issued_at = $5":                    func(tx *store.Tx) error { return tx.IssueCertificate("c", nil, nil, now, now, now) },
		"unique_key, lane, payload, state, due_at, holder,": func(tx *store.Tx) error { return tx.InsertJob(store.Job{ID: "j", Created: now, Due: now}) },
		"INSERT INTO orders": func(tx *store.Tx) error {
			return errors.Join(tx.InsertProfile([]byte{2}, "", now),
				tx.InsertOrder(store.Order{ID: "o", State: "applied", SecretHash: []byte{1}, ProfileHash: []byte{2}, Created: now, Expires: now}))
		},
		"UPDATE orders SET state = 'issu": func(tx *store.Tx) error { return tx.OrderIssued("o") },
	} {
		failure := db.Update(t.Context(), run) // nothing says who did it, or there is nothing to change
		programs, err := db.Programs(t.Context(), statement)
		if err != nil || len(programs) != 1 || !strings.Contains(programs[0], "OpenWrite") {
			t.Errorf("%s: %q, %v, %v", statement, programs, err, failure)
		} else if strings.Contains(programs[0], "OpenEphemeral") {
			t.Errorf("%s makes a table", statement)
		}
	}
}
