package auth

import (
	"bytes"
	"encoding/base32"
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/internal/store"
)

// Secrets of authenticator apps are sealed in the store, each for its account, and
// those from before are by SealSecrets; the numbers stay the same.
func TestSecretsAreSealed(t *testing.T) {
	f, token := claimed(t)
	ctx := t.Context()
	setup, session, token, _ := f.app(t, token)
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(setup.Secret, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	row := func() (r store.TOTP) {
		t.Helper()
		err := f.db.View(ctx, func(tx *store.Tx) (err error) {
			r, err = tx.TOTP(session.Account.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	sealed := row()
	if !sealed.Sealed || bytes.Contains(sealed.Secret, secret) {
		t.Fatal("the secret lies open")
	}
	works := func() {
		t.Helper()
		f.now = f.now.Add(FreshTime)
		_, renewed, err := f.Again(ctx, "", token, number(t, setup, f.now))
		if err != nil {
			t.Fatal(err)
		}
		token = renewed
	}
	works()
	f.open(t, session.Account.ID, secret)
	works() // before the server starts anew
	if err := f.SealSecrets(ctx); err != nil {
		t.Fatal(err)
	}
	if r := row(); !r.Sealed || !bytes.Equal(r.Secret, sealed.Secret) || r.Confirmed.IsZero() {
		t.Errorf("not sealed: %+v", r)
	}
	works()
	if err := f.SealSecrets(ctx); err != nil || !bytes.Equal(row().Secret, sealed.Secret) {
		t.Errorf("sealed twice: %v", err)
	}
	f.secrets = nil
	if _, _, err := f.Again(ctx, "", token, "123456"); !errors.Is(err, errNoSecrets) {
		t.Errorf("without the key: %v", err)
	}
}

// open puts a secret into the store as it was before there was a key.
func (f *fixture) open(t *testing.T, account string, secret []byte) {
	t.Helper()
	err := f.db.Update(t.Context(), func(tx *store.Tx) error {
		old, err := tx.TOTP(account)
		return errors.Join(err, tx.DeleteTOTP(account),
			tx.StartTOTP(store.TOTP{AdministratorID: account, Secret: secret, LastStep: old.LastStep, Created: old.Created}),
			tx.ConfirmTOTP(account, old.Confirmed))
	})
	if err != nil {
		t.Fatal(err)
	}
}
