package registration_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

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
	outside := newOutside(t, o.clock()).c.Raw
	root := pemOf(outside)
	operator := o.account(t, "operator", auth.Grant{Role: auth.Operator})
	server := registration.DefaultSettings()
	server.Keys = registration.KeysServer
	keys := func(a auth.Actor) error {
		_, err := c.SetSettings(t.Context(), a, c.id, server)
		return err
	}
	imports := func(a auth.Actor) error {
		_, err := c.ImportCertificates(t.Context(), a, c.id, root, true)
		return err
	}
	for name, act := range map[string]func(auth.Actor) error{
		"keys by the server": keys, "roots with certificates": imports,
		"roots": func(a auth.Actor) error { return c.AddAnchors(t.Context(), a, c.id, root) },
		"roots for everybody": func(a auth.Actor) error {
			operator.Fresh = a.Fresh
			return c.AddAnchors(t.Context(), operator, "", root)
		},
	} {
		if err := act(stale); !errors.Is(err, auth.ErrAgain) {
			t.Errorf("%s: %v", name, err)
		}
		if err := act(c.admin); err != nil {
			t.Errorf("%s, by who is there: %v", name, err)
		}
	}
	if err := keys(stale); err != nil {
		t.Errorf("keys by the server as before: %v", err)
	}
	c.stored(t, registration.DefaultSettings())
	everybody := program
	everybody.Grants = operator.Grants
	for name, err := range map[string]error{
		"keys by the server": keys(program), "roots with certificates": imports(program), "roots": c.AddAnchors(t.Context(), program, c.id, root),
		"roots for everybody": c.AddAnchors(t.Context(), everybody, "", root),
	} {
		if !errors.Is(err, auth.ErrAgain) {
			t.Errorf("%s, by a program: %v", name, err)
		}
	}
	on := registration.DefaultSettings()
	on.Validity = 100
	if _, err := c.SetSettings(t.Context(), stale, c.id, on); err != nil {
		t.Errorf("what weakens nothing: %v", err)
	}
	sum := mustParse(t, outside).SHA256()
	operator.Fresh = false
	for name, a := range map[string]auth.Actor{"at a screen that was left open": operator, "by a program": everybody} {
		if err := c.RemoveAnchor(t.Context(), a, "", sum); !errors.Is(err, auth.ErrAgain) {
			t.Errorf("everybody's root taken back %s: %v", name, err)
		}
	}
	operator.Fresh = true
	for name, err := range map[string]error{
		"everybody's root taken back by who is there": c.RemoveAnchor(t.Context(), operator, "", sum),
		"its own by a program":                        c.RemoveAnchor(t.Context(), program, c.id, sum),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := stand(c.admin); err != nil {
		t.Errorf("closed by who is there: %v", err)
	}
}

// Approving asks who is there, and leaves an order as it waits until then. Where two
// do not decide any more, a program takes on what still waits.
func TestApprovingAsksAgain(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	person := c.add(t, tanaka())
	waiting := func() registration.Order {
		t.Helper()
		order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
		if err != nil || order.WaitingFor != registration.WaitingApproval {
			t.Fatalf("%+v, %v", order, err)
		}
		return order
	}
	stillWaits := func(when string, order registration.Order) {
		t.Helper()
		list, _, err := c.Orders(t.Context(), c.admin, c.id, registration.OrderQuery{State: registration.StateApplied}, registration.Page{})
		if err != nil || len(list) != 1 || list[0].ID != order.ID || list[0].WaitingFor != registration.WaitingApproval || list[0].ApprovedBy != "" {
			t.Errorf("%s: %+v, %v", when, list, err)
		}
	}
	approve := func(a auth.Actor, order registration.Order, by string) {
		t.Helper()
		done, err := c.ApproveOrders(t.Context(), a, c.id, []string{order.ID})
		if err != nil || len(done) != 1 || done[0].Err != nil || done[0].Order.State != registration.StateProven || done[0].Order.ApprovedBy != by {
			t.Errorf("approved by %s: %+v, %v", a, done, err)
		}
	}
	order := waiting()
	stale := c.approver
	stale.Fresh = false
	if done, err := c.ApproveOrders(t.Context(), stale, c.id, []string{order.ID}); !errors.Is(err, auth.ErrAgain) || len(done) > 0 {
		t.Errorf("at a screen that was left open: %+v, %v", done, err)
	}
	stillWaits("at a screen that was left open", order)
	approve(c.approver, order, c.approver.String())

	order = waiting()
	program := auth.Actor{Kind: auth.KindToken, ID: "token", Account: c.approver.ID, Grants: c.approver.Grants}
	if done, err := c.ApproveOrders(t.Context(), program, c.id, []string{order.ID}); err != nil || len(done) != 1 || !errors.Is(done[0].Err, registration.ErrForbidden) {
		t.Errorf("by a program, where two decide: %+v, %v", done, err)
	}
	stillWaits("by a program, where two decide", order)
	c.stored(t, registration.DefaultSettings())
	program.Account, program.Grants = c.admin.ID, c.admin.Grants
	approve(program, order, "")
}

// What is many is counted by account and not by request.
func TestManyRevokedOneByOne(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	c.add(t, registration.PersonInput{Addresses: []string{"taro@example.jp"}})
	issuing := newOutside(t, c.clock()).below(t, 400*day)
	var file []byte
	for range registration.ManyAtOnce + 3 {
		file = append(file, leaf(issuing.issue(t, newKey(t).Public(), nil, "taro@example.jp"))...)
	}
	list, err := c.ImportCertificates(t.Context(), c.admin, c.id, file, false)
	if err != nil || len(list) != registration.ManyAtOnce+3 {
		t.Fatalf("%d, %v", len(list), err)
	}
	var ids []string
	for _, i := range list {
		ids = append(ids, i.Certificate.ID)
	}
	stale, program := c.admin, auth.Actor{Kind: auth.KindToken, ID: "token", Account: c.admin.ID, Grants: c.admin.Grants}
	stale.Fresh = false
	revoke := func(a auth.Actor, ids ...string) error {
		done, err := c.Revoke(t.Context(), a, c.id, ids, cert.Superseded)
		if err == nil && len(done.Outside)+len(done.Before) != len(ids) {
			t.Errorf("of %d: %+v", len(ids), done)
		}
		return err
	}
	for i := range registration.ManyAtOnce - 1 {
		if err := revoke(stale, ids[i]); err != nil {
			t.Fatalf("number %d: %v", i+1, err)
		}
	}
	if err := revoke(stale, ids[0]); err != nil { // it is revoked: nothing is done that counts
		t.Errorf("one that was revoked before: %v", err)
	}
	ids = ids[registration.ManyAtOnce-1:]
	if err := revoke(stale, ids[:2]...); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("one too many together with the last: %v", err)
	}
	if err := c.AskOfMany(t.Context(), stale, 2); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("asked for one too many: %v", err)
	}
	if err := revoke(stale, ids[0]); err != nil {
		t.Errorf("the last: %v", err)
	}
	if err := revoke(stale, ids[1]); !errors.Is(err, auth.ErrAgain) {
		t.Errorf("one too many: %v", err)
	}
	if err := revoke(c.admin, ids[1]); err != nil {
		t.Errorf("by who is there: %v", err)
	}
	if err := revoke(program, ids[2]); err != nil {
		t.Errorf("by a program: %v", err)
	}
	c.pass(auth.FreshTime + 2*time.Second)
	if err := revoke(stale, ids[3]); err != nil {
		t.Errorf("when it is a while ago: %v", err)
	}
}

// Two who find evidence good are two who were there: no program, and no session
// that somebody left open.
func TestEvidenceIsDecidedInPerson(t *testing.T) {
	c := openCompany(t)
	e, err := c.SubmitEvidence(t.Context(), c.admin, c.id, registration.Submission{Method: "3.2.3.2", Reference: "register"})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []auth.Actor{c.operator, c.operator2} {
		stale := by
		stale.Fresh = false
		program := auth.Actor{Kind: auth.KindToken, ID: "token of " + by.ID, Account: by.ID, Grants: by.Grants, Strong: true, Fresh: true}
		for name, a := range map[string]auth.Actor{"a session from before": stale, "a program": program} {
			for _, good := range []bool{true, false} {
				if _, err := c.DecideEvidence(t.Context(), a, e.ID, good, "it is another company"); !errors.Is(err, auth.ErrAgain) {
					t.Errorf("%s of %s decides (good: %v): %v", name, by.ID, good, err)
				}
			}
		}
		if list, err := c.EvidenceAbout(t.Context(), c.admin, c.id, ""); err != nil || len(list) != 1 || list[0].SecondBy != "" || list[0].Decision != "" {
			t.Fatalf("then it is %+v, %v", list, err)
		}
		if e, err = c.DecideEvidence(t.Context(), by, e.ID, true, ""); err != nil {
			t.Fatalf("%s in person: %v", by.ID, err)
		}
	}
	if e.Decision != "accepted" {
		t.Errorf("accepted by two it is %+v", e)
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

// rerun does an act of one change twice: what shares its transaction fails when
// the act has been done, and takes it back.
func (c *company) rerun(t *testing.T, prepare, act func()) {
	t.Helper()
	for try := range 20 {
		prepare()
		before := c.db.Stats()
		var all sync.WaitGroup
		gate, running := make(chan struct{}), make(chan struct{})
		run := sync.OnceFunc(func() { close(running) })
		person := func(name string, fails error) {
			id := name + strconv.Itoa(try) + strconv.FormatInt(time.Now().UnixNano(), 36)
			err := c.db.Update(t.Context(), func(tx *store.Tx) error {
				if fails == nil {
					run()
					<-gate
				}
				return errors.Join(tx.InsertPerson(store.Person{ID: id, Created: c.clock()}), fails)
			})
			if !errors.Is(err, fails) {
				t.Errorf("%s: %v", name, err)
			}
		}
		all.Go(func() { person("first", nil) })
		<-running
		all.Go(act)
		time.Sleep(100 * time.Millisecond)
		all.Go(func() { person("last", errors.ErrUnsupported) })
		time.Sleep(100 * time.Millisecond)
		close(gate)
		all.Wait()
		if after := c.db.Stats(); after.Commits == before.Commits+1 && after.Changes == before.Changes+2 {
			return
		}
	}
	t.Fatal("they shared no transaction")
}

// What the first run of a change found is nothing to the second one.
func TestSettingsRunAgain(t *testing.T) {
	o := open(t)
	c := o.found(t, "admin")
	c.approver = c.give(t, o.account(t, "approver"), auth.Approver)
	operator := o.account(t, "operator", auth.Grant{Role: auth.Operator})
	on := registration.DefaultSettings()
	on.Approval = true
	var err error
	c.rerun(t, func() { c.stored(t, on) }, func() { _, err = c.SetSettings(t.Context(), c.admin, c.id, registration.DefaultSettings()) })
	w, waits := errors.AsType[*auth.WaitsError](err)
	if !waits || w.Change.Kind != auth.EndApproval {
		t.Errorf("the end of approval does not wait: %v", err)
	}
	var fresh registration.Organization
	c.rerun(t, func() {
		if fresh, err = c.CreateOrganization(t.Context(), c.admin, theCompany, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := c.SetStanding(t.Context(), operator, fresh.ID, registration.StandingSuspended); err != nil {
			t.Fatal(err)
		}
	}, func() { fresh, err = c.SetStanding(t.Context(), operator, fresh.ID, registration.StandingActive) })
	if err != nil || fresh.Standing != registration.StandingApplied {
		t.Errorf("%+v, %v", fresh, err)
	}
}
