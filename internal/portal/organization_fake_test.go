package portal

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/export"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/roster"
	"github.com/mailseal/mailseal/internal/testca"
)

// fakeOrganization stands for what is below the pages of organizations, with one
// organization that has one person, whose every text is the name of the fake's
// order.
type fakeOrganization struct {
	*fake
	ca       *testca.CA
	kept     *enrollment.Preview
	keptMode string
}

const (
	organizationID = "organization1"
	personToken    = "the-token-of-the-person"
)

func newFakeOrganization(t *testing.T, f *fake) *fakeOrganization {
	f.grants = append(f.grants, auth.Grant{Role: auth.Administrator, Organization: organizationID})
	return &fakeOrganization{fake: f, ca: testca.New(t)}
}

func (f *fakeOrganization) organization() registration.Organization {
	o := registration.Organization{
		ID: organizationID, Name: f.order.Name, LocalName: f.order.Name, Country: "JP", Identifier: f.order.Name,
		Standing: registration.StandingActive, Settings: registration.DefaultSettings(), Created: noon,
	}
	o.Settings.Split, o.Settings.Escrow = f.escrow, f.escrow
	return o
}

func (f *fakeOrganization) changed() (registration.Organization, error) {
	f.calls++
	return f.organization(), f.err
}

func (f *fakeOrganization) CreateOrganization(context.Context, auth.Actor, registration.Organization, string) (registration.Organization, error) {
	return f.changed()
}

func (f *fakeOrganization) RenameOrganization(context.Context, auth.Actor, registration.Organization) (registration.Organization, error) {
	return f.changed()
}

func (f *fakeOrganization) Organization(_ context.Context, _ auth.Actor, id string) (registration.Organization, error) {
	if id != organizationID {
		return registration.Organization{}, registration.ErrForbidden
	}
	return f.organization(), nil
}

func (f *fakeOrganization) Organizations(context.Context, auth.Actor, registration.Standing, registration.Page) ([]registration.Organization, string, error) {
	suspended := f.organization()
	suspended.Standing = registration.StandingSuspended
	return []registration.Organization{f.organization(), suspended}, "next", nil
}

func (f *fakeOrganization) SetStanding(context.Context, auth.Actor, string, registration.Standing) (registration.Organization, error) {
	return f.changed()
}

func (f *fakeOrganization) SetSettings(context.Context, auth.Actor, string, registration.Settings) (registration.Organization, error) {
	return f.changed()
}

func (f *fakeOrganization) FourEyes(context.Context, auth.Actor, string) (registration.FourEyes, error) {
	return registration.FourEyes{Approval: registration.FourEyesState{Why: "foureyes.approval", People: 1, Needed: 2}}, nil
}

func (f *fakeOrganization) Agreement(language string) (registration.Agreement, error) {
	return registration.Agreement{Version: "1", Text: f.order.Name + " " + language}, nil
}

func (f *fakeOrganization) AcceptAgreement(context.Context, auth.Actor, string, string) (registration.Organization, error) {
	return f.changed()
}

func (f *fakeOrganization) domain(state registration.DomainState) registration.Domain {
	return registration.Domain{
		ID: "d" + string(state), Name: f.order.Name, State: state, RecordName: "_mailseal-challenge." + f.order.Name,
		RecordValue: "mailseal-domain-verification=" + f.order.Name, Checked: noon, Proven: noon, Expires: noon,
	}
}

func (f *fakeOrganization) AddDomain(context.Context, auth.Actor, string, string) (registration.Domain, error) {
	f.calls++
	return f.domain(registration.DomainWaiting), f.err
}

func (f *fakeOrganization) Domains(context.Context, auth.Actor, string) ([]registration.Domain, error) {
	return []registration.Domain{f.domain(registration.DomainWaiting), f.domain(registration.DomainProven)}, nil
}

func (f *fakeOrganization) CheckDomain(context.Context, auth.Actor, string, string) (registration.Domain, error) {
	f.calls++
	return f.domain(registration.DomainWaiting), f.err
}

func (f *fakeOrganization) RemoveDomain(context.Context, auth.Actor, string, string) error {
	f.calls++
	return f.err
}

func (f *fakeOrganization) held() []registration.Held {
	valid := registration.Held{ID: "c1", Use: "encryption", Serial: "01ab", SHA256: "01ab", NotAfter: noon.Add(20 * 24 * time.Hour), Trust: registration.TrustServer}
	revoked, expired, strange := valid, valid, valid
	revoked.ID, revoked.Revoked, revoked.Issuer = "c2", noon, f.order.Name
	expired.ID, expired.NotAfter = "c3", noon
	strange.ID, strange.SHA256, strange.Issuer = "c4", "02cd", f.order.Name
	strange.Trust, strange.TrustProblem, strange.TrustDetail = registration.TrustNone, "path", "no path: "+f.order.Name
	return []registration.Held{strange, valid, revoked, expired}
}

func (f *fakeOrganization) openOrder() registration.Order {
	o := f.order
	o.WaitingFor, o.Use, o.RequestedBy = registration.WaitingApproval, "dual", f.order.Name
	return o
}

func (f *fakeOrganization) onePerson() registration.Person {
	return registration.Person{
		ID: "person1", Organization: organizationID, Name: f.order.Name, Since: noon, State: registration.PersonValid,
		PersonInput:  registration.PersonInput{LocalName: f.order.Name, Addresses: []string{f.order.Email}, Number: f.order.Name, Department: f.order.Name},
		Certificates: f.held(), Orders: []registration.Order{f.openOrder()},
	}
}

func (f *fakeOrganization) People(_ context.Context, _ auth.Actor, _ string, _ registration.PersonQuery, page registration.Page) ([]registration.Person, string, error) {
	if page.Limit > registration.DefaultPage { // all of them are wanted
		return []registration.Person{f.onePerson()}, "", nil
	}
	return []registration.Person{f.onePerson()}, "next", nil
}

func (f *fakeOrganization) CountPeople(context.Context, auth.Actor, string, registration.PersonQuery) (int64, error) {
	return 12345, nil
}

func (f *fakeOrganization) PeopleIDs(context.Context, auth.Actor, string, registration.PersonQuery) ([]string, error) {
	return []string{"person1"}, nil
}

func (f *fakeOrganization) Person(_ context.Context, _ auth.Actor, _, id string) (registration.Person, error) {
	if id != "person1" {
		return registration.Person{}, registration.ErrForbidden
	}
	return f.onePerson(), nil
}

func (f *fakeOrganization) AddPerson(context.Context, auth.Actor, string, registration.PersonInput) (registration.Person, error) {
	f.calls++
	return f.onePerson(), f.err
}

func (f *fakeOrganization) ChangePerson(context.Context, auth.Actor, string, string, registration.PersonInput) (registration.Person, error) {
	f.calls++
	return f.onePerson(), f.err
}

func (f *fakeOrganization) PeopleLeave(context.Context, auth.Actor, string, []string) error {
	f.calls++
	return f.err
}

func (f *fakeOrganization) outcomes(n int) ([]registration.Outcome, error) {
	f.calls++
	return make([]registration.Outcome, n), f.err
}

func (f *fakeOrganization) Orders(context.Context, auth.Actor, string, registration.OrderQuery, registration.Page) ([]registration.Order, string, error) {
	return []registration.Order{f.openOrder()}, "", nil
}

func (f *fakeOrganization) ApproveOrders(_ context.Context, _ auth.Actor, _ string, ids []string) ([]registration.Outcome, error) {
	return f.outcomes(len(ids))
}

func (f *fakeOrganization) RefuseOrders(_ context.Context, _ auth.Actor, _ string, ids []string, _ string) ([]registration.Outcome, error) {
	return f.outcomes(len(ids))
}

func (f *fakeOrganization) Revoke(_ context.Context, _ auth.Actor, _ string, ids []string, _ cert.Reason) (registration.Revocations, error) {
	f.calls++
	return registration.Revocations{Revoked: ids}, f.err
}

func (f *fakeOrganization) Anchors(context.Context, auth.Actor, string) ([]registration.Anchor, error) {
	return []registration.Anchor{{Certificate: f.ca.Root.Certificate, By: f.order.Name, Added: noon}}, nil
}

func (f *fakeOrganization) AddAnchors(_ context.Context, a auth.Actor, _ string, _ []byte) error {
	f.calls++
	return cmp.Or(a.InPerson(), f.err)
}

func (f *fakeOrganization) RemoveAnchor(_ context.Context, a auth.Actor, organization, _ string) error {
	f.calls++
	if organization == "" {
		return cmp.Or(a.InPerson(), f.err)
	}
	return f.err
}

func (f *fakeOrganization) submitted(decision string) registration.Evidence {
	names, err := json.Marshal(map[string]string{"name": f.order.Name, "identifier": "NTRJP-7000012050002", "country": f.order.Name})
	if err != nil {
		panic(err)
	}
	e := registration.Evidence{
		ID: "e" + decision, Organization: organizationID, Method: f.order.Name, Reference: f.order.Name, Statement: f.order.Name,
		DocumentName: f.order.Name, Names: string(names), OrganizationName: f.order.Name, Submitter: f.order.Name, Looker: f.order.Name, Decision: decision, Submitted: noon,
	}
	if f.unnamed {
		e.Submitter, e.Looker = "", ""
	}
	return e
}

func (f *fakeOrganization) SubmitEvidence(context.Context, auth.Actor, string, registration.Submission) (registration.Evidence, error) {
	f.calls++
	return f.submitted(""), f.err
}

func (f *fakeOrganization) DecideEvidence(context.Context, auth.Actor, string, bool, string) (registration.Evidence, error) {
	f.calls++
	return f.submitted("accepted"), f.err
}

func (f *fakeOrganization) EvidenceQueue(context.Context, auth.Actor, registration.Page) ([]registration.Evidence, string, error) {
	return []registration.Evidence{f.submitted("")}, f.order.Name, nil
}

func (f *fakeOrganization) EvidenceAbout(context.Context, auth.Actor, string, string) ([]registration.Evidence, error) {
	return []registration.Evidence{f.submitted(""), f.submitted("accepted")}, nil
}

func (f *fakeOrganization) EvidenceDocument(context.Context, auth.Actor, string) (string, []byte, error) {
	return f.order.Name, []byte("document"), nil
}

func (f *fakeOrganization) Preview(_ context.Context, _ auth.Actor, organization string, list io.Reader, _ enrollment.ListOptions) (*enrollment.Preview, error) {
	if _, err := io.Copy(io.Discard, list); err != nil {
		return nil, err
	}
	m, err := mailbox.Parse("alice@example.com")
	return &enrollment.Preview{Organization: organization, List: &roster.List{
		People:   []roster.Person{{Line: 2, Address: m, LocalName: f.order.Name, Department: f.order.Name}},
		Problems: []roster.Problem{{Line: 3, Column: 1, Key: roster.KeyTwice, Args: []string{f.order.Name, f.order.Name}}},
		Columns:  []roster.Column{{Header: f.order.Name}},
	}}, err
}

func (f *fakeOrganization) oneRun() enrollment.Run {
	return enrollment.Run{
		ID: "run1", Organization: organizationID, Mode: enrollment.ModeInvite, State: enrollment.RunPaused, StartedBy: f.order.Name,
		Created: noon, Total: 1000, Done: 600, Failed: 3, Waiting: 397,
	}
}

func (f *fakeOrganization) run() (enrollment.Run, error) {
	f.calls++
	return f.oneRun(), f.err
}

func (f *fakeOrganization) KeepPreview(_ context.Context, _ auth.Actor, p *enrollment.Preview, mode string) (string, error) {
	f.kept, f.keptMode = p, mode
	return "preview1", f.err
}

func (f *fakeOrganization) KeptPreview(_ context.Context, _ auth.Actor, organization, id string) (*enrollment.Preview, string, error) {
	if id != "preview1" || f.kept == nil || f.kept.Organization != organization {
		return nil, "", enrollment.ErrNoPreview
	}
	return f.kept, f.keptMode, nil
}

func (f *fakeOrganization) StartKept(context.Context, auth.Actor, string, string, enrollment.StartOptions) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) StartFor(context.Context, auth.Actor, string, []string, enrollment.StartOptions) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) Run(_ context.Context, _ auth.Actor, id string) (enrollment.Run, error) {
	if id != "run1" {
		return enrollment.Run{}, registration.ErrForbidden
	}
	return f.oneRun(), nil
}

func (f *fakeOrganization) Runs(context.Context, auth.Actor, string, string, int) ([]enrollment.Run, error) {
	return []enrollment.Run{f.oneRun()}, nil
}

func (f *fakeOrganization) Members(context.Context, auth.Actor, string, string, int, int) ([]enrollment.Member, error) {
	return []enrollment.Member{{Line: 7, Address: f.order.Email, Problem: &enrollment.Problem{Key: "input.address", Args: []string{f.order.Name}}}}, nil
}

func (f *fakeOrganization) Pause(context.Context, auth.Actor, string) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) Resume(context.Context, auth.Actor, string) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) Cancel(context.Context, auth.Actor, string) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) Retry(context.Context, auth.Actor, string) (enrollment.Run, error) {
	return f.run()
}

func (f *fakeOrganization) Leave(context.Context, auth.Actor, string, []string) (registration.Revocations, error) {
	f.calls++
	return registration.Revocations{}, f.err
}

func (f *fakeOrganization) Waiting(_ context.Context, id string) (enrollment.Waiting, error) {
	w := enrollment.Waiting{ID: id, Mode: enrollment.ModeInvite, State: enrollment.PickupWaiting}
	switch id {
	case "invitation1":
	case "file1":
		w.Mode = enrollment.ModeServerKeys
	case "taken1":
		w.State = enrollment.PickupTaken
	case "over1":
		w.State = enrollment.PickupExpired
	default:
		return enrollment.Waiting{}, registration.ErrForbidden
	}
	return w, nil
}

func (f *fakeOrganization) Redeem(context.Context, string, string) ([]enrollment.Opened, error) {
	f.calls++
	return []enrollment.Opened{{Order: f.order, Secret: secret}}, f.err
}

func (f *fakeOrganization) Passphrase(context.Context, auth.Actor, string) (string, error) {
	return f.order.Name, nil
}

func (f *fakeOrganization) Sheet(_ context.Context, _ auth.Actor, _, _ string, w io.Writer) error {
	f.calls++
	return f.err
}

func (f *fakeOrganization) PickUp(_ context.Context, _, _, _ string, old []enrollment.Old) ([]byte, error) {
	f.calls++
	f.old = old
	return []byte("file"), f.err
}

// fakeAccounts knows one person, and is asked nothing else here.
type fakeAccounts struct{ accounts }

// accounts is Accounts by a name that is none of its methods.
type accounts = interface{ Accounts }

func (fakeAccounts) Passkeys() bool { return true }

func (fakeAccounts) Factors(context.Context, string) (auth.Factors, error) {
	return auth.Factors{Password: true, TOTP: true}, nil
}

func (fakeAccounts) Changes(context.Context, auth.Actor, string) ([]auth.Change, error) {
	carol := auth.Account{ID: "1", Email: "carol@example.org"}
	return []auth.Change{
		{ID: "change1", Kind: auth.EndApproval, Asker: carol, Asked: noon, Expires: noon},
		{ID: "change2", Kind: auth.NameOfficers, Threshold: 2, Officers: []auth.Account{carol, {ID: "2", Email: "puppet@example.org"}}, Asker: carol, Asked: noon, Expires: noon},
	}, nil
}

func (fakeAccounts) WaitingRoles(context.Context, auth.Actor) ([]auth.WaitingRole, error) {
	return []auth.WaitingRole{{Role: auth.Approver, Organization: organizationID, Asked: noon, Expires: noon}}, nil
}

func (fakeAccounts) OpenIDName() string { return "" }

func (fakeAccounts) PersonSession(_ context.Context, token string) (auth.PersonSession, error) {
	if token != personToken {
		return auth.PersonSession{}, auth.ErrNoSession
	}
	return auth.PersonSession{Person: "person1"}, nil
}

func (f *fakeOrganization) Own(context.Context, auth.Actor) (list []OwnCertificate, orders []registration.Order, err error) {
	for _, h := range f.held() {
		list = append(list, OwnCertificate{h, f.order.Email})
	}
	waits := f.openOrder()
	waits.WaitingFor = registration.WaitingPerson
	return list, []registration.Order{f.openOrder(), waits}, nil
}

func (f *fakeOrganization) RevokeOwn(context.Context, auth.Actor, []string, cert.Reason) (registration.Revocations, error) {
	f.calls++
	return registration.Revocations{}, f.err
}

func (f *fakeOrganization) OpenOwn(context.Context, auth.Actor, string) ([]enrollment.Opened, error) {
	return f.Redeem(context.Background(), "", "")
}

func (f *fakeOrganization) RenewOwn(context.Context, auth.Actor, string) ([]enrollment.Opened, error) {
	return f.Redeem(context.Background(), "", "")
}

func (f *fakeOrganization) Figures(context.Context, auth.Actor, string) (OrganizationFigures, error) {
	return OrganizationFigures{
		People: 12345, Without: 45, Valid: 12000, Revoked: 17, Ending: [3]int{3, 400, 1200}, Waiting: map[string]int{"approval": 12, "person": 300},
		Months: []int{3, 397, 800, 0, 120, 4000, 2000, 15, 600, 900, 1000, 1200},
	}, nil
}

func (f *fakeOrganization) Chain(context.Context) (*cert.Certificate, []*cert.Certificate, error) {
	return f.ca.Root.Certificate, []*cert.Certificate{f.ca.Issuing.Certificate}, nil
}

func (f *fakeOrganization) Encryption(context.Context, auth.Actor, registration.Person) ([]*cert.Certificate, error) {
	return []*cert.Certificate{f.ca.Issuing.Certificate}, nil
}

func (f *fakeOrganization) Sign(_ context.Context, p export.AppleProfile) ([]byte, error) {
	return p.XML(), nil
}

func (f *fakeOrganization) SearchAudit(context.Context, auth.Actor, registration.AuditQuery) ([]registration.AuditEntry, int64, error) {
	return []registration.AuditEntry{{Number: 7, At: noon, Actor: f.order.Name, Act: f.order.Name, Object: f.order.Name, Details: map[string]string{"x": f.order.Name}}}, 6, nil
}

func (f *fakeOrganization) Authorities(ctx context.Context) ([]AuthorityStatus, error) {
	root, err := f.Root(ctx)
	return []AuthorityStatus{
		{AuthorityCertificate: root, Label: "root", Root: true, Active: true, Algorithm: "RSA-4096", CRLs: []CRLStatus{{"1", noon, noon.Add(time.Hour), "/ca/root.crl"}}},
		{AuthorityCertificate: root, Label: "issuing", Algorithm: f.order.Name, CRLs: []CRLStatus{{"2", noon, noon.Add(-time.Hour), "/ca/issuing.crl"}}},
	}, err
}

func (f *fakeOrganization) ImportCertificates(_ context.Context, _ auth.Actor, _ string, file []byte, trustRoots bool) ([]registration.Imported, error) {
	f.calls++
	f.adopted, f.trusting = string(file), trustRoots
	held := f.held()
	refused := &registration.InputError{Field: "certificate", Key: "input.certificate.nobody"}
	return []registration.Imported{
		{Certificate: held[0], Subject: f.order.Name}, {Certificate: held[1], Subject: f.order.Name}, {Subject: f.order.Name, Err: refused},
	}, f.err
}
