package portal

import (
	"context"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
)

// Roots is what the pages of trusted roots need of registration.Service. The empty
// organization is everybody.
type Roots interface {
	Anchors(ctx context.Context, actor auth.Actor, organization string) ([]registration.Anchor, error)
	AddAnchors(ctx context.Context, actor auth.Actor, organization string, file []byte) error
	RemoveAnchor(ctx context.Context, actor auth.Actor, organization, sha256 string) error
}

type rootsView struct {
	Path  string
	All   bool // they count for everybody
	Form  form
	Roots []registration.Anchor
	May   bool
}

// rootsPath is where the roots of an organization are, or everybody's.
func rootsPath(v visit) string {
	if v.organization.ID == "" {
		return "/admin/roots"
	}
	return "/org/" + v.organization.ID + "/roots"
}

func (p *portal) roots(w http.ResponseWriter, r *http.Request) error {
	return p.showRoots(w, r, http.StatusOK, form{})
}

func (p *portal) showRoots(w http.ResponseWriter, r *http.Request, status int, f form) error {
	v, _ := visitOf(r.Context())
	list, err := p.Registration.Anchors(r.Context(), v.Actor(), v.organization.ID)
	if err != nil {
		return err
	}
	all := v.organization.ID == ""
	return p.render(w, r, status, "roots", rootsView{rootsPath(v), all, f, list, all || v.administers()})
}

// addRoots takes them as PEM, which waits in the page that asks who is there, as
// no file would.
func (p *portal) addRoots(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	f := formOf(r)
	return p.rootsDone(w, r, f, p.Registration.AddAnchors(r.Context(), v.Actor(), v.organization.ID, []byte(f.Value("certificate"))))
}

func (p *portal) removeRoot(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	f := formOf(r)
	return p.rootsDone(w, r, f, p.Registration.RemoveAnchor(r.Context(), v.Actor(), v.organization.ID, f.Value("sha256")))
}

func (p *portal) rootsDone(w http.ResponseWriter, r *http.Request, f form, err error) error {
	if f.taken(err) {
		return p.showRoots(w, r, http.StatusUnprocessableEntity, f)
	}
	if err != nil {
		return err
	}
	v, _ := visitOf(r.Context())
	return seeOther(w, r, rootsPath(v))
}
