package api

import (
	"errors"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/registration"
)

// companyOrders are those of an organization for its people.
func (h *handler) companyOrders() []*route {
	const all = "/api/v1/organizations/{organization}/orders"
	return []*route{
		get(all, "listOrders", "An organization's orders, the newest first", lookers, h.listOrders),
		do(all, "orderFor", "Order certificates for people; what is wrong with one keeps out that one alone", managers, h.orderFor).upTo(maxList),
		get(all+"/{order}", "getOrganizationOrder", "One order of an organization", lookers, h.getCompanyOrder),
		do(all+"/approve", "approveOrders", "Let orders go on that wait for approval, where the organization no longer asks for one", managers, h.approveOrders).upTo(maxList),
		do(all+"/refuse", "refuseOrders", "End open orders, with a reason", managers, h.refuseOrders).upTo(maxList),
		do(all+"/enroll", "enrollOrders", "Send certification requests for orders that are proven, and get the certificates", managers, h.enrollOrders).upTo(maxList),
		get(all+"/{order}/request", "getExternalRequest", "The certification request of an order as it goes to the authority outside", managers, h.externalRequest).files("application/pkcs10"),
		upload(all+"/{order}/certificate", "takeExternalCertificate", "Hand in the certificate that the authority outside made for an order", managers, maxRequest, certificateFiles, h.certificateIn),
	}
}

var certificateFiles = []string{"application/pkix-cert", "application/x-pem-file", "application/pkcs7-mime", "application/octet-stream", "text/plain"}

type companyOrder struct {
	ID          string     `json:"id"`
	State       string     `json:"state" enum:"applied,proven,issued,refused,expired"`
	WaitingFor  string     `json:"waiting_for,omitempty" enum:"mailbox,approval,person,issuer"`
	Person      string     `json:"person,omitempty"`
	Addresses   []string   `json:"addresses"`
	Kind        string     `json:"kind"`
	Profile     string     `json:"profile"`
	Use         string     `json:"use" enum:"dual,signing,encryption"`
	Issuer      string     `json:"issuer" enum:"local,external"`
	RequestedBy string     `json:"requested_by,omitempty"`
	ApprovedBy  string     `json:"approved_by,omitempty"`
	Approved    *time.Time `json:"approved,omitempty"`
	Replaces    string     `json:"replaces,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Created     time.Time  `json:"created"`
	Expires     time.Time  `json:"expires"`
}

func companyOrderOf(o registration.Order) companyOrder {
	return companyOrder{
		o.ID, string(o.State), string(o.WaitingFor), o.Person, each(o.Addresses), string(o.Kind), o.Profile, o.Use, o.Issuer,
		o.RequestedBy, o.ApprovedBy, moment(o.Approved), o.Replaces, o.Reason, o.Created.UTC(), o.Expires.UTC(),
	}
}

type ordersQuery struct {
	paged
	State      string `json:"state,omitempty" enum:"applied,proven,issued,refused,expired"`
	WaitingFor string `json:"waiting_for,omitempty" enum:"mailbox,approval,person,issuer"`
	Person     string `json:"person,omitempty" max:"64"`
	Kind       string `json:"kind,omitempty" enum:"self,organization,renewal"`
}

func (h *handler) listOrders(c *call, q ordersQuery) (list[companyOrder], error) {
	all, next, err := h.Registration.Orders(c.ctx, c.actor, c.org(), registration.OrderQuery{
		State: registration.State(q.State), WaitingFor: registration.WaitingFor(q.WaitingFor), Person: q.Person, Kind: registration.OrderKind(q.Kind),
	}, q.page())
	return listOf(all, next, companyOrderOf), err
}

type orderIn struct {
	People    []string `json:"people" min:"1" max:"100000" doc:"Their ids."`
	Kind      string   `json:"kind,omitempty" enum:"basic,iv,ov,iv-ov" doc:"Left out: as the settings say."`
	Use       string   `json:"use,omitempty" enum:"dual,signing,encryption" doc:"Left out: as the settings say."`
	Addresses []string `json:"addresses,omitempty" max:"50" doc:"Of one person: some of theirs; left out: all."`
	Replaces  string   `json:"replaces,omitempty" max:"64" doc:"Of one person: the certificate that the new one is to replace."`
}

// outcome is what became of one of several orders.
type outcome struct {
	Person  string        `json:"person,omitempty"`
	Order   *companyOrder `json:"order,omitempty"`
	Problem *problem      `json:"problem,omitempty"`
}

func (h *handler) outcomes(c *call, all []registration.Outcome) list[outcome] {
	return listOf(all, "", func(o registration.Outcome) outcome {
		out := outcome{Person: o.Person}
		if o.Err != nil {
			p := h.problem(nil, c.r, o.Err)
			out.Problem = &p
		}
		if o.Order.ID != "" {
			order := companyOrderOf(o.Order)
			out.Order = &order
		}
		return out
	})
}

func (h *handler) orderFor(c *call, in orderIn) (list[outcome], error) {
	if len(in.People) > 1 && (len(in.Addresses) > 0 || in.Replaces != "") {
		return list[outcome]{}, &fieldError{"people", "must be one, where addresses or a certificate to replace are named"}
	}
	all, err := h.Registration.OrdersFor(c.ctx, c.actor, c.org(), in.People, registration.OrderRequest{
		Kind: in.Kind, Use: issuance.KeyUse(in.Use), Addresses: in.Addresses, Replaces: in.Replaces,
	})
	return h.outcomes(c, all), err
}

func (h *handler) getCompanyOrder(c *call, _ none) (companyOrder, error) {
	o, err := h.Registration.OrderOf(c.ctx, c.actor, c.path("order"))
	if err == nil && o.Organization != c.org() {
		err = registration.ErrForbidden
	}
	return companyOrderOf(o), err
}

func (h *handler) approveOrders(c *call, in selection) (list[outcome], error) {
	all, err := h.Registration.ApproveOrders(c.ctx, c.actor, c.org(), in.IDs)
	return h.outcomes(c, all), err
}

type refusalIn struct {
	selection
	Reason string `json:"reason" min:"1" max:"500"`
}

func (h *handler) refuseOrders(c *call, in refusalIn) (list[outcome], error) {
	all, err := h.Registration.RefuseOrders(c.ctx, c.actor, c.org(), in.IDs, in.Reason)
	return h.outcomes(c, all), err
}

type enrollIn struct {
	Requests []enrollRequest `json:"requests" min:"1" max:"1000"`
}

type enrollRequest struct {
	Order   string `json:"order" min:"1" max:"64"`
	Request string `json:"request" min:"1" max:"16000" doc:"PKCS #10 (RFC 2986), PEM."`
}

type enrolled struct {
	Order       string   `json:"order"`
	Certificate string   `json:"certificate,omitempty" doc:"PEM"`
	Chain       []string `json:"chain,omitempty" doc:"PEM"`
	Outside     bool     `json:"outside,omitempty" doc:"The request is kept for an authority outside."`
	Problem     *problem `json:"problem,omitempty"`
}

// enrollAtOnce is how many certificates are made at a time, so that changes of
// the store share their commits.
const enrollAtOnce = 16

func (h *handler) enrollOrders(c *call, in enrollIn) (list[enrolled], error) {
	out := list[enrolled]{Items: make([]enrolled, len(in.Requests))}
	slots := make(chan struct{}, enrollAtOnce)
	var wait sync.WaitGroup
	for i, r := range in.Requests {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			out.Items[i] = h.enrollOne(c, r)
		})
	}
	wait.Wait()
	return out, nil
}

func (h *handler) enrollOne(c *call, r enrollRequest) enrolled {
	out := enrolled{Order: r.Order}
	issued, err := h.Registration.EnrollFor(c.ctx, c.actor, registration.Request{
		Kind: registration.RequestOrganization, Organization: c.org(), Order: r.Order, Certification: []byte(r.Request),
	})
	switch {
	case errors.Is(err, registration.ErrOutside):
		out.Outside = true
	case err != nil:
		p := h.problem(nil, c.r, err)
		out.Problem = &p
	default:
		shown := issuedOf(issued)
		out.Certificate, out.Chain = shown.Certificate, shown.Chain
	}
	return out
}

func (h *handler) externalRequest(c *call, _ none) (file, error) {
	der, err := h.Registration.ExternalRequest(c.ctx, c.actor, c.org(), c.path("order"))
	return file{"application/pkcs10", c.path("order") + ".p10", der}, err
}

func (h *handler) certificateIn(c *call, _ none) (certificateOut, error) {
	held, err := h.Registration.CertificateIn(c.ctx, c.actor, c.org(), c.path("order"), c.body, false)
	return certificateOf(held), err
}
