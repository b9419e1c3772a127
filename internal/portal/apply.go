package portal

import (
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/registration"
)

func (p *portal) start(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "start", nil)
}

// applyView is the form as it was filled in, with the key of the text that says
// what is wrong with a field, or "".
type applyView struct {
	Name, Email           string
	NameError, EmailError string
	Reason                string // of the mail server that takes no mail for the address
}

func (p *portal) applyForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "apply", applyView{})
}

// apply opens an order and binds it to this browser by a cookie.
func (p *portal) apply(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	entered := applyView{Name: r.PostFormValue("name"), Email: r.PostFormValue("email")}
	order, secret, err := p.Orders.Apply(r.Context(), registration.Application{
		Email: entered.Email, Name: entered.Name, Language: p.tongueOf(r).tag, Client: registration.Client(r.RemoteAddr),
	})
	undeliverable, failed := errors.AsType[*registration.UndeliverableError](err)
	switch {
	case failed:
		entered.EmailError, entered.Reason = "apply.email.undeliverable", undeliverable.Reason
	case errors.Is(err, registration.ErrAddress):
		entered.EmailError = "apply.email.error"
	case errors.Is(err, registration.ErrName):
		entered.NameError = "apply.name.error"
	case err != nil:
		return err
	default:
		p.remember(w, asking{order.ID, secret})
		http.Redirect(w, r, "/code", http.StatusSeeOther)
		return nil
	}
	return p.render(w, r, http.StatusUnprocessableEntity, "apply", entered)
}
