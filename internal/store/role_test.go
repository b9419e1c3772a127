package store_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
)

// The database itself keeps roles apart, in either order and across
// organizations.
func TestRoles(t *testing.T) {
	db := storetest.Open(t)
	update(t, db, func(tx *store.Tx) error {
		return errors.Join(
			tx.InsertAdministrator(store.Administrator{ID: "a", Email: "a@example.org", EmailKey: "a@example.org", Created: now}),
			tx.InsertAdministrator(store.Administrator{ID: "b", Email: "b@example.org", EmailKey: "b@example.org", Created: now}))
	})
	give := func(account, role, organization string) error {
		return db.Update(t.Context(), unrecorded(func(tx *store.Tx) error {
			return tx.GrantRole(store.RoleGrant{AdministratorID: account, Role: role, OrganizationID: organization, GrantedBy: "account:a", Granted: now})
		}))
	}
	for _, test := range []struct {
		account, role, organization string
		want                        error
	}{
		{"a", "operator", "", nil},
		{"a", "operator", "", store.ErrConflict},
		{"a", "auditor", "", store.ErrConflict},
		{"a", "recovery-officer", "org", store.ErrConflict},
		{"a", "administrator", "org", nil},
		{"b", "recovery-officer", "org", nil},
		{"b", "operator", "", store.ErrConflict},
		{"b", "auditor", "", store.ErrConflict},
		{"nobody", "operator", "", store.ErrConflict},
	} {
		if err := give(test.account, test.role, test.organization); !errors.Is(err, test.want) {
			t.Errorf("%+v: %v", test, err)
		}
	}
	take := func(tx *store.Tx) error { return tx.TakeRole("b", "recovery-officer", "org") }
	if err := db.Update(t.Context(), take); !errors.Is(err, store.ErrUnrecorded) {
		t.Errorf("taken back without an entry: %v", err)
	}
	update(t, db, take)
	if err := give("b", "auditor", ""); err != nil {
		t.Errorf("after the other role was taken back: %v", err)
	}
	err := db.View(t.Context(), func(tx *store.Tx) error {
		of, err1 := tx.RolesOf("a")
		in, err2 := tx.RolesIn("org")
		n, err3 := tx.CountRole("auditor", "")
		if len(of) != 2 || len(in) != 1 || in[0].GrantedBy != "account:a" || !in[0].Granted.Equal(now) || n != 1 {
			t.Errorf("roles of a %+v, in org %+v, %d auditors", of, in, n)
		}
		return errors.Join(err1, err2, err3)
	})
	if err != nil {
		t.Fatal(err)
	}
}
