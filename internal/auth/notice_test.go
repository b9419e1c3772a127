package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// told are the addresses of the mails that wait, which are forgotten.
func (m *members) told() (list []string) {
	for _, l := range m.queued {
		list = append(list, l.Kind+" to "+l.To.String())
	}
	m.queued = nil
	slices.Sort(list)
	return list
}

// Whoever may confirm a change is told what waits and where, once, in both languages,
// for as long as it waits.
func TestToldOfChanges(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	m.queued = nil
	ask := func() Change {
		t.Helper()
		_, err := m.Invite(ctx, m.administrator, "puppet@example.org", "en", Grant{Approver, "org"})
		return m.waits(err)
	}
	c := ask()
	ask()
	letters := slices.Clone(m.queued)
	if got := m.told(); !slices.Equal(got, []string{"change to two@example.org"}) {
		t.Fatalf("told are %q", got)
	}
	m.queued = slices.Clone(letters)
	m.deliver()
	if len(m.mails) != 1 || m.mails[0].To != "two@example.org" {
		t.Fatalf("%+v", m.mails)
	}
	for _, part := range []string{
		"puppet@example.org is to be invited as approver", "puppet@example.org を承認者として招待する", "asked for by one@example.org", "依頼した人: one@example.org",
		site.Origins[0] + "/org/org/accounts", c.Expires.Format("2006-01-02 15:04"),
	} {
		if !strings.Contains(m.mails[0].Text, part) {
			t.Errorf("the mail does not say %q:\n%s", part, m.mails[0].Text)
		}
	}
	if err := m.RefuseChange(ctx, m.approver, "org", c.ID); err != nil {
		t.Fatal(err)
	}
	m.queued = letters
	if m.deliver(); len(m.mails) != 0 {
		t.Errorf("a mail of what waits no more: %+v", m.mails)
	}
	// An operator may say that somebody left, and is told.
	m.waits(m.TakeRole(ctx, m.administrator, m.approver.ID, Grant{Approver, "org"}))
	if got := m.told(); !slices.Equal(got, []string{"change to " + email, "change to two@example.org"}) {
		t.Errorf("told are %q", got)
	}
	for kind, words := range map[ChangeKind][2]string{
		EndApproval: {"no longer to be approved", "承認を不要に"}, GiveMember: {"is to become", "にする"}, TakeMember: {"no longer", "から外す"}, NameOfficers: {"open a key together: o@example.org", "復元担当者にする"},
	} {
		mail, err := m.notice(changeLetter, "x@example.org", noticeText{Change: Change{Kind: kind, Role: Approver, Threshold: 2, Officers: []Account{{Email: "o@example.org"}}}})
		if err != nil || !strings.Contains(mail.Text, words[0]) || !strings.Contains(mail.Text, words[1]) {
			t.Errorf("%s: %v\n%s", kind, err, mail.Text)
		}
	}
}

// Whoever dismisses the other of two is not rid of the second pair of eyes: what
// waits goes on waiting, also when it is asked for anew, and those who decide are told.
func TestOneIsLeft(t *testing.T) {
	role := Grant{Approver, "org"}
	for name, remove := range map[string]func(m *members) error{
		"removed by an operator": func(m *members) error { return m.Remove(t.Context(), m.operator, m.approver.ID) },
		"removed by the other, an operator": func(m *members) error {
			both := m.administrator
			both.Grants = append(slices.Clone(both.Grants), Grant{Operator, ""})
			return m.Remove(t.Context(), both, m.approver.ID)
		},
		"who leaves while something waits": func(m *members) error { return m.TakeRole(t.Context(), m.approver, m.approver.ID, role) },
	} {
		t.Run(name, func(t *testing.T) {
			m := together(t)
			ctx := t.Context()
			puppet, _ := m.joins(t, m.operator, "puppet@example.org", Grant{Validator, ""})
			give := func() error { return m.GiveRole(ctx, m.administrator, puppet.Account.ID, role) }
			c := m.waits(give())
			m.queued = nil
			if err := remove(m); err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{
				"removed by an operator":            {"member lost to one@example.org", "member lost to two@example.org"},
				"removed by the other, an operator": {"member lost to two@example.org"},
				"who leaves while something waits":  {"member lost to one@example.org"},
			}[name]
			letters := slices.Clone(m.queued)
			if got := m.told(); !slices.Equal(got, want) {
				t.Errorf("told are %q", got)
			}
			m.queued = letters
			m.deliver()
			for _, mail := range m.mails {
				if !strings.Contains(mail.Text, "two@example.org") || !strings.Contains(mail.Text, "an operator as the") || !strings.Contains(mail.Text, "認証局のオペレーター") {
					t.Errorf("the mail says\n%s", mail.Text)
				}
			}
			if again := m.waits(give()); again.ID != c.ID || len(again.For) != 0 {
				t.Errorf("asked for again: %+v", again)
			}
			if err := m.confirm(m.administrator, c); !errors.Is(err, ErrForbidden) {
				t.Errorf("confirmed by who is left: %v", err)
			}
			// Nor does it help to withdraw it first; an operator is the second one.
			if err := m.RefuseChange(ctx, m.administrator, "org", c.ID); err != nil {
				t.Fatal(err)
			}
			m.queued = nil
			if c = m.waits(give()); !slices.Equal(m.told(), []string{"change to " + email}) {
				t.Error("no operator is told")
			}
			other := m.waits(m.GiveRole(ctx, m.administrator, puppet.Account.ID, Grant{RecoveryOfficer, "org"}))
			list, err := m.Changes(ctx, m.administrator, "org")
			i := slices.IndexFunc(list, func(l Change) bool { return l.ID == c.ID })
			if err != nil || i < 0 {
				t.Fatalf("%+v, %v", list, err)
			}
			if err := m.confirm(m.operator, list[i]); err != nil {
				t.Errorf("confirmed by an operator: %v", err)
			}
			if err := m.confirm(m.operator, other); !errors.Is(err, ErrForbidden) {
				t.Errorf("by an operator, when there is a second member again: %v", err)
			}
		})
	}
}

// It does not last: who is alone for long needs nobody.
func TestOneIsLeftForLong(t *testing.T) {
	m := together(t)
	ctx := t.Context()
	puppet, _ := m.joins(t, m.operator, "puppet@example.org", Grant{Validator, ""})
	if err := m.Remove(ctx, m.operator, m.approver.ID); err != nil {
		t.Fatal(err)
	}
	held := func() (is bool) {
		err := m.db.View(ctx, func(tx *store.Tx) error {
			until, err := tx.EyesHeld("org", m.now)
			is = !until.IsZero()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if !held() {
		t.Fatal("nothing is held")
	}
	m.now = m.now.Add(ChangeLife)
	if held() {
		t.Error("held for ever")
	}
	if err := m.GiveRole(ctx, m.administrator, puppet.Account.ID, Grant{Approver, "org"}); err != nil {
		t.Error(err)
	}
}
