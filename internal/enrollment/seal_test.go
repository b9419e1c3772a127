package enrollment_test

import (
	"bytes"
	"testing"
)

// What is sealed for accounts opens after a restart and on another node with the
// same key file, for its own row, and under no other key.
func TestSecretsOfAccounts(t *testing.T) {
	h := newHouse(t, nil)
	plain := []byte("the secret of an app")
	sealed, err := h.Secrets().Seal("totp", "account", plain)
	if err != nil || bytes.Contains(sealed, plain) {
		t.Fatalf("%q, %v", sealed, err)
	}
	h.open(false)
	if got, err := h.Secrets().Open("totp", "account", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	for name, of := range map[string][2]string{"another account": {"totp", "other"}, "another purpose": {"key", "account"}} {
		if got, err := h.Secrets().Open(of[0], of[1], sealed); err == nil {
			t.Errorf("it opens for %s: %q", name, got)
		}
	}
	elsewhere := newHouse(t, nil) // another store, with a key of its own
	if got, err := elsewhere.Secrets().Open("totp", "account", sealed); err == nil {
		t.Errorf("it opens with another key: %q", got)
	}
}
