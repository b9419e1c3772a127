package auth

import (
	"errors"
	"slices"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// The store keeps apart what [Role.Apart] says, and nothing else.
func TestRolesApart(t *testing.T) {
	f := open(t)
	var pairs, want [][2]string
	for _, a := range Roles {
		for _, b := range Roles {
			if a.Apart(b) {
				want = append(want, [2]string{string(a), string(b)})
			}
		}
	}
	err := f.db.View(t.Context(), func(tx *store.Tx) (err error) {
		pairs, err = tx.RolesApart()
		return err
	})
	slices.SortFunc(want, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	if err != nil || !slices.Equal(pairs, want) {
		t.Errorf("the store has %v, want %v, %v", pairs, want, err)
	}
}

func TestGiveAndTakeRoles(t *testing.T) {
	f, token := claimed(t)
	session, err := f.Session(t.Context(), token)
	if err != nil || !session.Actor().Has(Operator, "") || session.Actor().Strong {
		t.Fatalf("the first administrator is %+v, %v", session, err)
	}
	me := session.Account.ID
	give := func(g Grant) error {
		return f.db.Update(t.Context(), func(tx *store.Tx) error {
			return GiveRole(t.Context(), tx, session.Actor(), me, g, f.now)
		})
	}
	take := func(g Grant) error {
		return f.db.Update(t.Context(), func(tx *store.Tx) error {
			return TakeRole(t.Context(), tx, session.Actor(), me, g, f.now)
		})
	}
	for name, test := range map[string]struct{ err, want error }{
		"auditor, too":                   {give(Grant{Auditor, ""}), ErrApart},
		"recovery officer, too":          {give(Grant{RecoveryOfficer, "org"}), ErrApart},
		"no such role":                   {give(Grant{"king", ""}), ErrRole},
		"administrator of everything":    {give(Grant{Administrator, ""}), ErrRole},
		"operator of one organization":   {give(Grant{Operator, "org"}), ErrRole},
		"approver":                       {give(Grant{Approver, "org"}), nil},
		"approver, again":                {give(Grant{Approver, "org"}), nil},
		"the last operator":              {take(Grant{Operator, ""}), ErrLast},
		"what was never given":           {take(Grant{Administrator, "org"}), ErrForbidden},
		"approver of another, untouched": {take(Grant{Approver, "other"}), ErrForbidden},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	if session, _ = f.Session(t.Context(), token); !session.Actor().Has(Approver, "org") {
		t.Errorf("the session does not see the new role: %+v", session.Grants)
	}
	if err := take(Grant{Approver, "org"}); err != nil {
		t.Fatal(err)
	}
	last, err := f.last(t)
	if err != nil || last.Act != store.ActRoleTaken || last.Actor != "account:"+me || last.Object != me {
		t.Errorf("the log says %+v, %v", last, err)
	}
	err = f.db.Update(t.Context(), func(tx *store.Tx) error {
		return GiveRole(t.Context(), tx, Console(), "nobody", Grant{Operator, ""}, f.now)
	})
	if !errors.Is(err, ErrForbidden) {
		t.Errorf("given to nobody: %v", err)
	}
}

func (f *fixture) last(t *testing.T) (last store.AuditEntry, err error) {
	err = f.db.View(t.Context(), func(tx *store.Tx) (err error) {
		last, err = tx.LastAuditEntry()
		return err
	})
	return last, err
}

func TestActor(t *testing.T) {
	operator := Actor{Kind: KindAccount, ID: "1", Grants: []Grant{{Operator, ""}}}
	administrator := Actor{Kind: KindAccount, ID: "2", Grants: []Grant{{Administrator, "org"}, {Approver, "org"}, {RecoveryOfficer, "other"}}}
	auditor := Actor{Kind: KindToken, ID: "3", Account: "4", Grants: []Grant{{Auditor, ""}}}
	for name, test := range map[string]struct{ got, want bool }{
		"operator":                        {operator.Has(Operator, ""), true},
		"operator, asked of organization": {operator.Has(Operator, "org"), true},
		"operator as validator":           {operator.Has(Validator, "org"), true},
		"operator as administrator":       {operator.Has(Administrator, "org"), false},
		"operator reads":                  {operator.MayRead("org"), true},
		"administrator":                   {administrator.Has(Administrator, "org"), true},
		"administrator elsewhere":         {administrator.Has(Administrator, "other"), false},
		"administrator of everything":     {administrator.Has(Administrator, ""), false},
		"administrator reads":             {administrator.MayRead("org"), true},
		"recovery officer reads":          {administrator.MayRead("other"), false},
		"auditor reads":                   {auditor.MayRead("org"), true},
		"auditor as validator":            {auditor.Has(Validator, ""), false},
		"nobody":                          {Actor{}.MayRead(""), false},
		"the server":                      {Server("renewal").Has(Operator, ""), false},
		"the console":                     {Console().Has(Operator, ""), true},
	} {
		if test.got != test.want {
			t.Errorf("%s: %v", name, test.got)
		}
	}
	if s := Server("renewal").String(); s != "server:renewal" {
		t.Error(s)
	}
	if got := administrator.Organizations(); !slices.Equal(got, []string{"org", "other"}) {
		t.Error(got)
	}
}
