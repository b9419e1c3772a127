package registration_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
)

// What weakens an organization or ends much of it asks who is there in person; a
// program does not weaken anything, and may revoke.
func TestGraveActsAskAgain(t *testing.T) {
	o := open(t)
	c := o.found(t, "admin")
	stale := c.admin
	stale.Fresh = false
	program := auth.Actor{Kind: auth.KindToken, ID: "token", Account: c.admin.ID, Grants: c.admin.Grants}
	// As they are where a second person and officers were once.
	from := func(change func(*registration.Settings)) registration.Settings {
		s := registration.DefaultSettings()
		s.Split = true
		change(&s)
		return s
	}
	off := func(a auth.Actor, change func(*registration.Settings)) error {
		c.stored(t, from(change))
		_, err := c.SetSettings(t.Context(), a, c.id, from(func(*registration.Settings) {}))
		return err
	}
	approval := func(s *registration.Settings) { s.Approval = true }
	escrow := func(s *registration.Settings) { s.Escrow = true }
	stand := func(a auth.Actor) error {
		_, err := c.SetStanding(t.Context(), a, c.id, registration.StandingClosed)
		return err
	}
	revoke := func(a auth.Actor, n int) error {
		var ids []string
		for i := range n {
			ids = append(ids, strconv.Itoa(i))
		}
		_, err := c.Revoke(t.Context(), a, c.id, ids, cert.KeyCompromise)
		return err
	}
	for name, err := range map[string]error{
		"approval off": off(stale, approval), "escrow off": off(stale, escrow), "closed": stand(stale), "many revoked": revoke(stale, registration.ManyAtOnce+1),
		"approval off, by a program": off(program, approval), "escrow off, by a program": off(program, escrow), "closed by a program": stand(program),
	} {
		if !errors.Is(err, auth.ErrAgain) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"few revoked": revoke(stale, registration.ManyAtOnce), "many revoked by a program": revoke(program, registration.ManyAtOnce+1),
		"many revoked by who is there": revoke(c.admin, registration.ManyAtOnce+1), "many revoked by the server": revoke(auth.Server(registration.PartRenewal), registration.ManyAtOnce+1),
	} {
		if !errors.Is(err, registration.ErrForbidden) { // there are no such certificates
			t.Errorf("%s: %v", name, err)
		}
	}
	c.stored(t, registration.DefaultSettings())
	on := registration.DefaultSettings()
	on.Validity = 100
	if _, err := c.SetSettings(t.Context(), stale, c.id, on); err != nil {
		t.Errorf("what weakens nothing: %v", err)
	}
	if err := stand(c.admin); err != nil {
		t.Errorf("closed by who is there: %v", err)
	}
}

// stored writes settings that an organization could not choose now.
func (c *company) stored(t *testing.T, s registration.Settings) {
	t.Helper()
	text, err := json.Marshal(s)
	if err == nil {
		err = c.db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(tx.SetOrganizationSettings(c.id, string(text)),
				audit.Append(t.Context(), tx, audit.Entry{At: c.clock(), Actor: "nobody", Act: store.ActOrganizationChanged, Object: c.id}))
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}
