package cli

import (
	"crypto/sha1" //nolint:gosec // gpgsm's name for a certificate in one's own store, no proof of anything
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
)

// gitSigner finds whom git's user.signingkey names. Without that setting git names
// the committer, "Alice <alice@example.com>".
func (p *program) gitSigner(user string) (*cms.Signer, error) {
	if user == "" {
		return nil, usage(errors.New("git named no key"), "git config user.signingkey ID, or user.email")
	}
	pass := &passphraseSource{p: p}
	if print, ok := fingerprintOf(user); ok {
		return p.signerByFingerprint(user, print, pass)
	}
	if _, err := os.Stat(user); err != nil {
		user = address(user)
	}
	signers, err := p.signers([]string{user}, pass, nil)
	if err != nil {
		return nil, err
	}
	return signers[0], nil
}

// address takes what is between the angle brackets, if there are any.
func address(user string) string {
	if _, after, found := strings.Cut(user, "<"); found {
		return strings.TrimSuffix(after, ">")
	}
	return user
}

// fingerprintOf reads a SHA-256 fingerprint, or the SHA-1 that gpgsm shows, with or
// without what makes it readable.
func fingerprintOf(text string) (string, bool) {
	plain := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(strings.TrimPrefix(text, "0x")))
	raw, err := hex.DecodeString(plain)
	return plain, err == nil && (len(raw) == sha1.Size || len(raw) == 32)
}

func (p *program) signerByFingerprint(user, print string, pass *passphraseSource) (*cms.Signer, error) {
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	entries, err := store.List()
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Pending || !hasFingerprint(e, print) {
			continue
		}
		id, err := e.Open(func() ([]byte, error) { return pass.read(e.Address.String()) })
		if err != nil {
			return nil, fmt.Errorf("key store: %s: %w", e.Address, passphraseFault(err))
		}
		return p.signer(user, []*identity.Identity{id}, nil)
	}
	return nil, broken(fmt.Errorf("no certificate with the fingerprint %s in the key store", user), "see what is there: mailseal id list")
}

func hasFingerprint(e *identity.Entry, print string) bool {
	if e.Certificate == nil {
		return false
	}
	old := sha1.Sum(e.Certificate.Raw) //nolint:gosec // see the import
	return print == e.Certificate.SHA256() || print == hex.EncodeToString(old[:])
}
