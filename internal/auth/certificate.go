package auth

import (
	"context"
	"errors"
	"time"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
)

// ErrCertificate: no account has said that this certificate may sign it in, or
// another one has.
var ErrCertificate = errors.New("auth: the certificate signs nobody in")

// AddCertificate lets a certificate, by its SHA-256, sign in the account whose
// session token opens. That the certificate names the account's address would not
// be enough: whoever takes over a mailbox could get one. The caller has judged it.
func (s *Service) AddCertificate(ctx context.Context, token string, sha256 []byte) error {
	return s.own(ctx, token, func(tx *store.Tx, session Session, _ Factors) error {
		err := tx.AddAdministratorCertificate(sha256, session.Account.ID, s.clock())
		if errors.Is(err, store.ErrConflict) {
			return ErrCertificate
		}
		if err != nil {
			return err
		}
		return s.record(ctx, tx, session.Account.ID, audit.ActCertificateAdded, "")
	})
}

// HolderOfCertificate is the account that a certificate signs in, or
// [ErrCertificate].
func (s *Service) HolderOfCertificate(ctx context.Context, sha256 []byte) (Account, error) {
	var a store.Administrator
	err := s.db.View(ctx, func(tx *store.Tx) (err error) {
		a, err = tx.AdministratorOfCertificate(sha256)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, ErrCertificate
	}
	return account(a), err
}

// SignInByCertificate opens a session for the account that a certificate signs
// in. The caller has judged the certificate, in this connection. The session is not
// fresh: the browser showed the certificate by itself, whoever sits at it.
func (s *Service) SignInByCertificate(ctx context.Context, sha256 []byte) (Session, string, error) {
	var session Session
	var token string
	err := s.db.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.AdministratorOfCertificate(sha256)
		if errors.Is(err, store.ErrNotFound) {
			return ErrCertificate
		}
		if err != nil {
			return err
		}
		session, token, err = s.openProven(ctx, tx, a, byCertificate, true, time.Time{})
		return err
	})
	if err != nil {
		return Session{}, "", err
	}
	return session, token, nil
}
