package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/store/storetest"
	"github.com/mailseal/mailseal/internal/webauthn"
)

const (
	email    = "admin@example.org"
	password = "correct horse battery"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

type fixture struct {
	*Service
	t      *testing.T
	source string
	now    time.Time
	opened *store.DB

	queued []Letter
	mails  []Mail
	two    map[string]bool // organizations of which two decide
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, two: map[string]bool{}, source: storetest.Source(t), now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := store.Open(t.Context(), f.source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f.opened = db
	f.restart(true)
	return f
}

// restart makes the service anew over the same store.
func (f *fixture) restart(weak bool) {
	f.Service = New(Options{
		Store: f.opened, Clock: func() time.Time { return f.now }, Cost: LeastCost, WeakSignIn: weak, URL: site.Origins[0],
		Site: site, Queue: f, Secrets: sealer{},
	})
	f.Govern(f)
}

// TwoDecide and EndApproval make the fixture its own room above.
func (f *fixture) TwoDecide(_ *store.Tx, organization string) (bool, error) {
	return f.two[organization], nil
}

func (f *fixture) EndApproval(_ context.Context, _ *store.Tx, _ Actor, organization string) error {
	delete(f.two, organization)
	return nil
}

var site = webauthn.Site{ID: "ca.example.org", Name: "mailseal", Origins: []string{"https://ca.example.org"}}

// Enqueue makes the fixture its own queue: mails leave when the test calls deliver.
func (f *fixture) Enqueue(_ *store.Tx, l Letter) error {
	f.queued = append(f.queued, l)
	return nil
}

// deliver writes all mails, and returns the code of the one mail that left with one, or "".
func (f *fixture) deliver() (code string) {
	f.t.Helper()
	f.mails = nil
	queued := f.queued
	f.queued = nil
	for _, l := range queued {
		err := f.db.Update(f.t.Context(), func(tx *store.Tx) error {
			m, err := f.Compose(tx, l.Kind, l.Data)
			f.mails = append(f.mails, m)
			return err
		})
		if errors.Is(err, ErrPointless) {
			f.mails = f.mails[:len(f.mails)-1]
		} else if err != nil {
			f.t.Fatal(err)
		}
	}
	for _, m := range f.mails {
		if found := regexp.MustCompile(`(?m)^[A-Z0-9-]{24,40}$`).FindString(m.Text); found != "" && code != "" {
			return ""
		} else if found != "" {
			code = found
		}
	}
	return code
}

// invitations counts the mails that invite and wait.
func (f *fixture) invitations() (n int) {
	for _, l := range f.queued {
		if l.Kind == MailInvitation {
			n++
		}
	}
	return n
}

// signIn is SignIn of a client without a name, which must be enough.
func (f *fixture) signIn(ctx context.Context, email, password string) (Session, string, error) {
	e, err := f.SignIn(ctx, "", email, password)
	if e.Second {
		f.t.Error("a second factor is asked for")
	}
	return e.Session, e.Token, err
}

// claimed opens a service that has its first administrator.
func claimed(t *testing.T) (*fixture, string) {
	t.Helper()
	f := open(t)
	code, err := f.FirstCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := f.ClaimFirstAdministrator(t.Context(), code, email, "Admin", password)
	if err != nil {
		t.Fatal(err)
	}
	return f, token
}

func TestFirstAdministrator(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	claim := func(code, email, password string) error {
		_, _, err := f.ClaimFirstAdministrator(ctx, code, email, "Admin", password)
		return err
	}
	if err := claim("", email, password); !errors.Is(err, ErrCode) {
		t.Errorf("no code was made, none was given: %v", err)
	}
	old, err := f.FirstCode(ctx)
	if err != nil {
		t.Fatal(err)
	}
	code, err := f.FirstCode(ctx) // the next start
	if err != nil || code == old || len(code) != FirstCodeLength {
		t.Fatalf("codes %q, %q, %v", old, code, err)
	}
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"old code":          {claim(old, email, password), ErrCode},
		"no code":           {claim("", email, password), ErrCode},
		"short password":    {claim(code, email, "elevenchars"), ErrPassword},
		"long password":     {claim(code, email, strings.Repeat("a", MaxPassword+1)), ErrPassword},
		"password not text": {claim(code, email, strings.Repeat("\xff", 20)), ErrPassword},
		"no address":        {claim(code, "admin", password), ErrEmail},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	if yes, err := f.Claimed(ctx); yes || err != nil {
		t.Errorf("claimed by refusals: %v", err)
	}
	session, token, err := f.ClaimFirstAdministrator(ctx, " "+strings.ToLower(code)+"\n", " Admin@EXAMPLE.org ", "Admin", password)
	if err != nil {
		t.Fatal(err)
	}
	if session.Account.Email != "Admin@example.org" || len(token) != 43 {
		t.Errorf("session %+v, token %q", session, token)
	}
	if err := claim(code, "eve@example.com", password); !errors.Is(err, ErrClaimed) {
		t.Errorf("claimed two times: %v", err)
	}
	if code, err := f.FirstCode(ctx); code != "" || err != nil {
		t.Errorf("a code after the claim: %q, %v", code, err)
	}
	if yes, err := f.Claimed(ctx); !yes || err != nil {
		t.Errorf("not claimed: %v", err)
	}
}

// Of many who have the code, one becomes the first administrator.
func TestClaimRace(t *testing.T) {
	f := open(t)
	code, err := f.FirstCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	winners := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, _, err := f.ClaimFirstAdministrator(t.Context(), code, email, "Admin", password)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners++
			} else if !errors.Is(err, ErrClaimed) && !errors.Is(err, ErrCode) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if winners != 1 {
		t.Errorf("%d first administrators", winners)
	}
}

func TestSignIn(t *testing.T) {
	f, first := claimed(t)
	ctx := t.Context()
	for name, login := range map[string][2]string{
		"wrong password": {email, password + "x"}, "unknown": {"eve@example.org", password}, "no address": {"", password},
		"empty password": {email, ""}, "huge password": {email, strings.Repeat("a", 1<<20)},
	} {
		if _, token, err := f.signIn(ctx, login[0], login[1]); !errors.Is(err, ErrCredentials) || token != "" {
			t.Errorf("%s: %v, token %q", name, err, token)
		}
	}
	if _, _, err := f.signIn(ctx, email, password+strings.Repeat("x", MaxPassword)); !errors.Is(err, ErrCredentials) {
		t.Errorf("a password with a tail: %v", err)
	}
	session, token, err := f.signIn(ctx, "ADMIN@example.org", password)
	if err != nil {
		t.Fatal(err)
	}
	if token == first || session.Account.Email != email {
		t.Errorf("session %+v, token as before: %v", session, token == first)
	}
	for _, tok := range []string{first, token} {
		if got, err := f.Session(ctx, tok); err != nil || got.Account.Email != email {
			t.Errorf("session %+v, %v", got, err)
		}
	}
	if err := f.SignOut(ctx, first); err != nil {
		t.Fatal(err)
	}
	if err := f.SignOut(ctx, first); err != nil {
		t.Errorf("signed out two times: %v", err)
	}
	for _, tok := range []string{first, "", "guess"} {
		if _, err := f.Session(ctx, tok); !errors.Is(err, ErrNoSession) {
			t.Errorf("token %q: %v", tok, err)
		}
	}
	if _, err := f.Session(ctx, token); err != nil {
		t.Errorf("the other session: %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	for range 3 {
		f.now = f.now.Add(IdleTime - time.Second)
		if _, err := f.Session(ctx, token); err != nil {
			t.Fatalf("used within the idle time: %v", err)
		}
	}
	f.now = f.now.Add(IdleTime)
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("idle too long: %v", err)
	}
	_, token, err := f.signIn(ctx, email, password)
	if err != nil {
		t.Fatal(err)
	}
	for passed := time.Duration(0); passed < SessionLife-10*time.Minute; passed += 10 * time.Minute {
		if _, err := f.Session(ctx, token); err != nil {
			t.Fatalf("after %v: %v", passed, err)
		}
		f.now = f.now.Add(10 * time.Minute)
	}
	f.now = f.now.Add(10 * time.Minute)
	if _, err := f.Session(ctx, token); !errors.Is(err, ErrNoSession) {
		t.Errorf("after %v: %v", SessionLife, err)
	}
}

// Ten tries a minute for an account, whether it exists or not.
func TestGuessing(t *testing.T) {
	f, _ := claimed(t)
	f.cost = LeastCost
	for _, account := range []string{email, "nobody@example.org"} {
		for range TriesPerMinute {
			if _, _, err := f.signIn(t.Context(), account, "wrong password"); !errors.Is(err, ErrCredentials) {
				t.Fatal(err)
			}
		}
		if _, _, err := f.signIn(t.Context(), strings.ToUpper(account), password); !errors.Is(err, ErrTooMany) {
			t.Errorf("%s: the eleventh try: %v", account, err)
		}
	}
	f.now = f.now.Add(time.Minute + time.Second)
	if _, _, err := f.signIn(t.Context(), email, password); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// One network address may try thirty times a minute, at whatever accounts; then
// it no longer takes away the tries of their holders.
func TestGuessingFromOneAddress(t *testing.T) {
	f, _ := claimed(t)
	f.matches = func(_, tried string) (bool, Cost, error) { return tried == password, f.cost, nil }
	for i := range ClientTriesPerMinute {
		if _, err := f.SignIn(t.Context(), "192.0.2.1", fmt.Sprintf("u%d@example.org", i%5), "wrong password"); !errors.Is(err, ErrCredentials) {
			t.Fatal(err)
		}
	}
	for range 2 * TriesPerMinute {
		if _, err := f.SignIn(t.Context(), "192.0.2.1", email, "wrong password"); !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
	}
	if _, err := f.SignIn(t.Context(), "192.0.2.2", email, password); err != nil {
		t.Errorf("the holder, from elsewhere: %v", err)
	}
}

// A stored hash of another cost is replaced at the next sign-in.
func TestRehash(t *testing.T) {
	f, _ := claimed(t)
	f.cost = Cost{Time: 3, Memory: LeastCost.Memory}
	if _, _, err := f.signIn(t.Context(), email, password); err != nil {
		t.Fatal(err)
	}
	var stored string
	err := f.db.View(t.Context(), func(tx *store.Tx) error {
		a, err := tx.AdministratorByEmail(email)
		stored = a.Password
		return err
	})
	if err != nil || !strings.Contains(stored, "t=3,") {
		t.Errorf("stored %q, %v", stored, err)
	}
	if _, _, err := f.signIn(t.Context(), email, password); err != nil {
		t.Errorf("with the new hash: %v", err)
	}
}

func TestNothingAtRest(t *testing.T) {
	f := open(t)
	code, err := f.FirstCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	look := func(secrets ...string) {
		content := storetest.Content(t, f.source)
		if len(content) == 0 {
			t.Fatal("nothing is stored")
		}
		for name, data := range content {
			for _, s := range secrets {
				if strings.Contains(data, s) {
					t.Errorf("%s has %q", name, s)
				}
			}
		}
	}
	look(code, strings.ReplaceAll(code, "-", ""))
	_, token, err := f.ClaimFirstAdministrator(t.Context(), code, email, "Admin", password)
	if err != nil {
		t.Fatal(err)
	}
	look(code, token, password)
	if !strings.Contains(fmt.Sprint(storetest.Content(t, f.source)), email) {
		t.Error("the look does not see the account")
	}
}

func TestPHC(t *testing.T) {
	stored := LeastCost.hash(password, make([]byte, saltSize))
	if ok, cost, err := matches(stored, password); !ok || cost != LeastCost || err != nil {
		t.Errorf("%v, %v, %v", ok, cost, err)
	}
	if ok, _, err := matches(stored, password+" "); ok || err != nil {
		t.Errorf("another password: %v, %v", ok, err)
	}
	for name, bad := range map[string]string{
		"empty": "", "other kind": strings.Replace(stored, "argon2id", "argon2i", 1), "other version": strings.Replace(stored, "v=19", "v=16", 1),
		"too cheap": strings.Replace(stored, "m=19456", "m=8", 1), "too dear": strings.Replace(stored, "m=19456", "m=4294967295", 1),
		"too often": strings.Replace(stored, "t=2", "t=1000", 1), "no salt": strings.Replace(stored, "$AAAAAAAAAAAAAAAAAAAAAA$", "$$", 1),
		"cut": stored[:len(stored)-4], "more": stored + "$x",
	} {
		if ok, _, err := matches(bad, password); ok || err == nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func FuzzPHC(f *testing.F) {
	f.Add(LeastCost.hash(password, make([]byte, saltSize)))
	f.Fuzz(func(t *testing.T, stored string) {
		c, salt, sum, err := parsePHC(stored)
		if err == nil && (c.Memory > maxMemory || c.Time > maxTime || len(salt) != saltSize || len(sum) != hashSize) {
			t.Errorf("%q was read as %+v", stored, c)
		}
	})
}

// A flood of sign-ins waits for a slot, and gives up with its request.
func TestSlots(t *testing.T) {
	f, _ := claimed(t)
	f.slots <- struct{}{}
	f.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// A password that is longer than any is hashed, too: that it is not would tell
	// nothing about the account, but it would be free to try.
	for _, p := range []string{password, strings.Repeat("x", MaxPassword+1)} {
		if _, _, err := f.signIn(ctx, email, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with all slots taken, %d bytes: %v", len(p), err)
		}
	}
}

// sealer seals as a test can see it: what for and for whom stands before what is
// turned over.
type sealer struct{}

func (sealer) Seal(what, id string, plain []byte) ([]byte, error) {
	sealed := []byte(what + " " + id + " ")
	for _, b := range plain {
		sealed = append(sealed, ^b)
	}
	return sealed, nil
}

func (sealer) Open(what, id string, sealed []byte) (plain []byte, err error) {
	turned, ok := bytes.CutPrefix(sealed, []byte(what+" "+id+" "))
	if !ok {
		return nil, errors.New("sealed for another")
	}
	for _, b := range turned {
		plain = append(plain, ^b)
	}
	return plain, nil
}
