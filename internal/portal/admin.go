package portal

import (
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
)

// credentialsView is the form of claiming or of signing in, as it was filled
// in, without passwords.
type credentialsView struct {
	Door        string // where one signs in with a certificate, or ""
	Name, Email string
	Error       string // key of the text that says what is wrong, or ""
	Field       string // the field that it is about, "" for the form
}

// administrator is who is signed in; auth.ErrNoSession when nobody is.
func (p *portal) administrator(r *http.Request) (auth.Session, string, error) {
	cookie, err := r.Cookie(p.cookieName(adminCookie))
	if err != nil {
		return auth.Session{}, "", auth.ErrNoSession
	}
	session, err := p.Administrators.Session(r.Context(), cookie.Value)
	return session, cookie.Value, err
}

type overviewView struct {
	Door string // where a certificate is added to the account, or ""
	Overview
}

// overview is the first page of whoever runs the authority.
func (p *portal) overview(w http.ResponseWriter, r *http.Request) error {
	overview, err := p.Authority.Overview(r.Context())
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "overview", overviewView{p.Door, overview})
}

// begin leads whoever is signed in to the first page that is of use to them.
func (p *portal) begin(w http.ResponseWriter, r *http.Request) error {
	v, _ := visitOf(r.Context())
	if len(v.Grants) == 0 && len(v.Withheld) > 0 {
		return seeOther(w, r, "/admin/account")
	}
	if !may(auth.Operator, auth.Auditor)(v.Actor(), "") {
		return seeOther(w, r, "/org")
	}
	return p.overview(w, r)
}

func (p *portal) toSignIn(w http.ResponseWriter, r *http.Request) error {
	claimed, err := p.Administrators.Claimed(r.Context())
	if err != nil {
		return err
	}
	place := "/admin/claim"
	if claimed {
		place = "/admin/sign-in"
	}
	http.Redirect(w, r, place, http.StatusSeeOther)
	return nil
}

func (p *portal) signOut(w http.ResponseWriter, r *http.Request) error {
	if _, token, err := p.administrator(r); err == nil {
		if err := p.Administrators.SignOut(r.Context(), token); err != nil {
			return err
		}
	}
	p.dropCookie(w, adminCookie)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (p *portal) claimForm(w http.ResponseWriter, r *http.Request) error {
	claimed, err := p.Administrators.Claimed(r.Context())
	if err != nil {
		return err
	}
	if claimed {
		return auth.ErrClaimed
	}
	return p.render(w, r, http.StatusOK, "claim", credentialsView{})
}

// claim makes the first administrator of whoever has the one-time code that
// the server printed, and signs them in.
func (p *portal) claim(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	entered := credentialsView{Name: r.PostFormValue("name"), Email: r.PostFormValue("email")}
	if r.PostFormValue("password") != r.PostFormValue("again") {
		entered.Error, entered.Field = "claim.error.differ", "again"
		return p.render(w, r, http.StatusUnprocessableEntity, "claim", entered)
	}
	session, token, err := p.Administrators.ClaimFirstAdministrator(r.Context(),
		r.PostFormValue("code"), entered.Email, entered.Name, r.PostFormValue("password"))
	switch {
	case errors.Is(err, auth.ErrCode):
		entered.Error, entered.Field = "claim.error.code", "code"
	case errors.Is(err, auth.ErrEmail):
		entered.Error, entered.Field = "claim.error.email", "email"
	case errors.Is(err, auth.ErrPassword):
		entered.Error, entered.Field = "claim.error.password", "password"
	case err != nil:
		return err
	default:
		p.enter(w, r, session, token)
		return nil
	}
	return p.render(w, r, http.StatusUnprocessableEntity, "claim", entered)
}
