package portal

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
)

// keyView is the page on which the browser makes the key, or the keys of a pair.
type keyView struct {
	Order        registration.Order
	Label        string            // friendlyName in the PKCS #12 file
	Issued       bool              // the certificate exists; whoever reloads has lost the key
	Orders       int               // how many keys are made
	Organization string            // that has ordered it, or ""
	Kind         string            // of the key, where the organization has chosen it
	Keeping      bool              // the organization has the encryption key kept
	Kept         string            // the numbers of the orders whose keys those are
	Keepers      *recovery.Keepers // who keeps it; nil: nobody is there to do it yet
}

// Makes tells whether keys can be made now.
func (v keyView) Makes() bool { return !v.Issued && (!v.Keeping || v.Keepers != nil) }

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
		if err := p.keeping(r, &view, o); err != nil {
			return err
		}
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

// keeping finds out of which orders the organization has the keys kept, and by
// whom.
func (p *portal) keeping(r *http.Request, view *keyView, o registration.Organization) error {
	if !o.Settings.Escrow {
		return nil
	}
	var kept []string
	for i, a := range p.askings(r) {
		order, err := p.Orders.Order(r.Context(), a.id, a.secret)
		if err != nil {
			return err
		}
		if o.Settings.Keeps(order) {
			kept = append(kept, strconv.Itoa(i))
		}
	}
	if view.Keeping, view.Kept = len(kept) > 0, strings.Join(kept, " "); !view.Keeping {
		return nil
	}
	var err error
	if view.Keepers, err = p.Recovery.Keepers(r.Context(), o.ID); errors.Is(err, recovery.ErrOfficersChanged) {
		return nil
	}
	return err
}

// keepers tells the page's script for whom it seals the encryption key of an
// order: at the moment of sealing, because officers change. To nobody else is it
// said who they are.
func (p *portal) keepers(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askedKey(r)
	if !ok {
		return errNoSession
	}
	order, err := p.Orders.Order(r.Context(), asking.id, asking.secret)
	if err != nil {
		return err
	}
	if order.Organization == "" {
		return errNoPage
	}
	o, err := p.Registration.Organization(r.Context(), auth.Server(registration.PartEnrollment), order.Organization)
	if err != nil {
		return err
	}
	if !o.Settings.Keeps(order) {
		return errNoPage
	}
	k, err := p.Recovery.Keepers(r.Context(), order.Organization)
	if err != nil {
		return err
	}
	return writeJSON(w, "application/json", http.StatusOK, k)
}

// enroll takes the certification request (RFC 2986, application/pkcs10 as in
// RFC 5967) from the page's script, with the sealed key where that is to be kept
// (recovery.Enrolment, application/json), and answers with the certificate. A
// form of another site cannot send these content types.
func (p *portal) enroll(w http.ResponseWriter, r *http.Request) error {
	asking, ok := p.askedKey(r)
	if !ok {
		return errNoSession
	}
	ask := registration.Request{Kind: registration.RequestSession, Order: asking.id, Secret: asking.secret}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/pkcs10" && mediaType != "application/json" {
		return fmt.Errorf("%w: content type is not application/pkcs10", registration.ErrRequest)
	}
	if ask.Certification, err = io.ReadAll(r.Body); err != nil {
		return fmt.Errorf("read certification request: %w", unreadable(err))
	}
	if mediaType == "application/json" {
		e, err := recovery.ParseEnrolment(ask.Certification)
		if err != nil {
			return fmt.Errorf("%w: %w", registration.ErrRequest, err)
		}
		ask.Certification, ask.Sealed = e.Request, e.Sealed
	}
	issued, err := p.Orders.EnrollFor(r.Context(), auth.Actor{}, ask)
	if _, input := errors.AsType[*registration.InputError](err); input {
		return fmt.Errorf("%w: %w", registration.ErrRequest, err)
	}
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
