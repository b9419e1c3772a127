package recovery_test

import (
	"errors"
	"testing"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/store"
)

// settings replaces those of the organization.
func (o *office) settings(t *testing.T, text string) {
	t.Helper()
	o.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.SetOrganizationSettings(org, text),
			audit.Append(t.Context(), tx, audit.Entry{At: o.now, Act: store.ActOrganizationChanged, Object: org}))
	})
}

func (o *office) choices(names ...string) (list []recovery.Choice) {
	for _, name := range names {
		list = append(list, recovery.Choice{Account: name, Certificate: o.keys[name].Certificate.Raw})
	}
	return list
}

// Where two decide, one administrator's officers are no officers: neither those that
// are proposed then, nor those from before, until the other has confirmed them.
func TestTwoNameOfficers(t *testing.T) {
	o := open(t)
	ctx := t.Context()
	accounts := auth.New(auth.Options{Store: o.db, Clock: o.time})
	accounts.Entrust(o.Service)
	propose := func() (*recovery.Quorum, error) {
		return o.SetOfficers(ctx, o.actor(t, "dan"), org, 2, o.choices("ana", "ben", "chie"))
	}
	alone := func(want bool) {
		t.Helper()
		if st, err := o.Officers(ctx, o.actor(t, "dan"), org); err != nil || st.Alone != want {
			t.Errorf("one names officers: %v, %v", st.Alone, err)
		}
	}
	o.settings(t, `{"approval":true}`)
	before, err := propose() // there is nobody to ask
	if err != nil {
		t.Fatal(err)
	}
	alone(true)
	o.account(t, "second", auth.Grant{Role: auth.Approver, Organization: org})
	alone(false)
	if err := o.answer(t, "ana", recovery.Confirm, before.ID); !errors.Is(err, recovery.ErrState) {
		t.Errorf("confirmed what one proposed before two decided: %v", err)
	}
	var waiting auth.Change
	for range 2 {
		q, err := propose()
		w, waits := errors.AsType[*auth.WaitsError](err)
		if !waits || q != nil || waiting.ID != "" && w.Change.ID != waiting.ID {
			t.Fatalf("%v, %v", q, err)
		}
		waiting = w.Change
	}
	if waiting.Kind != auth.NameOfficers || waiting.Threshold != 2 || len(waiting.Officers) != 3 || waiting.Officers[2].Email != "chie@example.org" || len(waiting.For) != 1 || waiting.For[0].ID != "second" {
		t.Errorf("%+v", waiting)
	}
	if st, err := o.Officers(ctx, o.actor(t, "dan"), org); err != nil || st.Proposed.ID != before.ID {
		t.Errorf("proposed by one: %+v, %v", st.Proposed, err)
	}
	for _, name := range []string{"dan", "ana"} {
		if err := accounts.ConfirmChange(ctx, o.actor(t, name), org, waiting.ID); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("confirmed by %s: %v", name, err)
		}
	}
	if err := accounts.ConfirmChange(ctx, o.actor(t, "second"), org, waiting.ID); err != nil {
		t.Fatal(err)
	}
	st, err := o.Officers(ctx, o.actor(t, "dan"), org)
	if err != nil || st.Proposed.ID == before.ID {
		t.Fatalf("%+v, %v", st.Proposed, err)
	}
	for _, name := range []string{"ana", "ben", "chie"} {
		if err := o.answer(t, name, recovery.Confirm, st.Proposed.ID); err != nil {
			t.Fatal(err)
		}
	}
	if q, err := o.Quorum(ctx, org); err != nil || q == nil || q.ID != st.Proposed.ID {
		t.Fatalf("%+v, %v", q, err)
	}

	// What is no longer so when it is confirmed is not done.
	_, err = propose()
	w, waits := errors.AsType[*auth.WaitsError](err)
	if !waits {
		t.Fatal(err)
	}
	o.update(t, func(tx *store.Tx) error {
		return auth.TakeRole(ctx, tx, auth.Console(), "chie", auth.Grant{Role: auth.RecoveryOfficer, Organization: org}, o.now)
	})
	if err := accounts.ConfirmChange(ctx, o.actor(t, "second"), org, w.Change.ID); !errors.Is(err, auth.ErrState) {
		t.Errorf("an officer who is none any more: %v", err)
	}
}
