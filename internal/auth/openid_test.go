package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/mailseal/mailseal/internal/store"
)

// A provider that is away, leads elsewhere, answers without an end or is another
// one than it says lets nobody begin, and is asked again the next time. With a
// real one signing in is tested in internal/server.
func TestProviderTrouble(t *testing.T) {
	f := open(t)
	var mode atomic.Value
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := fmt.Sprintf(`{"issuer":%[1]q,"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","jwks_uri":"%[1]s/j"}`, server.URL)
		switch mode.Load() {
		case "away":
			w.WriteHeader(http.StatusBadGateway)
		case "elsewhere":
			w.Header().Set("Location", "http://169.254.169.254/")
			w.WriteHeader(http.StatusFound)
		case "endless":
			_, _ = w.Write([]byte(body[:len(body)-1] + `,"x":"` + strings.Repeat("a", maxOpenID) + `"}`))
		case "another":
			_, _ = w.Write([]byte(strings.Replace(body, server.URL, "https://evil.example", 1)))
		default:
			_, _ = w.Write([]byte(body))
		}
	}))
	defer server.Close()
	f.Service = New(Options{Store: f.opened, Clock: f.clock, Cost: LeastCost, OpenID: &OpenID{
		Name: "Example", Issuer: server.URL, ClientID: "mailseal", Redirect: "https://ca.example.org/back", ACR: []string{"a", "b"},
	}})
	for _, trouble := range []string{"away", "elsewhere", "endless", "another"} {
		mode.Store(trouble)
		if _, token, err := f.StartOpenID(t.Context(), "", ForPerson, ""); !errors.Is(err, ErrProvider) || token != "" {
			t.Errorf("%s: %v", trouble, err)
		}
	}
	mode.Store("well")
	address, token, err := f.StartOpenID(t.Context(), "", ForPerson, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{server.URL + "/a?", "code_challenge_method=S256", "nonce=", "state=", "acr_values=a+b", "response_type=code"} {
		if !strings.Contains(address, want) {
			t.Errorf("no %s in %s", want, address)
		}
	}
	if _, err := f.FinishOpenID(t.Context(), token, OpenIDAnswer{State: "other", Code: "x"}); !errors.Is(err, ErrProvider) {
		t.Errorf("another state: %v", err)
	}
	if _, err := f.FinishOpenID(t.Context(), token, OpenIDAnswer{State: "other", Code: "x"}); !errors.Is(err, ErrNoSession) {
		t.Errorf("the token again: %v", err)
	}
	if _, _, err := f.StartOpenID(t.Context(), "", ForLink, "guessed"); !errors.Is(err, ErrNoSession) {
		t.Errorf("to link without a session: %v", err)
	}
}

// An address finds its account once. Who has the address later is another subject,
// and is not who the account belongs to.
func TestAddressOfAnother(t *testing.T) {
	f, _ := claimed(t)
	f.Service = New(Options{Store: f.opened, Clock: f.clock, Cost: LeastCost, OpenID: &OpenID{Issuer: "https://login.example", Domains: []string{"example.org"}}})
	for _, test := range []struct {
		subject string
		want    error
	}{{"first", nil}, {"first", nil}, {"second", ErrCredentials}} {
		err := f.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := f.accountOf(t.Context(), tx, &oidc.IDToken{Issuer: "https://login.example", Subject: test.subject}, claims{Email: email, Verified: true})
			return err
		})
		if !errors.Is(err, test.want) {
			t.Errorf("subject %s: %v, want %v", test.subject, err, test.want)
		}
	}
}

// A provider that does not answer holds up those alone who wait for it, and for no
// longer than they want; all of them are one request.
func TestProviderHangs(t *testing.T) {
	f := open(t)
	var asked atomic.Int64
	answers := make(chan struct{})
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		<-answers
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":%[1]q,"authorization_endpoint":"%[1]s/a","token_endpoint":"%[1]s/t","jwks_uri":"%[1]s/j"}`, server.URL)
	}))
	defer server.Close()
	f.Service = New(Options{Store: f.opened, Clock: f.clock, Cost: LeastCost, OpenID: &OpenID{
		Name: "Example", Issuer: server.URL, ClientID: "mailseal", Redirect: "https://ca.example.org/back",
	}})
	start := func(ctx context.Context) error {
		_, _, err := f.StartOpenID(ctx, "", ForPerson, "")
		return err
	}
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() { ended <- start(t.Context()) }()
	}
	for asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	gone, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := start(gone); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrProvider) {
		t.Errorf("who waits no longer: %v", err)
	}
	close(answers)
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := start(t.Context()); err != nil || asked.Load() != 1 {
		t.Errorf("%d requests, %v", asked.Load(), err)
	}
}

// The provider shows who is in a session when it means that account, by more than
// a password, and says that it asked since.
func TestAgainByProvider(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	f.Service = New(Options{Store: f.opened, Clock: f.clock, Cost: LeastCost, Queue: f, OpenID: &OpenID{Issuer: "https://login.example", ACR: []string{"mfa"}}})
	f.now = f.now.Add(FreshTime)
	mine, err := f.Session(ctx, token)
	if err != nil || mine.Fresh {
		t.Fatalf("%+v, %v", mine, err)
	}
	other, _ := f.joins(t, Console(), "other@example.org", Grant{Administrator, "org"})
	subject := func(name string) *oidc.IDToken { return &oidc.IDToken{Issuer: "https://login.example", Subject: name} }
	row := store.SignInStep{AdministratorID: mine.Account.ID, Created: f.now}
	step := openIDStep{Purpose: ForAgain, Session: hashToken(token)}
	show := func(id *oidc.IDToken, c claims) (in Entered, err error) {
		err = f.db.Update(ctx, func(tx *store.Tx) (err error) {
			in, err = f.againByOpenID(ctx, tx, row, step, id, c)
			return err
		})
		return in, err
	}
	err = f.db.Update(ctx, func(tx *store.Tx) error {
		return errors.Join(f.link(ctx, tx, mine.Account.ID, subject("me")), f.link(ctx, tx, other.Account.ID, subject("other")))
	})
	if err != nil {
		t.Fatal(err)
	}
	now := f.now.Unix()
	for name, test := range map[string]struct {
		subject string
		claims  claims
	}{
		"another account":  {"other", claims{ACR: "mfa", AuthTime: now}},
		"nobody":           {"nobody", claims{ACR: "mfa", AuthTime: now}},
		"a password":       {"me", claims{ACR: "pwd", AuthTime: now}},
		"asked long ago":   {"me", claims{ACR: "mfa", AuthTime: now - 3600}},
		"it says not when": {"me", claims{ACR: "mfa"}},
	} {
		if _, err := show(subject(test.subject), test.claims); !errors.Is(err, ErrCredentials) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in, err := show(subject("me"), claims{ACR: "mfa", AuthTime: now})
	if err != nil || !in.Session.Fresh || !in.Session.Strong || in.Token == token {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("the token from before: %v", err)
	}
	// There is no factor here: what the provider saw is what the account has.
	nothing := func(*store.Tx, Session, Factors) error { return nil }
	if err := f.own(ctx, in.Token, nothing); err != nil {
		t.Errorf("a new factor, right after it: %v", err)
	}
	f.now = f.now.Add(FreshTime)
	if err := f.own(ctx, in.Token, nothing); !errors.Is(err, ErrAgain) {
		t.Errorf("a new factor in a browser that was left open: %v", err)
	}
}

// A provider whose clock is ahead makes nobody fresh for longer.
func TestProviderAhead(t *testing.T) {
	f, token := claimed(t)
	mine, err := f.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	var in Entered
	err = f.db.Update(t.Context(), func(tx *store.Tx) error {
		a, err := tx.Administrator(mine.Account.ID)
		if err == nil {
			in, err = f.enter(t.Context(), tx, a, byOpenID, true, f.now.Add(time.Hour))
		}
		return err
	})
	if err != nil || !in.Session.Fresh {
		t.Fatalf("%+v, %v", in, err)
	}
	f.now = f.now.Add(FreshTime)
	if err := f.actor(t, in.Token).Again(); !errors.Is(err, ErrAgain) {
		t.Errorf("ten minutes later: %v", err)
	}
}
