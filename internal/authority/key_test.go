package authority_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/internal/authority"
	"github.com/mailseal/mailseal/internal/issuance"
	"github.com/mailseal/mailseal/internal/keys"
	"github.com/mailseal/mailseal/internal/store"
)

// Keys that are strong and must not be certified all the same (S/MIME BR
// §6.1.1.3).
func TestKeysRefused(t *testing.T) {
	w := found(t)
	refused := func(name string, err error, says string) {
		t.Helper()
		if !errors.Is(err, issuance.ErrWeakKey) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, says)
		}
	}
	lost := newKey(t)
	c, err := w.issue(w.order(lost), lost)
	if err != nil {
		t.Fatal(err)
	}
	again := w.order(lost)
	if err := w.Revoke(t.Context(), c.Serial, cert.KeyCompromise); err != nil {
		t.Fatal(err)
	}
	_, err = w.issue(again, lost)
	refused("revoked for its compromise", err, "revoked because")

	replaced := newKey(t)
	if c, err = w.issue(w.order(replaced), replaced); err != nil {
		t.Fatal(err)
	}
	if err := w.Revoke(t.Context(), c.Serial, cert.Superseded); err != nil {
		t.Fatal(err)
	}
	if _, err := w.issue(w.order(replaced), replaced); err != nil {
		t.Errorf("revoked for another reason: %v", err)
	}

	listed := newKey(t)
	hash, err := issuance.KeyHash(listed.Public())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.DistrustKey(t.Context(), hash, "it is in a book"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = w.issue(w.order(listed), listed)
	refused("on the list", err, "list of compromised keys")
	for _, bad := range [][]byte{nil, hash[:20]} {
		if err := w.DistrustKey(t.Context(), bad, "x"); err == nil {
			t.Errorf("distrusted %x", bad)
		}
	}
	if err := w.DistrustKey(t.Context(), hash, ""); err == nil {
		t.Error("distrusted without a reason")
	}

	var row store.Authority
	err = w.db.View(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Authorities()
		row = rows[0]
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	own, err := (&keys.Keys{Dir: w.dir, Plaintext: true}).Signer(row.KeyURI)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.issue(w.order(own), own)
	refused("our own", err, "an authority")
}

// A key that was distrusted while its certificate was on the way is not
// certified by the recovery.
func TestKeyDistrustedOnTheWay(t *testing.T) {
	w := found(t)
	w.crashAt(authority.StepPrepared)
	w.restart()
	key := newKey(t)
	o := w.order(key)
	if _, err := w.issue(o, key); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	hash, err := issuance.KeyHash(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DistrustKey(t.Context(), hash, "lost"); err != nil {
		t.Fatal(err)
	}
	w.stop = nil
	w.restart()
	if err := w.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, has := w.state(o); has {
		t.Error("the key was certified")
	}
	w.check(o)
}

// One that was distrusted after its certificate was signed is not either: nobody
// has got it yet.
func TestKeyDistrustedAtLast(t *testing.T) {
	w := found(t)
	key := newKey(t)
	o := w.order(key)
	hash, err := issuance.KeyHash(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	w.stop = func(step string) error {
		if step == authority.StepSigned {
			return w.DistrustKey(t.Context(), hash, "lost")
		}
		return nil
	}
	w.restart()
	if c, err := w.issue(o, key); !errors.Is(err, issuance.ErrWeakKey) {
		t.Errorf("got %v, %v", c, err)
	}
	w.check(o)
}
