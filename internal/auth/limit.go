package auth

import (
	"crypto/sha256"
	"math"
	"time"

	"github.com/mailseal/mailseal/internal/store"
)

// Limits of tries and mails. Those of a client are larger: an office may stand
// behind one address.
const (
	TriesPerMinute       = 10 // wrong passwords of one account
	ClientTriesPerMinute = 30 // tries of one client at any accounts
	CodesPerHour         = 3  // mails with a code to sign in, to one address
	ClientCodesPerHour   = 20 // likewise, for one client
	InvitationsPerHour   = 200
	InvitationsToOne     = 10 // in an hour, to one address
)

// admit counts that something happens, and refuses it when it happened most
// times in a while already. No while is longer than an hour.
func (s *Service) admit(tx *store.Tx, what string, while time.Duration, most int) error {
	if most == math.MaxInt {
		return nil
	}
	now := s.clock()
	key := sha256.Sum256([]byte("sign-in " + what))
	id, err := s.newID()
	if err != nil {
		return err
	}
	if err := tx.ForgetEvents(now.Add(-time.Hour)); err != nil {
		return err
	}
	// The store has whole seconds: rather a second longer than one shorter.
	n, _, err := tx.CountEvents(key[:], now.Add(-while-time.Second))
	if err != nil {
		return err
	}
	if n >= most {
		return ErrTooMany
	}
	return tx.AddEvent(id, key[:], now)
}

// clientTries is the limit of a client. One without a name is on this machine,
// as everybody there is.
func clientTries(client string) int {
	if client == "" {
		return math.MaxInt
	}
	return ClientTriesPerMinute
}
