package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/recovery"
	"github.com/mailseal/mailseal/internal/registration"
)

// orders is how people get a certificate for themselves: `mailseal id request`
// and whoever else wants one without a browser.
func (h *handler) orders() []*route {
	return []*route{
		post("/api/v1/orders", "openOrder", "Ask for a certificate for a mailbox; a code is mailed to it", anybody, h.apply),
		get("/api/v1/orders/{id}", "getOrder", "Look at an order", orderToken, h.order),
		do("/api/v1/orders/{id}/mail", "mailAgain", "Have a new code mailed; the old one is void", orderToken, h.resend),
		do("/api/v1/orders/{id}/code", "proveMailbox", "Prove the mailbox with the mailed code", orderToken, h.prove),
		upload("/api/v1/orders/{id}/certificate", "enroll", "Send a certification request (PKCS #10, DER or PEM) and get the certificate", orderToken,
			maxRequest, []string{"application/pkcs10", "application/x-pem-file", "text/plain", "application/octet-stream"}, h.enroll).answers(http.StatusCreated),
		get("/api/v1/orders/{id}/keepers", "getKeepers", "For whom the key of an encryption certificate is sealed, where its organization has it kept", orderToken, h.keepers),
		upload("/api/v1/orders/{id}/kept-certificate", "enrollKept", "Send a certification request together with its private key, sealed to the recovery officers, and get the certificate", orderToken,
			recovery.MaxEnrolment, []string{"application/json"}, h.enrollKept).answers(http.StatusCreated),
	}
}

// orderOut is an order as whoever opened it sees it; Token is only in the answer
// that opened it.
type orderOut struct {
	ID      string    `json:"id"`
	Token   string    `json:"token,omitempty" doc:"Goes on with the order. Shown once."`
	State   string    `json:"state" enum:"applied,proven,issued,refused,expired"`
	Email   string    `json:"email"`
	Expires time.Time `json:"expires"`
	Reason  string    `json:"reason,omitempty"`
	// Mail is what became of the last mail with a code: waiting, sent, refused,
	// bounced. MailReason is what the mail server said of the last two.
	Mail       string `json:"mail,omitempty" doc:"What became of the last mail with a code: waiting, sent, refused, bounced, void."`
	MailReason string `json:"mail_reason,omitempty" doc:"What the mail server said."`
}

func orderOf(o registration.Order, token string) orderOut {
	return orderOut{
		ID: o.ID, Token: token, State: string(o.State), Email: o.Email,
		Expires: o.Expires.UTC(), Reason: o.Reason,
		Mail: string(o.Mail.State), MailReason: o.Mail.Reason,
	}
}

type application struct {
	Email    string `json:"email,omitempty"`
	Name     string `json:"name,omitempty" doc:"For the account, never for the certificate."`
	Language string `json:"language,omitempty" doc:"Of the mail: en or ja; anything else is English."`
}

func (h *handler) apply(c *call, in application) (orderOut, error) {
	order, token, err := h.Registration.Apply(c.ctx, registration.Application{
		Email: in.Email, Name: in.Name, Language: in.Language, Client: registration.Client(c.r.RemoteAddr),
	})
	if err != nil {
		return orderOut{}, err
	}
	c.w.Header().Set("Location", "/api/v1/orders/"+order.ID)
	return orderOf(order, token), nil
}

func (h *handler) order(c *call, _ none) (orderOut, error) {
	order, err := h.Registration.Order(c.ctx, c.path("id"), c.token)
	return orderOf(order, ""), err
}

func (h *handler) resend(c *call, _ none) (orderOut, error) {
	order, err := h.Registration.Resend(c.ctx, c.path("id"), c.token)
	return orderOf(order, ""), err
}

type code struct {
	Code string `json:"code,omitempty"`
}

func (h *handler) prove(c *call, in code) (orderOut, error) {
	order, err := h.Registration.Prove(c.ctx, c.path("id"), c.token, in.Code)
	return orderOf(order, ""), err
}

// issuedOut is a certificate with those above it, in PEM.
type issuedOut struct {
	Certificate string   `json:"certificate" doc:"PEM"`
	Chain       []string `json:"chain" doc:"PEM: the authorities above it, without the root."`
	Root        string   `json:"root" doc:"PEM"`
}

func (h *handler) enroll(c *call, _ none) (issuedOut, error) {
	issued, err := h.Registration.Enroll(c.ctx, c.path("id"), c.token, c.body)
	if err != nil {
		return issuedOut{}, err
	}
	return issuedOf(issued), nil
}

// keepersOut are the officers as a program needs them that seals a key.
type keepersOut struct {
	Format    string      `json:"format"`
	Quorum    string      `json:"quorum"`
	Threshold int         `json:"threshold" doc:"How many of them open a key."`
	Officers  []keeperOut `json:"officers"`
}

type keeperOut struct {
	Position    int    `json:"position" doc:"Where the polynomial of the shares is evaluated for this officer."`
	Account     string `json:"account"`
	Certificate []byte `json:"certificate" doc:"DER"`
}

// errNotKept: nobody keeps this order's key, or not yet.
var errNotKept = fmt.Errorf("%w: no copy of this order's key is kept, or its mailboxes are not proven yet", registration.ErrState)

func (h *handler) keepers(c *call, _ none) (keepersOut, error) {
	order, err := h.Registration.Order(c.ctx, c.path("id"), c.token)
	if err != nil {
		return keepersOut{}, err
	}
	if order.Organization == "" {
		return keepersOut{}, errNotKept
	}
	o, err := h.Registration.Organization(c.ctx, auth.Server(registration.PartEnrollment), order.Organization)
	if err != nil {
		return keepersOut{}, err
	}
	if !o.Settings.Keeps(order) {
		return keepersOut{}, errNotKept
	}
	k, err := h.Recovery.Keepers(c.ctx, order.Organization)
	if err != nil {
		return keepersOut{}, err
	}
	return keepersOut{k.Format, k.Quorum, k.Threshold, listOf(k.Officers, "", func(r recovery.Recipient) keeperOut {
		return keeperOut{r.Position, r.Account, r.Certificate}
	}).Items}, nil
}

// enrollKept is enroll with a key that is kept, as docs/recovery.md has it.
func (h *handler) enrollKept(c *call, _ none) (issuedOut, error) {
	e, err := recovery.ParseEnrolment(c.body)
	if err != nil {
		return issuedOut{}, fmt.Errorf("%w: %w", errJSON, err)
	}
	issued, err := h.Registration.EnrollFor(c.ctx, auth.Actor{}, registration.Request{
		Kind: registration.RequestSession, Order: c.path("id"), Secret: c.token, Certification: e.Request, Sealed: e.Sealed,
	})
	if err != nil {
		return issuedOut{}, err
	}
	return issuedOf(issued), nil
}

func issuedOf(i registration.Issued) issuedOut {
	out := issuedOut{Certificate: string(i.Certificate.PEM()), Chain: pems(i.Chain)}
	if i.Root != nil {
		out.Root = string(i.Root.PEM())
	}
	return out
}

func pems(chain []*cert.Certificate) []string {
	list := []string{}
	for _, c := range chain {
		list = append(list, string(c.PEM()))
	}
	return list
}
