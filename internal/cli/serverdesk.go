package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// serverDesk is a desk on a running server. Who acts is whose token it is.
type serverDesk struct {
	*apiClient
}

// desk opens the desk that the flags name.
func (s *serverFlags) desk(cmd *cobra.Command) (*serverDesk, error) {
	c, err := s.client(cmd)
	if err != nil {
		return nil, err
	}
	return &serverDesk{apiClient: c}, nil
}

// org is a path below an organization.
func org(id string, parts ...string) string {
	path := "organizations/" + url.PathEscape(id)
	for _, part := range parts {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// pageQuery are the parameters of a page.
func pageQuery(page registration.Page) url.Values {
	q := url.Values{}
	if page.After != "" {
		q.Set("cursor", page.After)
	}
	if page.Limit != 0 {
		q.Set("limit", strconv.Itoa(page.Limit))
	}
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// listed is a list as the API has it.
type listed[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

func shown[A, B any](items []A, show func(A) B) []B {
	out := make([]B, len(items))
	for i, item := range items {
		out[i] = show(item)
	}
	return out
}

type theirOrganization struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	LocalName  string                `json:"local_name,omitempty"`
	Country    string                `json:"country"`
	State      string                `json:"state,omitempty"`
	Locality   string                `json:"locality,omitempty"`
	Identifier string                `json:"identifier,omitempty"`
	Standing   registration.Standing `json:"standing"`
	Settings   registration.Settings `json:"settings"`
	Agreed     string                `json:"agreed"`
	Created    time.Time             `json:"created"`
}

func (o theirOrganization) ours() registration.Organization {
	return registration.Organization{
		ID: o.ID, Name: o.Name, LocalName: o.LocalName, Country: o.Country, State: o.State, Locality: o.Locality, Identifier: o.Identifier,
		Standing: o.Standing, Settings: o.Settings, Agreed: o.Agreed, Created: o.Created,
	}
}

func (d *serverDesk) one(ctx context.Context, method, path string, body any) (registration.Organization, error) {
	var o theirOrganization
	err := d.ask(ctx, method, path, nil, body, &o)
	return o.ours(), err
}

func (d *serverDesk) CreateOrganization(ctx context.Context, _ auth.Actor, o registration.Organization, administrator string) (registration.Organization, error) {
	if administrator != "" {
		return o, usage(errors.New("--administrator has no meaning with --server"), "the account whose token it is runs the organization; it invites others in the portal")
	}
	return d.one(ctx, http.MethodPost, "organizations", map[string]string{
		"name": o.Name, "local_name": o.LocalName, "country": o.Country, "state": o.State, "locality": o.Locality, "identifier": o.Identifier,
	})
}

func (d *serverDesk) Organization(ctx context.Context, _ auth.Actor, id string) (registration.Organization, error) {
	return d.one(ctx, http.MethodGet, org(id), nil)
}

func (d *serverDesk) Organizations(ctx context.Context, _ auth.Actor, standing registration.Standing, page registration.Page) ([]registration.Organization, string, error) {
	var l listed[theirOrganization]
	q := pageQuery(page)
	set(q, "standing", string(standing))
	err := d.ask(ctx, http.MethodGet, "organizations", q, nil, &l)
	return shown(l.Items, theirOrganization.ours), l.Next, err
}

func (d *serverDesk) SetSettings(ctx context.Context, _ auth.Actor, organization string, s registration.Settings) (registration.Organization, error) {
	var o struct {
		theirOrganization
		Waits *struct {
			ID string `json:"id"`
		} `json:"waits"`
	}
	err := d.ask(ctx, http.MethodPut, org(organization, "settings"), nil, s, &o)
	if err == nil && o.Waits != nil {
		err = &auth.WaitsError{Change: auth.Change{ID: o.Waits.ID, Organization: organization}}
	}
	return o.ours(), err
}

func (d *serverDesk) FourEyes(ctx context.Context, _ auth.Actor, organization string) (registration.FourEyes, error) {
	type feature struct {
		On     bool   `json:"on"`
		Code   string `json:"code"`
		People int    `json:"people"`
		Needed int    `json:"needed"`
	}
	var eyes struct {
		Approval feature `json:"approval"`
		Evidence feature `json:"evidence"`
	}
	err := d.ask(ctx, http.MethodGet, org(organization, "four-eyes"), nil, nil, &eyes)
	ours := func(f feature) registration.FourEyesState {
		return registration.FourEyesState{On: f.On, Why: f.Code, People: f.People, Needed: f.Needed}
	}
	return registration.FourEyes{Approval: ours(eyes.Approval), Evidence: ours(eyes.Evidence)}, err
}

// agreementTime bounds the one call that has no context.
const agreementTime = time.Minute

func (d *serverDesk) Agreement(language string) (registration.Agreement, error) {
	ctx, stop := context.WithTimeout(context.Background(), agreementTime)
	defer stop()
	var a struct {
		Version string    `json:"version"`
		Since   time.Time `json:"since"`
		Text    string    `json:"text"`
	}
	q := url.Values{}
	set(q, "language", language)
	err := d.ask(ctx, http.MethodGet, "agreement", q, nil, &a)
	return registration.Agreement{Version: a.Version, Since: a.Since, Text: a.Text}, err
}

func (d *serverDesk) AcceptAgreement(ctx context.Context, _ auth.Actor, organization, version string) (registration.Organization, error) {
	return d.one(ctx, http.MethodPost, org(organization, "agreement"), map[string]string{"version": version})
}

type theirDomain struct {
	ID          string                   `json:"id"`
	Name        string                   `json:"name"`
	State       registration.DomainState `json:"state"`
	RecordName  string                   `json:"record_name"`
	RecordValue string                   `json:"record_value"`
	Created     time.Time                `json:"created"`
	Checked     time.Time                `json:"checked"`
	Proven      time.Time                `json:"proven"`
	Expires     time.Time                `json:"expires"`
	Code        string                   `json:"code"`
}

func (t theirDomain) ours() registration.Domain {
	return registration.Domain{
		ID: t.ID, Name: t.Name, State: t.State, RecordName: t.RecordName, RecordValue: t.RecordValue,
		Created: t.Created, Checked: t.Checked, Proven: t.Proven, Expires: t.Expires, Trouble: t.Code,
	}
}

func (d *serverDesk) Domains(ctx context.Context, _ auth.Actor, organization string) ([]registration.Domain, error) {
	var l listed[theirDomain]
	err := d.ask(ctx, http.MethodGet, org(organization, "domains"), nil, nil, &l)
	return shown(l.Items, theirDomain.ours), err
}

func (d *serverDesk) AddDomain(ctx context.Context, _ auth.Actor, organization, name string) (registration.Domain, error) {
	var t theirDomain
	err := d.ask(ctx, http.MethodPost, org(organization, "domains"), nil, map[string]string{"name": name}, &t)
	return t.ours(), err
}

func (d *serverDesk) CheckDomain(ctx context.Context, _ auth.Actor, organization, id string) (registration.Domain, error) {
	var t theirDomain
	err := d.ask(ctx, http.MethodPost, org(organization, "domains", id, "check"), nil, nil, &t)
	return t.ours(), err
}

func (d *serverDesk) RemoveDomain(ctx context.Context, _ auth.Actor, organization, id string) error {
	return d.ask(ctx, http.MethodDelete, org(organization, "domains", id), nil, nil, nil)
}

type theirCertificate struct {
	ID      string    `json:"id"`
	Person  string    `json:"person"`
	Order   string    `json:"order"`
	Issuer  string    `json:"issuer"`
	Use     string    `json:"use"`
	Profile string    `json:"profile"`
	Serial  string    `json:"serial"`
	SHA256  string    `json:"sha256"`
	Issued  time.Time `json:"issued"`
	Ends    time.Time `json:"not_after"`
	Revoked time.Time `json:"revoked"`
	Trust   string    `json:"trust"`
	Problem string    `json:"trust_problem"`
	Detail  string    `json:"trust_detail"`
}

func (c theirCertificate) ours() registration.Held {
	trust := registration.Trust(c.Trust)
	if c.Trust == "none" {
		trust = registration.TrustNone
	}
	return registration.Held{
		Trust: trust, TrustProblem: c.Problem, TrustDetail: c.Detail,
		ID: c.ID, Person: c.Person, Order: c.Order, Issuer: c.Issuer, Use: c.Use, Profile: c.Profile, Serial: c.Serial, SHA256: c.SHA256,
		Issued: c.Issued, NotAfter: c.Ends, Revoked: c.Revoked,
	}
}

type theirOrder struct {
	ID          string                  `json:"id"`
	State       registration.State      `json:"state"`
	WaitingFor  registration.WaitingFor `json:"waiting_for"`
	Person      string                  `json:"person"`
	Addresses   []string                `json:"addresses"`
	Kind        registration.OrderKind  `json:"kind"`
	Profile     string                  `json:"profile"`
	Use         string                  `json:"use"`
	Issuer      string                  `json:"issuer"`
	RequestedBy string                  `json:"requested_by"`
	ApprovedBy  string                  `json:"approved_by"`
	Approved    time.Time               `json:"approved"`
	Replaces    string                  `json:"replaces"`
	Reason      string                  `json:"reason"`
	Created     time.Time               `json:"created"`
	Expires     time.Time               `json:"expires"`
}

func (o theirOrder) ours() registration.Order {
	return registration.Order{
		ID: o.ID, State: o.State, WaitingFor: o.WaitingFor, Person: o.Person, Addresses: o.Addresses, Kind: o.Kind, Profile: o.Profile, Use: o.Use,
		Issuer: o.Issuer, RequestedBy: o.RequestedBy, ApprovedBy: o.ApprovedBy, Approved: o.Approved, Replaces: o.Replaces, Reason: o.Reason,
		Created: o.Created, Expires: o.Expires,
	}
}

// theirInput is what an organization says of a person.
type theirInput struct {
	GivenName  string   `json:"given_name,omitempty"`
	Surname    string   `json:"surname,omitempty"`
	LocalName  string   `json:"local_name,omitempty"`
	Addresses  []string `json:"addresses"`
	Number     string   `json:"number,omitempty"`
	Department string   `json:"department,omitempty"`
	Language   string   `json:"language,omitempty"`
}

type theirPerson struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	theirInput
	Since        time.Time                `json:"since"`
	Left         time.Time                `json:"left"`
	State        registration.PersonState `json:"state"`
	Certificates []theirCertificate       `json:"certificates"`
	Orders       []theirOrder             `json:"orders"`
}

func (t theirPerson) ours() registration.Person {
	return registration.Person{
		ID: t.ID, Name: t.Name, PersonInput: registration.PersonInput(t.theirInput), Since: t.Since, Left: t.Left, State: t.State,
		Certificates: shown(t.Certificates, theirCertificate.ours), Orders: shown(t.Orders, theirOrder.ours),
	}
}

// theirProblem is what is wrong with one of many.
type theirProblem struct {
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func (t *theirProblem) err() error {
	switch {
	case t == nil:
		return nil
	case t.Code == "forbidden":
		return registration.ErrForbidden
	case t.Detail != "":
		return errors.New(t.Detail)
	}
	return errors.New(t.Title)
}

func (d *serverDesk) People(ctx context.Context, _ auth.Actor, organization string, query registration.PersonQuery, page registration.Page) ([]registration.Person, string, error) {
	var l listed[theirPerson]
	q := pageQuery(page)
	set(q, "text", query.Text)
	set(q, "state", string(query.State))
	if !query.ExpiringBefore.IsZero() {
		q.Set("expiring_before", query.ExpiringBefore.UTC().Format(time.RFC3339))
	}
	err := d.ask(ctx, http.MethodGet, org(organization, "people"), q, nil, &l)
	return shown(l.Items, theirPerson.ours), l.Next, err
}

func (d *serverDesk) Person(ctx context.Context, _ auth.Actor, organization, id string) (registration.Person, error) {
	var t theirPerson
	err := d.ask(ctx, http.MethodGet, org(organization, "people", id), nil, nil, &t)
	return t.ours(), err
}

func (d *serverDesk) AddPerson(ctx context.Context, _ auth.Actor, organization string, p registration.PersonInput) (registration.Person, error) {
	var l listed[struct {
		Person  theirPerson   `json:"person"`
		Problem *theirProblem `json:"problem"`
	}]
	in := map[string]any{"people": []theirInput{theirInput(p)}}
	if err := d.ask(ctx, http.MethodPost, org(organization, "people"), nil, in, &l); err != nil {
		return registration.Person{}, err
	}
	if len(l.Items) != 1 {
		return registration.Person{}, broken(errors.New("the server answered about somebody else"), "is this a mailseal server?")
	}
	if err := l.Items[0].Problem.err(); err != nil {
		return registration.Person{}, broken(err, "see --help")
	}
	return l.Items[0].Person.ours(), nil
}

func (d *serverDesk) PeopleLeave(ctx context.Context, _ auth.Actor, organization string, ids []string) error {
	return d.ask(ctx, http.MethodPost, org(organization, "people", "leave"), nil, map[string]any{"ids": ids}, nil)
}

func (d *serverDesk) Orders(ctx context.Context, _ auth.Actor, organization string, query registration.OrderQuery, page registration.Page) ([]registration.Order, string, error) {
	var l listed[theirOrder]
	q := pageQuery(page)
	set(q, "state", string(query.State))
	set(q, "waiting_for", string(query.WaitingFor))
	set(q, "person", query.Person)
	set(q, "kind", string(query.Kind))
	err := d.ask(ctx, http.MethodGet, org(organization, "orders"), q, nil, &l)
	return shown(l.Items, theirOrder.ours), l.Next, err
}

// outcomes asks for something that is done to many orders.
func (d *serverDesk) outcomes(ctx context.Context, path string, body any) ([]registration.Outcome, error) {
	type outcome struct {
		Person  string        `json:"person"`
		Order   theirOrder    `json:"order"`
		Problem *theirProblem `json:"problem"`
	}
	var l listed[outcome]
	err := d.ask(ctx, http.MethodPost, path, nil, body, &l)
	return shown(l.Items, func(o outcome) registration.Outcome {
		return registration.Outcome{Person: o.Person, Order: o.Order.ours(), Err: o.Problem.err()}
	}), err
}

func (d *serverDesk) OrdersFor(ctx context.Context, _ auth.Actor, organization string, people []string, r registration.OrderRequest) ([]registration.Outcome, error) {
	return d.outcomes(ctx, org(organization, "orders"), struct {
		People    []string `json:"people"`
		Kind      string   `json:"kind,omitempty"`
		Use       string   `json:"use,omitempty"`
		Addresses []string `json:"addresses,omitempty"`
		Replaces  string   `json:"replaces,omitempty"`
	}{people, r.Kind, string(r.Use), r.Addresses, r.Replaces})
}

func (d *serverDesk) ApproveOrders(ctx context.Context, _ auth.Actor, organization string, ids []string) ([]registration.Outcome, error) {
	return d.outcomes(ctx, org(organization, "orders", "approve"), map[string]any{"ids": ids})
}

func (d *serverDesk) RefuseOrders(ctx context.Context, _ auth.Actor, organization string, ids []string, reason string) ([]registration.Outcome, error) {
	return d.outcomes(ctx, org(organization, "orders", "refuse"), map[string]any{"ids": ids, "reason": reason})
}

func (d *serverDesk) EnrollFor(ctx context.Context, _ auth.Actor, r registration.Request) (registration.Issued, error) {
	request := r.Certification
	if block, _ := pem.Decode(request); block == nil {
		request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})
	}
	var l listed[struct {
		Certificate string        `json:"certificate"`
		Chain       []string      `json:"chain"`
		Outside     bool          `json:"outside"`
		Problem     *theirProblem `json:"problem"`
	}]
	in := map[string]any{"requests": []map[string]string{{"order": r.Order, "request": string(request)}}}
	if err := d.ask(ctx, http.MethodPost, org(r.Organization, "orders", "enroll"), nil, in, &l); err != nil {
		return registration.Issued{}, err
	}
	if len(l.Items) != 1 {
		return registration.Issued{}, broken(errors.New("the server answered about something else"), "is this a mailseal server?")
	}
	one := l.Items[0]
	switch {
	case one.Outside:
		return registration.Issued{}, registration.ErrOutside
	case one.Problem != nil && one.Problem.Code == "state":
		return registration.Issued{}, registration.ErrState
	case one.Problem != nil:
		return registration.Issued{}, one.Problem.err()
	}
	chain, err := readPEMs(append([]string{one.Certificate}, one.Chain...))
	if err != nil {
		return registration.Issued{}, broken(err, "is this a mailseal server?")
	}
	return registration.Issued{Certificate: chain[0], Chain: chain[1:]}, nil
}

func readPEMs(texts []string) (list []*cert.Certificate, err error) {
	for _, text := range texts {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			return nil, errors.New("the server's answer has no certificate where one belongs")
		}
		c, err := cert.Parse(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func (d *serverDesk) ExternalRequest(ctx context.Context, _ auth.Actor, organization, order string) (der []byte, err error) {
	err = d.ask(ctx, http.MethodGet, org(organization, "orders", order, "request"), nil, nil, &der)
	return der, err
}

func (d *serverDesk) CertificateIn(ctx context.Context, _ auth.Actor, organization, order string, file []byte, trustRoots bool) (registration.Held, error) {
	if trustRoots {
		return registration.Held{}, errRootsThere
	}
	var c theirCertificate
	err := d.ask(ctx, http.MethodPost, org(organization, "orders", order, "certificate"), nil, apiFile{"application/octet-stream", file}, &c)
	return c.ours(), err
}

func (d *serverDesk) ImportCertificates(ctx context.Context, _ auth.Actor, organization string, file []byte, trustRoots bool) ([]registration.Imported, error) {
	if trustRoots {
		return nil, errRootsThere
	}
	type imported struct {
		Subject     string           `json:"subject"`
		Certificate theirCertificate `json:"certificate"`
		Problem     *theirProblem    `json:"problem"`
	}
	var l listed[imported]
	err := d.ask(ctx, http.MethodPost, org(organization, "certificates"), nil, apiFile{"application/octet-stream", file}, &l)
	return shown(l.Items, func(i imported) registration.Imported {
		return registration.Imported{Certificate: i.Certificate.ours(), Subject: i.Subject, Err: i.Problem.err()}
	}), err
}

// errRootsThere: a program does not say what is trusted, and for everybody not what is
// no longer, and a token is one's.
var errRootsThere = no(errors.New("a token names no roots as trusted, and takes back none of everybody's: it takes a person"), "sign in to the portal: Settings, Trusted roots; an operator's are at Authorities, Trusted roots")

// anchorsOf is where the roots of an organization are, or everybody's.
func anchorsOf(organization string) string {
	if organization != "" {
		return org(organization, "anchors")
	}
	return "anchors"
}

func (d *serverDesk) Anchors(ctx context.Context, _ auth.Actor, organization string) (list []registration.Anchor, err error) {
	var l listed[struct {
		By          string    `json:"added_by"`
		Added       time.Time `json:"added"`
		Certificate string    `json:"certificate"`
	}]
	if err := d.ask(ctx, http.MethodGet, anchorsOf(organization), nil, nil, &l); err != nil {
		return nil, err
	}
	for _, item := range l.Items {
		c, err := readPEMs([]string{item.Certificate})
		if err != nil {
			return nil, broken(err, "is this a mailseal server?")
		}
		list = append(list, registration.Anchor{Organization: organization, Certificate: c[0], By: item.By, Added: item.Added})
	}
	return list, nil
}

func (d *serverDesk) AddAnchors(context.Context, auth.Actor, string, []byte) error {
	return errRootsThere
}

func (d *serverDesk) RemoveAnchor(ctx context.Context, _ auth.Actor, organization, sha256 string) error {
	if organization == "" {
		return errRootsThere
	}
	return d.ask(ctx, http.MethodDelete, org(organization, "anchors", sha256), nil, nil, nil)
}

func (d *serverDesk) Revoke(ctx context.Context, _ auth.Actor, organization string, ids []string, reason cert.Reason) (registration.Revocations, error) {
	var r registration.Revocations
	in := map[string]any{"ids": ids, "reason": reason.String()}
	err := d.ask(ctx, http.MethodPost, org(organization, "certificates", "revoke"), nil, in, &r)
	return r, err
}
