package portal

import (
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/mailseal/mailseal/internal/registration"
)

// keyView is the page on which the browser makes the key.
type keyView struct {
	Order  registration.Order
	Label  string // friendlyName in the PKCS #12 file
	Issued bool   // the certificate exists; whoever reloads has lost the key
}

func (p *portal) keyPage(w http.ResponseWriter, r *http.Request) error {
	order, err := p.order(r)
	if err != nil {
		return err
	}
	if next := placeOf(order); next != "/key" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return p.render(w, r, http.StatusOK, "key", keyView{order, label(order), order.State == registration.StateIssued})
}

// label is how key chains show the certificate: the name, which is not in the
// certificate, and the address, which tells two certificates apart.
func label(o registration.Order) string {
	if o.Name == "" {
		return o.Email
	}
	return fmt.Sprintf("%s (%s)", o.Name, o.Email)
}

// enroll takes the certification request (RFC 2986, application/pkcs10 as in
// RFC 5967) from the page's script and answers with the certificate. A form of
// another site cannot send this content type.
func (p *portal) enroll(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askingOf(r)
	if !ok {
		return errNoSession
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/pkcs10" {
		return fmt.Errorf("%w: content type is not application/pkcs10", registration.ErrRequest)
	}
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("read certification request: %w", unreadable(err))
	}
	issued, err := p.Orders.Enroll(r.Context(), asking.id, asking.secret, request)
	if err != nil {
		return err
	}
	chain := []string{}
	for _, c := range issued.Chain {
		chain = append(chain, string(c.PEM()))
	}
	return writeJSON(w, "application/json", http.StatusCreated, map[string]any{
		"certificate": string(issued.Certificate.PEM()), "chain": chain,
	})
}
