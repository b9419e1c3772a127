package portal

import (
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/auth"
)

func (p *portal) invitationRoutes(handle func(pattern string, h handler)) {
	handle("GET /admin/invitation", p.invitationForm)
	handle("POST /admin/invitation", p.invitation)
	handle("POST /admin/invitation/accept", p.acceptInvitation)
	handle("POST /admin/invitation/passkey/options", p.acceptOptions)
	handle("POST /admin/invitation/passkey", p.acceptByPasskey)
}

// acceptView is the page on which somebody accepts an invitation: first the code,
// then name and password or passkey, or the button of whoever is signed in.
type acceptView struct {
	Form       form
	Invitation *auth.Invitation // nil: the code is asked for
	Known      bool             // the address has an account
	Me         string           // sign-in name of whoever is signed in, or ""
	Passkeys   bool
}

func (p *portal) invitationForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "accept", acceptView{})
}

// invitation looks a code up. The code goes on in the form: nothing is decided yet.
func (p *portal) invitation(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	return p.showInvitation(w, r, http.StatusOK, form{Values: r.PostForm})
}

func (p *portal) showInvitation(w http.ResponseWriter, r *http.Request, status int, f form) error {
	v := acceptView{Form: f, Passkeys: p.Accounts.Passkeys()}
	i, known, err := p.Accounts.Invited(r.Context(), client(r), f.Value("code"))
	switch {
	case errors.Is(err, auth.ErrInvitation):
		v.Form.wrong("code", "accept.error.code")
		return p.render(w, r, http.StatusUnprocessableEntity, "accept", v)
	case errors.Is(err, auth.ErrTooMany):
		v.Form.wrong("", "signin.toomany")
		return p.render(w, r, http.StatusTooManyRequests, "accept", v)
	case err != nil:
		return err
	}
	v.Invitation, v.Known = &i, known
	if session, _, err := p.administrator(r); err == nil {
		v.Me = session.Account.Email
	}
	return p.render(w, r, status, "accept", v)
}

func (p *portal) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	f := form{Values: r.PostForm}
	if r.PostFormValue("as") != "" {
		return p.acceptAs(w, r, f)
	}
	if f.Value("password") != f.Value("again") {
		f.wrong("again", "claim.error.differ")
		return p.showInvitation(w, r, http.StatusUnprocessableEntity, f)
	}
	session, token, err := p.Accounts.Accept(r.Context(), client(r), f.Value("code"), f.Value("name"), f.Value("password"))
	switch {
	case err == nil:
		p.enter(w, r, session, token)
		return nil
	case errors.Is(err, auth.ErrPassword):
		f.wrong("password", "claim.error.password")
	case errors.Is(err, auth.ErrInvitation):
	case errors.Is(err, auth.ErrTooMany):
		f.wrong("", "signin.toomany")
	default:
		return err
	}
	return p.showInvitation(w, r, http.StatusUnprocessableEntity, f)
}

func (p *portal) acceptAs(w http.ResponseWriter, r *http.Request, f form) error {
	session, renewed, err := p.Accounts.AcceptAs(r.Context(), p.cookie(r, adminCookie), f.Value("code"))
	switch {
	case err == nil:
		p.keepSession(w, r, session, renewed)
		http.Redirect(w, r, "/admin", http.StatusSeeOther)
		return nil
	case errors.Is(err, auth.ErrApart):
		f.wrong("", "accounts.error.apart")
	case errors.Is(err, auth.ErrInvitation):
		f.wrong("", "accept.error.other")
	case errors.Is(err, auth.ErrNoSession):
		return p.toSignIn(w, r)
	default:
		return err
	}
	return p.showInvitation(w, r, http.StatusUnprocessableEntity, f)
}

func (p *portal) acceptOptions(w http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(r)
	if err != nil {
		return err
	}
	options, err := p.Accounts.NewPasskeyInvited(r.Context(), client(r), a.Code)
	if err != nil {
		return err
	}
	return writeOptions(w, options)
}

func (p *portal) acceptByPasskey(w http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(r)
	if err != nil {
		return err
	}
	session, token, err := p.Accounts.AcceptByPasskey(r.Context(), a.Code, a.Person, a.Name, a.Answer)
	if err != nil {
		return err
	}
	p.keepSession(w, r, session, token)
	return leadTo(w, p.home(session))
}
