package auth

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/webauthn/softkey"
)

// joins invites somebody and lets them accept.
func (f *fixture) joins(t *testing.T, by Actor, address string, g Grant) (Session, string) {
	t.Helper()
	if _, err := f.Invite(t.Context(), by, address, "en", g); err != nil {
		t.Fatal(err)
	}
	session, token, err := f.Accept(t.Context(), "", f.deliver(), "Somebody", password)
	if err != nil {
		t.Fatal(err)
	}
	return session, token
}

func (f *fixture) actor(t *testing.T, token string) Actor {
	t.Helper()
	s, err := f.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return s.Actor()
}

func TestInvitation(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	if _, err := f.Invite(ctx, operator, "nobody", "en", Grant{Auditor, ""}); !errors.Is(err, ErrEmail) {
		t.Errorf("no address: %v", err)
	}
	i, err := f.Invite(ctx, operator, " Audit@EXAMPLE.org ", "ja", Grant{Auditor, ""})
	if err != nil || i.Email != "Audit@example.org" {
		t.Fatalf("%+v, %v", i, err)
	}
	lost := f.queued
	f.deliver()
	f.queued = lost
	code := f.deliver() // the mail had to leave again: its code is another one
	if !strings.Contains(f.mails[0].Text, site.Origins[0]+"/admin/invitation") || f.mails[0].Language != "ja" {
		t.Errorf("mail %+v", f.mails[0])
	}
	for name, data := range storetest.Content(t, f.source) {
		if strings.Contains(data, code) || strings.Contains(data, strings.ReplaceAll(code, "-", "")) {
			t.Errorf("%s has the code", name)
		}
	}
	if _, _, err := f.Accept(ctx, "", code[1:], "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("a wrong code: %v", err)
	}
	if _, _, err := f.Accept(ctx, "", code, "", "short"); !errors.Is(err, ErrPassword) {
		t.Errorf("a short password: %v", err)
	}
	got, known, err := f.Invited(ctx, "", code)
	if err != nil || known || got.Email != i.Email {
		t.Errorf("%+v, %v, %v", got, known, err)
	}
	session, _, err := f.Accept(ctx, "", " "+strings.ToLower(code), "Audra", password)
	if err != nil || !session.Actor().Has(Auditor, "") || session.Account.Name != "Audra" {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, _, err := f.Accept(ctx, "", code, "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("a second time: %v", err)
	}
	// Who has an account accepts with it, and keeps duties apart.
	if _, err := f.Invite(ctx, operator, "audit@example.org", "en", Grant{Validator, ""}); err != nil {
		t.Fatal(err)
	}
	code = f.deliver()
	if _, _, err := f.Accept(ctx, "", code, "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("an account in the place of another: %v", err)
	}
	if _, _, err := f.AcceptAs(ctx, token, code); !errors.Is(err, ErrInvitation) {
		t.Errorf("by somebody else: %v", err)
	}
	audit, err := f.SignIn(ctx, "", "audit@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.AcceptAs(ctx, audit.Token, code); !errors.Is(err, ErrApart) {
		t.Errorf("auditor and validator: %v", err)
	}
	late, err := f.Invite(ctx, operator, "late@example.org", "en", Grant{Validator, ""})
	if err != nil {
		t.Fatal(err)
	}
	code = f.deliver()
	if err := f.Uninvite(ctx, audit.Session.Actor(), late.ID); !errors.Is(err, ErrForbidden) {
		t.Errorf("taken back by an auditor: %v", err)
	}
	if list, err := f.Invitations(ctx, audit.Session.Actor(), ""); err != nil || len(list) != 2 {
		t.Errorf("invitations %+v, %v", list, err)
	}
	if err := f.Uninvite(ctx, operator, late.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Accept(ctx, "", code, "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("after it was taken back: %v", err)
	}
	if _, err := f.Invite(ctx, operator, "late@example.org", "en", Grant{Validator, ""}); err != nil {
		t.Fatal(err)
	}
	code = f.deliver()
	f.now = f.now.Add(InvitationLife)
	if _, _, err := f.Accept(ctx, "", code, "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("too late: %v", err)
	}
}

// Whoever is invited may take a passkey instead of a password; the account then
// has none, and an empty one does not sign in.
func TestInvitationByPasskey(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	if _, err := f.Invite(ctx, f.actor(t, token), "pat@example.org", "en", Grant{Validator, ""}); err != nil {
		t.Fatal(err)
	}
	code := f.deliver()
	options, err := f.NewPasskeyInvited(ctx, "", code)
	if err != nil {
		t.Fatal(err)
	}
	soft, err := softkey.New(site.Origins[0], options)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := f.NewPasskey(ctx, token) // a challenge of somebody else's
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.AcceptByPasskey(ctx, code, "Pat", "key", soft.Create(mine)); !errors.Is(err, ErrPasskey) {
		t.Errorf("another's challenge: %v", err)
	}
	session, own, err := f.AcceptByPasskey(ctx, code, "Pat", "key", soft.Create(options))
	if err != nil || !session.Strong || !session.Actor().Has(Validator, "org") {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, err := f.SignIn(ctx, "", "pat@example.org", ""); !errors.Is(err, ErrCredentials) {
		t.Errorf("with an empty password: %v", err)
	}
	if err := f.RemovePasskey(ctx, own, soft.ID); !errors.Is(err, ErrNeeded) {
		t.Errorf("the only way in removed: %v", err)
	}
	if _, err := f.StartTOTP(ctx, own); !errors.Is(err, ErrState) {
		t.Errorf("a second factor to no password: %v", err)
	}
	if err := f.ChangePassword(ctx, "", own, "", "a first good password", false); err != nil {
		t.Errorf("a first password: %v", err)
	}
}

// Who may give which role, to whom.
func TestWhoGivesRoles(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	first, firstToken := f.joins(t, operator, "one@example.org", Grant{Administrator, "org"})
	administrator := f.actor(t, firstToken)
	secondary, _ := f.joins(t, administrator, "two@example.org", Grant{Approver, "org"})
	idle, idleToken := f.joins(t, operator, "zoe@example.org", Grant{Validator, ""})
	if err := f.GiveRole(ctx, administrator, idle.Account.ID, Grant{Approver, "org"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Session(ctx, idleToken); !errors.Is(err, ErrNoSession) {
		t.Errorf("a session from before the role was given: %v", err)
	}
	if err := f.Remove(ctx, operator, idle.Account.ID); err != nil {
		t.Fatal(err)
	}
	auditor, auditorToken := f.joins(t, operator, "three@example.org", Grant{Auditor, ""})
	program := Actor{Kind: KindToken, ID: "t", Account: operator.ID, Grants: operator.Grants, Strong: true}
	officer := Grant{RecoveryOfficer, "org"}
	for name, test := range map[string]struct{ err, want error }{
		"operator, an administrator where there is one": {f.GiveRole(ctx, operator, auditor.Account.ID, Grant{Administrator, "org"}), ErrForbidden},
		"operator, an approver":                         {f.GiveRole(ctx, operator, secondary.Account.ID, officer), ErrForbidden},
		"operator, to themselves":                       {f.GiveRole(ctx, operator, operator.ID, Grant{Validator, ""}), ErrForbidden},
		"administrator, an operator":                    {f.GiveRole(ctx, administrator, first.Account.ID, Grant{Operator, ""}), ErrForbidden},
		"administrator, to themselves":                  {f.GiveRole(ctx, administrator, administrator.ID, Grant{Approver, "org"}), ErrForbidden},
		"administrator, elsewhere":                      {f.GiveRole(ctx, administrator, secondary.Account.ID, Grant{Approver, "other"}), ErrForbidden},
		"auditor":                                       {f.GiveRole(ctx, f.actor(t, auditorToken), secondary.Account.ID, officer), ErrForbidden},
		"a program":                                     {f.GiveRole(ctx, program, secondary.Account.ID, Grant{Validator, ""}), ErrForbidden},
		"the server":                                    {f.GiveRole(ctx, Server("x"), secondary.Account.ID, officer), ErrForbidden},
		"nobody":                                        {f.GiveRole(ctx, Actor{}, secondary.Account.ID, officer), ErrForbidden},
		"administrator":                                 {f.GiveRole(ctx, administrator, secondary.Account.ID, officer), nil},
		"taken back by an operator":                     {f.TakeRole(ctx, operator, secondary.Account.ID, officer), ErrForbidden},
		"taken back by the administrator":               {f.TakeRole(ctx, administrator, secondary.Account.ID, officer), nil},
		"given up":                                      {f.TakeRole(ctx, secondary.Actor(), secondary.Account.ID, Grant{Approver, "org"}), nil},
		"the last operator, given up":                   {f.TakeRole(ctx, operator, operator.ID, Grant{Operator, ""}), ErrLast},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	list, err := f.Accounts(ctx, administrator, "org")
	if err != nil || len(list) != 1 || list[0].ID != first.Account.ID || !list[0].Password || list[0].Seen.IsZero() {
		t.Errorf("accounts of the organization: %+v, %v", list, err)
	}
	if list, err := f.Accounts(ctx, f.actor(t, auditorToken), ""); err != nil || len(list) != 4 {
		t.Errorf("all accounts: %d, %v", len(list), err)
	}
	for name, err := range map[string]error{
		"all": second(f.Accounts(ctx, administrator, "")), "another's": second(f.Accounts(ctx, administrator, "other")),
		"invitations": second(f.Invitations(ctx, administrator, "other")),
	} {
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s, by an administrator: %v", name, err)
		}
	}
}

// Whoever lost what signs them in gets it back by a mail, or from the console,
// with their roles; nobody gets anybody else's.
func TestReset(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	other, otherToken := f.joins(t, operator, "other@example.org", Grant{Validator, ""})
	f.app(t, otherToken)
	for name, err := range map[string]error{
		"by themselves": f.Reset(ctx, other.Actor(), other.Account.ID, "en"), "one's own": f.Reset(ctx, operator, operator.ID, "en"),
		"nobody": f.Reset(ctx, operator, "nobody", "en"), "from the console, nobody": second(f.ResetHere(ctx, "nobody@example.org")),
	} {
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	begun, err := f.SignIn(ctx, "", "other@example.org", password)
	if err != nil || !begun.Second {
		t.Fatalf("%+v, %v", begun, err)
	}
	if err := f.Reset(ctx, operator, other.Account.ID, "ja"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.SecondFactor(ctx, "", begun.Token, "123456"); !errors.Is(err, ErrNoSession) {
		t.Errorf("a sign-in that had begun: %v", err)
	}
	if _, err := f.SignIn(ctx, "", "other@example.org", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("with the old password: %v", err)
	}
	code := f.deliver()
	if f.mails[0].To != "other@example.org" || f.mails[0].Subject != "サインインの再設定" {
		t.Errorf("mail %+v", f.mails[0])
	}
	session, again, err := f.Accept(ctx, "", code, "Eve", "another good password")
	if err != nil || session.Account.ID != other.Account.ID || !session.Actor().Has(Validator, "") {
		t.Fatalf("%+v, %v", session, err)
	}
	if e, err := f.SignIn(ctx, "", "other@example.org", "another good password"); err != nil || e.Second {
		t.Errorf("with the new password: %+v, %v", e, err)
	}
	// The first operator, from the console, with a passkey; an old code is used up.
	code, err = f.ResetHere(ctx, email)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("a session from before: %v", err)
	}
	options, err := f.NewPasskeyInvited(ctx, "", code)
	if err != nil {
		t.Fatal(err)
	}
	soft, err := softkey.New(site.Origins[0], options)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err = f.AcceptByPasskey(ctx, code, "", "key", soft.Create(options))
	if err != nil || session.Account.ID != operator.ID || !session.Actor().Has(Operator, "") {
		t.Fatalf("%+v, %v", session, err)
	}
	if _, _, err := f.Accept(ctx, "", code, "", password); !errors.Is(err, ErrInvitation) {
		t.Errorf("the code again: %v", err)
	}
	if _, err := f.Session(ctx, again); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
}

func TestRemoveAccount(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	other, otherToken := f.joins(t, operator, "other@example.org", Grant{Validator, ""})
	_, _, otherToken, _ = f.app(t, otherToken)
	_, secret, err := f.NewToken(ctx, f.actor(t, otherToken), "script", []Grant{{Validator, ""}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ err, want error }{
		"the last operator": {f.Remove(ctx, operator, operator.ID), ErrLast},
		"by a validator":    {f.Remove(ctx, f.actor(t, otherToken), operator.ID), ErrForbidden},
		"nobody":            {f.Remove(ctx, operator, "nobody"), ErrForbidden},
		"another":           {f.Remove(ctx, operator, other.Account.ID), nil},
		"again":             {f.Remove(ctx, operator, other.Account.ID), ErrForbidden},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	if _, err := f.Session(ctx, otherToken); !errors.Is(err, ErrNoSession) {
		t.Errorf("the session: %v", err)
	}
	if _, err := f.Authenticate(ctx, secret); !errors.Is(err, ErrToken) {
		t.Errorf("the token: %v", err)
	}
	if _, err := f.SignIn(ctx, "", "other@example.org", password); !errors.Is(err, ErrCredentials) {
		t.Errorf("the password: %v", err)
	}
	if last, err := f.last(t); err != nil || last.Act == store.ActAccountRemoved {
		t.Errorf("the refused sign-in is not in the log: %+v, %v", last, err)
	}
	f.joins(t, operator, "other@example.org", Grant{Validator, ""}) // the address is free again
}

// Nobody gives a role to themselves, not by a mail to their own address either.
func TestInviteOneself(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	_, own := f.joins(t, f.actor(t, token), "one@example.org", Grant{Administrator, "org"})
	for _, role := range []Role{Approver, RecoveryOfficer} {
		if _, err := f.Invite(ctx, f.actor(t, own), "one@example.org", "en", Grant{role, "org"}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.AcceptAs(ctx, own, f.deliver()); !errors.Is(err, ErrInvitation) {
			t.Errorf("%s: %v", role, err)
		}
	}
	again, err := f.SignIn(ctx, "", "one@example.org", password)
	if err != nil || len(again.Session.Grants)+len(again.Session.Withheld) != 1 {
		t.Errorf("%+v, %v", again.Session, err)
	}
}

// One address is not flooded with invitations.
func TestInvitationsToOne(t *testing.T) {
	f, token := claimed(t)
	operator := f.actor(t, token)
	for n := range InvitationsToOne + 1 {
		_, err := f.Invite(t.Context(), operator, "victim@example.com", "en", Grant{Validator, ""})
		if want := n == InvitationsToOne; errors.Is(err, ErrTooMany) != want {
			t.Fatalf("invitation %d: %v", n, err)
		}
	}
}

// A session that gets a role by an invitation has another token from then on.
func TestAcceptAsRenews(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	operator := f.actor(t, token)
	before, own := f.joins(t, operator, "vera@example.org", Grant{Validator, ""})
	if _, err := f.Invite(ctx, operator, "vera@example.org", "en", Grant{Administrator, "org"}); err != nil {
		t.Fatal(err)
	}
	session, renewed, err := f.AcceptAs(ctx, own, f.deliver())
	if err != nil || renewed == own || !session.Actor().Has(Administrator, "org") || !session.Expires.Equal(before.Expires) {
		t.Fatalf("%+v, the same token: %v, %v", session, renewed == own, err)
	}
	if _, err := f.Session(ctx, own); !errors.Is(err, ErrNoSession) {
		t.Errorf("the token from before: %v", err)
	}
	if s, err := f.Session(ctx, renewed); err != nil || !s.Actor().Has(Administrator, "org") {
		t.Errorf("the new one: %+v, %v", s, err)
	}
}
