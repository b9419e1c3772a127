package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/token"
)

// cmsKeys are whom a raw CMS command acts as.
type cmsKeys struct {
	as        []string
	key, cert string
	pass      passphraseSource
}

func (o *cmsKeys) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.as, "as", nil, asHelp)
	f.StringVar(&o.key, "key", "", "`FILE` of a private key, PEM or DER, or its pkcs11: URI, in place of --as; with --cert")
	f.StringVar(&o.cert, "cert", "", "`FILE` of its certificate, and of those above it")
	o.pass.addFlag(cmd)
}

// identities reads what the flags name; none is no error.
func (o *cmsKeys) identities(p *program) (all [][]*identity.Identity, names []string, err error) {
	if (o.key == "") != (o.cert == "") {
		return nil, nil, usage(errors.New("--key and --cert go together"), "or name one file with both, or an address in the key store, with --as")
	}
	for _, id := range o.as {
		found, err := p.identities(id, &o.pass)
		if err != nil {
			return nil, nil, err
		}
		all, names = append(all, found), append(names, id)
	}
	if o.key == "" {
		return all, names, nil
	}
	found, err := o.pair(p)
	if err != nil {
		return nil, nil, err
	}
	return append(all, found), append(names, o.key), nil
}

// pair joins a key with its certificate, as one file with both.
func (o *cmsKeys) pair(p *program) ([]*identity.Identity, error) {
	keys, err := o.keysAlone(p)
	if err != nil {
		return nil, err
	}
	certs, err := readCertificates([]string{o.cert})
	if err != nil {
		return nil, err
	}
	var found []*identity.Identity
	for _, k := range keys {
		found = append(found, identity.JoinAll(k.Key, k.Label, certs)...)
	}
	for _, i := range found {
		if i.Certificate != nil {
			return found, nil
		}
	}
	return nil, usage(fmt.Errorf("%s holds no certificate for the key in %s", o.cert, o.key), "see what they hold: mailseal inspect %s", o.cert)
}

// keysAlone reads the keys that --key names.
func (o *cmsKeys) keysAlone(p *program) ([]*identity.Identity, error) {
	if strings.HasPrefix(o.key, token.Scheme) {
		return p.tokenIdentities(o.key, &o.pass)
	}
	data, err := readSmall(o.key)
	if err != nil {
		return nil, err
	}
	keys, err := identity.Read(data, func() ([]byte, error) { return o.pass.read(o.key) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.key, passphraseFault(err))
	}
	return keys, nil
}

// signers returns one signer for each identity.
func (o *cmsKeys) signers(p *program) ([]*cms.Signer, error) {
	all, names, err := o.identities(p)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, usage(errors.New("nobody to sign as"), "name a PKCS#12 or PEM file, or an address in the key store, with --as; or --key and --cert")
	}
	var signers []*cms.Signer
	for i, found := range all {
		s, err := p.signer(names[i], found, nil)
		if err != nil {
			return nil, err
		}
		signers = append(signers, s)
	}
	return signers, nil
}

// keys returns every key that may decrypt.
func (o *cmsKeys) keys(p *program) (keys []*cms.RecipientKey, err error) {
	all, _, err := o.identities(p)
	if err != nil {
		return nil, err
	}
	for _, found := range all {
		for _, i := range found {
			keys = append(keys, &cms.RecipientKey{Key: i.Key, Certificate: i.Certificate})
		}
	}
	return keys, nil
}
