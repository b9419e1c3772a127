package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/store"
)

// PersonIdleTime is how long the session of a person stays without a request:
// people come back during their working day.
const PersonIdleTime = 8 * time.Hour

// PersonSession is a signed-in browser of somebody who holds a mailbox.
type PersonSession struct {
	Person   string // id
	Name     string
	Method   string // how it was opened
	Created  time.Time
	LastSeen time.Time
	Expires  time.Time
}

// Actor is who acts in this session: a person, who sees only what is their own.
func (s PersonSession) Actor() Actor {
	return Actor{Kind: KindPerson, ID: s.Person, Strong: s.Method == byCertificate}
}

// AskCode begins the sign-in of a person: a code is mailed to the address, if
// somebody holds that mailbox, which nobody is told. The returned token stays in
// the browser that asked; the code works there alone.
func (s *Service) AskCode(ctx context.Context, client, address, language string) (string, error) {
	m, err := mailbox.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", ErrEmail
	}
	var token string
	err = s.db.Update(ctx, func(tx *store.Tx) error {
		if err := s.admit(tx, "mails for client "+client, time.Hour, clientMails(client)); err != nil {
			return err
		}
		if err := s.admit(tx, "mails to "+m.Key(), time.Hour, CodesPerHour); err != nil {
			return err
		}
		token, err = s.begin(tx, store.SignInStep{Kind: stepCode, Address: m.String(), Language: language}, codeStepLife)
		if err != nil {
			return err
		}
		// It waits there whether somebody holds the mailbox or not, so that the answer
		// takes as long.
		return s.queue.Enqueue(tx, Letter{Kind: MailCode, To: m, Data: hashStep(token)})
	})
	return token, err
}

func clientMails(client string) int {
	if client == "" {
		return math.MaxInt
	}
	return ClientCodesPerHour
}

// CodeAsked tells to which address the code of a token goes, for the page that
// asks for it.
func (s *Service) CodeAsked(ctx context.Context, token string) (address string, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		step, err := s.step(tx, token, stepCode)
		address = step.Address
		return err
	})
	return address, err
}

// EnterCode opens a session for the person who holds the mailbox that a code was
// mailed to. It works once, with the token that asked for it; a few wrong ones
// void it.
func (s *Service) EnterCode(ctx context.Context, client, token, code string) (PersonSession, string, error) {
	var session PersonSession
	var opened string
	var wrong error
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		step, err := s.step(tx, token, stepCode)
		if err != nil {
			return err
		}
		if err := s.admit(tx, "client "+client, time.Minute, clientTries(client)); err != nil {
			return err
		}
		want := hashSecret(stepCode+" "+string(step.TokenHash), code)
		if subtle.ConstantTimeCompare(want, step.Detail) != 1 { // an empty one was never mailed
			wrong = ErrCode
			return tx.WrongSignInStep(step.TokenHash)
		}
		if err := tx.TakeSignInStep(step.TokenHash); err != nil {
			return err
		}
		m, err := mailbox.Parse(step.Address)
		if err != nil {
			return err
		}
		session, opened, err = s.openFor(ctx, tx, m, byCode)
		return err
	})
	if err = errors.Join(err, wrong); err != nil {
		return PersonSession{}, "", err
	}
	return session, opened, nil
}

// openFor opens a session for whoever holds a mailbox.
func (s *Service) openFor(ctx context.Context, tx *store.Tx, m mailbox.Mailbox, method string) (PersonSession, string, error) {
	p, err := tx.HolderOf(m.Key())
	if errors.Is(err, store.ErrNotFound) {
		return PersonSession{}, "", ErrCredentials
	}
	if err != nil {
		return PersonSession{}, "", err
	}
	return s.openPerson(ctx, tx, p, method)
}

// openPerson writes a new session; every sign-in gets a token of its own.
func (s *Service) openPerson(ctx context.Context, tx *store.Tx, p store.Person, method string) (PersonSession, string, error) {
	token, err := s.newToken()
	if err != nil {
		return PersonSession{}, "", err
	}
	now := s.clock().UTC().Truncate(time.Second)
	row := store.PersonSession{
		TokenHash: hashPersonToken(token), PersonID: p.ID, Method: method, Created: now, Seen: now, Expires: now.Add(SessionLife),
	}
	if err := tx.InsertPersonSession(row, now.Add(-PersonIdleTime)); err != nil {
		return PersonSession{}, "", err
	}
	err = audit.Append(ctx, tx, audit.Entry{At: now, Actor: Actor{Kind: KindPerson, ID: p.ID}.String(), Act: audit.ActPersonSignedIn,
		Object: p.ID, Details: map[string]string{"method": method}})
	return personSession(row, p), token, err
}

func hashPersonToken(token string) []byte {
	sum := sha256.Sum256([]byte("person session " + token))
	return sum[:]
}

func personSession(r store.PersonSession, p store.Person) PersonSession {
	return PersonSession{Person: p.ID, Name: p.Name, Method: r.Method, Created: r.Created, LastSeen: r.Seen, Expires: r.Expires}
}

// PersonSession returns the session that token opens, and keeps it from idling
// out.
func (s *Service) PersonSession(ctx context.Context, token string) (PersonSession, error) {
	var found PersonSession
	var stale bool
	now := s.clock()
	err := s.db.View(ctx, func(tx *store.Tx) error {
		row, err := tx.PersonSession(hashPersonToken(token))
		if errors.Is(err, store.ErrNotFound) {
			return ErrNoSession
		}
		if err != nil {
			return err
		}
		if !now.Before(row.Expires) || !now.Before(row.Seen.Add(PersonIdleTime)) {
			return ErrNoSession
		}
		p, err := tx.Person(row.PersonID)
		if err != nil {
			return err
		}
		stale = !now.Before(row.Seen.Add(touchEvery))
		row.Seen = now
		found = personSession(row, p)
		return nil
	})
	if err == nil && stale {
		err = s.db.Update(ctx, func(tx *store.Tx) error { return ended(tx.TouchPersonSession(hashPersonToken(token), now)) })
	}
	if err != nil {
		return PersonSession{}, err
	}
	return found, nil
}

// PersonSignOut ends the session that token opens; one that is gone is no error.
func (s *Service) PersonSignOut(ctx context.Context, token string) error {
	return s.db.Update(ctx, func(tx *store.Tx) error { return tx.DeletePersonSession(hashPersonToken(token)) })
}

// PersonOfCertificate is whose certificate of ours it is, by its SHA-256, or
// [ErrCertificate].
func (s *Service) PersonOfCertificate(ctx context.Context, sum []byte) (name string, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		p, err := tx.PersonOfCertificate(sum)
		name = p.Name
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = ErrCertificate
	}
	return name, err
}

// EnterByCertificate opens a session for the person whose certificate it is. The
// caller has judged the certificate, in this connection.
func (s *Service) EnterByCertificate(ctx context.Context, sum []byte) (PersonSession, string, error) {
	var session PersonSession
	var token string
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.PersonOfCertificate(sum)
		if errors.Is(err, store.ErrNotFound) {
			return ErrCertificate
		}
		if err != nil {
			return err
		}
		session, token, err = s.openPerson(ctx, tx, p, byCertificate)
		return err
	})
	if err != nil {
		return PersonSession{}, "", err
	}
	return session, token, nil
}
