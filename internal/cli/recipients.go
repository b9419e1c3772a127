package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/mailseal/mailseal/cert"
	"github.com/mailseal/mailseal/cms"
	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/mailbox"
)

// recipients returns an entry for every certificate that a --to names.
func (p *program) recipients(to []string) ([]*cms.Recipient, error) {
	if len(to) == 0 {
		return nil, usage(errors.New("nobody to encrypt to"), "name a certificate file, or an address in the key store, with --to")
	}
	return p.recipientsWith(to, nil)
}

// recipientsWith does so with options for how each gets the key.
func (p *program) recipientsWith(to []string, o *cms.RecipientOptions) ([]*cms.Recipient, error) {
	var all []*cms.Recipient
	for _, name := range to {
		certs, err := p.recipientCertificates(name)
		if err != nil {
			return nil, err
		}
		for _, c := range certs {
			r, err := cms.NewRecipient(c, o)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// recipientCertificates reads a certificate file or bundle, or finds an address in
// the key store. Of a bundle all end-entity certificates that may encrypt are taken;
// the authorities in it are not recipients.
func (p *program) recipientCertificates(name string) ([]*cert.Certificate, error) {
	data, err := readSmall(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p.ownCertificates(name)
	}
	if err != nil {
		return nil, err
	}
	certs, err := cert.ParseAll(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p.canEncrypt(name, certs)
}

// ownCertificates returns the certificate of an address in the key store that ends
// last: a renewed one takes the place of the old.
func (p *program) ownCertificates(name string) ([]*cert.Certificate, error) {
	address, err := mailbox.Parse(name)
	if err != nil {
		return nil, broken(fmt.Errorf("%s: no such file, and not an address", name), "--to takes a certificate file, or an address in the key store")
	}
	store, err := p.store()
	if err != nil {
		return nil, err
	}
	certs, err := store.Certificates(address)
	if errors.Is(err, identity.ErrNotFound) {
		return nil, broken(fmt.Errorf("%s: no such file, and no certificate for this address in the key store", name),
			"ask them for a signed mail or their certificate file, and give the file to --to")
	}
	if err != nil {
		return nil, fmt.Errorf("key store: %s: %w", name, err)
	}
	able, err := p.canEncrypt(name, certs)
	if err != nil {
		return nil, err
	}
	return able[:1], nil
}

// canEncrypt keeps the end entities that may be encrypted to now.
func (p *program) canEncrypt(name string, certs []*cert.Certificate) ([]*cert.Certificate, error) {
	var able []*cert.Certificate
	var ended *cert.Certificate
	for _, c := range certs {
		switch {
		case c.BasicConstraints.CA || !c.CanEncrypt():
		case !p.inForce(c):
			ended = c
		default:
			able = append(able, c)
		}
	}
	switch {
	case len(able) > 0:
		return able, nil
	case ended != nil:
		return nil, broken(fmt.Errorf("%s: the certificate is not in force (%s)", name, period(ended)), "ask its owner for the new one")
	}
	return nil, usage(fmt.Errorf("%s: has no certificate that may be encrypted to", name), "see what it holds: mailseal inspect %s", name)
}
