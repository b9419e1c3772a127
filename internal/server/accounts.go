package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/mailseal/mailseal/internal/auth"
	"github.com/mailseal/mailseal/internal/config"
	"github.com/mailseal/mailseal/internal/mailqueue"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/validation"
	"github.com/mailseal/mailseal/internal/webauthn"
)

// openAccounts makes the room that lets people in.
func (s *system) openAccounts(ctx context.Context) error {
	o := auth.Options{Store: s.store, Clock: s.Clock, Rand: s.Rand, URL: s.url, Queue: s.mails.Letters(), Secrets: s.enrollment.Secrets()}
	var err error
	if o.Site, err = passkeySite(s.url); err != nil {
		return err
	}
	if s.Dev {
		o.WeakSignIn = true
	} else {
		o.WeakSignIn = s.Settings.SignIn.SecondFactor == config.SecondFactorOptional
		if o.OpenID, err = openID(s.Settings, s.Credentials); err != nil {
			return err
		}
	}
	s.administrators = auth.New(o)
	s.administrators.Govern(s.orders)
	s.administrators.Entrust(s.recovery)
	if err := s.administrators.SealSecrets(ctx); err != nil {
		return err
	}
	for _, kind := range auth.Mails {
		s.mails.Handle(kind, mailqueue.Sort{Compose: func(tx *store.Tx, m mailqueue.Leaving) (validation.Mail, error) {
			mail, err := s.administrators.Compose(tx, kind, m.Data)
			if errors.Is(err, auth.ErrPointless) {
				err = mailqueue.ErrPointless
			}
			return validation.Mail{To: mail.To, Subject: mail.Subject, Text: mail.Text, Language: mail.Language}, err
		}})
	}
	return nil
}

// passkeySite is the portal as passkeys know it: by its name. The address of a
// machine is none (W3C WebAuthn §5.1.2), so that on loopback it is localhost.
func passkeySite(address string) (webauthn.Site, error) {
	u, err := url.Parse(address)
	if err != nil {
		return webauthn.Site{}, err
	}
	site := webauthn.Site{ID: u.Hostname(), Name: "mailseal", Origins: []string{address}}
	if loopback(u.Hostname()) {
		site.ID = "localhost"
		site.Origins = []string{u.Scheme + "://localhost:" + u.Port()}
	}
	return site, nil
}

// providerTimeout bounds one request to the OpenID Connect provider.
const providerTimeout = 10 * time.Second

// openID is the provider of the settings, or nil.
func openID(settings *config.Settings, credentials string) (*auth.OpenID, error) {
	o := settings.SignIn.OpenID
	if !o.Given() {
		return nil, nil
	}
	p := &auth.OpenID{
		Name: o.Name, Issuer: o.Issuer, ClientID: o.Client, Redirect: settings.Portal.URL + "/sign-in/openid/back",
		Domains: o.Domains, ACR: o.ACR,
	}
	if p.Name == "" {
		p.Name = o.Issuer
	}
	if o.Secret.Given() {
		p.Secret = func() ([]byte, error) { return o.Secret.Read(credentials) }
	}
	if o.Trust == "" {
		return p, nil
	}
	trust, err := config.LoadTrust(o.Trust)
	if err != nil {
		return nil, err
	}
	p.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, TLSHandshakeTimeout: providerTimeout, ForceAttemptHTTP2: true}
	return p, nil
}
