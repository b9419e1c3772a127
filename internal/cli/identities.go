package cli

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
	"github.com/mailseal/mailseal/internal/token"
	"github.com/mailseal/mailseal/smime"
)

const asHelp = "`ID` to act as: a PKCS#12 or PEM file, an address in the key store, or a pkcs11: URI (may be repeated)"

// home is the folder of a person's keys, trusted roots and unfinished requests.
func (p *program) home() (string, error) {
	if dir, _ := p.env.LookupEnv("MAILSEAL_HOME"); dir != "" {
		return dir, nil
	}
	dir, err := p.env.ConfigDir()
	if err != nil {
		return "", broken(err, "name a folder for your keys in MAILSEAL_HOME")
	}
	return filepath.Join(dir, "mailseal"), nil
}

// store opens the person's key store, making the folder if it is not there yet.
func (p *program) store() (*identity.Store, error) {
	home, err := p.home()
	if err != nil {
		return nil, err
	}
	return identity.OpenStore(filepath.Join(home, "identities"))
}

// identities reads what one --as names.
func (p *program) identities(id string, pass *passphraseSource) ([]*identity.Identity, error) {
	if strings.HasPrefix(id, token.Scheme) {
		return p.tokenIdentities(id, pass)
	}
	ask := func() ([]byte, error) { return pass.read(id) }
	data, err := readSmall(id)
	switch {
	case err == nil:
		found, err := identity.Read(data, ask)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, passphraseFault(err))
		}
		return found, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	address, parseErr := mailbox.ParseUnquoted(id)
	if parseErr != nil {
		return nil, broken(fmt.Errorf("%s: no such file, and not an address", id), "--as takes a PKCS#12 or PEM file, or an address that `mailseal id list` shows")
	}
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	found, err := store.Get(address, ask)
	if errors.Is(err, identity.ErrPending) {
		return nil, broken(err, "import what the authority sends: mailseal id import FILE; or go on with mailseal id request")
	}
	if errors.Is(err, identity.ErrNotFound) {
		return nil, broken(fmt.Errorf("%s: no such file, and not in the key store", id), "see what is there: mailseal id list")
	}
	if err != nil {
		return nil, fmt.Errorf("key store: %s: %w", id, passphraseFault(err))
	}
	return found, nil
}

func passphraseFault(err error) error {
	switch {
	case errors.Is(err, identity.ErrPassphrase):
		return broken(err, passphraseHint)
	case errors.Is(err, identity.ErrNoMAC):
		return broken(err, "ask for a file with one; if you know where this one comes from: mailseal id import --without-mac FILE")
	}
	return err
}

// signers returns one signer for each --as; the profile, compat if nil, decides which
// certificate they ask to be answered with.
func (p *program) signers(ids []string, pass *passphraseSource, profile *smime.Profile) ([]*cms.Signer, error) {
	if len(ids) == 0 {
		return nil, usage(errors.New("nobody to sign as"), "name a PKCS#12 or PEM file, or an address in the key store, with --as")
	}
	var signers []*cms.Signer
	for _, id := range ids {
		found, err := p.identities(id, pass)
		if err != nil {
			return nil, err
		}
		s, err := p.signer(id, found, profile)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	return signers, nil
}

// signer picks the identity that may sign now. A person with one key to sign and one
// to decrypt has both in one file, and old ones beside the new.
func (p *program) signer(id string, found []*identity.Identity, profile *smime.Profile) (*cms.Signer, error) {
	var ended *cert.Certificate
	for _, candidate := range found {
		key, ok := candidate.Key.(crypto.Signer)
		c := candidate.Certificate
		if !ok || c == nil || !c.CanSign() {
			continue
		}
		if !p.inForce(c) {
			ended = c
			continue
		}
		s := &cms.Signer{Key: key, Certificate: c, Chain: withoutRoots(candidate.Chain)}
		p.addEncryption(s, found, profile)
		p.warnEnding(c)
		return s, nil
	}
	if ended != nil {
		return nil, broken(fmt.Errorf("%s: the certificate is not in force (%s)", id, period(ended)), "a signature with it would be believed by nobody; get a new one: mailseal id request")
	}
	return nil, usage(fmt.Errorf("%s: holds no key with a certificate that may sign", id), "see what it holds: mailseal inspect %s", id)
}

// addEncryption has the signer name the certificate that mail to them is to be
// encrypted with, where that is another than the one that signs.
func (p *program) addEncryption(s *cms.Signer, found []*identity.Identity, profile *smime.Profile) {
	self := smime.Addressee{Sender: true}
	for _, i := range found {
		if i.Certificate != nil {
			self.Candidates = append(self.Candidates, smime.Candidate{Certificate: i.Certificate, Trusted: true})
		}
	}
	plan := smime.PlanFor([]smime.Addressee{self}, &smime.Policy{Profile: profile, At: p.env.Now()})
	chosen := plan.Messages[0].Entries[0].Certificate
	for _, i := range found {
		if chosen != nil && !chosen.Equal(s.Certificate) && chosen.Equal(i.Certificate) {
			s.Encryption = chosen
			s.Chain = append(s.Chain, withoutRoots(i.Chain)...)
			return
		}
	}
}

// inForce tells whether a certificate has begun and not ended.
func (p *program) inForce(c *cert.Certificate) bool {
	now := p.env.Now()
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

func period(c *cert.Certificate) string {
	const day = "2006-01-02"
	return c.NotBefore.Format(day) + " to " + c.NotAfter.Format(day)
}

// decryptionKeys returns every key of every --as: which one a mail is for is
// decided by the mail's own recipient entries.
func (p *program) decryptionKeys(ids []string, pass *passphraseSource) ([]*cms.RecipientKey, error) {
	var keys []*cms.RecipientKey
	for _, id := range ids {
		found, err := p.identities(id, pass)
		if err != nil {
			return nil, err
		}
		p.warnDecryption(found)
		for _, i := range found {
			keys = append(keys, &cms.RecipientKey{Key: i.Key, Certificate: i.Certificate})
		}
	}
	return keys, nil
}

// makePrivate makes a folder that only its owner may enter.
func makePrivate(dir string) error { return os.MkdirAll(dir, 0o700) }
