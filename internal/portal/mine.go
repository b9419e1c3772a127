package portal

import (
	"context"
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/enrollment"
	"github.com/mailseal/mailseal/internal/registration"
)

// Mine is what people who are signed in do with what is theirs.
type Mine interface {
	// Own lists what the person has, and their orders that are open.
	Own(ctx context.Context, actor auth.Actor) ([]OwnCertificate, []registration.Order, error)
	RevokeOwn(ctx context.Context, actor auth.Actor, ids []string, reason cert.Reason) (registration.Revocations, error)

	// OpenOwn lets the browser go on with an order that waits for its key.
	OpenOwn(ctx context.Context, actor auth.Actor, order string) ([]enrollment.Opened, error)
	// RenewOwn orders a certificate in place of one that is the person's. None
	// opened: somebody has to approve it first, or the person asks like anybody,
	// because the certificate is of no organization.
	RenewOwn(ctx context.Context, actor auth.Actor, certificate string) ([]enrollment.Opened, error)
}

// OwnCertificate is a certificate of the person who looks.
type OwnCertificate struct {
	registration.Held
	Email string
}

type mineView struct {
	Open         []orderRow
	Certificates []mineRow
	Reasons      []cert.Reason
	Kept         bool // some organization keeps keys of the person's
	Form         form
	Notice       *notice
}

type mineRow struct {
	heldRow
	Email string
}

// ownReasons are those for which people revoke what is theirs.
var ownReasons = []cert.Reason{cert.Unspecified, cert.KeyCompromise, cert.Superseded, cert.CessationOfOperation}

// own is a page of a person who is signed in about what is theirs.
func (p *portal) own(page func(w http.ResponseWriter, r *http.Request, actor auth.Actor) error) handler {
	return p.asPerson(func(w http.ResponseWriter, r *http.Request) error {
		session, _ := personOf(r.Context())
		return page(w, r, session.Actor())
	})
}

var mineDone = map[string]string{"revoked": "mine.revoked", "asked": "mine.asked"}

func (p *portal) mine(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	held, orders, err := p.Mine.Own(r.Context(), actor)
	if err != nil {
		return err
	}
	view := mineView{Reasons: ownReasons, Notice: doneNotice(r, mineDone), Open: orderRows(orders, nil)}
	kept, err := p.Recovery.Own(r.Context(), actor)
	if err != nil {
		return err
	}
	view.Kept = len(kept) > 0
	for _, one := range held {
		view.Certificates = append(view.Certificates, mineRow{heldRows([]registration.Held{one.Held}, p.Now(), p.tongueOf(r).tag)[0], one.Email})
	}
	return p.render(w, r, http.StatusOK, "mine", view)
}

// makeMine goes on with an order that waits for its key.
func (p *portal) makeMine(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	opened, err := p.Mine.OpenOwn(r.Context(), actor, r.PostFormValue("order"))
	if err != nil {
		return err
	}
	return p.makeKeys(w, r, opened)
}

func (p *portal) renewMine(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	return p.replaceMine(w, r, actor, r.PostFormValue("certificate"))
}

// startAgain revokes a certificate whose key is lost or was seen, and makes
// another one.
func (p *portal) startAgain(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	id := r.PostFormValue("certificate")
	if _, err := p.Mine.RevokeOwn(r.Context(), actor, []string{id}, cert.Superseded); err != nil {
		return err
	}
	return p.replaceMine(w, r, actor, id)
}

func (p *portal) replaceMine(w http.ResponseWriter, r *http.Request, actor auth.Actor, id string) error {
	opened, err := p.Mine.RenewOwn(r.Context(), actor, id)
	switch {
	case errors.Is(err, registration.ErrNoOrganization):
		return seeOther(w, r, "/apply")
	case err != nil:
		return err
	case len(opened) == 0:
		return seeOther(w, r, "/mine?done=asked")
	}
	return p.makeKeys(w, r, opened)
}

func (p *portal) revokeMine(w http.ResponseWriter, r *http.Request, actor auth.Actor) error {
	if err := readForm(r); err != nil {
		return err
	}
	reason, ok := reasonOf(r)
	if !ok {
		return errUnreadable
	}
	if _, err := p.Mine.RevokeOwn(r.Context(), actor, []string{r.PostFormValue("certificate")}, reason); err != nil {
		return err
	}
	return seeOther(w, r, "/mine?done=revoked")
}
