package registration_test

import (
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// Everything that happened has one entry in the audit log, and none names
// anybody.
func TestAuditLog(t *testing.T) {
	o := open(t)
	first, secret := o.proven(t, "alice@example.org")
	issued, err := o.Enroll(t.Context(), first.ID, secret, request(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := o.authority.Revoke(t.Context(), issued.Certificate.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	second, _ := o.proven(t, "bob@example.org")
	third, _ := o.apply(t, "carol@example.org")
	refused, secret := o.apply(t, "dave@example.org")
	for range 100 {
		order, err := o.Order(t.Context(), refused.ID, secret)
		if err != nil {
			t.Fatal(err)
		}
		if order.State != registration.StateApplied {
			break
		}
		_, _ = o.Prove(t.Context(), refused.ID, secret, wrongCode) // wrong, and told so
	}

	r, err := audit.Verify(t.Context(), o.db, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Good() || r.Issued != 1 || r.Revoked != 1 {
		t.Errorf("%d issued, %d revoked, %v", r.Issued, r.Revoked, r.Findings)
	}
	acts := map[string]int{}
	// Their identifiers are random, and may have "bob" in them.
	orders := strings.NewReplacer(first.ID, "", second.ID, "", third.ID, "", refused.ID, "")
	err = o.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.AuditEntries(func(e store.AuditEntry, err error) error {
			acts[e.Act]++
			text := orders.Replace(e.Actor + e.Object + e.Details)
			for _, person := range []string{"@", "alice", "Alice", "bob", "carol", "dave"} {
				if strings.Contains(text, person) {
					t.Errorf("an entry names somebody: %+v", e)
				}
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for act, want := range map[string]int{
		store.ActApplied: 4, store.ActProven: 2, store.ActDenied: 1, store.ActIssued: 1, store.ActRevoked: 1, store.ActAuthority: 2,
	} {
		if acts[act] != want {
			t.Errorf("%d entries %s, want %d", acts[act], act, want)
		}
	}
}
