package authority

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mailseal/mailseal/internal/audit"
	"github.com/mailseal/mailseal/internal/store"
	"github.com/mailseal/mailseal/internal/weakkey"
)

// checkKey refuses a key that the order's person may not have in a certificate,
// however strong it is: one that is known to be compromised (S/MIME BR
// §6.1.1.3), one that somebody else has a certificate for, one of our own.
func (a *Authority) checkKey(tx *store.Tx, orderID string, keyHash []byte) (store.KeyStanding, error) {
	for _, m := range a.all() {
		if own := sha256.Sum256(m.certificate.RawSPKI); bytes.Equal(own[:], keyHash) {
			return store.KeyStanding{}, weakkey.Refuse("it is the key of an authority")
		}
	}
	standing, err := tx.StandingOfKey(keyHash, orderID)
	if err != nil {
		return standing, err
	}
	switch standing.State {
	case store.KeyDistrusted:
		err = weakkey.Refuse("it is on the list of compromised keys; make a new one")
	case store.KeyCompromised:
		err = weakkey.Refuse("a certificate with it was revoked because the key was compromised; make a new one")
	case store.KeyForeign:
		err = weakkey.Refuse("somebody else has a certificate with it; make one of your own")
	}
	return standing, err
}

// DistrustKey makes sure that a key, by SHA-256 of its SubjectPublicKeyInfo, is
// never certified; certificates with it are revoked with [Authority.Revoke].
func (a *Authority) DistrustKey(ctx context.Context, keyHash []byte, reason string) error {
	if len(keyHash) != sha256.Size || reason == "" {
		return errors.New("distrust key: the SHA-256 of a SubjectPublicKeyInfo and a reason are needed")
	}
	err := a.o.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.DistrustKey(keyHash, reason, a.now()); err != nil {
			return err
		}
		return a.record(ctx, tx, audit.Entry{Act: store.ActKeyDistrusted, Object: hex.EncodeToString(keyHash)})
	})
	if errors.Is(err, store.ErrConflict) {
		return nil // it was already
	}
	if err != nil {
		return fmt.Errorf("distrust key: %w", err)
	}
	return nil
}
