package portal

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// OrganizationOrders is what the pages need of registration.Service for orders
// that an organization asks for, and for revoking what came of them.
type OrganizationOrders interface {
	Orders(ctx context.Context, actor auth.Actor, organization string, q registration.OrderQuery, page registration.Page) ([]registration.Order, string, error)
	ApproveOrders(ctx context.Context, actor auth.Actor, organization string, ids []string) ([]registration.Outcome, error)
	RefuseOrders(ctx context.Context, actor auth.Actor, organization string, ids []string, reason string) ([]registration.Outcome, error)
	Revoke(ctx context.Context, actor auth.Actor, organization string, ids []string, reason cert.Reason) (registration.Revocations, error)
}

type ordersView struct {
	Organization string
	Tabs         []string
	Waiting      string // the tab that is shown
	Orders       []orderRow
	Form         form
	Notice       *notice
	Pager        pager
	May          bool
}

type orderRow struct {
	registration.Order
	WaitingFor, Use, By string
}

// orderRows are orders as tables show them; names may be nil where none are shown.
func orderRows(list []registration.Order, names names) (rows []orderRow) {
	for _, o := range list {
		rows = append(rows, orderRow{o, string(o.WaitingFor), string(o.Use), names.of(o.RequestedBy)})
	}
	return rows
}

// Decides tells whether the page is for deciding.
func (v ordersView) Decides() bool { return v.May && v.Waiting == "approval" }

// orderTabs are whom orders wait for; the first is what somebody has to do here.
var orderTabs = []string{"approval", "person", "mailbox", "issuer", "all"}

var ordersDone = map[string]string{"approved": "orders.approved", "refused": "orders.refused"}

func (p *portal) orders(w http.ResponseWriter, r *http.Request, v visit) error {
	return p.showOrders(w, r, v, http.StatusOK, form{})
}

func (p *portal) showOrders(w http.ResponseWriter, r *http.Request, v visit, status int, f form) error {
	view := ordersView{
		Organization: v.organization.ID, Tabs: orderTabs, Waiting: r.URL.Query().Get("waiting"), Form: f,
		Notice: doneNotice(r, ordersDone), May: may(auth.Administrator, auth.Approver)(v.Actor(), v.organization.ID),
	}
	if !slices.Contains(orderTabs, view.Waiting) {
		view.Waiting = orderTabs[0]
	}
	var q registration.OrderQuery
	if view.Waiting != "all" {
		q.WaitingFor = registration.WaitingFor(view.Waiting)
	}
	list, next, err := p.Registration.Orders(r.Context(), v.Actor(), v.organization.ID, q, registration.Page{After: r.URL.Query().Get("after")})
	if err != nil {
		return err
	}
	names, err := p.names(r, v)
	if err != nil {
		return err
	}
	view.Orders, view.Pager = orderRows(list, names), pagerAt("/org/"+v.organization.ID+"/orders", r.URL.Query(), next)
	return p.render(w, r, status, "orders", view)
}

// decideOrders approves those that are ticked, or refuses them.
func (p *portal) decideOrders(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := formOf(r)
	ids := f.Values["order"]
	if f.Value("whom") == "all" {
		var err error
		if ids, err = p.waitingOrders(r, v); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		f.wrong("", "orders.error.none")
		return p.showOrders(w, r, v, http.StatusUnprocessableEntity, f)
	}
	var list []registration.Outcome
	var err error
	done := "approved"
	switch f.Value("decision") {
	case "approve":
		list, err = p.Registration.ApproveOrders(r.Context(), v.Actor(), v.organization.ID, ids)
	case "refuse":
		done = "refused"
		list, err = p.Registration.RefuseOrders(r.Context(), v.Actor(), v.organization.ID, ids, f.Value("reason"))
	default:
		return errUnreadable
	}
	if f.taken(err) {
		return p.showOrders(w, r, v, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	good := 0
	for _, o := range list {
		if o.Err == nil {
			good++
		} else if !f.taken(o.Err) && !errors.Is(o.Err, registration.ErrState) { // ErrState: decided meanwhile
			return o.Err
		}
	}
	if len(f.Faults) > 0 {
		f.Faults = f.Faults[:1] // the same for all of them
		return p.showOrders(w, r, v, http.StatusUnprocessableEntity, f)
	}
	return seeOther(w, r, "/org/"+v.organization.ID+"/orders?done="+done+"&n="+strconv.Itoa(good))
}

// waitingOrders are all that wait for approval.
func (p *portal) waitingOrders(r *http.Request, v visit) (ids []string, err error) {
	q := registration.OrderQuery{WaitingFor: registration.WaitingApproval}
	for page := (registration.Page{Limit: registration.MaxPage}); ; {
		list, next, err := p.Registration.Orders(r.Context(), v.Actor(), v.organization.ID, q, page)
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			ids = append(ids, o.ID)
		}
		if page.After = next; next == "" {
			return ids, nil
		}
	}
}

// revokeOf revokes all valid certificates of people, and counts them.
func (p *portal) revokeOf(ctx context.Context, v visit, people []string, reason cert.Reason) (int, error) {
	var ids []string
	for _, id := range people {
		one, err := p.Registration.Person(ctx, v.Actor(), v.organization.ID, id)
		if err != nil {
			return 0, err
		}
		for _, c := range one.Certificates {
			if c.Valid(p.Now()) {
				ids = append(ids, c.ID)
			}
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	done, err := p.Registration.Revoke(ctx, v.Actor(), v.organization.ID, ids, reason)
	return revoked(done), err
}

// revoked counts what was revoked.
func revoked(done registration.Revocations) int { return len(done.Revoked) + len(done.Outside) }
