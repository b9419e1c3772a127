package portal

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/auth"
)

// Clients judges certificates that people show in a TLS connection.
type Clients interface {
	AuthenticateClient(ctx context.Context, c *cert.Certificate) error
}

// Holders is what the door for certificates needs of auth.Service beyond what
// the portal does.
type Holders interface {
	AddCertificate(ctx context.Context, token string, sha256 []byte) error
	HolderOfCertificate(ctx context.Context, sha256 []byte) (auth.Account, error)
	SignInByCertificate(ctx context.Context, sha256 []byte) (s auth.Session, token string, err error)
	PersonOfCertificate(ctx context.Context, sha256 []byte) (name string, err error)
	EnterByCertificate(ctx context.Context, sha256 []byte) (s auth.PersonSession, token string, err error)
}

// errCertificate: nobody showed a certificate, or one that is not believed.
var (
	errNoCertificate = errors.New("no certificate was shown")
	errCertificate   = errors.New("the certificate is not believed")
)

// certificateView is the page of the door.
type certificateView struct {
	State  string // known, new, strange, added, entered, person, inside; the texts are called so
	Email  string // of the certificate
	Holder string // sign-in name of the account
	Portal string // address to go on at
	Person bool   // it is the certificate of a person, who may enter as one
}

// Text is the key of a text of the state.
func (v certificateView) Text(part string) string { return "certificate." + v.State + "." + part }

// certificateDoor is the portal's second site: it asks for certificates, and does
// nothing but sign in. Its session holds for the portal, because cookies know no
// ports (RFC 6265 §8.5).
type certificateDoor struct {
	*portal
	clients Clients
	holders Holders
	home    string // the portal's address
}

// NewCertificateDoor returns the handler of the door; home is the portal's address.
func NewCertificateDoor(c Config, clients Clients, holders Holders, home string) (http.Handler, error) {
	p, err := newPortal(c)
	if err != nil {
		return nil, err
	}
	d := &certificateDoor{p, clients, holders, home}
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /{$}": d.show, "POST /enter": d.enter, "POST /person": d.enterPerson, "POST /add": d.add, "POST /language": p.chooseLanguage,
		"/": func(http.ResponseWriter, *http.Request) error { return errNoPage },
	} {
		mux.Handle(pattern, p.serve(h))
	}
	mux.Handle("GET /static/{name}", p.assets)
	return p.guarded(mux), nil
}

// shown is the certificate of the connection, judged anew for each request: a
// connection may outlive a revocation.
func (d *certificateDoor) shown(r *http.Request) (c *cert.Certificate, sum []byte, err error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil, errNoCertificate
	}
	raw := r.TLS.PeerCertificates[0].Raw
	if c, err = cert.Parse(raw); err != nil {
		return nil, nil, errors.Join(errCertificate, err)
	}
	if err := d.clients.AuthenticateClient(r.Context(), c); err != nil {
		return nil, nil, errors.Join(errCertificate, err)
	}
	hash := sha256.Sum256(raw)
	return c, hash[:], nil
}

func (d *certificateDoor) view(c *cert.Certificate, state, holder string) certificateView {
	return certificateView{State: state, Email: strings.Join(c.Emails(), ", "), Holder: holder, Portal: d.home}
}

func (d *certificateDoor) show(w http.ResponseWriter, r *http.Request) error {
	c, sum, err := d.shown(r)
	if err != nil {
		return err
	}
	name, err := d.holders.PersonOfCertificate(r.Context(), sum)
	if err != nil && !errors.Is(err, auth.ErrCertificate) {
		return err
	}
	person := err == nil
	shown := func(status int, state, holder string) error {
		v := d.view(c, state, holder)
		v.Person = person
		return d.render(w, r, status, "certificate", v)
	}
	holder, err := d.holders.HolderOfCertificate(r.Context(), sum)
	if err == nil {
		return shown(http.StatusOK, "known", holder.Email)
	}
	if !errors.Is(err, auth.ErrCertificate) {
		return err
	}
	session, _, err := d.administrator(r)
	switch {
	case errors.Is(err, auth.ErrNoSession) && person:
		return shown(http.StatusOK, "person", name)
	case errors.Is(err, auth.ErrNoSession):
		return shown(http.StatusForbidden, "strange", "")
	case err != nil:
		return err
	}
	return shown(http.StatusOK, "new", session.Account.Email)
}

// enterPerson signs in the person whose certificate it is.
func (d *certificateDoor) enterPerson(w http.ResponseWriter, r *http.Request) error {
	c, sum, err := d.shown(r)
	if err != nil {
		return err
	}
	session, token, err := d.holders.EnterByCertificate(r.Context(), sum)
	if errors.Is(err, auth.ErrCertificate) {
		return d.render(w, r, http.StatusForbidden, "certificate", d.view(c, "strange", ""))
	}
	if err != nil {
		return err
	}
	d.keepPerson(w, r, session, token)
	return d.render(w, r, http.StatusOK, "certificate", d.view(c, "inside", session.Name))
}

// enter signs in. It does not redirect: a browser follows no form to another
// port under this site's policy.
func (d *certificateDoor) enter(w http.ResponseWriter, r *http.Request) error {
	c, sum, err := d.shown(r)
	if err != nil {
		return err
	}
	session, token, err := d.holders.SignInByCertificate(r.Context(), sum)
	if errors.Is(err, auth.ErrCertificate) {
		return d.render(w, r, http.StatusForbidden, "certificate", d.view(c, "strange", ""))
	}
	if err != nil {
		return err
	}
	d.setCookie(w, adminCookie, token, session.Expires.Sub(d.Now()), http.SameSiteStrictMode)
	return d.render(w, r, http.StatusOK, "certificate", d.view(c, "entered", session.Account.Email))
}

// add takes the certificate for the account that is signed in.
func (d *certificateDoor) add(w http.ResponseWriter, r *http.Request) error {
	c, sum, err := d.shown(r)
	if err != nil {
		return err
	}
	session, token, err := d.administrator(r)
	if errors.Is(err, auth.ErrNoSession) {
		return d.render(w, r, http.StatusForbidden, "certificate", d.view(c, "strange", ""))
	}
	if err != nil {
		return err
	}
	err = d.holders.AddCertificate(r.Context(), token, sum)
	if errors.Is(err, auth.ErrCertificate) { // it signs somebody in already
		return d.show(w, r)
	}
	if errors.Is(err, auth.ErrAgain) || errors.Is(err, auth.ErrWeak) { // the page for it is not at this door
		what := problemOf(err)
		what.href = d.home + what.href
		return d.render(w, r, what.status, "problem", what)
	}
	if err != nil {
		return err
	}
	return d.render(w, r, http.StatusOK, "certificate", d.view(c, "added", session.Account.Email))
}
