package portal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"rsc.io/qr"

	"github.com/mailseal/mailseal/internal/auth"
)

// anyAccount lets every account in.
func anyAccount(auth.Actor, string) bool { return true }

func (p *portal) accountRoutes(handle func(pattern string, h handler)) {
	own := func(h handler) handler { return p.signedIn(anyAccount, h) }
	handle("GET /admin/account", own(p.account))
	handle("POST /admin/account/app", own(p.startApp))
	handle("POST /admin/account/app/confirm", own(p.confirmApp))
	handle("POST /admin/account/app/remove", own(p.removeApp))
	handle("POST /admin/account/codes", own(p.newCodes))
	handle("POST /admin/account/password", own(p.changePassword))
	handle("POST /admin/account/passkey/options", own(p.newPasskeyOptions))
	handle("POST /admin/account/passkey", own(p.addPasskey))
	handle("POST /admin/account/passkey/remove", own(p.removePasskey))
	handle("POST /admin/account/openid/remove", own(p.unlinkOpenID))
}

// accountView is the page on which an account sees how it signs in.
type accountView struct {
	Form     form
	Session  auth.Session
	Factors  auth.Factors
	Passkeys bool   // the site can have them
	OpenID   string // what the provider is called, or ""
	Door     string
	Done     string // key of a text that says what was just done
	Waiting  []auth.WaitingRole
}

// PasskeyID is the id of a passkey for a form.
func (v accountView) PasskeyID(k auth.PasskeyInfo) string { return hex.EncodeToString(k.ID) }

func (p *portal) account(w http.ResponseWriter, r *http.Request) error {
	return p.showAccount(w, r, http.StatusOK, form{}, "")
}

func (p *portal) showAccount(w http.ResponseWriter, r *http.Request, status int, f form, done string) error {
	visit, _ := visitOf(r.Context())
	if f.Values == nil { // tokens end with the password, unless somebody says otherwise
		f.Values = filled("tokens", "yes").Values
	}
	factors, err := p.Accounts.Factors(r.Context(), p.cookie(r, adminCookie))
	if err != nil {
		return err
	}
	waiting, err := p.waitingRoles(r)
	if err != nil {
		return err
	}
	return p.render(w, r, status, "account", accountView{
		f, visit.Session, factors, p.Accounts.Passkeys(), p.Accounts.OpenIDName(), p.Door, done, waiting,
	})
}

// accountDone leads back to the page after a change, or shows it with what was
// wrong.
func (p *portal) accountDone(w http.ResponseWriter, r *http.Request, err error, field string) error {
	f := form{}
	switch {
	case err == nil:
		http.Redirect(w, r, "/admin/account", http.StatusSeeOther)
		return nil
	case errors.Is(err, auth.ErrWeak):
		f.wrong("", "account.error.weak")
	case errors.Is(err, auth.ErrNeeded):
		f.wrong("", "account.error.needed")
	case errors.Is(err, auth.ErrState):
		f.wrong("", "account.error.state")
	case errors.Is(err, auth.ErrCredentials):
		f.wrong(field, "account.error.password")
	case errors.Is(err, auth.ErrPassword):
		f.wrong("password", "claim.error.password")
	case errors.Is(err, auth.ErrTooMany):
		f.wrong("", "signin.toomany")
	default:
		return err
	}
	return p.showAccount(w, r, http.StatusUnprocessableEntity, f, "")
}

// appView is the page with the secret for an authenticator app.
type appView struct {
	Form form
	auth.TOTPSetup
	Link template.URL // of the setup, for an app on this device
	Size int          // of the picture, in squares
	Path string       // of its dark squares, as SVG
}

// border is how many light squares stand around a QR code (ISO/IEC 18004 §6.3.8).
const border = 4

func newAppView(f form, setup auth.TOTPSetup) (appView, error) {
	code, err := qr.Encode(setup.URI, qr.M)
	if err != nil {
		return appView{}, fmt.Errorf("QR code: %w", err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+border, y+border)
			}
		}
	}
	return appView{f, setup, template.URL(setup.URI), code.Size + 2*border, path.String()}, nil //nolint:gosec // made by internal/auth
}

func (p *portal) startApp(w http.ResponseWriter, r *http.Request) error {
	setup, err := p.Accounts.StartTOTP(r.Context(), p.cookie(r, adminCookie))
	if err != nil {
		return p.accountDone(w, r, err, "")
	}
	return p.showApp(w, r, http.StatusOK, form{}, setup)
}

func (p *portal) showApp(w http.ResponseWriter, r *http.Request, status int, f form, setup auth.TOTPSetup) error {
	v, err := newAppView(f, setup)
	if err != nil {
		return err
	}
	return p.render(w, r, status, "app", v)
}

func (p *portal) confirmApp(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	token := p.cookie(r, adminCookie)
	session, renewed, codes, err := p.Accounts.ConfirmTOTP(r.Context(), token, r.PostFormValue("number"))
	if errors.Is(err, auth.ErrCredentials) {
		setup, err := p.Accounts.PendingTOTP(r.Context(), token)
		if err != nil {
			return p.accountDone(w, r, err, "")
		}
		f := form{}
		f.wrong("number", "app.error")
		return p.showApp(w, r, http.StatusUnprocessableEntity, f, setup)
	}
	if err != nil {
		return p.accountDone(w, r, err, "")
	}
	p.keepSession(w, r, session, renewed)
	return p.render(w, r, http.StatusOK, "recoverycodes", codes)
}

func (p *portal) newCodes(w http.ResponseWriter, r *http.Request) error {
	codes, err := p.Accounts.NewRecoveryCodes(r.Context(), p.cookie(r, adminCookie))
	if err != nil {
		return p.accountDone(w, r, err, "")
	}
	return p.render(w, r, http.StatusOK, "recoverycodes", codes)
}

func (p *portal) removeApp(w http.ResponseWriter, r *http.Request) error {
	return p.accountDone(w, r, p.Accounts.RemoveTOTP(r.Context(), p.cookie(r, adminCookie)), "")
}

func (p *portal) changePassword(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	if r.PostFormValue("password") != r.PostFormValue("again") {
		f := form{}
		f.wrong("again", "claim.error.differ")
		return p.showAccount(w, r, http.StatusUnprocessableEntity, f, "")
	}
	err := p.Accounts.ChangePassword(r.Context(), client(r), p.cookie(r, adminCookie), r.PostFormValue("old"), r.PostFormValue("password"),
		r.PostFormValue("tokens") != "")
	if err != nil {
		return p.accountDone(w, r, err, "old")
	}
	done := "account.done.password"
	if r.PostFormValue("tokens") != "" {
		done = "account.done.tokens"
	}
	return p.showAccount(w, r, http.StatusOK, form{}, done)
}

func (p *portal) newPasskeyOptions(w http.ResponseWriter, r *http.Request) error {
	options, err := p.Accounts.NewPasskey(r.Context(), p.cookie(r, adminCookie))
	if err != nil {
		return err
	}
	return writeOptions(w, options)
}

func (p *portal) addPasskey(w http.ResponseWriter, r *http.Request) error {
	a, err := readAnswer(r)
	if err != nil {
		return err
	}
	visit, _ := visitOf(r.Context())
	session, renewed, err := p.Accounts.AddPasskey(r.Context(), p.cookie(r, adminCookie), a.Name, a.Answer)
	if err != nil {
		return err
	}
	p.keepSession(w, r, session, renewed)
	if len(visit.Withheld) > 0 { // it was what their roles waited for
		return leadTo(w, p.home(session))
	}
	return leadTo(w, "/admin/account")
}

func (p *portal) removePasskey(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	id, err := hex.DecodeString(r.PostFormValue("id"))
	if err != nil {
		return errUnreadable
	}
	return p.accountDone(w, r, p.Accounts.RemovePasskey(r.Context(), p.cookie(r, adminCookie), id), "")
}

func (p *portal) unlinkOpenID(w http.ResponseWriter, r *http.Request) error {
	return p.accountDone(w, r, p.Accounts.UnlinkOpenID(r.Context(), p.cookie(r, adminCookie)), "")
}
