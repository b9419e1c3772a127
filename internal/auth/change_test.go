package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// members is an organization whose orders are decided by two: an administrator, an
// approver, and an operator of the authority beside them.
type members struct {
	*fixture
	t                                 *testing.T
	administrator, approver, operator Actor
}

func together(t *testing.T) *members {
	t.Helper()
	f, token := claimed(t)
	m := &members{fixture: f, t: t, operator: f.actor(t, token)}
	one, _ := f.joins(t, m.operator, "one@example.org", Grant{Administrator, "org"})
	two, _ := f.joins(t, one.Actor(), "two@example.org", Grant{Approver, "org"})
	m.administrator, m.approver = one.Actor(), two.Actor()
	f.two["org"] = true
	return m
}

// waits is the change that an error tells of.
func (m *members) waits(err error) Change {
	m.t.Helper()
	w, waits := errors.AsType[*WaitsError](err)
	if !waits {
		m.t.Fatalf("it does not wait: %v", err)
	}
	return w.Change
}

func (m *members) confirm(by Actor, c Change) error {
	return m.ConfirmChange(m.t.Context(), by, c.Organization, c.ID)
}

// program is a token of an account.
func program(a Actor) Actor {
	return Actor{Kind: KindToken, ID: "token of " + a.ID, Account: a.ID, Grants: a.Grants, Strong: true}
}

// An invitation that one sent while one decided makes no second pair of eyes later.
func TestInvitedBeforeTwoDecided(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	g := Grant{Approver, "org"}
	m.two["org"] = false
	if _, err := m.Invite(ctx, m.administrator, "puppet@example.org", "en", g); err != nil {
		t.Fatal(err)
	}
	code := m.deliver()
	m.two["org"] = true
	puppet, _, err := m.Accept(ctx, "", code, "Puppet", password)
	if err != nil || len(puppet.Grants)+len(puppet.Withheld) != 0 {
		t.Fatalf("%+v, %v", puppet, err)
	}
	list, err := m.Changes(ctx, m.approver, "org")
	if err != nil || len(list) != 1 || list[0].Kind != GiveMember || list[0].Account.ID != puppet.Account.ID || list[0].Asker.ID != m.administrator.ID {
		t.Fatalf("%+v, %v", list, err)
	}
	if err := m.confirm(m.administrator, list[0]); !errors.Is(err, ErrForbidden) {
		t.Errorf("confirmed by who invited: %v", err)
	}
	if err := m.confirm(m.approver, list[0]); err != nil {
		t.Errorf("confirmed by the other: %v", err)
	}
	err = m.db.View(ctx, func(tx *store.Tx) error {
		has, err := grants(tx, puppet.Account.ID)
		if len(has) != 1 || has[0] != g {
			t.Errorf("then they have %v", has)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever could make a second pair of eyes of their own needs the other's word.
func TestSecondMemberInvites(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	_, err := m.Invite(ctx, m.administrator, "puppet@example.org", "en", Grant{Approver, "org"})
	c := m.waits(err)
	if m.invitations() != 0 || c.Kind != InviteMember || c.Account.Email != "puppet@example.org" || c.Asker.ID != m.administrator.ID || len(c.For) != 1 || c.For[0].ID != m.approver.ID {
		t.Fatalf("%+v, %d invitations", c, m.invitations())
	}
	if last, err := m.last(t); err != nil || last.Act != store.ActChangeAsked || last.Object != c.ID {
		t.Errorf("the log says %+v, %v", last, err)
	}
	if _, err := m.Invite(ctx, m.administrator, "puppet@example.org", "en", Grant{Approver, "org"}); m.waits(err).ID != c.ID {
		t.Error("asked for again, it waits twice")
	}
	stranger, _ := m.joins(t, m.operator, "far@example.org", Grant{Administrator, "other"})
	for name, by := range map[string]Actor{
		"who asked": m.administrator, "a program of theirs": program(m.administrator), "a program of the other's": program(m.approver),
		"a stranger": stranger.Actor(), "an operator": m.operator, "a part of the server": Server("renewal"), "nobody": {},
	} {
		if err := m.confirm(by, c); !errors.Is(err, ErrForbidden) {
			t.Errorf("confirmed by %s: %v", name, err)
		}
	}
	if err := m.ConfirmChange(ctx, m.approver, "other", c.ID); !errors.Is(err, ErrForbidden) {
		t.Errorf("as one of another organization: %v", err)
	}
	if _, err := m.Changes(ctx, stranger.Actor(), "org"); !errors.Is(err, ErrForbidden) {
		t.Errorf("looked at by a stranger: %v", err)
	}
	if err := m.confirm(m.approver, c); err != nil {
		t.Fatal(err)
	}
	session, _, err := m.Accept(ctx, "", m.deliver(), "Puppet", password)
	if err != nil || !session.Actor().Has(Approver, "org") {
		t.Errorf("after it was confirmed: %+v, %v", session, err)
	}
	if err := m.confirm(m.approver, c); !errors.Is(err, ErrForbidden) {
		t.Errorf("confirmed twice: %v", err)
	}
	if list, err := m.Changes(ctx, m.administrator, "org"); err != nil || len(list) != 0 {
		t.Errorf("%+v waits, %v", list, err)
	}
}

// Nor is a member made, or made to leave, by one alone; an operator may say that
// somebody left, and nothing else.
func TestSecondMemberGivesAndTakes(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	role := Grant{Approver, "org"}
	other, _ := m.joins(t, m.operator, "idle@example.org", Grant{Validator, ""})
	give := m.waits(m.GiveRole(ctx, m.administrator, other.Account.ID, role))
	take := m.waits(m.TakeRole(ctx, m.administrator, m.approver.ID, role))
	if err := m.confirm(m.operator, give); !errors.Is(err, ErrForbidden) {
		t.Errorf("given by an operator's word: %v", err)
	}
	if err := m.confirm(m.administrator, take); !errors.Is(err, ErrForbidden) {
		t.Errorf("taken by one alone: %v", err)
	}
	if err := m.confirm(m.approver, give); err != nil {
		t.Fatal(err)
	}
	if list, err := m.Accounts(ctx, m.administrator, "org"); err != nil || len(list) != 3 {
		t.Errorf("%d members, %v", len(list), err)
	}
	if err := m.confirm(m.operator, take); err != nil {
		t.Fatal(err)
	}
	if list, err := m.Accounts(ctx, m.administrator, "org"); err != nil || len(list) != 2 {
		t.Errorf("%d members, %v", len(list), err)
	}
	// Who holds shares of keys is made by two, too, and dismissed by one.
	officer := Grant{RecoveryOfficer, "org"}
	c := m.waits(m.GiveRole(ctx, m.administrator, other.Account.ID, officer))
	_, err := m.Invite(ctx, m.administrator, "puppet@example.org", "en", officer)
	invited := m.waits(err)
	if invited.Kind != InviteMember || m.invitations() != 0 {
		t.Errorf("%d invitations, %v", m.invitations(), err)
	}
	if err := m.TakeRole(ctx, m.administrator, other.Account.ID, officer); !errors.Is(err, ErrForbidden) {
		t.Errorf("they have it before it is confirmed: %v", err)
	}
	if err := m.confirm(m.approver, c); err != nil {
		t.Fatal(err)
	}
	if err := m.TakeRole(ctx, m.administrator, other.Account.ID, officer); err != nil {
		t.Errorf("an officer is dismissed: %v", err)
	}
	if err := m.RefuseChange(ctx, m.administrator, "org", invited.ID); err != nil {
		t.Fatal(err)
	}
	// What is given up needs nobody.
	if err := m.TakeRole(ctx, Actor{Kind: KindAccount, ID: other.Account.ID}, other.Account.ID, role); err != nil {
		t.Errorf("given up: %v", err)
	}
	// Alone, the administrator needs nobody either.
	if err := m.GiveRole(ctx, m.administrator, other.Account.ID, role); err != nil {
		t.Errorf("by the only member: %v", err)
	}
}

// A change ends: refused, withdrawn, too late, or because who asked may not any
// more.
func TestChangesEnd(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	ask := func(by Actor) Change {
		t.Helper()
		_, err := m.Invite(ctx, by, "puppet@example.org", "en", Grant{Administrator, "org"})
		return m.waits(err)
	}
	refuse := func(by Actor, c Change) error { return m.RefuseChange(ctx, by, "org", c.ID) }
	c := ask(m.administrator)
	if err := refuse(Actor{Kind: KindAccount, ID: "stranger"}, c); !errors.Is(err, ErrForbidden) {
		t.Errorf("refused by a stranger: %v", err)
	}
	if err := refuse(m.approver, c); err != nil {
		t.Errorf("refused: %v", err)
	}
	if last, err := m.last(t); err != nil || last.Act != store.ActChangeRefused || last.Actor != m.approver.String() || !strings.Contains(string(last.Details), m.administrator.String()) {
		t.Errorf("the log says %+v, %v", last, err)
	}
	if err := m.confirm(m.approver, c); !errors.Is(err, ErrForbidden) {
		t.Errorf("confirmed after it was refused: %v", err)
	}
	if err := refuse(program(m.administrator), ask(m.administrator)); err != nil {
		t.Errorf("withdrawn: %v", err)
	}
	c = ask(m.administrator)
	m.now = m.now.Add(ChangeLife)
	if err := m.confirm(m.approver, c); !errors.Is(err, ErrForbidden) {
		t.Errorf("confirmed too late: %v", err)
	}
	// Two administrators, of whom one asks and leaves.
	c = ask(m.administrator)
	if err := m.confirm(m.approver, c); err != nil {
		t.Fatal(err)
	}
	second, _, err := m.Accept(ctx, "", m.deliver(), "", password)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Invite(ctx, second.Actor(), "third@example.org", "en", Grant{Administrator, "org"})
	c = m.waits(err)
	if err := m.TakeRole(ctx, second.Actor(), second.Account.ID, Grant{Administrator, "org"}); err != nil {
		t.Fatal(err)
	}
	if err := m.confirm(m.approver, c); !errors.Is(err, ErrState) {
		t.Errorf("asked for by who left: %v", err)
	}
	if m.deliver() != "" {
		t.Error("a mail left all the same")
	}
}

// Changes that wait are so many at most.
func TestChangesAreBounded(t *testing.T) {
	m := together(t)
	for i := range MaxChanges + 1 {
		err := m.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := Ask(t.Context(), tx, nil, m.administrator, store.PendingChange{
				ID: time.Duration(i).String(), OrganizationID: "org", Kind: string(InviteMember), Email: time.Duration(i).String(),
			}, m.now)
			return err
		})
		if errors.Is(err, ErrTooMany) != (i == MaxChanges) {
			t.Fatalf("change %d: %v", i, err)
		}
	}
}
