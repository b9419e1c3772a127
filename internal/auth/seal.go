package auth

import (
	"context"
	"errors"

	"github.com/mailseal/mailseal/internal/store"
)

// Secrets seals what must be had back, and not only compared, under a key that
// does not lie in the store. What was sealed for one row opens for no other.
type Secrets interface {
	Seal(what, id string, plain []byte) ([]byte, error)
	Open(what, id string, sealed []byte) ([]byte, error)
}

// secretOfApp is what secrets of authenticator apps are sealed as.
const secretOfApp = "totp"

var errNoSecrets = errors.New("auth: opened without the key that seals secrets")

// sealTOTP makes the secret of an app what the store keeps.
func (s *Service) sealTOTP(t store.TOTP) (store.TOTP, error) {
	if s.secrets == nil {
		return t, errNoSecrets
	}
	sealed, err := s.secrets.Seal(secretOfApp, t.AdministratorID, t.Secret)
	t.Secret, t.Sealed = sealed, true
	return t, err
}

// secretOf is the secret of an app that the store keeps.
func (s *Service) secretOf(t store.TOTP) ([]byte, error) {
	switch {
	case !t.Sealed: // from before, until the server starts the next time
		return t.Secret, nil
	case s.secrets == nil:
		return nil, errNoSecrets
	}
	return s.secrets.Open(secretOfApp, t.AdministratorID, t.Secret)
}

// SealSecrets seals what lies open in the store from before there was a key for it.
func (s *Service) SealSecrets(ctx context.Context) error {
	return s.db.Update(ctx, func(tx *store.Tx) error {
		list, err := tx.OpenTOTP()
		if err != nil {
			return err
		}
		for _, t := range list {
			if t, err = s.sealTOTP(t); err != nil {
				return err
			}
			if err := tx.SealTOTP(t.AdministratorID, t.Secret); err != nil {
				return err
			}
		}
		return nil
	})
}
