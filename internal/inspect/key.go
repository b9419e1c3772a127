package inspect

import (
	"errors"

	"github.com/mailseal/mailseal/identity"
	"github.com/mailseal/mailseal/internal/oid"
)

// errNoPassphrase stands for a passphrase that nobody can give; it never leaves
// this package.
var errNoPassphrase = errors.New("encrypted")

// opened is read with the passphrase if there is one to be had.
func (o *Options) ask(encrypted *bool) func() ([]byte, error) {
	return func() ([]byte, error) {
		*encrypted = true
		if o.Passphrase == nil {
			return nil, errNoPassphrase
		}
		return o.Passphrase()
	}
}

func pkcs12(data []byte, o *Options) (*Report, error) {
	r := &Report{Kind: "pkcs12"}
	var encrypted bool
	p, err := identity.DecodePKCS12(data, o.ask(&encrypted))
	r.add("encrypted", encrypted)
	if errors.Is(err, errNoPassphrase) {
		r.add("note", "what is inside is shown with its passphrase")
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.add("authenticated", p.Authenticated)
	for _, i := range p.Identities {
		r.Parts = append(r.Parts, keyReport(i))
	}
	for _, c := range p.Certificates {
		r.Parts = append(r.Parts, certificate(c))
	}
	r.add("skipped", texts(p.Skipped))
	return r, nil
}

// privateKey explains a key of any form that identity reads. The key itself is not
// shown.
func privateKey(data []byte, o *Options) (*Report, error) {
	var encrypted bool
	found, err := identity.Read(data, o.ask(&encrypted))
	if errors.Is(err, errNoPassphrase) {
		r := &Report{Kind: "private key"}
		r.add("encrypted", true)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r := keyReport(found[0])
	r.add("encrypted", encrypted)
	return r, nil
}

func keyReport(i *identity.Identity) *Report {
	r := &Report{Kind: "private key"}
	r.add("label", i.Label)
	r.add("key", keyName(identity.Public(i.Key), oid.AlgorithmIdentifier{}))
	if i.Certificate != nil {
		r.add("certificate_sha256", i.Certificate.SHA256())
	}
	return r
}
