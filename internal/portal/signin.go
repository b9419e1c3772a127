package portal

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/registration"
	"github.com/mailseal/mailseal/internal/webauthn"
)

// Accounts is what the pages of accounts need of auth.Service.
type Accounts interface {
	// The second step, and the other ways in.
	SecondFactor(ctx context.Context, client, step, code string) (auth.Session, string, error)
	Passkeys() bool
	AskPasskey(ctx context.Context, client string) (options []byte, err error)
	SignInByPasskey(ctx context.Context, answer []byte) (auth.Session, string, error)
	OpenIDName() string
	StartOpenID(ctx context.Context, client, purpose, session string) (address, token string, err error)
	FinishOpenID(ctx context.Context, token string, answer auth.OpenIDAnswer) (auth.OpenIDEntered, error)

	// The proof that grave acts ask for.
	Again(ctx context.Context, client, token, code string) (auth.Session, string, error)
	AgainByPassword(ctx context.Context, client, token, password string) (auth.Session, string, error)
	AgainByPasskey(ctx context.Context, token string, answer []byte) (auth.Session, string, error)

	// How one's own account signs in.
	Factors(ctx context.Context, token string) (auth.Factors, error)
	StartTOTP(ctx context.Context, token string) (auth.TOTPSetup, error)
	PendingTOTP(ctx context.Context, token string) (auth.TOTPSetup, error)
	ConfirmTOTP(ctx context.Context, token, number string) (auth.Session, string, []string, error)
	NewRecoveryCodes(ctx context.Context, token string) ([]string, error)
	RemoveTOTP(ctx context.Context, token string) error
	NewPasskey(ctx context.Context, token string) (options []byte, err error)
	AddPasskey(ctx context.Context, token, name string, answer []byte) (auth.Session, string, error)
	RemovePasskey(ctx context.Context, token string, id []byte) error
	UnlinkOpenID(ctx context.Context, token string) error
	ChangePassword(ctx context.Context, client, token, old, password string, tokens bool) error

	// Tokens for programs.
	Tokens(ctx context.Context, by auth.Actor) ([]auth.Token, error)
	NewToken(ctx context.Context, by auth.Actor, name string, scopes []auth.Grant, life time.Duration) (auth.Token, string, error)
	RevokeToken(ctx context.Context, by auth.Actor, id string) error

	// Accounts and their roles.
	Accounts(ctx context.Context, by auth.Actor, organization string) ([]auth.AccountInfo, error)
	Invitations(ctx context.Context, by auth.Actor, organization string) ([]auth.Invitation, error)
	Invite(ctx context.Context, by auth.Actor, email, language string, g auth.Grant) (auth.Invitation, error)
	Uninvite(ctx context.Context, by auth.Actor, id string) error
	GiveRole(ctx context.Context, by auth.Actor, account string, g auth.Grant) error
	TakeRole(ctx context.Context, by auth.Actor, account string, g auth.Grant) error
	Reset(ctx context.Context, by auth.Actor, id, language string) error
	Remove(ctx context.Context, by auth.Actor, id string) error
	Changes(ctx context.Context, by auth.Actor, organization string) ([]auth.Change, error)
	WaitingRoles(ctx context.Context, by auth.Actor) ([]auth.WaitingRole, error)
	ConfirmChange(ctx context.Context, by auth.Actor, organization, id string) error
	RefuseChange(ctx context.Context, by auth.Actor, organization, id string) error
	Invited(ctx context.Context, client, code string) (i auth.Invitation, known bool, err error)
	Accept(ctx context.Context, client, code, name, password string) (auth.Session, string, error)
	AcceptAs(ctx context.Context, token, code string) (auth.Session, string, error)
	NewPasskeyInvited(ctx context.Context, client, code string) (options []byte, err error)
	AcceptByPasskey(ctx context.Context, code, name, passkey string, answer []byte) (auth.Session, string, error)

	// People who hold certificates.
	AskCode(ctx context.Context, client, address, language string) (token string, err error)
	CodeAsked(ctx context.Context, token string) (address string, err error)
	EnterCode(ctx context.Context, client, token, code string) (auth.PersonSession, string, error)
	PersonSession(ctx context.Context, token string) (auth.PersonSession, error)
	PersonSignOut(ctx context.Context, token string) error
}

// signInRoutes are the pages of this file and of those beside it that need
// Accounts.
func (p *portal) signInRoutes(handle func(pattern string, h handler)) {
	handle("GET /admin/sign-in/second", p.secondForm)
	handle("POST /admin/sign-in/second", p.second)
	handle("POST /admin/sign-in/passkey/options", p.passkeyOptions)
	handle("POST /admin/sign-in/passkey", p.passkeySignIn)
	handle("GET /sign-in/openid", p.openID)
	handle("GET /sign-in/openid/back", p.openIDBack)
	p.againRoutes(handle)
	p.accountRoutes(handle)
	p.tokenRoutes(handle)
	p.roleRoutes(handle)
	p.invitationRoutes(handle)
	p.personRoutes(handle)
}

// client is who asks, for limits.
func client(r *http.Request) string { return registration.Client(r.RemoteAddr) }

// signInView is the page on which somebody signs in to an account.
type signInView struct {
	credentialsView
	Passkeys bool
	OpenID   string // what the provider is called, or ""
}

func (p *portal) signInView(c credentialsView) signInView {
	c.Door = p.Door
	v := signInView{credentialsView: c}
	if p.Accounts != nil {
		v.Passkeys, v.OpenID = p.Accounts.Passkeys(), p.Accounts.OpenIDName()
	}
	return v
}

func (p *portal) signInForm(w http.ResponseWriter, r *http.Request) error {
	return p.render(w, r, http.StatusOK, "signin", p.signInView(credentialsView{}))
}

func (p *portal) signIn(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	entered := credentialsView{Email: r.PostFormValue("email")}
	status := http.StatusUnprocessableEntity
	in, err := p.Administrators.SignIn(r.Context(), client(r), entered.Email, r.PostFormValue("password"))
	switch {
	case errors.Is(err, auth.ErrCredentials):
		entered.Error = "signin.error"
	case errors.Is(err, auth.ErrTooMany):
		entered.Error, status = "signin.toomany", http.StatusTooManyRequests
	case err != nil:
		return err
	default:
		p.goOn(w, r, in)
		return nil
	}
	return p.render(w, r, status, "signin", p.signInView(entered))
}

// goOn leads on from a first factor: in, or to the question for the second.
func (p *portal) goOn(w http.ResponseWriter, r *http.Request, in auth.Entered) {
	if !in.Second {
		p.enter(w, r, in.Session, in.Token)
		return
	}
	p.setCookie(w, stepCookie, in.Token, stepCookieLife, http.SameSiteStrictMode)
	http.Redirect(w, r, "/admin/sign-in/second", http.StatusSeeOther)
}

// The cookie of a sign-in that has begun, and that of who went to the provider
// of OpenID Connect. That one is Lax: the provider, another site, leads back.
const (
	stepCookie     = "mailseal-step"
	openIDCookie   = "mailseal-openid"
	stepCookieLife = 30 * time.Minute
)

// cookie is the value of one of our cookies, or "".
func (p *portal) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(p.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// enter gives the browser its session. Each sign-in has a new token, so that
// one which somebody planted before is worth nothing. The cookie is Strict: no
// other site leads into the administrator's pages signed in.
func (p *portal) enter(w http.ResponseWriter, r *http.Request, s auth.Session, token string) {
	p.keepSession(w, r, s, token)
	http.Redirect(w, r, p.home(s), http.StatusSeeOther)
}

func (p *portal) keepSession(w http.ResponseWriter, r *http.Request, s auth.Session, token string) {
	p.setCookie(w, adminCookie, token, s.Expires.Sub(p.Now()), http.SameSiteStrictMode)
	if p.cookie(r, stepCookie) != "" {
		p.dropCookie(w, stepCookie)
	}
}

// home is where an account begins. One whose roles wait for a second factor
// begins where that is set up.
func (p *portal) home(s auth.Session) string {
	if len(s.Withheld) > 0 {
		return "/admin/account"
	}
	return "/admin"
}

type secondView struct {
	Form     form
	Passkeys bool
}

func (p *portal) secondForm(w http.ResponseWriter, r *http.Request) error {
	if p.cookie(r, stepCookie) == "" {
		return p.toSignIn(w, r)
	}
	return p.render(w, r, http.StatusOK, "second", secondView{Passkeys: p.Accounts.Passkeys()})
}

func (p *portal) second(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	session, token, err := p.Accounts.SecondFactor(r.Context(), client(r), p.cookie(r, stepCookie), r.PostFormValue("number"))
	v := secondView{Passkeys: p.Accounts.Passkeys()}
	switch {
	case err == nil:
		p.enter(w, r, session, token)
		return nil
	case errors.Is(err, auth.ErrNoSession):
		p.dropCookie(w, stepCookie)
		return p.render(w, r, http.StatusForbidden, "signin", p.signInView(credentialsView{Error: "second.ended"}))
	case errors.Is(err, auth.ErrCredentials):
		v.Form.wrong("number", "second.error")
		return p.render(w, r, http.StatusUnprocessableEntity, "second", v)
	case errors.Is(err, auth.ErrTooMany):
		v.Form.wrong("", "signin.toomany")
		return p.render(w, r, http.StatusTooManyRequests, "second", v)
	}
	return err
}

// passkeyAnswer is what a page's script sends of a passkey.
type passkeyAnswer struct {
	Name   string          `json:"name"`
	Code   string          `json:"code"`
	Person string          `json:"person"`
	Answer json.RawMessage `json:"answer"`
}

func readAnswer(r *http.Request) (a passkeyAnswer, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, webauthn.MaxResponse+4<<10))
	if err != nil {
		return a, unreadable(err)
	}
	return a, unreadable(json.Unmarshal(body, &a))
}

// writeOptions hands a page's script what the browser is to ask a passkey.
func writeOptions(w http.ResponseWriter, options []byte) error {
	return writeJSON(w, "application/json", http.StatusOK, json.RawMessage(options))
}

// leadTo tells a page's script where to go on.
func leadTo(w http.ResponseWriter, place string) error {
	return writeJSON(w, "application/json", http.StatusOK, map[string]string{"location": place})
}

func (p *portal) passkeyOptions(w http.ResponseWriter, r *http.Request) error {
	options, err := p.Accounts.AskPasskey(r.Context(), client(r))
	if err != nil {
		return err
	}
	return writeOptions(w, options)
}

func (p *portal) passkeySignIn(w http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(r)
	if err != nil {
		return err
	}
	session, token, err := p.Accounts.SignInByPasskey(r.Context(), a.Answer)
	if err != nil {
		return err
	}
	p.keepSession(w, r, session, token)
	return leadTo(w, p.home(session))
}

// openID leads to the provider of OpenID Connect. It is a link and not a form: a
// form would not be let out of the site by its policy.
func (p *portal) openID(w http.ResponseWriter, r *http.Request) error {
	purpose := r.URL.Query().Get("for")
	switch purpose {
	case auth.ForAccount, auth.ForPerson, auth.ForLink, auth.ForAgain:
	default:
		return errNoPage
	}
	address, token, err := p.Accounts.StartOpenID(r.Context(), client(r), purpose, p.cookie(r, adminCookie))
	if errors.Is(err, auth.ErrNoSession) {
		return p.toSignIn(w, r)
	}
	if err != nil {
		return err
	}
	p.setCookie(w, openIDCookie, token, stepCookieLife, http.SameSiteLaxMode)
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// openIDBack takes the provider's answer. It shows a page instead of leading on:
// a browser that comes from another site keeps Strict cookies to itself until the
// next click, or until the page itself goes on.
func (p *portal) openIDBack(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	token := p.cookie(r, openIDCookie)
	p.dropCookie(w, openIDCookie)
	in, err := p.Accounts.FinishOpenID(r.Context(), token, auth.OpenIDAnswer{
		State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"),
	})
	if errors.Is(err, auth.ErrCredentials) {
		return p.render(w, r, http.StatusForbidden, "cameback", cameBackView{Key: "cameback.unknown", Action: "action.signin", Href: "/admin/sign-in"})
	}
	if err != nil {
		return err
	}
	v := cameBackView{Key: "cameback.done", Action: "cameback.go", Onward: true}
	switch {
	case in.Purpose == auth.ForLink:
		v.Href = "/admin/account"
	case in.Purpose == auth.ForAgain:
		p.keepSession(w, r, in.Account.Session, in.Account.Token)
		v.Href = p.home(in.Account.Session)
	case in.Purpose == auth.ForPerson:
		p.keepPerson(w, r, in.Person, in.PersonToken)
		v.Href = personHome
	case in.Account.Second:
		p.setCookie(w, stepCookie, in.Account.Token, stepCookieLife, http.SameSiteStrictMode)
		v.Href = "/admin/sign-in/second"
	default:
		p.keepSession(w, r, in.Account.Session, in.Account.Token)
		v.Href = p.home(in.Account.Session)
	}
	return p.render(w, r, http.StatusOK, "cameback", v)
}

type cameBackView struct {
	Key    string // "<key>.heading" and "<key>.text"
	Action string
	Href   string
	Onward bool // goes on by itself
}
