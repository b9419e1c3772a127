package portal

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/registration"
)

// codeView is the page that waits for the code.
type codeView struct {
	Order registration.Order
	Error string // key of the text that says what is wrong with the code, or ""
	Sent  bool   // another mail was just sent
}

// Waiting tells whether the mail has not left yet.
func (v codeView) Waiting() bool { return v.Order.Mail.State == mailqueue.Waiting }

// Left is how many tries are left, for the template.
func (v codeView) Left() string { return strconv.Itoa(v.Order.TriesLeft) }

// codeForm shows where the code goes. In a browser that asked for nothing, a
// scanner's or a colleague's, there is no form.
func (p *portal) codeForm(w http.ResponseWriter, r *http.Request) error {
	order, err := p.order(r)
	if err != nil {
		return err
	}
	if next := placeOf(order); next != "/code" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return p.render(w, r, http.StatusOK, "code", codeView{Order: order, Sent: r.URL.Query().Has("sent")})
}

func (p *portal) prove(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askingOf(r)
	if !ok {
		return errNoSession
	}
	if err := readForm(r); err != nil {
		return err
	}
	_, err := p.Orders.Prove(r.Context(), asking.id, asking.secret, r.PostFormValue("code"))
	again := ""
	switch {
	case errors.Is(err, registration.ErrNotACode):
		again = "code.error.form"
	case errors.Is(err, registration.ErrWrongCode):
		again = "code.error.wrong"
	case err != nil:
		return err
	default:
		http.Redirect(w, r, "/key", http.StatusSeeOther)
		return nil
	}
	order, err := p.order(r)
	if err != nil {
		return err
	}
	if order.State != registration.StateApplied { // that was the last try
		return registration.ErrState
	}
	return p.render(w, r, http.StatusUnprocessableEntity, "code", codeView{Order: order, Error: again})
}

func (p *portal) resend(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askingOf(r)
	if !ok {
		return errNoSession
	}
	_, err := p.Orders.Resend(r.Context(), asking.id, asking.secret)
	// That no mail reaches the address stands on the order's own page.
	if _, undeliverable := errors.AsType[*registration.UndeliverableError](err); err != nil && !undeliverable {
		return err
	}
	http.Redirect(w, r, "/code?sent", http.StatusSeeOther)
	return nil
}

// order is the order that this browser asked for.
func (p *portal) order(r *http.Request) (registration.Order, error) {
	asking, ok := p.askingOf(r)
	if !ok {
		return registration.Order{}, errNoSession
	}
	return p.Orders.Order(r.Context(), asking.id, asking.secret)
}

// placeOf is the page on which an order goes on.
func placeOf(o registration.Order) string {
	switch o.State {
	case registration.StateApplied:
		return "/code"
	case registration.StateProven, registration.StateIssued:
		return "/key"
	default:
		return "/apply"
	}
}
