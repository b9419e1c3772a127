package portal

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// keyView is the page on which the browser makes the key, or the keys of a pair.
type keyView struct {
	Order        registration.Order
	Label        string // friendlyName in the PKCS #12 file
	Issued       bool   // the certificate exists; whoever reloads has lost the key
	Orders       int    // how many keys are made
	Organization string // that has ordered it, or ""
	Kind         string // of the key, where the organization has chosen it
}

// Invited tells whether an organization has ordered the certificate.
func (v keyView) Invited() bool { return v.Organization != "" }

// keyKinds are the algorithms of settings as the page's script calls them.
var keyKinds = map[string]string{"rsa-3072": "rsa-3072", "rsa-2048": "rsa-2048", "p256": "p-256", "p384": "p-384"}

func (p *portal) keyPage(w http.ResponseWriter, r *http.Request) error {
	order, err := p.order(r)
	if err != nil {
		return err
	}
	if next := placeOf(order); next != "/key" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	view := keyView{Order: order, Label: label(order), Issued: order.State == registration.StateIssued, Orders: len(p.askings(r))}
	if order.Organization != "" {
		o, err := p.Registration.Organization(r.Context(), auth.Server(registration.PartEnrollment), order.Organization)
		if err != nil {
			return err
		}
		view.Organization, view.Kind = o.Name, keyKinds[o.Settings.Algorithm]
	}
	return p.render(w, r, http.StatusOK, "key", view)
}

// label is how key chains show the certificate: the name, which is not in the
// certificate, and the address, which tells two certificates apart.
func label(o registration.Order) string {
	if o.Name == "" {
		return o.Email
	}
	return fmt.Sprintf("%s (%s)", o.Name, o.Email)
}

// askedKey is the order that a request is for: one of this browser's.
func (p *portal) askedKey(r *http.Request) (asking, bool) {
	list := p.askings(r)
	n, err := strconv.Atoi(r.URL.Query().Get("order"))
	if err != nil {
		n = 0
	}
	if n < 0 || n >= len(list) {
		return asking{}, false
	}
	return list[n], true
}

// enroll takes the certification request (RFC 2986, application/pkcs10 as in
// RFC 5967) from the page's script and answers with the certificate. A form of
// another site cannot send this content type.
func (p *portal) enroll(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askedKey(r)
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
