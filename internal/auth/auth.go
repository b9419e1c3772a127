package auth

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/webauthn"
)

// Options are what a [Service] needs.
type Options struct {
	Store *store.DB
	Clock func() time.Time
	Rand  io.Reader // nil: crypto/rand
	Cost  Cost      // zero: DefaultCost

	// WeakSignIn lets a password alone sign in for every role. Without it those
	// that [Session.Withheld] names wait for a second factor.
	WeakSignIn bool

	Site   webauthn.Site // for passkeys; without an ID there are none
	URL    string        // of the portal, for mails
	OpenID *OpenID       // nil: there is no provider
	Queue  Queue         // for mails

	Secrets Secrets // nil: there are no authenticator apps
}

// Service lets administrators in.
type Service struct {
	db    *store.DB
	clock func() time.Time
	rand  io.Reader
	cost  Cost

	weak    bool
	site    webauthn.Site
	url     string
	openID  *provider
	queue   Queue
	secrets Secrets
	rules   Rules   // nil: there are no organizations of which two decide
	custody Custody // nil: nobody names officers

	// matches compares a password with a stored hash; a test counts the calls.
	matches func(stored, password string) (bool, Cost, error)

	// slots bounds how many passwords are hashed at a time, so that a flood of
	// sign-ins cannot take all memory.
	slots chan struct{}

	// decoy is compared with when there is no such account, so that the answer
	// takes as long.
	decoy func() string
}

// New returns a Service.
func New(o Options) *Service {
	s := &Service{
		db: o.Store, clock: o.Clock, rand: o.Rand, cost: o.Cost, weak: o.WeakSignIn, site: o.Site, url: o.URL,
		openID: newProvider(o.OpenID), queue: o.Queue, secrets: o.Secrets, matches: matches, slots: make(chan struct{}, 2),
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if s.cost == (Cost{}) {
		s.cost = DefaultCost
	}
	s.decoy = sync.OnceValue(func() string { return s.cost.hash("nobody", make([]byte, saltSize)) })
	return s
}

// FirstCode makes a new one-time code for the first administrator, which voids
// the one before it. It is "" when there is an administrator already. The
// server prints it; only its hash is kept.
func (s *Service) FirstCode(ctx context.Context) (string, error) {
	code, err := s.newCode(codeGroups)
	if err != nil {
		return "", err
	}
	claimed := false
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		n, err := tx.CountAdministrators()
		if claimed = n > 0; err != nil || claimed {
			return err
		}
		return tx.SetFirstCode(hashCode(code), s.clock())
	})
	if err != nil || claimed {
		return "", err
	}
	return code, nil
}

// Claimed tells whether the first administrator exists.
func (s *Service) Claimed(ctx context.Context) (claimed bool, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		n, err := tx.CountAdministrators()
		claimed = n > 0
		return err
	})
	return claimed, err
}

// ClaimFirstAdministrator makes the first account for whoever has the code
// that the server printed, and signs it in. Token opens the session.
func (s *Service) ClaimFirstAdministrator(ctx context.Context, code, email, name, password string) (Session, string, error) {
	m, err := mailbox.Parse(strings.TrimSpace(email))
	if err != nil {
		return Session{}, "", fmt.Errorf("%w: %w", ErrEmail, err)
	}
	if err := checkPassword(password); err != nil {
		return Session{}, "", err
	}
	// Look at the code first: a guess must not cost a password hash.
	if err := s.lookAtFirstCode(ctx, code); err != nil {
		return Session{}, "", err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return Session{}, "", err
	}
	id, err := s.newID()
	if err != nil {
		return Session{}, "", err
	}
	a := store.Administrator{
		ID: id, Email: m.String(), EmailKey: m.Key(), Name: name, Password: hash, Created: s.clock(),
	}
	var session Session
	var token string
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := claim(tx, code, a); err != nil {
			return err
		}
		if err := s.record(ctx, tx, a.ID, audit.ActAdministrator, ""); err != nil {
			return err
		}
		if err := GiveRole(ctx, tx, Console(), a.ID, Grant{Role: Operator}, s.clock()); err != nil {
			return err
		}
		session, token, err = s.open(ctx, tx, a, byPassword, false)
		return err
	})
	if err != nil {
		return Session{}, "", err
	}
	return session, token, nil
}

// record enters an act of an administrator on their own account.
func (s *Service) record(ctx context.Context, tx *store.Tx, id, act, how string) error {
	e := audit.Entry{At: s.clock(), Actor: Actor{Kind: KindAccount, ID: id}.String(), Act: act, Object: id}
	if how != "" {
		e.Details = map[string]string{"how": how}
	}
	return audit.Append(ctx, tx, e)
}

// refuse enters a sign-in that failed. What was typed may be anybody's address:
// a digest tells whether it is the same again.
func (s *Service) refuse(ctx context.Context, a store.Administrator, key string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		digest, err := audit.Digest(tx, s.clock(), "sign-in "+key)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, audit.Entry{At: s.clock(), Actor: "nobody", Act: audit.ActSignInFailed, Object: a.ID,
			Details: map[string]string{"address": digest}})
	})
}

// lookAtFirstCode refuses what claim would refuse, without using the code up.
func (s *Service) lookAtFirstCode(ctx context.Context, code string) error {
	return s.db.View(ctx, func(tx *store.Tx) error {
		n, err := tx.CountAdministrators()
		if err != nil {
			return err
		}
		if n > 0 {
			return ErrClaimed
		}
		hash, err := tx.FirstCode()
		if errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(hash, hashCode(code)) {
			return ErrCode
		}
		return err
	})
}

// claim uses the code up and writes the account.
func claim(tx *store.Tx, code string, a store.Administrator) error {
	n, err := tx.CountAdministrators()
	if err != nil {
		return err
	}
	if n > 0 {
		return ErrClaimed
	}
	err = tx.TakeFirstCode(hashCode(code))
	if errors.Is(err, store.ErrConflict) {
		return ErrCode
	}
	if err != nil {
		return err
	}
	return tx.InsertAdministrator(a)
}

// SignIn lets in whoever knows the address and the password of an account, as
// far as [Service.enter] does. Client is who asks, as the door knows it, such as
// the address of its network; empty on this machine. Unknown addresses and wrong
// passwords look and last alike.
func (s *Service) SignIn(ctx context.Context, client, email, password string) (Entered, error) {
	// An address that is none gets the empty key, which no account has.
	m, _ := mailbox.Parse(strings.TrimSpace(email))
	a, known, err := s.attempt(ctx, client, m.Key())
	if err != nil {
		return Entered{}, err
	}
	stored := a.Password
	if stored == "" { // no account, or one that has no password
		stored, known = s.decoy(), false
	}
	ok, cost, err := s.compare(ctx, stored, password)
	if err != nil {
		return Entered{}, err
	}
	if !ok || !known {
		if err := s.refuse(ctx, a, m.Key()); err != nil {
			return Entered{}, err
		}
		return Entered{}, ErrCredentials
	}
	if cost != s.cost {
		if err := s.rehash(ctx, a.ID, password); err != nil {
			return Entered{}, err
		}
	}
	var entered Entered
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		entered, err = s.enter(ctx, tx, a, byPassword, false, s.clock())
		return err
	})
	return entered, err
}

// attempt counts the try and reads the account, in that order, so that a try
// costs the same whether the account exists or not.
func (s *Service) attempt(ctx context.Context, client, key string) (a store.Administrator, known bool, err error) {
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		// First the client: one that tries everybody's door locks nobody out.
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		if err := s.admit(tx, key, time.Minute, TriesPerMinute); err != nil {
			return err
		}
		a, err = tx.AdministratorByEmail(key)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		known = err == nil
		return err
	})
	return a, known, err
}

func (s *Service) rehash(ctx context.Context, id, password string) error {
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SetPassword(id, hash); err != nil {
			return err
		}
		return s.record(ctx, tx, id, audit.ActPassword, "")
	})
}

// open writes a new session; every sign-in gets a token of its own.
func (s *Service) open(ctx context.Context, tx *store.Tx, a store.Administrator, method string, strong bool) (Session, string, error) {
	return s.openProven(ctx, tx, a, method, strong, s.clock())
}

// openProven is open for what was shown at a time, elsewhere.
func (s *Service) openProven(ctx context.Context, tx *store.Tx, a store.Administrator, method string, strong bool, proven time.Time) (Session, string, error) {
	token, err := s.newToken()
	if err != nil {
		return Session{}, "", err
	}
	now := s.clock().UTC().Truncate(time.Second)
	row := store.AdministratorSession{
		TokenHash: hashToken(token), AdministratorID: a.ID, Method: method, Strong: strong,
		Created: now, Seen: now, Expires: now.Add(SessionLife),
	}
	does := strong
	if !strong {
		f, err := factors(tx, a.ID)
		if err != nil {
			return Session{}, "", err
		}
		does = s.passwordDoes(f, method)
	}
	if does {
		row.Proven = proven
		if proven.After(now) { // as a clock elsewhere has it
			row.Proven = now
		}
	}
	if err := tx.ForgetAdministratorSessions(now, now.Add(-IdleTime)); err != nil {
		return Session{}, "", err
	}
	if err := tx.InsertAdministratorSession(row); err != nil {
		return Session{}, "", err
	}
	opened, err := s.session(tx, row, a)
	if err != nil {
		return Session{}, "", err
	}
	return opened, token, s.record(ctx, tx, a.ID, audit.ActSignedIn, method)
}

// touchEvery is how exactly a session remembers its last request: not every
// page view is worth a write.
const touchEvery = time.Minute

// Session returns the session that token opens, and keeps it from idling out.
func (s *Service) Session(ctx context.Context, token string) (Session, error) {
	var found Session
	var stale bool
	now := s.clock()
	// Not among those who write: pages are looked at while thousands are issued.
	err := s.db.View(ctx, func(tx *store.Tx) error {
		row, err := tx.AdministratorSession(hashToken(token))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoSession
		}
		if err != nil {
			return err
		}
		if !now.Before(row.Expires) || !now.Before(row.Seen.Add(IdleTime)) {
			return ErrNoSession
		}
		a, err := tx.Administrator(row.AdministratorID)
		if err != nil {
			return err
		}
		stale = !now.Before(row.Seen.Add(touchEvery))
		row.Seen = now
		found, err = s.session(tx, row, a)
		return err
	})
	if err == nil && stale {
		err = s.db.Update(ctx, func(tx *store.Tx) error { return ended(tx.TouchAdministratorSession(hashToken(token), now)) })
	}
	if err != nil {
		return Session{}, err
	}
	return found, nil
}

// ended: who touches a session that was ended meanwhile has none.
func ended(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return ErrNoSession
	}
	return err
}

// SignOut ends the session that token opens; one that is gone is no error.
func (s *Service) SignOut(ctx context.Context, token string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error { return tx.DeleteAdministratorSession(hashToken(token)) })
}

func (s *Service) session(tx *store.Tx, row store.AdministratorSession, a store.Administrator) (Session, error) {
	has, err := grants(tx, a.ID)
	r := Session{
		Account: account(a), Method: row.Method, Strong: row.Strong,
		Created: row.Created, LastSeen: row.Seen, Expires: row.Expires,
		Fresh: s.clock().Before(row.Proven.Add(FreshTime)),
	}
	for _, g := range has {
		if g.Role.strong() && !row.Strong && !s.weak {
			r.Withheld = append(r.Withheld, g)
		} else {
			r.Grants = append(r.Grants, g)
		}
	}
	return r, err
}

func account(a store.Administrator) Account {
	return Account{ID: a.ID, Email: a.Email, Name: a.Name, Created: a.Created}
}

// hashPassword and compare wait for one of the slots.
func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(s.rand, salt); err != nil {
		return "", fmt.Errorf("auth: randomness: %w", err)
	}
	if err := s.wait(ctx); err != nil {
		return "", err
	}
	defer s.leave()
	return s.cost.hash(password, salt), nil
}

func (s *Service) compare(ctx context.Context, stored, password string) (bool, Cost, error) {
	// No account has so long a password; it is compared as others are, cut, so
	// that the answer takes as long and says nothing of the account.
	long := len(password) > MaxPassword
	if long {
		password = password[:MaxPassword]
	}
	if err := s.wait(ctx); err != nil {
		return false, Cost{}, err
	}
	defer s.leave()
	ok, cost, err := s.matches(stored, password)
	return ok && !long, cost, err
}

func (s *Service) wait(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Service) leave() { <-s.slots }
