package registration_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/oid"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/testdns"
	"github.com/mailseal/mailseal/internal/validation"
)

const day = 24 * time.Hour

// company is an office with an organization in it, whose domain example.jp is
// proven, and with all the people that four eyes take.
type company struct {
	*office
	id                  string
	admin, approver     auth.Actor
	operator, operator2 auth.Actor
}

// account makes an account with roles.
func (o *office) account(t testing.TB, name string, grants ...auth.Grant) auth.Actor {
	t.Helper()
	err := o.db.Update(t.Context(), func(tx *store.Tx) error {
		err := tx.InsertAdministrator(store.Administrator{ID: name, Email: name + "@example.jp", EmailKey: name + "@example.jp", Name: name, Password: "-", Created: o.clock()})
		for _, g := range grants {
			err = errors.Join(err, auth.GiveRole(t.Context(), tx, auth.Console(), name, g, o.clock()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return auth.Actor{Kind: auth.KindAccount, ID: name, Grants: grants, Strong: true, Fresh: true}
}

// An account founds so many organizations and no more, whether or not its session
// lets it use the roles in them.
func TestFoundersAreBounded(t *testing.T) {
	o := open(t)
	founder := o.account(t, "founder")
	for i := range 21 {
		_, err := o.CreateOrganization(t.Context(), founder, theCompany, "")
		if refused := i == 20; (inputKey(err) == "name input.organizations") != refused || err != nil && !refused {
			t.Fatalf("organization %d: %v", i+1, err)
		}
	}
}

// give gives an account a role of the company.
func (c *company) give(t testing.TB, a auth.Actor, role auth.Role) auth.Actor {
	t.Helper()
	g := auth.Grant{Role: role, Organization: c.id}
	err := c.db.Update(t.Context(), func(tx *store.Tx) error { return auth.GiveRole(t.Context(), tx, auth.Console(), a.ID, g, c.clock()) })
	if err != nil {
		t.Fatal(err)
	}
	a.Grants = append(slices.Clone(a.Grants), g)
	return a
}

var theCompany = registration.Organization{
	Name: "Example K.K.", LocalName: "株式会社見本", Country: "jp", State: "Tokyo", Locality: "Minato-ku", Identifier: "NTRJP-7000012050002",
}

// found makes an organization of one administrator, that accepted the agreement.
func (o *office) found(t testing.TB, name string) *company {
	t.Helper()
	c := &company{office: o, admin: o.account(t, name)}
	org, err := o.CreateOrganization(t.Context(), c.admin, theCompany, "")
	if err != nil {
		t.Fatal(err)
	}
	c.id = org.ID
	c.admin.Grants = []auth.Grant{{Role: auth.Administrator, Organization: c.id}}
	if _, err := o.AcceptAgreement(t.Context(), c.admin, c.id, registration.AgreementVersion); err != nil {
		t.Fatal(err)
	}
	return c
}

// openCompany opens an office with a company that has everything.
func openCompany(t testing.TB) *company {
	t.Helper()
	o := open(t)
	o.dns = testdns.New(t)
	o.v.Resolver = validation.DNS{Server: o.dns.Address, Timeout: time.Second}
	c := o.found(t, "admin")
	c.approver = c.give(t, o.account(t, "approver"), auth.Approver)
	c.operator = o.account(t, "operator", auth.Grant{Role: auth.Operator})
	c.operator2 = o.account(t, "validator", auth.Grant{Role: auth.Validator})
	c.prove(t, "example.jp")
	return c
}

// prove proves a domain.
func (c *company) prove(t testing.TB, name string) registration.Domain {
	t.Helper()
	d, err := c.AddDomain(t.Context(), c.admin, c.id, name)
	if err != nil {
		t.Fatal(err)
	}
	c.dns.TXT(d.RecordName, d.RecordValue)
	if d, err = c.CheckDomain(t.Context(), c.admin, c.id, d.ID); err != nil || d.State != registration.DomainProven {
		t.Fatalf("%+v, %v", d, err)
	}
	return d
}

// set changes settings.
func (c *company) set(t testing.TB, change func(*registration.Settings)) {
	t.Helper()
	org, err := c.Organization(t.Context(), c.admin, c.id)
	if err != nil {
		t.Fatal(err)
	}
	org.Settings.Algorithm = "p256" // keys that are made in no time
	change(&org.Settings)
	if _, err := c.SetSettings(t.Context(), c.admin, c.id, org.Settings); err != nil {
		t.Fatal(err)
	}
}

// validate has the organization's evidence accepted.
func (c *company) validate(t testing.TB, person string) registration.Evidence {
	t.Helper()
	method := "3.2.3.1"
	if person != "" {
		method = "3.2.4.1"
	}
	e, err := c.SubmitEvidence(t.Context(), c.admin, c.id, registration.Submission{Person: person, Method: method, Reference: "file 7", Document: []byte("%PDF-")})
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []auth.Actor{c.operator, c.operator2} {
		if e, err = c.DecideEvidence(t.Context(), by, e.ID, true, ""); err != nil {
			t.Fatal(err)
		}
	}
	if e.Decision != "accepted" {
		t.Fatalf("evidence %+v", e)
	}
	return e
}

func tanaka() registration.PersonInput {
	return registration.PersonInput{
		GivenName: "Taro", Surname: "Tanaka", LocalName: "田中 太郎", Addresses: []string{"Taro.Tanaka@Example.JP"}, Number: "0042", Department: "Sales 営業部",
	}
}

func (c *company) add(t testing.TB, p registration.PersonInput) registration.Person {
	t.Helper()
	person, err := c.AddPerson(t.Context(), c.admin, c.id, p)
	if err != nil {
		t.Fatal(err)
	}
	return person
}

// enroll gives an order its certificate for a new key.
func (c *company) enroll(t testing.TB, order registration.Order) (registration.Issued, crypto.Signer) {
	t.Helper()
	key := newKey(t)
	issued, err := c.EnrollFor(t.Context(), c.admin, registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	return issued, key
}

// TestOrderOfAnotherOrganization: who runs both may still not ask for an order of
// one in the name of the other.
func TestOrderOfAnotherOrganization(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	order, err := c.OrderFor(t.Context(), c.admin, c.id, c.add(t, tanaka()).ID, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ask := registration.Request{Kind: registration.RequestOrganization, Order: order.ID, Certification: request(t, newKey(t))}
	for _, organization := range []string{"", "another"} {
		ask.Organization = organization
		if _, err := c.EnrollFor(t.Context(), auth.Console(), ask); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("as one of %q: %v", organization, err)
		}
	}
	ask.Organization = c.id
	if _, err := c.EnrollFor(t.Context(), auth.Console(), ask); err != nil {
		t.Error(err)
	}
}

// key is what an ErrInput says.
func inputKey(err error) string {
	if e, ok := errors.AsType[*registration.InputError](err); ok {
		return e.Field + " " + e.Key
	}
	return fmt.Sprint(err)
}

// From nothing to a certificate that names person and organization.
func TestOrganizationIssues(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) {})
	person := c.add(t, tanaka())
	if person.Name != "田中 太郎" || person.Addresses[0] != "Taro.Tanaka@example.jp" || person.Language != "ja" {
		t.Errorf("added %+v", person)
	}
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil || order.State != registration.StateProven || order.WaitingFor != registration.WaitingPerson || order.Profile != "basic" {
		t.Fatalf("%+v, %v", order, err)
	}
	basic, _ := c.enroll(t, order)
	if got := basic.Certificate.Subject.String(); got != "CN=Taro.Tanaka@example.jp" {
		t.Errorf("basic: subject %q", got)
	}

	if _, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: registration.KindIVOV}); inputKey(err) != "kind input.identity" {
		t.Errorf("IV+OV without evidence: %v", err)
	}
	c.validate(t, "")
	c.validate(t, person.ID)
	for kind, want := range map[string]string{
		registration.KindOV:   "C=JP, ST=Tokyo, L=Minato-ku, O=Example K.K., organizationIdentifier=NTRJP-7000012050002, CN=Example K.K.",
		registration.KindIVOV: "C=JP, ST=Tokyo, L=Minato-ku, O=Example K.K., organizationIdentifier=NTRJP-7000012050002, SN=Tanaka, GN=Taro, CN=Taro Tanaka",
		registration.KindIV:   "SN=Tanaka, GN=Taro, CN=Taro Tanaka",
	} {
		order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: kind})
		if err != nil {
			t.Fatal(kind, err)
		}
		issued, _ := c.enroll(t, order)
		if got := issued.Certificate.Subject.String(); !sameName(got, want) {
			t.Errorf("%s: subject %q, want %q", kind, got, want)
		}
		if got := issued.Certificate.NotAfter.Sub(issued.Certificate.NotBefore).Round(time.Hour); got != 365*day {
			t.Errorf("%s: valid for %v, and the settings say 365 days", kind, got)
		}
	}
	c.set(t, func(s *registration.Settings) {
		s.Names, s.Generation, s.Split = registration.NamesLocal, "strict", true
	})
	outcomes, err := c.OrdersFor(t.Context(), c.admin, c.id, []string{person.ID}, registration.OrderRequest{Kind: registration.KindIVOV})
	if err != nil || len(outcomes) != 2 || outcomes[0].Order.Profile != "iv-ov-strict-signing" || outcomes[1].Order.Profile != "iv-ov-strict-encryption" {
		t.Fatalf("a pair: %+v, %v", outcomes, err)
	}
	for _, o := range outcomes {
		issued, _ := c.enroll(t, o.Order)
		if !strings.Contains(issued.Certificate.Subject.String(), "田中 太郎") || issued.Certificate.CanSign() == issued.Certificate.CanEncrypt() {
			t.Errorf("%s: %q, signs %v", o.Order.Use, issued.Certificate.Subject, issued.Certificate.CanSign())
		}
	}
	person, err = c.Person(t.Context(), c.admin, c.id, person.ID)
	if err != nil || len(person.Certificates) != 6 || person.State != registration.PersonValid || len(person.Orders) != 0 {
		t.Errorf("%d certificates, %s, %d orders, %v", len(person.Certificates), person.State, len(person.Orders), err)
	}
	c.logIsWhole(t)
}

// sameName compares what a Name has, whichever order it is shown in.
func sameName(a, b string) bool {
	parts := func(s string) []string {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "surname=", "SN="), "givenName=", "GN=")
		list := strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
		for i := range list {
			list[i] = strings.TrimSpace(list[i])
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(parts(a), parts(b))
}

// logIsWhole: every act has its entry and no more.
func (o *office) logIsWhole(t testing.TB) {
	t.Helper()
	r, err := audit.Verify(t.Context(), o.db, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Kind != audit.Unsigned {
			t.Errorf("audit log: %+v", f)
		}
	}
}

// What has one administrator works, and is told what does not.
func TestSingleAdministrator(t *testing.T) {
	o := open(t)
	c := o.found(t, "admin")
	eyes, err := c.FourEyes(t.Context(), c.admin, c.id)
	if err != nil || eyes.Approval.On || eyes.Evidence.On || eyes.Approval.People != 1 || eyes.Evidence.People != 1 {
		t.Fatalf("%+v, %v", eyes, err)
	}
	for _, language := range []string{"en", "ja"} {
		if eyes.Approval.Text(language) == "" || !strings.Contains(eyes.Evidence.Text(language), "1") {
			t.Errorf("told %q and %q", eyes.Approval.Text(language), eyes.Evidence.Text(language))
		}
	}
	org, err := c.Organization(t.Context(), c.admin, c.id)
	if err != nil {
		t.Fatal(err)
	}
	refused := org.Settings
	refused.Approval = true
	if _, err := c.SetSettings(t.Context(), c.admin, c.id, refused); inputKey(err) != "approval foureyes.approval" {
		t.Errorf("approval by one: %v", err)
	}
	refused = org.Settings
	refused.Kind = registration.KindOV
	if _, err := c.SetSettings(t.Context(), c.admin, c.id, refused); inputKey(err) != "kind foureyes.evidence" {
		t.Errorf("OV by one: %v", err)
	}
	if _, err := c.SubmitEvidence(t.Context(), c.admin, c.id, registration.Submission{Method: "3.2.3.1", Reference: "x"}); inputKey(err) != "evidence foureyes.evidence" {
		t.Errorf("evidence that nobody can decide about: %v", err)
	}
	// No dead end: no DNS, no second person, and a certificate all the same.
	c.set(t, func(s *registration.Settings) {})
	person := c.add(t, registration.PersonInput{Addresses: []string{"ken@example.com"}})
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil || order.WaitingFor != registration.WaitingMailbox || order.State != registration.StateApplied {
		t.Fatalf("%+v, %v", order, err)
	}
	c.byCode(t, order)
	c.logIsWhole(t)

	// Who has two, chooses approval, and loses one, is not stuck either.
	second := c.give(t, o.account(t, "second"), auth.Approver)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	if order, err = c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{}); err != nil || order.WaitingFor != registration.WaitingApproval {
		t.Fatalf("%+v, %v", order, err)
	}
	err = c.db.Update(t.Context(), func(tx *store.Tx) error {
		return auth.TakeRole(t.Context(), tx, auth.Console(), second.ID, auth.Grant{Role: auth.Approver, Organization: c.id}, c.clock())
	})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, err := c.ApproveOrders(t.Context(), c.admin, c.id, []string{order.ID})
	if err != nil || inputKey(outcomes[0].Err) != "order input.approve.own" {
		t.Errorf("one's own order: %+v, %v", outcomes, err)
	}
	c.set(t, func(s *registration.Settings) { s.Approval = false })
	outcomes, err = c.ApproveOrders(t.Context(), c.admin, c.id, []string{order.ID})
	if err != nil || outcomes[0].Err != nil || outcomes[0].Order.State != registration.StateProven || outcomes[0].Order.ApprovedBy != "" {
		t.Errorf("after approval was turned off: %+v, %v", outcomes, err)
	}
}

// byCode proves an order's mailboxes in an invited session, and enrolls it there.
func (c *company) byCode(t testing.TB, order registration.Order) registration.Issued {
	t.Helper()
	opened, secret, err := c.OpenOrder(t.Context(), auth.Server(registration.PartEnrollment), order.ID)
	if err != nil || opened.ID != order.ID {
		t.Fatal(opened, err)
	}
	for _, address := range order.Addresses {
		if _, err := c.Resend(t.Context(), order.ID, secret); err != nil {
			t.Fatal(err)
		}
		if opened, err = c.Prove(t.Context(), order.ID, secret, c.code(t, address)); err != nil {
			t.Fatal(err)
		}
	}
	if opened.State != registration.StateProven || !opened.Expires.Equal(order.Expires) {
		t.Fatalf("after all codes: %+v", opened)
	}
	issued, err := c.Enroll(t.Context(), order.ID, secret, request(t, newKey(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := issued.Certificate.Emails(); !slices.Equal(got, order.Addresses) {
		t.Fatalf("names %q, want %q", got, order.Addresses)
	}
	return issued
}

// A mailbox outside of proven domains takes a code, once in 30 days for the same
// person and organization.
func TestCodesAreReliedOnForAMonth(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	person := c.add(t, registration.PersonInput{Addresses: []string{"ken@example.com", "ken@example.jp", "k@example.com"}})
	order := func() registration.Order {
		t.Helper()
		order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return order
	}
	first := order()
	opened, secret, err := c.OpenOrder(t.Context(), auth.Actor{Kind: auth.KindPerson, ID: person.ID}, first.ID)
	if err != nil || opened.WaitingFor != registration.WaitingMailbox {
		t.Fatal(opened, err)
	}
	for i, address := range []string{"ken@example.com", "k@example.com"} {
		if _, err := c.Resend(t.Context(), first.ID, secret); err != nil {
			t.Fatal(err)
		}
		opened, err = c.Prove(t.Context(), first.ID, secret, c.code(t, address))
		if err != nil || (opened.State == registration.StateProven) != (i == 1) {
			t.Fatalf("after code %d: %+v, %v", i+1, opened, err)
		}
	}
	if _, err := c.Resend(t.Context(), first.ID, secret); !errors.Is(err, registration.ErrState) {
		t.Errorf("another code for what is proven: %v", err)
	}
	c.pass(validation.ProofLife - time.Second)
	second := order()
	if second.State != registration.StateProven {
		t.Errorf("within 30 days: %+v", second)
	}
	c.enroll(t, second)
	late := order()
	c.pass(time.Second)
	if third := order(); third.WaitingFor != registration.WaitingMailbox {
		t.Errorf("after 30 days: %+v", third)
	}
	_, err = c.EnrollFor(t.Context(), c.admin, registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: late.ID, Certification: request(t, newKey(t))})
	if !errors.Is(err, registration.ErrState) {
		t.Errorf("a proof that has expired since: %v", err)
	}
	// Nobody else may rely on it: not another organization, nor another person.
	other := c.found(t, "other")
	other.set(t, func(*registration.Settings) {})
	stranger := other.add(t, registration.PersonInput{Addresses: []string{"ken@example.com"}})
	if stranger.ID == person.ID {
		t.Error("another organization found out who holds a mailbox")
	}
	if o, err := other.OrderFor(t.Context(), other.admin, other.id, stranger.ID, registration.OrderRequest{}); err != nil || o.State != registration.StateApplied {
		t.Errorf("another organization relies on it: %+v, %v", o, err)
	}
}

// Of the four eyes, no two are of one person: tokens are their account's.
func TestApproval(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	person := c.add(t, tanaka())
	token := func(a auth.Actor) auth.Actor {
		return auth.Actor{Kind: auth.KindToken, ID: "token of " + a.ID, Account: a.ID, Grants: a.Grants}
	}
	order, err := c.OrderFor(t.Context(), token(c.admin), c.id, person.ID, registration.OrderRequest{})
	if err != nil || order.WaitingFor != registration.WaitingApproval || order.RequestedBy != "account:admin" {
		t.Fatalf("%+v, %v", order, err)
	}
	enroll := func(a auth.Actor) error {
		_, err := c.EnrollFor(t.Context(), a, registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, newKey(t))})
		return err
	}
	if err := enroll(c.admin); !errors.Is(err, registration.ErrState) {
		t.Errorf("before approval: %v", err)
	}
	if outcomes, err := c.ApproveOrders(t.Context(), c.admin, c.id, []string{order.ID}); err != nil || inputKey(outcomes[0].Err) != "order input.approve.own" {
		t.Errorf("approved by who asked: %+v, %v", outcomes, err)
	}
	// Nobody knows who is at the console: it is no pair of eyes, to ask or to approve.
	if outcomes, err := c.ApproveOrders(t.Context(), auth.Console(), c.id, []string{order.ID}); err != nil || inputKey(outcomes[0].Err) != "order input.order.console" {
		t.Errorf("approved at the console: %+v, %v", outcomes, err)
	}
	if _, err := c.OrderFor(t.Context(), auth.Console(), c.id, person.ID, registration.OrderRequest{}); inputKey(err) != "order input.order.console" {
		t.Errorf("asked for at the console: %v", err)
	}
	run := registration.OrderRequest{RequestedBy: auth.Console().String()}
	if outcomes, err := c.OrdersFor(t.Context(), auth.Server(registration.PartEnrollment), c.id, []string{person.ID}, run); inputKey(err) != "order input.order.console" {
		t.Errorf("asked for by a run from the console: %+v, %v", outcomes, err)
	}
	// A program decides nothing that another asked for, whoever it belongs to.
	other := auth.Actor{Kind: auth.KindAccount, ID: "admin2", Grants: c.admin.Grants}
	for _, a := range []auth.Actor{token(c.admin), token(c.approver), token(other)} {
		if outcomes, err := c.ApproveOrders(t.Context(), a, c.id, []string{order.ID}); err != nil || !errors.Is(outcomes[0].Err, registration.ErrForbidden) {
			t.Errorf("approved by the token of %s: %+v, %v", a.Account, outcomes, err)
		}
	}
	for _, a := range []auth.Actor{{}, c.operator, c.operator2, {Kind: auth.KindPerson, ID: person.ID}, auth.Server(registration.PartEnrollment)} {
		if _, err := c.ApproveOrders(t.Context(), a, c.id, []string{order.ID}); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("approved by %s: %v", a, err)
		}
	}
	// What the server orders is asked for by whom it works for.
	bulk := auth.Server(registration.PartEnrollment)
	forAdmin, err := c.OrderFor(t.Context(), bulk, c.id, person.ID, registration.OrderRequest{RequestedBy: c.admin.String()})
	if err != nil || forAdmin.WaitingFor != registration.WaitingApproval {
		t.Fatalf("%+v, %v", forAdmin, err)
	}
	if outcomes, err := c.ApproveOrders(t.Context(), c.admin, c.id, []string{forAdmin.ID}); err != nil || inputKey(outcomes[0].Err) != "order input.approve.own" {
		t.Errorf("by whom a bulk run was started: %+v, %v", outcomes, err)
	}
	if _, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{RequestedBy: "account:approver"}); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("in somebody else's name: %v", err)
	}
	outcomes, err := c.ApproveOrders(t.Context(), c.approver, c.id, []string{order.ID, "nothing"})
	if err != nil || outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, registration.ErrForbidden) || outcomes[0].Order.ApprovedBy != "account:approver" {
		t.Fatalf("%+v, %v", outcomes, err)
	}
	if err := enroll(c.approver); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an approver enrolls: %v", err)
	}
	if err := enroll(c.admin); err != nil {
		t.Error(err)
	}
	if outcomes, err = c.RefuseOrders(t.Context(), c.approver, c.id, []string{forAdmin.ID, order.ID}, "not needed"); err != nil || outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, registration.ErrState) {
		t.Errorf("refused: %+v, %v", outcomes, err)
	}
	list, next, err := c.Orders(t.Context(), c.approver, c.id, registration.OrderQuery{State: registration.StateRefused}, registration.Page{})
	if err != nil || next != "" || len(list) != 1 || list[0].Reason != "not needed" {
		t.Errorf("%+v, %v", list, err)
	}
	c.logIsWhole(t)
}

// Evidence: who submitted it does not decide, and names that changed since are
// not validated.
func TestEvidence(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	person := c.add(t, tanaka())
	for key, sub := range map[string]registration.Submission{
		"method input.method":      {Method: "3.2.4.1", Reference: "x"},
		"reference input.required": {Method: "3.2.3.1", Reference: "  "},
		"document input.document":  {Method: "3.2.3.1", Reference: "x", Document: make([]byte, 10<<20+1)},
		"statement input.long":     {Method: "3.2.3.1", Reference: "x", Statement: strings.Repeat("x", 4001)},
	} {
		if _, err := c.SubmitEvidence(t.Context(), c.admin, c.id, sub); inputKey(err) != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, number := range []string{"", theCompany.Identifier} {
		renumbered := theCompany
		renumbered.ID, renumbered.Identifier = c.id, number
		if _, err := c.RenameOrganization(t.Context(), c.admin, renumbered); err != nil {
			t.Fatal(err)
		}
		if number != "" {
			continue
		}
		if _, err := c.SubmitEvidence(t.Context(), c.operator, c.id, registration.Submission{Method: "3.2.3.2", Reference: "register"}); inputKey(err) != "organization input.evidence.identifier" {
			t.Errorf("without a number: %v", err)
		}
	}
	e, err := c.SubmitEvidence(t.Context(), c.operator, c.id, registration.Submission{Method: "3.2.3.2", Reference: "register"})
	if err != nil {
		t.Fatal(err)
	}
	decide := func(by auth.Actor, good bool) error {
		_, err := c.DecideEvidence(t.Context(), by, e.ID, good, "it is another company")
		return err
	}
	if err := decide(c.admin, true); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an administrator decides: %v", err)
	}
	if err := decide(c.operator, true); inputKey(err) != "evidence input.evidence.own" {
		t.Errorf("who submitted it decides: %v", err)
	}
	if err := decide(c.operator2, true); err != nil {
		t.Fatal(err)
	}
	if err := decide(c.operator2, true); inputKey(err) != "evidence input.evidence.again" {
		t.Errorf("the first one decides again: %v", err)
	}
	queue, _, err := c.EvidenceQueue(t.Context(), c.operator2, registration.Page{})
	if err != nil || len(queue) != 1 || queue[0].FirstBy != "account:validator" ||
		queue[0].OrganizationName != theCompany.Name || !strings.Contains(queue[0].Submitter, "@") || !strings.Contains(queue[0].Looker, "@") {
		t.Errorf("queue %+v, %v", queue, err)
	}
	told, err := c.EvidenceAbout(t.Context(), c.admin, c.id, "")
	if err != nil || len(told) != 1 || told[0].Submitter != "" || told[0].Looker != "" || told[0].OrganizationName != theCompany.Name {
		t.Errorf("the organization is told %+v, %v", told, err)
	}
	if _, _, err := c.EvidenceQueue(t.Context(), c.admin, registration.Page{}); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an administrator sees the queue: %v", err)
	}
	third := c.account(t, "third", auth.Grant{Role: auth.Validator})
	if err := decide(third, true); err != nil {
		t.Fatal(err)
	}
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: registration.KindOV})
	if err != nil {
		t.Fatal(err)
	}
	renamed := theCompany
	renamed.ID, renamed.Name = c.id, "Example Holdings K.K."
	if _, err := c.RenameOrganization(t.Context(), c.admin, renamed); err != nil {
		t.Fatal(err)
	}
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, newKey(t))}
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrState) || !errors.Is(err, validation.ErrIdentity) {
		t.Errorf("under a name that nobody validated: %v", err)
	}
	renamed.Name = theCompany.Name
	if _, err := c.RenameOrganization(t.Context(), c.admin, renamed); err != nil {
		t.Fatal(err)
	}
	c.pass(validation.EvidenceLife - time.Second)
	if _, err := c.EvidenceAbout(t.Context(), c.admin, c.id, ""); err != nil {
		t.Error(err)
	}
	if err := decide(c.operator2, false); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: registration.KindOV}); inputKey(err) != "kind input.identity" {
		t.Errorf("on evidence that was refused since: %v", err)
	}
	c.logIsWhole(t)
}

// An organization's vouching for a name ends, and a person who left has none.
func TestVouchingEnds(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	person := c.add(t, tanaka())
	c.validate(t, "")
	order := func() (registration.Order, error) {
		return c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Kind: registration.KindIVOV})
	}
	open, err := order()
	if err != nil {
		t.Fatal(err)
	}
	changed := tanaka()
	changed.Surname = "Suzuki"
	if _, err := c.ChangePerson(t.Context(), c.admin, c.id, person.ID, changed); err != nil {
		t.Fatal(err)
	}
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: open.ID, Certification: request(t, newKey(t))}
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, validation.ErrIdentity) {
		t.Errorf("under a name that was left behind: %v", err)
	}
	// The same letters divided otherwise are another name; what does not stand in
	// the certificate may change.
	changed.GivenName, changed.Surname = "Taro Jiro", "Suzuki"
	if _, err := c.ChangePerson(t.Context(), c.admin, c.id, person.ID, changed); err != nil {
		t.Fatal(err)
	}
	if open, err = order(); err != nil {
		t.Fatal(err)
	}
	changed.GivenName, changed.Surname = "Taro", "Jiro Suzuki"
	if _, err := c.ChangePerson(t.Context(), c.admin, c.id, person.ID, changed); err != nil {
		t.Fatal(err)
	}
	ask.Order = open.ID
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, validation.ErrIdentity) {
		t.Errorf("under the same letters divided otherwise: %v", err)
	}
	if open, err = order(); err != nil {
		t.Fatal(err)
	}
	changed.LocalName = "鈴木 太郎"
	if _, err := c.ChangePerson(t.Context(), c.admin, c.id, person.ID, changed); err != nil {
		t.Fatal(err)
	}
	ask.Order = open.ID
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); err != nil {
		t.Errorf("after a name that is not in it was corrected: %v", err)
	}
	if open, err = order(); err != nil {
		t.Fatal(err)
	}
	if err := c.PeopleLeave(t.Context(), c.admin, c.id, []string{person.ID}); err != nil {
		t.Fatal(err)
	}
	ask.Order = open.ID
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, registration.ErrState) {
		t.Errorf("for who has left: %v", err)
	}
	if _, err := order(); inputKey(err) != "person input.left" {
		t.Errorf("ordered for who has left: %v", err)
	}
	// The address is free for somebody else, who is somebody else.
	if next := c.add(t, tanaka()); next.ID == person.ID {
		t.Error("a new person got the old one's identity")
	}
	people, _, err := c.People(t.Context(), c.admin, c.id, registration.PersonQuery{State: registration.PersonLeft}, registration.Page{})
	if err != nil || len(people) != 1 || people[0].State != registration.PersonLeft {
		t.Errorf("left: %+v, %v", people, err)
	}
	c.logIsWhole(t)
}

// A domain proves its mailboxes for 398 days, for one organization, and only
// while the DNS shows the token when it is looked at anew.
func TestDomains(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	for _, bad := range []string{"", "jp", "example..jp", "[127.0.0.1]", "exa mple.jp", "*.example.jp", "_x.example.jp", strings.Repeat("a", 300) + ".jp"} {
		if _, err := c.AddDomain(t.Context(), c.admin, c.id, bad); inputKey(err) != "domain input.domain" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := c.AddDomain(t.Context(), c.admin, c.id, "@Example.JP"); inputKey(err) != "domain input.domain.twice" {
		t.Errorf("twice: %v", err)
	}
	d, err := c.AddDomain(t.Context(), c.admin, c.id, "日本語.example")
	if err != nil || d.RecordName != "_mailseal-challenge.xn--wgv71a119e.example" || !strings.HasPrefix(d.RecordValue, "mailseal-domain-verification=") {
		t.Fatalf("%+v, %v", d, err)
	}
	check := func(want string) {
		t.Helper()
		got, err := c.CheckDomain(t.Context(), c.admin, c.id, d.ID)
		if err != nil || got.State != registration.DomainWaiting || !strings.Contains(got.Problem("en"), want) || got.Problem("ja") == got.Problem("en") {
			t.Errorf("%s: %+v, %q, %v", want, got, got.Problem("en"), err)
		}
	}
	check("no TXT record")
	c.dns.TXT(d.RecordName, "v=spf1 -all", "mailseal-domain-verification=xxxx")
	check("says something else")
	c.dns.Fail(d.RecordName, dns.RcodeServerFailure)
	check("SERVFAIL")
	c.dns.Fail(d.RecordName, dns.RcodeSuccess)
	c.dns.TXT(d.RecordName, d.RecordValue)
	c.pass(validation.TokenLife)
	check("there is a new one")

	// The first organization to prove it has it.
	other := c.found(t, "other")
	theirs, err := other.AddDomain(t.Context(), other.admin, other.id, "example.jp")
	if err != nil {
		t.Fatal(err)
	}
	c.dns.TXT(theirs.RecordName, theirs.RecordValue)
	if _, err := other.CheckDomain(t.Context(), other.admin, other.id, theirs.ID); inputKey(err) != "domain input.domain.taken" {
		t.Errorf("somebody else's domain: %v", err)
	}
	for _, a := range []auth.Actor{other.admin, c.operator, c.approver, {}} {
		if _, err := c.CheckDomain(t.Context(), a, c.id, d.ID); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("%s checks it: %v", a, err)
		}
		if err := c.RemoveDomain(t.Context(), a, c.id, d.ID); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("%s removes it: %v", a, err)
		}
	}
	if _, err := c.CheckDomain(t.Context(), other.admin, other.id, d.ID); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("checked as one's own: %v", err)
	}

	person := c.add(t, tanaka())
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil || order.State != registration.StateProven {
		t.Fatalf("%+v, %v", order, err)
	}
	list, err := c.Domains(t.Context(), c.admin, c.id)
	if err != nil || len(list) != 2 || list[0].Name != "example.jp" || list[0].Expires.Sub(list[0].Proven) != validation.DomainLife {
		t.Fatalf("%+v, %v", list, err)
	}
	proven := list[0]
	if err := c.RemoveDomain(t.Context(), c.admin, c.id, proven.ID); err != nil {
		t.Fatal(err)
	}
	ask := registration.Request{Kind: registration.RequestOrganization, Organization: c.id, Order: order.ID, Certification: request(t, newKey(t))}
	if _, err := c.EnrollFor(t.Context(), c.admin, ask); !errors.Is(err, validation.ErrUnproven) {
		t.Errorf("after the domain was removed: %v", err)
	}
	if _, err := other.CheckDomain(t.Context(), other.admin, other.id, theirs.ID); err != nil {
		t.Errorf("free for the other one: %v", err)
	}
	c.logIsWhole(t)
}

// Proofs of domains are renewed while the record stays, and end when it does not.
func TestDomainsAreKeptUp(t *testing.T) {
	c := openCompany(t)
	list, err := c.Domains(t.Context(), c.admin, c.id)
	if err != nil {
		t.Fatal(err)
	}
	first := list[0]
	look := func() registration.Domain {
		t.Helper()
		if err := c.MaintainDomains(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
		list, err := c.Domains(t.Context(), c.admin, c.id)
		if err != nil {
			t.Fatal(err)
		}
		return list[0]
	}
	if got := look(); !got.Expires.Equal(first.Expires) {
		t.Errorf("renewed at once: %+v", got)
	}
	// The token is 30 days old at most when it is looked for: a new one is drawn,
	// and the administrator has a month to enter it.
	c.pass(validation.DomainLife - 29*day)
	got := look()
	if got.State != registration.DomainProven || got.Token == first.Token || !strings.Contains(got.Problem("en"), "new one") {
		t.Errorf("a month before: %+v", got)
	}
	c.dns.TXT(got.RecordName, got.RecordValue)
	if renewed := look(); !renewed.Expires.After(first.Expires) {
		t.Errorf("after the new value was entered: %+v", renewed)
	}
	c.pass(validation.DomainLife)
	if got := look(); got.State != registration.DomainLapsed {
		t.Errorf("after the end: %+v", got)
	}
	c.logIsWhole(t)
}

// Who is signed in and proved a mailbox lately needs no other code for it; nobody
// else gets by with that proof.
func TestOwnProofsAreReliedOn(t *testing.T) {
	o := open(t)
	first, secret := o.proven(t, "alice@example.org")
	if _, err := o.Enroll(t.Context(), first.ID, secret, request(t, newKey(t))); err != nil {
		t.Fatal(err)
	}
	var alice auth.Actor
	err := o.db.View(t.Context(), func(tx *store.Tx) error {
		p, err := tx.HolderOf("alice@example.org")
		alice = auth.Actor{Kind: auth.KindPerson, ID: p.ID}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	again := func(a auth.Actor, address string) (registration.Order, string) {
		t.Helper()
		o.pass(time.Hour)
		order, secret, err := o.ApplySignedIn(t.Context(), a, registration.Application{Email: address})
		if err != nil {
			t.Fatal(err)
		}
		return order, secret
	}
	mails := o.sent()
	order, secret := again(alice, "ALICE@example.org")
	if order.State != registration.StateApplied {
		t.Errorf("another spelling is another address in the certificate: %+v", order)
	}
	order, secret = again(alice, "alice@example.org")
	if order.State != registration.StateProven || o.sent() != mails+1 {
		t.Fatalf("%+v, %d mails", order, o.sent()-mails)
	}
	if _, err := o.Enroll(t.Context(), order.ID, secret, request(t, newKey(t))); err != nil {
		t.Error(err)
	}
	for what, try := range map[string]struct {
		a       auth.Actor
		address string
	}{"somebody else": {auth.Actor{Kind: auth.KindPerson, ID: "mallory"}, "alice@example.org"}, "another mailbox": {alice, "bob@example.org"}} {
		if order, _ := again(try.a, try.address); order.State != registration.StateApplied {
			t.Errorf("%s: %+v", what, order)
		}
	}
	if _, _, err := o.ApplySignedIn(t.Context(), auth.Actor{Kind: auth.KindAccount, ID: alice.ID}, registration.Application{Email: "alice@example.org"}); !errors.Is(err, registration.ErrForbidden) {
		t.Errorf("an account: %v", err)
	}
	o.pass(validation.ProofLife)
	if order, _ := again(alice, "alice@example.org"); order.State != registration.StateApplied {
		t.Errorf("after 30 days: %+v", order)
	}
	o.logIsWhole(t)
}

// Every product is issued, with its policy, its names and its use of the key.
func TestEveryProduct(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(*registration.Settings) {})
	c.validate(t, "")
	person := c.add(t, tanaka())
	c.validate(t, person.ID)
	policies := map[string]bool{}
	for _, generation := range []string{"multipurpose", "strict"} {
		for _, split := range []bool{false, true} {
			c.set(t, func(s *registration.Settings) { s.Generation, s.Split, s.Validity = generation, split, 100 })
			for _, kind := range []string{registration.KindBasic, registration.KindIV, registration.KindOV, registration.KindIVOV} {
				outcomes, err := c.OrdersFor(t.Context(), c.admin, c.id, []string{person.ID}, registration.OrderRequest{Kind: kind})
				if err != nil || len(outcomes) != map[bool]int{false: 1, true: 2}[split] {
					t.Fatal(outcomes, err)
				}
				for _, o := range outcomes {
					issued, _ := c.enroll(t, o.Order)
					x := issued.Certificate
					policies[string(x.Policies[0].ID)] = true
					clientAuth := slices.Contains(x.ExtKeyUsage, oid.ClientAuth)
					names := x.Subject
					if x.CanSign() != (o.Order.Use != "encryption") || x.CanEncrypt() != (o.Order.Use != "signing") || clientAuth != (generation == "multipurpose" && o.Order.Use != "encryption") ||
						(len(names.Get(oid.Organization)) > 0) != strings.HasSuffix(kind, "ov") || (len(names.Get(oid.Surname)) > 0) != strings.HasPrefix(kind, "iv") ||
						x.NotAfter.Sub(x.NotBefore).Round(day) != 100*day {
						t.Errorf("%s %s %s: %s, signs %v, encrypts %v, client %v", generation, kind, o.Order.Use, names, x.CanSign(), x.CanEncrypt(), clientAuth)
					}
					want := "account:admin"
					if got := c.entered(t, store.ActIssued); got != want {
						t.Errorf("issued by %q, want %q", got, want)
					}
				}
			}
		}
	}
	if len(policies) != 8 {
		t.Errorf("%d policies for 4 types and 2 generations", len(policies))
	}
	if _, err := c.SetStanding(t.Context(), c.operator, c.id, registration.StandingClosed); inputKey(err) != "standing input.close" {
		t.Errorf("closed with valid certificates: %v", err)
	}
	c.logIsWhole(t)
}

// entered is who did an act last.
func (o *office) entered(t testing.TB, act string) (actor string) {
	t.Helper()
	err := o.db.View(t.Context(), func(tx *store.Tx) error {
		return tx.AuditEntries(func(e store.AuditEntry, err error) error {
			if e.Act == act {
				actor = e.Actor
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

// What the organization took from somebody they do not give back to themselves.
func TestTakenIsNotReplacedByThemselves(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Algorithm = "p256" })
	for _, test := range []struct {
		reason cert.Reason
		want   string
	}{{cert.Superseded, ""}, {cert.KeyCompromise, ""}, {cert.PrivilegeWithdrawn, "replaces input.replaces.taken"}, {cert.AffiliationChanged, "replaces input.replaces.taken"}} {
		person := c.add(t, registration.PersonInput{Surname: "Tanaka", Addresses: []string{test.reason.String() + "@example.jp"}})
		order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
		if err != nil {
			t.Fatal(err)
		}
		c.enroll(t, order)
		held, err := c.Person(t.Context(), c.admin, c.id, person.ID)
		if err != nil || len(held.Certificates) != 1 {
			t.Fatal(held, err)
		}
		id := held.Certificates[0].ID
		if _, err := c.Revoke(t.Context(), c.admin, c.id, []string{id}, test.reason); err != nil {
			t.Fatal(err)
		}
		themselves := auth.Actor{Kind: auth.KindPerson, ID: person.ID}
		_, err = c.OrderFor(t.Context(), auth.Server(registration.PartEnrollment), c.id, person.ID, registration.OrderRequest{Replaces: id, RequestedBy: themselves.String()})
		if (err != nil || test.want != "") && inputKey(err) != test.want {
			t.Errorf("%s, by themselves: %v", test.reason, err)
		}
		// Nobody replaces one twice at a time.
		if test.want != "" {
			if _, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Replaces: id}); err != nil {
				t.Errorf("%s, by the administrator: %v", test.reason, err)
			}
		}
		if _, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{Replaces: id}); inputKey(err) != "replaces input.replaces.open" {
			t.Errorf("%s, a second time: %v", test.reason, err)
		}
	}
}

// TestRenewOwn: a person who asks again goes on with the order that is open.
func TestRenewOwn(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Algorithm = "p256" })
	person := c.add(t, tanaka())
	themselves := auth.Actor{Kind: auth.KindPerson, ID: person.ID}
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c.enroll(t, order)
	held, err := c.OwnCertificates(t.Context(), themselves)
	if err != nil || len(held) != 1 {
		t.Fatal(held, err)
	}
	first, err := c.RenewOwn(t.Context(), themselves, held[0].ID)
	if err != nil || len(first) != 1 || first[0].Replaces != held[0].ID || first[0].RequestedBy != themselves.String() {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := c.RenewOwn(t.Context(), themselves, held[0].ID)
	if err != nil || len(again) != 1 || again[0].ID != first[0].ID {
		t.Errorf("again: %+v, %v", again, err)
	}
	other := c.add(t, registration.PersonInput{Surname: "Sato", Addresses: []string{"sato@example.jp"}})
	for name, actor := range map[string]auth.Actor{"another person": {Kind: auth.KindPerson, ID: other.ID}, "the administrator": c.admin} {
		if _, err := c.RenewOwn(t.Context(), actor, held[0].ID); !errors.Is(err, registration.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who asked as the person with a certificate does not approve it with their account.
func TestOwnRenewalTakesTwo(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Algorithm = "p256" })
	person := c.add(t, registration.PersonInput{Surname: "Admin", Addresses: []string{"admin@example.jp"}})
	order, err := c.OrderFor(t.Context(), c.admin, c.id, person.ID, registration.OrderRequest{})
	if err != nil {
		t.Fatal(err)
	}
	c.enroll(t, order)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	themselves := auth.Actor{Kind: auth.KindPerson, ID: person.ID}
	held, err := c.OwnCertificates(t.Context(), themselves)
	if err != nil || len(held) != 1 {
		t.Fatal(held, err)
	}
	asked, err := c.RenewOwn(t.Context(), themselves, held[0].ID)
	if err != nil || len(asked) != 1 {
		t.Fatalf("%+v, %v", asked, err)
	}
	for i, by := range []auth.Actor{c.admin, c.approver} {
		done, err := c.ApproveOrders(t.Context(), by, c.id, []string{asked[0].ID})
		if err != nil || len(done) != 1 {
			t.Fatal(done, err)
		}
		if refused := inputKey(done[0].Err) == "order input.approve.own"; refused != (i == 0) || !refused && done[0].Err != nil {
			t.Errorf("%s: %v", by.ID, done[0].Err)
		}
	}
}

// That orders need nobody but who asked for them is not for one of two to say;
// all else that was saved with it is.
func TestApprovalEndsByTwo(t *testing.T) {
	c := openCompany(t)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	accounts := auth.New(auth.Options{Store: c.db, Clock: c.clock})
	accounts.Govern(c.Service)
	off := func(by auth.Actor, days int) (registration.Organization, error) {
		t.Helper()
		org, err := c.Organization(t.Context(), c.admin, c.id)
		if err != nil {
			t.Fatal(err)
		}
		org.Settings.Approval, org.Settings.Validity = false, days
		return c.SetSettings(t.Context(), by, c.id, org.Settings)
	}
	program := auth.Actor{Kind: auth.KindToken, ID: "token", Account: c.admin.ID, Grants: c.admin.Grants}
	var waiting auth.Change
	for i, by := range []auth.Actor{c.admin, program} {
		org, err := off(by, 90+i)
		w, waits := errors.AsType[*auth.WaitsError](err)
		if !waits || !org.Settings.Approval || org.Settings.Validity != 90+i {
			t.Fatalf("%+v, %v", org.Settings, err)
		}
		waiting = w.Change
	}
	list, err := accounts.Changes(t.Context(), c.admin, c.id)
	if err != nil || len(list) != 1 || list[0].ID != waiting.ID || list[0].Kind != auth.EndApproval {
		t.Fatalf("%+v waits, %v", list, err)
	}
	for name, by := range map[string]auth.Actor{"who asked": c.admin, "their program": program, "an operator": c.operator} {
		if err := accounts.ConfirmChange(t.Context(), by, c.id, waiting.ID); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("confirmed by %s: %v", name, err)
		}
	}
	if err := accounts.ConfirmChange(t.Context(), c.approver, c.id, waiting.ID); err != nil {
		t.Fatal(err)
	}
	if org, err := c.Organization(t.Context(), c.admin, c.id); err != nil || org.Settings.Approval || org.Settings.Validity != 91 {
		t.Errorf("%+v, %v", org.Settings, err)
	}
	// Whoever is left alone, and who has the data in hand, needs nobody.
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	if _, err := off(auth.Console(), 90); err != nil {
		t.Errorf("from the console: %v", err)
	}
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	if err := accounts.TakeRole(t.Context(), c.approver, c.approver.ID, c.approver.Grants[0]); err != nil {
		t.Fatal(err)
	}
	if org, err := off(c.admin, 90); err != nil || org.Settings.Approval {
		t.Errorf("by who is left: %+v, %v", org.Settings, err)
	}
	// Whom an operator left alone needs one for what took two.
	approver := c.give(t, c.account(t, "approver2"), auth.Approver)
	c.set(t, func(s *registration.Settings) { s.Approval = true })
	if err := accounts.Remove(t.Context(), c.operator, approver.ID); err != nil {
		t.Fatal(err)
	}
	org, err := off(c.admin, 92)
	w, waits := errors.AsType[*auth.WaitsError](err)
	if !waits || !org.Settings.Approval || org.Settings.Validity != 92 {
		t.Fatalf("%+v, %v", org.Settings, err)
	}
	err = c.db.View(t.Context(), func(tx *store.Tx) error {
		counts, err := tx.MailsAbout(w.Change.ID)
		if len(counts) != 1 || counts[0].Kind != auth.MailChange || counts[0].Count == 0 {
			t.Errorf("told are %+v", counts)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := accounts.ConfirmChange(t.Context(), c.operator, c.id, w.Change.ID); err != nil {
		t.Error(err)
	}
	if org, err := c.Organization(t.Context(), c.admin, c.id); err != nil || org.Settings.Approval {
		t.Errorf("%+v, %v", org.Settings, err)
	}
}
