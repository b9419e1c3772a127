package portal

import (
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/mailseal/mailseal/internal/auth"
)

// Grave acts ask who is signed in to show once more that it is them. What they
// sent to the act waits in the page that asks, and goes on to it by the answer
// 307, with which a browser sends the same again (RFC 9110 §15.4.8).

// The fields of that page; those of the act have other names.
const (
	againPrefix = "again-"
	againTo     = againPrefix + "to"     // where to go on
	againWhole  = againPrefix + "whole"  // there is a form that goes on, too
	againNumber = againPrefix + "number" // of the authenticator app
	againWords  = againPrefix + "password"
)

// againPath is the page for scripts, which come back to the account's page: that is
// where they ask for what is grave.
const againPath = "/admin/again?to=/admin/account"

// passwords are fields of forms that are not written into a page.
var passwords = []string{"old", "password", "again"}

func (p *portal) againRoutes(handle func(pattern string, h handler)) {
	handle("GET /admin/again", p.signedIn(anyAccount, p.againForm))
	handle("POST /admin/again", p.signedIn(anyAccount, p.again))
	handle("POST /admin/again/passkey/options", p.signedIn(anyAccount, p.passkeyOptions))
	handle("POST /admin/again/passkey", p.signedIn(anyAccount, p.againByPasskey))
}

// againView is the page that asks.
type againView struct {
	Form     form
	To       string
	Whole    bool
	Lost     bool // something was sent that could not be kept
	Fields   []againField
	Factors  auth.Factors
	Passkeys bool   // one can be asked for
	OpenID   string // what the provider that can be asked is called, or ""
	Door     string // where a certificate comes first, or ""
}

type againField struct{ Name, Value string }

// Ways tells whether the page offers anything to show: what the account has is not
// always what the server can ask for.
func (v againView) Ways() bool {
	return v.Factors.TOTP || v.Factors.PasswordDoes || v.Passkeys || v.OpenID != "" || v.Door != ""
}

// half tells whether the password is enough after a certificate, and none was shown.
func half(f auth.Factors) bool {
	return f.Certificates > 0 && f.Password && !f.TOTP && len(f.Passkeys) == 0 && !f.PasswordDoes
}

// againAsked is the page for a request that was refused until then.
func againAsked(r *http.Request) againView {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return againView{To: r.URL.RequestURI()}
	case r.PostForm == nil, slices.ContainsFunc(passwords, r.PostForm.Has):
		return againView{To: path.Dir(r.URL.Path), Lost: true}
	}
	return againView{To: r.URL.RequestURI(), Whole: true, Fields: kept(r)}
}

// kept are the fields of a form that go on, in an order of their own.
func kept(r *http.Request) (fields []againField) {
	for name, values := range r.PostForm {
		for _, value := range values {
			if !strings.HasPrefix(name, againPrefix) {
				fields = append(fields, againField{name, value})
			}
		}
	}
	slices.SortStableFunc(fields, func(a, b againField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func (p *portal) showAgain(w http.ResponseWriter, r *http.Request, status int, v againView) (err error) {
	if v.Factors, err = p.Accounts.Factors(r.Context(), p.cookie(r, adminCookie)); err != nil {
		return err
	}
	v.Passkeys, v.Door = p.Accounts.Passkeys() && len(v.Factors.Passkeys) > 0, ""
	if half(v.Factors) {
		v.Door = p.Door
	}
	if v.Factors.OpenID > 0 {
		v.OpenID = p.Accounts.OpenIDName()
	}
	return p.render(w, r, status, "again", v)
}

func (p *portal) againForm(w http.ResponseWriter, r *http.Request) error {
	return p.showAgain(w, r, http.StatusOK, againView{To: ownPath(r.URL.Query().Get("to"))})
}

// again takes what was shown, and leads on.
func (p *portal) again(w http.ResponseWriter, r *http.Request) error {
	v := againView{To: ownPath(r.PostFormValue(againTo)), Whole: r.PostFormValue(againWhole) != "", Fields: kept(r)}
	token := p.cookie(r, adminCookie)
	var session auth.Session
	var renewed string
	var err error
	field := againNumber
	if words := r.PostFormValue(againWords); words != "" {
		field = againWords
		session, renewed, err = p.Accounts.AgainByPassword(r.Context(), client(r), token, words)
	} else {
		session, renewed, err = p.Accounts.Again(r.Context(), client(r), token, r.PostFormValue(againNumber))
	}
	switch {
	case err == nil:
		p.keepSession(w, r, session, renewed)
		status := http.StatusSeeOther
		if v.Whole {
			status = http.StatusTemporaryRedirect
		}
		http.Redirect(w, r, v.To, status)
		return nil
	case errors.Is(err, auth.ErrCredentials):
		v.Form.wrong(field, "again.error")
		return p.showAgain(w, r, http.StatusUnprocessableEntity, v)
	case errors.Is(err, auth.ErrTooMany):
		v.Form.wrong("", "signin.toomany")
		return p.showAgain(w, r, http.StatusTooManyRequests, v)
	}
	return err
}

// againByPasskey takes what a passkey says; the page's script goes on by itself
// with what waits in the page.
func (p *portal) againByPasskey(w http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(r)
	if err != nil {
		return err
	}
	session, renewed, err := p.Accounts.AgainByPasskey(r.Context(), p.cookie(r, adminCookie), a.Answer)
	if err != nil {
		return err
	}
	p.keepSession(w, r, session, renewed)
	return leadTo(w, p.home(session))
}
