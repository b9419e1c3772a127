package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// OpenID is a provider of OpenID Connect Core 1.0 that people may sign in with.
type OpenID struct {
	Name     string // for people
	Issuer   string // https://
	ClientID string
	Secret   func() ([]byte, error) // nil: a public client; PKCE protects the code
	Redirect string                 // where the provider leads back to, below the portal's address

	// Domains are those of mailboxes that the provider vouches for: an address in
	// them, which it says is verified, signs in its account and its person.
	Domains []string

	// ACR are the authentication contexts that take more than a password. Without
	// one of them the second factor is asked for here.
	ACR []string

	Transport http.RoundTripper // nil: http.DefaultTransport
}

// Limits of what a provider answers.
const (
	openIDTimeout = 10 * time.Second
	maxOpenID     = 1 << 20 // octets of one answer
	openIDSkew    = 5 * time.Minute
)

// ErrProvider: the provider cannot be reached, or said what is not believed.
var ErrProvider = errors.New("auth: the OpenID Connect provider did not sign anybody in")

// Purposes of a way to the provider and back.
const (
	ForAccount = "account" // sign in to an account
	ForPerson  = "person"  // sign in as who holds the mailbox
	ForLink    = "link"    // let it sign in the account of a session
	ForAgain   = "again"   // show once more who is in a session
)

// provider is the provider as it describes itself, asked for at first need.
type provider struct {
	OpenID
	client *http.Client

	mu     sync.Mutex // held for no request: a provider may be away
	known  *oidc.Provider
	asking *discovery // under way, for all who wait for it
}

// discovery is one reading of what a provider says of itself.
type discovery struct {
	done  chan struct{}
	known *oidc.Provider
	err   error
}

func newProvider(o *OpenID) *provider {
	if o == nil {
		return nil
	}
	p := &provider{OpenID: *o}
	if p.Transport == nil {
		p.Transport = http.DefaultTransport
	}
	p.client = &http.Client{
		Timeout:   openIDTimeout,
		Transport: bounded{p.Transport},
		// A provider is asked where it says it is, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

// bounded cuts off answers that are too large.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.next.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxOpenID), answer.Body}
	}
	return answer, err
}

// ask reads the provider's description (OpenID Connect Discovery 1.0 §4), which
// has to name the same issuer.
func (p *provider) ask(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	known, err := p.description(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrProvider, err)
	}
	c := &oauth2.Config{
		ClientID: p.ClientID, Endpoint: known.Endpoint(), RedirectURL: p.Redirect, Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
	if p.Secret != nil {
		secret, err := p.Secret()
		if err != nil {
			return nil, nil, fmt.Errorf("secret of the OpenID Connect client: %w", err)
		}
		c.ClientSecret = strings.TrimSpace(string(secret))
	}
	return known, c, nil
}

// description is what the provider said of itself, once it did. Whoever needs it
// meanwhile waits for the same answer, and no longer than they want.
func (p *provider) description(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	if p.known != nil {
		defer p.mu.Unlock()
		return p.known, nil
	}
	d := p.asking
	if d == nil {
		d = &discovery{done: make(chan struct{})}
		p.asking = d
		// The provider's keys are fetched again later, under this context.
		go p.discover(oidc.ClientContext(context.WithoutCancel(ctx), p.client), d)
	}
	p.mu.Unlock()
	select {
	case <-d.done:
		return d.known, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *provider) discover(ctx context.Context, d *discovery) {
	d.known, d.err = oidc.NewProvider(ctx, p.Issuer)
	p.mu.Lock()
	p.known, p.asking = d.known, nil
	p.mu.Unlock()
	close(d.done)
}

// openIDStep is what is kept while somebody is at the provider.
type openIDStep struct {
	Purpose  string
	State    string
	Nonce    string
	Verifier string // PKCE, RFC 7636
	Session  []byte // for ForAgain: the hash of the session's token
}

// OpenIDName is what the provider is called, "" where there is none.
func (s *Service) OpenIDName() string {
	if s.openID == nil {
		return ""
	}
	return s.openID.Name
}

// StartOpenID begins a way to the provider: the browser is sent to the address,
// and keeps the token, without which nobody comes back. Session is the token of
// the session for [ForLink] and [ForAgain].
func (s *Service) StartOpenID(ctx context.Context, client, purpose, session string) (address, token string, err error) {
	if s.openID == nil {
		return "", "", ErrState
	}
	var account string
	switch purpose {
	case ForLink:
		err = s.own(ctx, session, func(_ *store.Tx, now Session, _ Factors) error {
			account = now.Account.ID
			return nil
		})
	case ForAgain:
		var now Session
		now, err = s.Session(ctx, session)
		account = now.Account.ID
	}
	if err != nil {
		return "", "", err
	}
	_, config, err := s.openID.ask(ctx)
	if err != nil {
		return "", "", err
	}
	step := openIDStep{Purpose: purpose, Verifier: oauth2.GenerateVerifier()}
	if purpose == ForAgain {
		step.Session = hashToken(session)
	}
	if step.State, err = s.newToken(); err != nil {
		return "", "", err
	}
	if step.Nonce, err = s.newToken(); err != nil {
		return "", "", err
	}
	detail, err := json.Marshal(step)
	if err != nil {
		return "", "", err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		token, err = s.begin(tx, store.SignInStep{Kind: stepOpenID, AdministratorID: account, Detail: detail}, stepLife)
		return err
	})
	if err != nil {
		return "", "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(step.Verifier), oidc.Nonce(step.Nonce)}
	if len(s.openID.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(s.openID.ACR, " ")))
	}
	// §3.1.2.1: with max_age the provider says when it asked who they are.
	switch purpose {
	case ForAccount:
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(SessionLife/time.Second))))
	case ForAgain: // ask, though it knows them
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return config.AuthCodeURL(step.State, options...), token, nil
}

// OpenIDAnswer is what the provider led the browser back with.
type OpenIDAnswer struct {
	State  string
	Code   string
	Issuer string // iss of RFC 9207, "" where it was not given
	Error  string // error of RFC 6749 §4.1.2.1
}

// OpenIDEntered is what a way to the provider and back led to: one of both.
type OpenIDEntered struct {
	Purpose     string
	Account     Entered
	Person      PersonSession
	PersonToken string
}

// claims are those of the ID token that are used.
type claims struct {
	Email    string `json:"email"`
	Verified bool   `json:"email_verified"`
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"` // when it asked who they are; 0: it does not say
}

// asked is when the provider asked who they are, as far as it says.
func (c claims) asked() time.Time {
	if c.AuthTime <= 0 {
		return time.Time{}
	}
	return time.Unix(c.AuthTime, 0)
}

// strong tells whether that took more than a password.
func (o *OpenID) strong(c claims) bool { return c.ACR != "" && slices.Contains(o.ACR, c.ACR) }

// FinishOpenID takes the provider's answer, with the token that the browser kept.
func (s *Service) FinishOpenID(ctx context.Context, token string, answer OpenIDAnswer) (OpenIDEntered, error) {
	if s.openID == nil {
		return OpenIDEntered{}, ErrState
	}
	row, step, err := s.takeOpenIDStep(ctx, token)
	if err != nil {
		return OpenIDEntered{}, err
	}
	entered := OpenIDEntered{Purpose: step.Purpose}
	id, c, err := s.redeem(ctx, step, answer)
	if err != nil {
		return entered, err
	}
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		switch step.Purpose {
		case ForLink:
			return s.link(ctx, tx, row.AdministratorID, id)
		case ForPerson:
			m, ok := s.openID.vouched(c)
			if !ok {
				return ErrCredentials
			}
			entered.Person, entered.PersonToken, err = s.openFor(ctx, tx, m, byOpenID)
			return err
		case ForAccount:
			a, err := s.accountOf(ctx, tx, id, c)
			if err != nil {
				return err
			}
			entered.Account, err = s.enter(ctx, tx, a, byOpenID, s.openID.strong(c), c.asked())
			return err
		case ForAgain:
			entered.Account, err = s.againByOpenID(ctx, tx, row, step, id, c)
			return err
		}
		return ErrState
	})
	return entered, err
}

// againByOpenID makes the session fresh that somebody left for the provider, which
// must have asked them since.
func (s *Service) againByOpenID(ctx context.Context, tx *store.Tx, row store.SignInStep, step openIDStep, id *oidc.IDToken, c claims) (Entered, error) {
	a, err := tx.AdministratorOfSubject(id.Issuer, id.Subject)
	if errors.Is(err, store.ErrNotFound) || err == nil && a.ID != row.AdministratorID {
		return Entered{}, ErrCredentials
	}
	if err != nil {
		return Entered{}, err
	}
	strong := s.openID.strong(c)
	f, err := factors(tx, a.ID)
	if err != nil {
		return Entered{}, err
	}
	session, err := tx.AdministratorSession(step.Session)
	if errors.Is(err, store.ErrNotFound) {
		return Entered{}, ErrNoSession
	}
	if err != nil {
		return Entered{}, err
	}
	if !strong && !f.secondToCertificate(session.Method) && !s.passwordDoes(f, session.Method) || c.asked().Before(row.Created.Add(-openIDSkew)) {
		return Entered{}, ErrCredentials
	}
	fresh, token, err := s.refresh(ctx, tx, step.Session, byOpenID, strong, s.clock())
	return Entered{Session: fresh, Token: token}, err
}

// takeOpenIDStep takes the step once, whatever the answer is.
func (s *Service) takeOpenIDStep(ctx context.Context, token string) (row store.SignInStep, step openIDStep, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if row, err = s.step(tx, token, stepOpenID); err != nil {
			return err
		}
		return tx.TakeSignInStep(row.TokenHash)
	})
	if err != nil {
		return row, step, err
	}
	return row, step, json.Unmarshal(row.Detail, &step)
}

// redeem turns the provider's answer into who it means (OpenID Connect Core 1.0
// §3.1.2.5 to §3.1.3.7).
func (s *Service) redeem(ctx context.Context, step openIDStep, answer OpenIDAnswer) (*oidc.IDToken, claims, error) {
	fail := func(why string, err error) (*oidc.IDToken, claims, error) {
		return nil, claims{}, errors.Join(fmt.Errorf("%w: %s", ErrProvider, why), err)
	}
	switch {
	case answer.State != step.State || step.State == "":
		return fail("the answer is to another question", nil)
	case answer.Error != "":
		return fail("it says "+short(answer.Error), nil)
	case answer.Issuer != "" && answer.Issuer != s.openID.Issuer: // RFC 9207 §2.4
		return fail("another provider answered", nil)
	}
	known, config, err := s.openID.ask(ctx)
	if err != nil {
		return nil, claims{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, s.openID.client), openIDTimeout)
	defer cancel()
	tokens, err := config.Exchange(ctx, answer.Code, oauth2.VerifierOption(step.Verifier))
	if err != nil {
		return fail("no tokens for the code", err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := known.Verifier(&oidc.Config{ClientID: s.openID.ClientID, Now: s.clock}).Verify(ctx, raw)
	if err != nil {
		return fail("its ID token is not good", err)
	}
	if id.Nonce != step.Nonce || id.Subject == "" || id.IssuedAt.After(s.clock().Add(openIDSkew)) {
		return fail("its ID token is of another sign-in", nil)
	}
	var c claims
	if err := id.Claims(&c); err != nil {
		return fail("its ID token cannot be read", err)
	}
	if c.Email != "" {
		return id, c, nil
	}
	// §5.4: where a code was redeemed, a provider may tell the claims of the scopes
	// at its UserInfo endpoint alone.
	info, err := known.UserInfo(ctx, config.TokenSource(ctx, tokens))
	if err != nil || info.Subject != id.Subject { // §5.3.2
		return id, c, nil
	}
	c.Email, c.Verified = info.Email, info.EmailVerified
	return id, c, nil
}

func short(text string) string {
	if len(text) > 60 {
		text = text[:60]
	}
	return fmt.Sprintf("%q", text)
}

// vouched is the mailbox that the provider says is the person's, if it is for the
// provider to say.
func (o *OpenID) vouched(c claims) (mailbox.Mailbox, bool) {
	if !c.Verified {
		return mailbox.Mailbox{}, false
	}
	m, err := mailbox.Parse(c.Email)
	if err != nil {
		return mailbox.Mailbox{}, false
	}
	return m, slices.ContainsFunc(o.Domains, func(d string) bool { return strings.EqualFold(d, m.Domain()) })
}

// accountOf finds the account that the provider means: the one that is linked, or
// the one with an address that the provider vouches for, which is linked then.
func (s *Service) accountOf(ctx context.Context, tx *store.Tx, id *oidc.IDToken, c claims) (store.Administrator, error) {
	a, err := tx.AdministratorOfSubject(id.Issuer, id.Subject)
	if !errors.Is(err, store.ErrNotFound) {
		return a, err
	}
	m, ok := s.openID.vouched(c)
	if !ok {
		return a, ErrCredentials
	}
	a, err = tx.AdministratorByEmail(m.Key())
	if errors.Is(err, store.ErrNotFound) {
		return a, ErrCredentials
	}
	if err != nil {
		return a, err
	}
	// Whoever has an address after somebody else is another subject: the account
	// stays with the one that it knows, until its holder says otherwise.
	if n, err := tx.CountOpenIDSubjects(a.ID); err != nil || n > 0 {
		return a, errors.Join(err, ErrCredentials)
	}
	return a, s.link(ctx, tx, a.ID, id)
}

func (s *Service) link(ctx context.Context, tx *store.Tx, account string, id *oidc.IDToken) error {
	if err := tx.LinkOpenIDSubject(id.Issuer, id.Subject, account, s.clock()); err != nil {
		return stateOf(err)
	}
	return s.record(ctx, tx, account, audit.ActFactorAdded, byOpenID)
}

// UnlinkOpenID keeps the provider from signing in the account of a session.
func (s *Service) UnlinkOpenID(ctx context.Context, token string) error {
	return s.own(ctx, token, func(tx *store.Tx, session Session, f Factors) error {
		if f.OpenID == 0 {
			return ErrState
		}
		if !f.Password && len(f.Passkeys) == 0 {
			return ErrNeeded
		}
		if err := tx.UnlinkOpenIDSubjects(session.Account.ID); err != nil {
			return err
		}
		return s.lessened(ctx, tx, token, session.Account.ID, byOpenID)
	})
}
