package portal

import (
	"context"
	"errors"
	"net/http"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/auth"
)

// personCookie is the session of somebody who holds certificates. It is Lax:
// people come to their pages by links in mails.
const personCookie = "mailseal-person"

// personHome is where somebody who has signed in as a person begins.
const personHome = "/mine"

func (p *portal) personRoutes(handle func(pattern string, h handler)) {
	handle("GET /sign-in", p.personForm)
	handle("POST /sign-in", p.askPersonCode)
	handle("GET /sign-in/code", p.personCodeForm)
	handle("POST /sign-in/code", p.personCode)
	handle("POST /sign-out", p.personSignOut)
}

// person is who is signed in as a person; auth.ErrNoSession when nobody is.
func (p *portal) person(r *http.Request) (auth.PersonSession, error) {
	token := p.cookie(r, personCookie)
	if token == "" || p.Accounts == nil {
		return auth.PersonSession{}, auth.ErrNoSession
	}
	return p.Accounts.PersonSession(r.Context(), token)
}

type personKey struct{}

// personOf is who is looking at a page of [portal.asPerson].
func personOf(ctx context.Context) (auth.PersonSession, bool) {
	s, ok := ctx.Value(personKey{}).(auth.PersonSession)
	return s, ok
}

// asPerson is a page of a person's own: whoever is not signed in is sent to do
// so, and what is done there is entered as theirs.
func (p *portal) asPerson(page handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, err := p.person(r)
		if errors.Is(err, auth.ErrNoSession) {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return nil
		}
		if err != nil {
			return err
		}
		ctx := audit.WithActor(r.Context(), session.Actor().String())
		return page(w, r.WithContext(context.WithValue(ctx, personKey{}, session)))
	}
}

func (p *portal) keepPerson(w http.ResponseWriter, r *http.Request, s auth.PersonSession, token string) {
	p.setCookie(w, personCookie, token, s.Expires.Sub(p.Now()), http.SameSiteLaxMode)
	if p.cookie(r, stepCookie) != "" {
		p.dropCookie(w, stepCookie)
	}
}

// personView is the page on which a person asks for a code, or enters it.
type personView struct {
	Form    form
	Address string // that the code goes to, or "" where it is asked for
	OpenID  string // what the provider is called, or ""
	Door    string
}

func (p *portal) personForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "personsignin", personView{OpenID: p.Accounts.OpenIDName(), Door: p.Door})
}

func (p *portal) askPersonCode(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	v := personView{Form: form{Values: r.PostForm}, OpenID: p.Accounts.OpenIDName(), Door: p.Door}
	status := http.StatusUnprocessableEntity
	token, err := p.Accounts.AskCode(r.Context(), client(r), v.Form.Value("email"), p.tongueOf(r).tag)
	switch {
	case err == nil:
		p.setCookie(w, stepCookie, token, stepCookieLife, http.SameSiteLaxMode)
		http.Redirect(w, r, "/sign-in/code", http.StatusSeeOther)
		return nil
	case errors.Is(err, auth.ErrEmail):
		v.Form.wrong("email", "claim.error.email")
	case errors.Is(err, auth.ErrTooMany):
		v.Form.wrong("", "personsignin.error.toomany")
		status = http.StatusTooManyRequests
	default:
		return err
	}
	return p.render(w, r, status, "personsignin", v)
}

func (p *portal) personCodeForm(w http.ResponseWriter, r *http.Request) error {
	address, err := p.Accounts.CodeAsked(r.Context(), p.cookie(r, stepCookie))
	if errors.Is(err, auth.ErrNoSession) {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	return p.render(w, r, http.StatusOK, "personcode", personView{Address: address})
}

func (p *portal) personCode(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	step := p.cookie(r, stepCookie)
	session, token, err := p.Accounts.EnterCode(r.Context(), client(r), step, r.PostFormValue("code"))
	v := personView{}
	status := http.StatusUnprocessableEntity
	switch {
	case err == nil:
		p.keepPerson(w, r, session, token)
		http.Redirect(w, r, personHome, http.StatusSeeOther)
		return nil
	case errors.Is(err, auth.ErrNoSession):
		v.Form.wrong("", "personcode.error.ended")
		v.OpenID, v.Door = p.Accounts.OpenIDName(), p.Door
		return p.render(w, r, http.StatusForbidden, "personsignin", v)
	case errors.Is(err, auth.ErrCode):
		v.Form.wrong("code", "personcode.error.code")
	case errors.Is(err, auth.ErrTooMany):
		v.Form.wrong("", "signin.toomany")
		status = http.StatusTooManyRequests
	default:
		return err
	}
	if v.Address, err = p.Accounts.CodeAsked(r.Context(), step); err != nil && !errors.Is(err, auth.ErrNoSession) {
		return err
	}
	return p.render(w, r, status, "personcode", v)
}

func (p *portal) personSignOut(w http.ResponseWriter, r *http.Request) error {
	if token := p.cookie(r, personCookie); token != "" {
		if err := p.Accounts.PersonSignOut(r.Context(), token); err != nil {
			return err
		}
	}
	p.dropCookie(w, personCookie)
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}
